"""This machine as a profile: what the kernel and the installed packages say of it."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edge_aigc.errors import RuntimeMissingError
from edge_aigc.interpreter import PACKAGES
from edge_aigc.profile import Cpu, DeviceProfile, Image, Memory, RecipeName, Runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

_SYSTEM = Path("/sys/devices/system/cpu")
_ISA: Mapping[str, str] = {
    # The kernel's name of a feature: ours, which on Arm are those of the profiles.
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "avx2": "avx2",
    "fma": "fma",
    "avx512f": "avx512f",
    "avx512_vnni": "avx512vnni",
    "avx_vnni": "avxvnni",
}
_ARM_PARTS: Mapping[str, tuple[str, str]] = {
    # `CPU part` of Arm Ltd. (0x41), from each core's technical reference manual (MIDR_EL1): name, QEMU's.
    "0xd03": ("Cortex-A53", "cortex-a53"),
    "0xd04": ("Cortex-A35", "cortex-a35"),
    "0xd07": ("Cortex-A57", "cortex-a57"),
    "0xd08": ("Cortex-A72", "cortex-a72"),
    "0xd0b": ("Cortex-A76", "cortex-a76"),
    "0xd0c": ("Neoverse-N1", "neoverse-n1"),
    "0xd42": ("Cortex-A78AE", "cortex-a76"),
}
_AUTO: tuple[RecipeName, ...] = ("float32", "float16", "dynamic", "int8", "mixed")
"""int16x8 runs on reference kernels, twelve times slower than float32, and 4-bit weights are for who asks for them."""
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@functools.cache
def host_profile() -> DeviceProfile:
    """Return this machine as a profile; what it does not tell of itself is left out.

    Raises:
        RuntimeMissingError: No interpreter is installed, so nothing can be converted for this machine.
    """
    wheels = _wheels()
    if not wheels:
        raise RuntimeMissingError(
            "No TFLite interpreter is installed on this machine, so it is no device of ours.",
            remedy="Install one: `pip install 'edge-aigc[litert]'`.",
        )
    runtimes = tuple(wheels)
    recipes: tuple[RecipeName, ...] = get_args(RecipeName)
    cpuinfo = _keys(_text(Path("/proc/cpuinfo")))
    return DeviceProfile(
        name="host",
        title=f"This machine ({platform.machine()})",
        target="xnnpack",
        runtimes=runtimes,
        recipes=recipes,
        auto_recipes=_AUTO,
        cpu=_cpu(cpuinfo),
        memory=Memory(ram_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        images=(
            Image(
                name=_system_name(),
                python=".".join(platform.python_version_tuple()[:2]),
                glibc=platform.libc_ver()[1] or "0",
                wheels=wheels,
            ),
        ),
        sources={
            "runtimes": "installed packages",
            "recipes": "every form that an interpreter runs",
            "cpu": "/proc/cpuinfo and /sys/devices/system/cpu",
            "memory": "sysconf(3)",
            "images": "this system and its packages",
        },
    )


def _cpu(cpuinfo: Mapping[str, str]) -> Cpu:
    part = _ARM_PARTS.get(cpuinfo.get("CPU part", ""))
    flags = (cpuinfo.get("flags") or cpuinfo.get("Features") or "").split()
    return Cpu(
        core=part[0] if part else cpuinfo.get("model name", platform.machine()),
        cores=os.cpu_count() or 1,
        clock_hz=_clock_hz(cpuinfo),
        isa=tuple(ours for kernels, ours in _ISA.items() if kernels in flags),
        l1d_bytes=_cache_bytes(level="1", kinds={"Data"}),
        l2_bytes=_cache_bytes(level="2", kinds={"Unified"}),
        l3_bytes=_cache_bytes(level="3", kinds={"Unified"}),
        # QEMU emulates the architecture it runs on as well; on x86 `max` is all that it can do.
        qemu=part[1] if part else "max",
    )


def _clock_hz(cpuinfo: Mapping[str, str]) -> int | None:
    kilohertz = _text(_SYSTEM / "cpu0" / "cpufreq" / "cpuinfo_max_freq").strip()
    if kilohertz.isdigit():
        return int(kilohertz) * 1000
    megahertz = cpuinfo.get("cpu MHz")
    return round(float(megahertz) * 1e6) if megahertz else None


def _cache_bytes(*, level: str, kinds: set[str]) -> int | None:
    for entry in sorted((_SYSTEM / "cpu0" / "cache").glob("index*")):
        size = re.fullmatch(r"(\d+)([KMG])", _text(entry / "size").strip())
        if _text(entry / "level").strip() == level and _text(entry / "type").strip() in kinds and size:
            return int(size[1]) * _UNITS[size[2]]
    return None


def _wheels() -> dict[Runtime, str]:
    installed = {entry.metadata["Name"]: entry.version for entry in importlib.metadata.distributions()}
    return {runtime: installed[package] for runtime, package in PACKAGES.items() if package in installed}


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _keys(text: str) -> dict[str, str]:
    """Return the first value of each key of /proc/cpuinfo."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip(), value.strip())
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
