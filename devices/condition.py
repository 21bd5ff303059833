"""The state of this machine that decides whether a timing means anything: heat, clock, throttling, other work."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.devices.health import temperature_c

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_THROTTLED = "sys/bus/platform/drivers/raspberrypi-firmware/*/get_throttled"
"""Bits in hexadecimal, from drivers/firmware/raspberrypi.c of the boards' kernels; not all have it any more."""
_UNDER_VOLTAGE = ("rpi_volt", "in0_lcrit_alarm")
"""What mainline has instead, drivers/hwmon/raspberrypi-hwmon.c: the one bit for the last two seconds."""
_BITS: Mapping[int, str] = {
    # vcgencmd's documentation, `get_throttled`; the same bits 16 higher mean "since it was started".
    0: "under-voltage",
    1: "Arm frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
_SINCE_BOOT = 16
_VCGENCMD_S = 2.0


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A machine at one moment; None and nothing where it does not tell."""

    temperature_c: float | None = None
    """Of the hottest thermal zone."""
    governor: str | None = None
    """What chooses the clock: cpufreq's `scaling_governor`."""
    clock_hz: int | None = None
    """Of the fastest core at this moment."""
    clock_max_hz: int | None = None
    throttled: tuple[str, ...] = ()
    """What holds the clock down now."""
    throttled_since_boot: tuple[str, ...] = ()
    load_1min: float
    cores: int
    """That this process may use."""
    busy_s: float = 0.0
    """Processor time of everybody since the machine was started, all cores together."""
    stolen_s: float = 0.0
    """Time since then that a hypervisor gave to others."""


def look(root: Path = Path("/")) -> Condition:
    """Return how this machine is now.

    Args:
        root: Where `sys` and `proc` are.
    """
    now, since_boot = _raspberry(root)
    busy_s, stolen_s = _processor_times(root)
    return Condition(
        temperature_c=temperature_c(root / "sys/class/thermal"),
        governor=_text(_first(root, "scaling_governor")) or None,
        clock_hz=_fastest(root, "scaling_cur_freq"),
        clock_max_hz=_fastest(root, "cpuinfo_max_freq"),
        throttled=(*now, *_cooling(root)),
        throttled_since_boot=since_boot,
        load_1min=round(os.getloadavg()[0], 2),
        cores=len(os.sched_getaffinity(0)),
        busy_s=busy_s,
        stolen_s=stolen_s,
    )


def _raspberry(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a Raspberry Pi's firmware says holds it down: now, and since it was started."""
    word = _vcgencmd() or next((text for path in root.glob(_THROTTLED) if (text := _text(path))), "")
    try:
        bits = int(word, 16)
    except ValueError:
        return tuple(_under_voltage(root)), ()
    now, since_boot = (
        tuple(name for bit, name in _BITS.items() if bits >> (bit + shift) & 1) for shift in (0, _SINCE_BOOT)
    )
    return now, since_boot


def _under_voltage(root: Path) -> Iterator[str]:
    driver, alarm = _UNDER_VOLTAGE
    for sensor in (root / "sys/class/hwmon").glob("hwmon*"):
        if _text(sensor / "name") == driver and _text(sensor / alarm) == "1":
            yield _BITS[0]


def _vcgencmd() -> str:
    """Return the bits as the firmware's own tool tells them: `throttled=0x50000`."""
    if shutil.which("vcgencmd") is None:
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=_VCGENCMD_S, check=True
        )
        return done.stdout.strip().partition("=")[2]
    return ""


def _cooling(root: Path) -> Iterator[str]:
    """Yield the processor's cooling devices that are at work: each state above 0 is a lower clock.

    Source: the kernel's thermal sysfs-api, `cooling_device[0-*]`. Fans are cooling devices too: they slow nothing.
    """
    for device in sorted((root / "sys/class/thermal").glob("cooling_device*")):
        kind, state = _text(device / "type"), _text(device / "cur_state")
        if ("cpufreq" in kind or kind == "Processor") and state.isdigit() and int(state):
            yield f"{kind} held back by {state} of {_text(device / 'max_state') or '?'}"


def _processor_times(root: Path) -> tuple[float, float]:
    """Return busy and stolen seconds of all cores: the first line of /proc/stat, proc(5)."""
    fields = _text(root / "proc/stat").partition("\n")[0].split()[1:]
    if len(fields) < 8 or not all(field.isdigit() for field in fields):  # noqa: PLR2004 - user to steal
        return 0.0, 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
    hertz = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / hertz, steal / hertz


def _fastest(root: Path, name: str) -> int | None:
    """Return the highest of the cores' clocks; cpufreq tells kilohertz."""
    found = [int(text) for path in _cores(root, name) if (text := _text(path)).isdigit()]
    return max(found) * 1000 if found else None


def _first(root: Path, name: str) -> Path:
    return next(iter(sorted(_cores(root, name))), root / "sys/none")


def _cores(root: Path, name: str) -> Iterator[Path]:
    return (root / "sys/devices/system/cpu").glob(f"cpu[0-9]*/cpufreq/{name}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
