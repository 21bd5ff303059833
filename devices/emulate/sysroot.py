"""A root file system for the guest: Debian's arm64 packages, unpacked; needs neither root nor dpkg's consent."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.devices.emulate.cache import built
from edge_aigc.devices.emulate.commands import program, run_program
from edge_aigc.errors import EmulationError

if TYPE_CHECKING:
    from collections.abc import Callable

MIRROR_VARIABLE = "EDGE_AIGC_DEBIAN_MIRROR"
"""URL of a Debian mirror, for machines whose own apt has none."""
_RECIPE = 1
"""Raised when the way a sysroot is made changes."""
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SUITES = frozenset(
    "bullseye bookworm trixie forky duke sid oldoldstable oldstable stable testing unstable".split()  # noqa: SIM905
)
"""A source of one of these is a Debian mirror; those of updates and security are not the whole of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release of Debian that sysroots are made from."""

    number: int
    suite: str
    python: tuple[int, int]
    glibc: tuple[int, int]


RELEASES = (
    # Their packages: python3-defaults and glibc.
    Release(number=12, suite="bookworm", python=(3, 11), glibc=(2, 36)),
    Release(number=13, suite="trixie", python=(3, 13), glibc=(2, 41)),
)


def release_for(python: tuple[int, int]) -> Release:
    """Return the release whose Python is nearest, of two as near the newer.

    >>> release_for((3, 10)).number, release_for((3, 12)).number
    (12, 13)
    """
    return min(RELEASES, key=lambda release: (abs(release.python[1] - python[1]), -release.number))


def sysroot(release: Release, tell: Callable[[str], None]) -> Path:
    """Return the root file system of a release, fetched and unpacked the first time.

    Raises:
        EmulationError: No Debian mirror is known, no network, apt or dpkg-deb missing or failing.
        FileError: The disk is full.
    """

    def make(folder: Path) -> None:
        tell(f"fetching Debian {release.number}'s arm64 packages")
        with tempfile.TemporaryDirectory(dir=folder, prefix=".apt.") as work:
            packages = _fetched(release, Path(work))
            tell(f"unpacking {len(packages)} packages")
            _unpack(packages, folder)

    return built("sysroots", {"recipe": _RECIPE, "suite": release.suite, "packages": _packages(release)}, make)


def _packages(release: Release) -> list[str]:
    major, minor = release.python
    return [f"python{major}.{minor}", "libstdc++6"]  # the second for wheels in C++


def _fetched(release: Release, work: Path) -> list[Path]:
    apt_get = program("apt-get", package="apt")
    program("dpkg-deb", package="dpkg")  # before anything is fetched in vain
    environment = _apt(release, work)
    options = {
        "what": f"fetch Debian {release.number}'s arm64 packages",
        "remedy": "Check this machine's apt sources and keys (`apt-get install debian-archive-keyring`), or name a "
        f"Debian mirror's URL with {MIRROR_VARIABLE}.",
    }
    for command in (
        [apt_get, "--quiet", "--error-on=any", "update"],
        [apt_get, "--quiet", "--yes", "--download-only", "install", *_packages(release)],
    ):
        run_program(command, place=work, environment=environment, **options)
    return sorted((work / "archives").glob("*.deb"))


def _apt(release: Release, work: Path) -> dict[str, str]:
    """Return the environment of an apt of its own: its state, cache and sources in `work`, arm64 alone.

    Of the machine's configuration it keeps how to fetch (proxies, retries, certificates) and whom to trust;
    hooks, preferences and what is installed are not its business.
    """
    for folder in ("lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (work / "sources.list").write_text(f"deb {signed}{_mirror()} {release.suite} main\n", encoding="utf-8")
    lines = [line for line in _apt_configuration() if line.startswith("Acquire::")]
    settings = {
        "Dir::Etc::Parts": "/dev/null",
        "Dir::Etc::Main": "/dev/null",
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": work,
        "Dir::State::Lists": work / "lists",
        "Dir::State::Status": work / "status",
        "Dir::Cache": work,
        "Dir::Cache::Archives": work / "archives",
        "Dir::Log": work,
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        # Root would hand fetching to the user _apt, who may not write here.
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    lines += [f'{key} "{value}";' for key, value in settings.items()]
    (work / "apt.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {**os.environ, "APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}


def _apt_configuration() -> list[str]:
    command = [program("apt-config", package="apt"), "dump"]
    text = run_program(command, what="read apt's configuration", remedy="Run `apt-config dump`.", place=Path("/"))
    # Its index targets are those of the machine's architecture, and defaults of ours.
    return [line for line in text.splitlines() if not line.startswith("Acquire::IndexTargets")]


def _mirror() -> str:
    stated = os.environ.get(MIRROR_VARIABLE)
    if stated:
        return stated
    command = [program("apt-get", package="apt"), "indextargets", "--format", "$(CREATED_BY) $(REPO_URI) $(RELEASE)"]
    text = run_program(command, what="list apt's sources", remedy="Run `apt-get indextargets`.", place=Path("/"))
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "Packages" and words[2] in _SUITES:  # noqa: PLR2004 - as in the format
            return words[1]
    raise EmulationError(
        "This machine's apt has no Debian mirror among its sources.",
        remedy=f"Set {MIRROR_VARIABLE} to the URL of one, and `apt-get install debian-archive-keyring` to verify it.",
    )


def _unpack(packages: list[Path], folder: Path) -> None:
    dpkg_deb = program("dpkg-deb", package="dpkg")
    for package in packages:
        command = [dpkg_deb, "--extract", str(package), str(folder)]
        run_program(command, what=f"unpack {package.name}", remedy="Run it again.", place=folder)
    # Since Debian 13 packages hold no /lib: it is a link that base-files brings.
    if not (folder / "lib").exists():
        (folder / "lib").symlink_to("usr/lib")
    for unused in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"):
        shutil.rmtree(folder / unused, ignore_errors=True)
