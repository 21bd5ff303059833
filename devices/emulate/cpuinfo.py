"""An aarch64 /proc/cpuinfo: QEMU before 8 shows guests the host's, and interpreters look for Arm's in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.profile import Cpu

_V8_0 = "fp asimd aes pmull sha1 sha2 crc32 cpuid"
_V8_2 = f"{_V8_0} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
FEATURES: Mapping[str, str] = {
    # The kernel's names of what QEMU 7.2 announces in HWCAP under each model; measured: 0x8fb and 0x119ffb.
    "cortex-a35": _V8_0,
    "cortex-a53": _V8_0,
    "cortex-a57": _V8_0,
    "cortex-a72": _V8_0,
    "cortex-a76": _V8_2,
    "neoverse-n1": _V8_2,
}
_PARTS: Mapping[str, tuple[str, str]] = {
    # MIDR_EL1, implementer and part number, from each core's technical reference manual.
    "cortex-a35": ("0x41", "0xd04"),
    "cortex-a53": ("0x41", "0xd03"),
    "cortex-a57": ("0x41", "0xd07"),
    "cortex-a72": ("0x41", "0xd08"),
    "cortex-a76": ("0x41", "0xd0b"),
    "cortex-a78ae": ("0x41", "0xd42"),
    "neoverse-n1": ("0x41", "0xd0c"),
    # NVIDIA's: the kernel's arch/arm64/include/asm/cputype.h.
    "carmel": ("0x4e", "0x004"),
}


def cpuinfo(cpu: Cpu) -> str:
    """Return the file's text: the board's cores by name, with the features of its CPU model in QEMU.

    A core that is not known by name is given its model's number.
    """
    model = cpu.qemu or ""
    implementer, part = _PARTS.get(cpu.core.lower(), _PARTS.get(model, ("0x41", "0x000")))
    return "".join(
        f"processor\t: {core}\n"
        "BogoMIPS\t: 100.00\n"
        f"Features\t: {FEATURES.get(model, _V8_0)}\n"
        f"CPU implementer\t: {implementer}\n"
        "CPU architecture: 8\n"
        "CPU variant\t: 0x0\n"
        f"CPU part\t: {part}\n"
        "CPU revision\t: 0\n\n"
        for core in range(cpu.cores)
    )
