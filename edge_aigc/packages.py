"""Which Python packages are installed, against what this project's own metadata asks for."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.tags import parse_tag, sys_tags

from edge_aigc.errors import RuntimeMissingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.tags import Tag

PROJECT = "edge-aigc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A requirement that is not met."""

    package: str
    wanted: str
    """As pip takes it, for example ``numpy<2``."""
    installed: str | None
    """Its release; None where it is not installed."""


def requirements(extra: str = "") -> list[Requirement]:
    """Return what an extra asks for on this Python, or without one, what the project itself does.

    Raises:
        PackageNotFoundError: The project is not installed, only lies on the path.
    """
    stated = [Requirement(line) for line in importlib.metadata.requires(PROJECT) or ()]
    own = [entry for entry in stated if entry.marker is None or entry.marker.evaluate({"extra": ""})]
    if not extra:
        return own
    return [entry for entry in stated if entry not in own and entry.marker and entry.marker.evaluate({"extra": extra})]


def shortfalls(extra: str = "") -> list[Shortfall]:
    """Return the requirements of an extra, or of the project, that are not met.

    Raises:
        PackageNotFoundError: As `requirements`.
    """
    missing = []
    for wanted in requirements(extra):
        installed = release(wanted.name)
        if installed is None or not wanted.specifier.contains(installed, prereleases=True):
            words = f"{wanted.name}{wanted.specifier}"
            missing.append(Shortfall(package=wanted.name, wanted=words, installed=installed))
    return missing


def wanted(package: str, *extras: str) -> str:
    """Return a package as pip takes it, with the bounds that one of the extras states, if one does."""
    try:
        stated = [entry for extra in extras for entry in requirements(extra)]
    except importlib.metadata.PackageNotFoundError:
        stated = []
    return next((f"{entry.name}{entry.specifier}" for entry in stated if entry.name == package), package)


def release(package: str) -> str | None:
    """Return the installed release of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def foreign_tags(package: str) -> list[str]:
    """Return the tags of an installed wheel if it is not for this machine, else nothing.

    A wheel states Python, ABI and platform, and with the platform the C library (PEP 425, PEP 600).
    """
    try:
        text = importlib.metadata.distribution(package).read_text("WHEEL") or ""
    except importlib.metadata.PackageNotFoundError:
        return []
    stated = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Tag:")]
    tags: set[Tag] = {tag for entry in stated for tag in parse_tag(entry)}
    return stated if tags and tags.isdisjoint(sys_tags()) else []


def pip_install(*words: str) -> str:
    """Return the line for the shell that installs into this very Python.

    >>> pip_install("numpy<2").endswith("'numpy<2'")
    True
    """
    command = [sys.executable, "-m", "pip", "install"]
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        command = ["uv", "pip", "install", "--python", sys.executable]
    if sys.prefix == sys.base_prefix and (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists():
        command.append("--break-system-packages")
    return shlex.join([*command, *words])


def require_modules(what: str, modules: Iterable[str], *, extra: str, note: str = "") -> None:
    """Refuse early where modules are missing that an extra of ours brings.

    Args:
        what: Needs them; begins the message.
        modules: By the names that they are imported by.
        extra: Of this project, one or several divided by commas.
        note: More of the remedy.

    Raises:
        RuntimeMissingError: Names all that are missing.
    """
    # Of all that our extras bring, packages are called as their modules are but for the hyphens.
    missing = [module.replace("_", "-") for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise RuntimeMissingError(
            f"{what} needs {' and '.join(missing)}, not installed here.",
            remedy=f"Install what belongs to it: `pip install '{PROJECT}[{extra}]'`.{note}",
        )
