"""A board as a guest: Python and the wheels of one of its images, under its CPU model in QEMU's user mode."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import edge_aigc
from edge_aigc.devices.emulate.cache import built, key_of, place_of
from edge_aigc.devices.emulate.commands import qemu
from edge_aigc.devices.emulate.cpuinfo import cpuinfo
from edge_aigc.devices.emulate.sysroot import Release, release_for, sysroot
from edge_aigc.devices.emulate.wheels import wheels
from edge_aigc.errors import EmulationError
from edge_aigc.files import cache_folder
from edge_aigc.processes import kill_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.profile import DeviceProfile, Image, Runtime

_RECIPE = 1
"""Raised when the way a machine's folder is made changes."""
_WATCH = Path(__file__).with_name("watch.py")
_NOT_FOR_THE_GUEST = ("PYTHON", "LD_", "QEMU_")
"""Variables of the host's own Python, linker and QEMU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run in the guest that ended."""

    returncode: int
    """Negative: the signal that ended it."""
    stdout: str
    stderr: str
    peak_rss_bytes: int
    """Of the guest: the kernel's high-water mark of the process, less what QEMU has allocated for itself."""
    exceeded: bool
    """Whether it was more than the limit; it was killed with SIGKILL then, as a board's kernel would."""


class Machine:
    """One image of a board, emulated.

    Attributes:
        profile: Of the board.
        runtime: Its interpreter.
        image: The system that the wheels are for.
        release: The Debian release that stands in for the image.
    """

    def __init__(self, profile: DeviceProfile, runtime: Runtime | None = None, *, image: Image | None = None) -> None:
        """Choose what to emulate; nothing is fetched or started yet.

        Args:
            profile: Of a board with 64-bit Arm cores.
            runtime: None takes the profile's first.
            image: One of the profile's; None takes the first that the runtime installs on.

        Raises:
            EmulationError: QEMU has no model of the CPU, or no image has the runtime.
        """
        self.profile = profile
        self.runtime: Runtime = runtime or profile.runtimes[0]
        self.image = image or _image_with(profile, self.runtime)
        if profile.name == "host" or profile.cpu.qemu is None:
            raise EmulationError(
                f"The profile {profile.name!r} cannot be emulated: "
                + ("it is this machine." if profile.name == "host" else "it names no CPU model of QEMU's."),
                remedy="Use `edge-aigc generate` and `bench` here."
                if profile.name == "host"
                else "State the nearest of `qemu-aarch64 -cpu help` as `qemu` under `[cpu]`.",
            )
        self.release: Release = release_for(self.python)

    @functools.cached_property
    def qemu(self) -> str:
        """The program of QEMU's.

        Raises:
            EmulationError: It is not installed.
        """
        return qemu()

    @property
    def python(self) -> tuple[int, int]:
        """The image's Python, or the one that a user installs beside it."""
        return _two(self.image.own_python or self.image.python)

    @property
    def stands_in(self) -> str | None:
        """Where the guest's Python is not the image's: what stands in for what."""
        if self.release.python == self.python:
            return None
        ours, theirs = (f"{major}.{minor}" for major, minor in (self.release.python, self.python))
        return f"Python {ours} (Debian {self.release.number}) stands in for {theirs} of {self.image.name}"

    def prepare(self, tell: Callable[[str], None] = lambda _: None) -> Path:
        """Make the guest ready, fetching what is not cached, and return its folder.

        Raises:
            EmulationError: QEMU, apt, pip, a package, a wheel or the network is missing.
            FileError: The disk is full.
        """
        release = self.release
        root = sysroot(release, tell)
        site = wheels(
            self.runtime,
            self.image.wheels[self.runtime],
            python=release.python,
            glibc=min(_two(self.image.glibc), release.glibc),
            tell=tell,
        )
        parts = self._parts(root, site)
        folder = place_of("machines", parts)
        return built("machines", parts, lambda temporary: self._furnish(temporary, folder, root, site))

    def command(self, arguments: Sequence[str], *, plugin: str | None = None) -> list[str]:
        """Return the command line that runs the guest's Python, for `subprocess.Popen`.

        Processes that the guest starts from its `sys.executable` are emulated too (without the plugin).

        Args:
            arguments: Of Python, for example ``["-m", "edge_aigc.cli", "run", …]``.
            plugin: What QEMU's `-plugin` takes: a file, then options with commas.
        """
        folder = self.prepare()
        return [*self._guest(folder, plugin), *arguments]

    def environment(self, changes: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return our environment without what is meant for the host's own programs, and with `changes`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_THE_GUEST)}
        return {**kept, **(changes or {})}

    def run(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        limit_bytes: int | None = None,
        plugin: str | None = None,
        timeout_s: float | None = None,
    ) -> Finished:
        """Run the guest's Python to its end.

        Args:
            arguments: Of Python.
            env: Variables to add.
            limit_bytes: Resident memory of the guest at which it is killed; None sets no limit.
            plugin: As for `command`.
            timeout_s: None waits for ever.

        Raises:
            EmulationError: It took longer; QEMU does not know the CPU model; or as `prepare`.
        """
        command = self.command(arguments, plugin=plugin)
        with tempfile.TemporaryFile() as report:
            watch = [sys.executable, "-I", "-S", str(_WATCH), str(limit_bytes or 0), str(report.fileno())]
            stdout, stderr = self._words([*watch, *command], report.fileno(), self.environment(env), timeout_s)
            report.seek(0)
            found = report.read()
        self._check(found, stderr)
        return Finished(stdout=stdout, stderr=stderr, **msgspec.json.decode(found))

    def _words(
        self, command: list[str], report: int, environment: dict[str, str], timeout_s: float | None
    ) -> tuple[str, str]:
        """Run a command to its end, in a session of its own so that all of it can be ended; return what it wrote."""
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=(report,),
            env=environment,
            start_new_session=True,
        )
        try:
            return process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise EmulationError(
                f"The emulated {self.profile.name} did not end within {timeout_s:g} s and was killed.",
                remedy="Emulation is slow: allow more time with `--timeout SECONDS`, or try a smaller model.",
            ) from exc
        finally:
            if process.returncode is None:
                kill_group(process)
                process.communicate()

    def _check(self, report: bytes, words: str) -> None:
        if "unable to find CPU model" in words or not report:
            raise EmulationError(
                f"QEMU cannot emulate the {self.profile.cpu.qemu} of {self.profile.name}: {words.strip()[-400:]}.",
                remedy="Install a newer QEMU, or correct `qemu` under `[cpu]` in the profile.",
            )

    def _parts(self, root: Path, site: Path) -> dict[str, object]:
        return {
            "recipe": _RECIPE,
            "qemu": self.qemu,
            "cpu": self.profile.cpu.qemu,
            "cpuinfo": cpuinfo(self.profile.cpu),
            "root": str(root),
            "site": str(site),
            "code": edge_aigc.__path__[0],
        }

    @property
    def key(self) -> str:
        """What decides how the guest computes, hashed: board, wheels, our own code's place."""
        return self.prepare().name

    def _furnish(self, temporary: Path, place: Path, root: Path, site: Path) -> None:
        """Make what the guest sees: links into the sysroot, its cpuinfo, our code without the host's packages."""
        (temporary / "root" / "proc").mkdir(parents=True)
        (temporary / "root" / "proc" / "cpuinfo").write_text(cpuinfo(self.profile.cpu), encoding="ascii")
        for entry in root.iterdir():
            (temporary / "root" / entry.name).symlink_to(entry)
        (temporary / "site").symlink_to(site)
        (temporary / "code").mkdir()
        (temporary / "code" / "edge_aigc").symlink_to(edge_aigc.__path__[0])
        script = temporary / "python"
        # What the guest calls `sys.executable`: a script of the host's, so that a child is emulated as well.
        script.write_text(f'#!/bin/sh\nexec {shlex.join(self._guest(place, None))} "$@"\n', encoding="utf-8")
        script.chmod(0o755)

    def _guest(self, folder: Path, plugin: str | None) -> list[str]:
        major, minor = self.release.python
        assert self.profile.cpu.qemu is not None
        command = [self.qemu, "-cpu", self.profile.cpu.qemu, "-L", str(folder / "root")]
        command += ["-0", str(folder / "python")]
        command += ["-plugin", plugin] if plugin else []
        for name in ("LD_LIBRARY_PATH", "LD_PRELOAD"):
            command += ["-U", name]
        variables = {
            "PYTHONHOME": folder / "root" / "usr",
            "PYTHONPATH": f"{folder / 'site'}:{folder / 'code'}",
            "PYTHONNOUSERSITE": "1",
            # The same run executes the same instructions.
            "PYTHONHASHSEED": "0",
            # The folders are never written to once they are there; compiled modules go beside them.
            "PYTHONPYCACHEPREFIX": cache_folder() / "pycache" / folder.name,
        }
        for name, value in variables.items():
            command += ["-E", f"{name}={value}"]
        return [*command, str(folder / "root" / "usr" / "bin" / f"python{major}.{minor}")]


def code_digest() -> str:
    """Return a hash of our own source, for what was measured with it."""
    folder = Path(edge_aigc.__path__[0])
    return key_of({str(path.relative_to(folder)): path.read_text("utf-8") for path in sorted(_sources(folder))})


def _sources(folder: Path) -> list[Path]:
    return [*folder.glob("*.py"), *folder.glob("media/*.py"), *folder.glob("devices/**/*.py")]


def _image_with(profile: DeviceProfile, runtime: Runtime) -> Image:
    for image in profile.images:
        if runtime in image.wheels:
            return image
    raise EmulationError(
        f"No image of {profile.name} installs the runtime {runtime!r}.",
        remedy=f"It has {' and '.join(profile.runtimes)}.",
    )


def _two(release: str) -> tuple[int, int]:
    major, _, rest = release.partition(".")
    return int(major), int(rest.partition(".")[0] or 0)
