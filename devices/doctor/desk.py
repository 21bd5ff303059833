"""The programs of a machine that converts: to emulate boards, to count their instructions, to reach them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.devices.emulate.commands import QEMU_NAMES
from edge_aigc.finding import Finding, install

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.devices.doctor.patient import Patient
    from edge_aigc.finding import Severity

_LIMIT_S = 4.0
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_SMALLEST = b'#include <stdint.h>\n#include <stdio.h>\nint64_t f(void) { return puts(""); }\n'
"""With headers and a library of C's: compilers are installed without these, too."""


def check(patient: Patient) -> list[Finding]:
    """Look for each program; what the profile's board is emulated with is a problem where it is missing.

    Anything else is a note: converting works without.
    """
    if not patient.is_host:
        return []
    severity: Severity = "problem" if patient.profile is not None and patient.profile.cpu.qemu else "note"
    return [
        *_qemu(severity),
        *_compiler(severity),
        *_sysroots(severity),
        *_program("mosquitto", "the demonstration and emulated devices use it", "mosquitto"),
        *_program("ssh", "boards are reached with it", "openssh-client"),
    ]


def _qemu(severity: Severity) -> list[Finding]:
    program = next(filter(None, map(shutil.which, QEMU_NAMES)), None)
    if program is None:
        message = f"QEMU's user mode ({QEMU_NAMES[0]}) is not installed: no board can be emulated."
        return [Finding(id="qemu", severity=severity, message=message, remedy=install("qemu-user"))]
    if "-plugin" not in _said(program, "-h"):
        message = f"{program} takes no plugins (`-plugin`), as static builds do: instructions cannot be counted."
        return [Finding(id="qemu-plugin", severity=severity, message=message, remedy=install("qemu-user"))]
    return [Finding(id="qemu", severity="ok", message=f"{_said(program, '--version').splitlines()[0]}, with plugins.")]


def _compiler(severity: Severity) -> list[Finding]:
    # As `emulate.plugin` chooses.
    program = os.environ.get("CC") or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    remedy = install("gcc", "libc6-dev")
    if program is None:
        message = "There is no C compiler: the plugin that counts instructions cannot be built."
        return [Finding(id="compiler", severity=severity, message=message, remedy=remedy)]
    command = [*program.split(), "-x", "c", "-shared", "-fPIC", "-o", "/dev/null", "-"]
    done = subprocess.run(command, input=_SMALLEST, capture_output=True, timeout=_LIMIT_S, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        message = f"{program} does not build a shared library: {words[0] if words else 'it says nothing'}"
        return [Finding(id="compiler", severity=severity, message=message, remedy=remedy)]
    return [Finding(id="compiler", severity="ok", message=f"{program} builds shared libraries.")]


def _sysroots(severity: Severity) -> list[Finding]:
    """What the boards' systems are fetched, verified and unpacked with: `emulate.sysroot`."""
    there: Mapping[str, object] = {
        "apt": shutil.which("apt-get"),
        "dpkg": shutil.which("dpkg-deb"),
        "gpgv": shutil.which("gpgv"),
        "debian-archive-keyring": Path(_KEYRING).exists(),
    }
    missing = [package for package, found in there.items() if not found]
    if not missing:
        return []
    message = f"{', '.join(missing)} is missing: the packages of emulated systems cannot be fetched and verified."
    return [Finding(id="sysroot-tools", severity=severity, message=message, remedy=install(*missing))]


def _program(name: str, why: str, package: str) -> list[Finding]:
    # Debian puts daemons where only root's PATH looks.
    if shutil.which(name) or Path("/usr/sbin", name).exists():
        return []
    return [Finding(id=name, severity="note", message=f"{name} is not installed: {why}.", remedy=install(package))]


def _said(program: str, option: str) -> str:
    done = subprocess.run([program, option], capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    return done.stdout + done.stderr
