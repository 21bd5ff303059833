"""The processor, its instructions and the C library, against what the wheels were built for."""

from __future__ import annotations

import contextlib
import os
import platform
import struct
from typing import TYPE_CHECKING

from edge_aigc.finding import Finding

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient

_WHEELS_FOR = ("aarch64", "x86_64")
"""Of ai-edge-litert, NumPy, Pillow and msgspec on the package index; none of them for 32-bit Arm in all four."""
_COMPILED_MODEL_NEEDS = ("aes", "asimddp", "asimdhp", "asimdrdm", "atomics", "crc32", "fphp", "lrcpc")
"""The kernel's names of what ai-edge-litert 2.3's CompiledModel was built to need; without one it dies of SIGILL."""
_OLDEST_GLIBC = (2, 27)
"""Of ai-edge-litert 2.0.2 and later: wheels tagged manylinux_2_27."""


def check(patient: Patient) -> list[Finding]:
    """Look at the architecture, the processor's features and glibc."""
    return [_architecture(patient), _glibc()]


def _architecture(patient: Patient) -> Finding:
    machine, bits = platform.machine(), struct.calcsize("P") * 8
    if machine not in _WHEELS_FOR or bits != 64:  # noqa: PLR2004 - bits of a pointer
        return Finding(
            id="architecture",
            severity="problem",
            message=f"This Python is a {bits}-bit program on {machine}; the wheels of the runtimes are for 64-bit "
            f"{' and '.join(_WHEELS_FOR)}. Install the 64-bit image of the system.",
        )
    message = f"{machine}, {os.cpu_count() or 1} cores."
    profile = patient.profile
    # Only Arm's cores are named by a model of QEMU's in a profile.
    if profile is not None and profile.cpu.qemu and machine != "aarch64" and not patient.is_host:
        message += f" {profile.name} has {profile.cpu.core} cores of Arm's: this machine is another."
        return Finding(id="architecture", severity="note", message=message)
    features = _features(patient.text("/proc/cpuinfo"))
    if machine == "aarch64" and features:
        lacks = [name for name in _COMPILED_MODEL_NEEDS if name not in features]
        if lacks:
            message += f" CompiledModel would die here for want of {', '.join(lacks)}; we use Interpreter."
    return Finding(id="architecture", severity="ok", message=message)


def _features(cpuinfo: str) -> set[str]:
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"Features", "flags"}:
            return set(value.split())
    return set()


def _glibc() -> Finding:
    words = None
    with contextlib.suppress(ValueError, OSError):
        words = os.confstr("CS_GNU_LIBC_VERSION")
    if not words:
        return Finding(
            id="glibc",
            severity="problem",
            message="The C library is not glibc, and there are no wheels of the runtimes for another. "
            "Use a system with glibc, such as Debian.",
        )
    release = words.split()[-1]
    needed = ".".join(map(str, _OLDEST_GLIBC))
    if tuple(int(part) for part in release.split(".")[:2]) < _OLDEST_GLIBC:
        return Finding(
            id="glibc",
            severity="problem",
            message=f"glibc is {release}; the wheels of ai-edge-litert need {needed}. Install a newer system.",
        )
    return Finding(id="glibc", severity="ok", message=f"glibc {release}; the runtimes need {needed}.")
