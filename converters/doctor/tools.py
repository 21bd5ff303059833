"""The programs that a desk needs: to emulate boards, to count, to compile for the Edge TPU, to reach boards."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.finding import Finding, as_root, install

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.finding import Severity
    from edge_aigc.profile import DeviceProfile

_LIMIT_S = 4.0
_QEMU = "qemu-aarch64"
_STATIC = "qemu-aarch64-static"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_CORAL = "https://packages.cloud.google.com/apt"
"""coral.ai, Edge TPU compiler, "Download"."""


def check(profile: DeviceProfile | None) -> list[Finding]:
    """Look for each program; what the profile needs is a problem where it is missing, anything else a note.

    Args:
        profile: Of the device that is converted for, if one was named.
    """
    emulated = profile is not None and profile.cpu.qemu not in {None, "max"}
    compiled = profile is not None and profile.target == "edgetpu"
    severity: Severity = "problem" if emulated else "note"
    return [
        *_qemu(severity),
        *_compiler(severity),
        *_sysroots("note"),
        *_edgetpu_compiler("problem" if compiled else "note", wanted=compiled),
        *_program("mosquitto", "note", "the demonstration and emulated devices use it", "mosquitto"),
        *_program("ssh", "note", "boards are reached with it", "openssh-client"),
    ]


def _qemu(severity: Severity) -> list[Finding]:
    program = shutil.which(_QEMU)
    if program is None:
        static = shutil.which(_STATIC)
        if static is None:
            message = f"{_QEMU} is not installed: boards cannot be emulated nor instructions counted."
            return [Finding(id="qemu", severity=severity, message=message, remedy=install("qemu-user"))]
        program = static
    if "-plugin" not in _said(program, "-help"):
        message = f"{program} takes no plugins (`-plugin`), as static builds do: instructions cannot be counted."
        return [Finding(id="qemu-plugin", severity=severity, message=message, remedy=install("qemu-user"))]
    return [Finding(id="qemu", severity="ok", message=f"{_said(program, '--version').splitlines()[0]}, with plugins.")]


def _compiler(severity: Severity) -> list[Finding]:
    # As the plugin's own builder chooses.
    program = os.environ.get("CC") or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if program is None:
        message = "There is no C compiler: the plugin that counts instructions cannot be built."
        return [Finding(id="compiler", severity=severity, message=message, remedy=install("gcc", "libc6-dev"))]
    # With a header and a link: a compiler without the C library's headers is installed, too.
    done = subprocess.run(
        [*program.split(), "-x", "c", "-shared", "-fPIC", "-o", "/dev/null", "-"],
        input=b'#include <stdint.h>\n#include <stdio.h>\nint64_t f(void) { return puts(""); }\n',
        capture_output=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        message = f"{program} does not build a shared library: {words[0] if words else 'it says nothing'}"
        return [Finding(id="compiler", severity=severity, message=message, remedy=install("gcc", "libc6-dev"))]
    return [Finding(id="compiler", severity="ok", message=f"{program} builds shared libraries.")]


def _sysroots(severity: Severity) -> list[Finding]:
    """What the arm64 systems of Debian's are fetched and verified with."""
    needed: Mapping[str, Callable[[], object]] = {
        "apt": lambda: shutil.which("apt-get"),
        "dpkg": lambda: shutil.which("dpkg-deb"),
        "gpgv": lambda: shutil.which("gpgv"),
        "debian-archive-keyring": lambda: Path(_KEYRING).exists(),
    }
    missing = [package for package, there in needed.items() if not there()]
    if not missing:
        return []
    message = f"{', '.join(missing)} is missing: packages for emulated systems cannot be verified and unpacked."
    return [Finding(id="sysroot-tools", severity=severity, message=message, remedy=install(*missing))]


def _edgetpu_compiler(severity: Severity, *, wanted: bool) -> list[Finding]:
    program = shutil.which("edgetpu_compiler")
    if program is not None:
        return [Finding(id="edgetpu-compiler", severity="ok", message=f"{program} is there.")]
    if not wanted:
        return []
    message = "edgetpu_compiler is not on PATH: bundles for Coral boards run on their CPU."
    if platform.machine() != "x86_64":
        return [
            Finding(
                id="edgetpu-compiler",
                severity=severity,
                message=f"{message} It exists for x86-64 only; this is {platform.machine()}. Convert there.",
            )
        ]
    return [Finding(id="edgetpu-compiler", severity=severity, message=message, remedy=_from_coral())]


def _from_coral() -> str:
    source = f"deb {_CORAL} coral-edgetpu-stable main"
    key = as_root("tee /etc/apt/trusted.gpg.d/coral.asc")
    steps = (
        f"curl -fsSL {_CORAL}/doc/apt-key.gpg | {key}",
        f"echo '{source}' | {as_root('tee /etc/apt/sources.list.d/coral-edgetpu.list')}",
        as_root("apt-get update"),
        install("edgetpu-compiler"),
    )
    return " && ".join(steps)


def _program(name: str, severity: Severity, why: str, package: str) -> list[Finding]:
    # Debian puts daemons where only root's PATH looks.
    if shutil.which(name) or Path("/usr/sbin", name).exists():
        return []
    message = f"{name} is not installed: {why}."
    return [Finding(id=name, severity=severity, message=message, remedy=install(package))]


def _said(program: str, option: str) -> str:
    done = subprocess.run([program, option], capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    return done.stdout + done.stderr
