"""What memory a process takes, and how much of it is the model's."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

_SELF = Path("/proc/self")
_RESET_PEAK = "5"
"""Written to clear_refs it sets the peak to what is resident now: proc(5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """Of this process, bytes."""

    idle_rss_bytes: int
    """Resident before the model came: Python, NumPy, Pillow, the runtime, edge-aigc."""
    peak_ram_bytes: int
    """The model's: the peak less the idle process, and less the pages of libraries read since, which can be dropped."""
    peak_rss_bytes: int
    """The whole process."""


class Scale:
    """Weighs what comes after it was made."""

    def __init__(self) -> None:
        """Note what the idle process takes; call when everything but the model is imported."""
        # Not getrusage(2): ru_maxrss outlives execve, so that a child starts with its parent's peak.
        with contextlib.suppress(OSError):
            (_SELF / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
        idle = _status()
        self._idle_bytes, self._libraries_bytes = idle["VmRSS"], idle["RssFile"]

    def weigh(self) -> Weight:
        """Return the peaks since then."""
        now = _status()
        libraries = max(0, now["RssFile"] - self._libraries_bytes)
        return Weight(
            idle_rss_bytes=self._idle_bytes,
            peak_ram_bytes=max(0, now["VmHWM"] - self._idle_bytes - libraries),
            peak_rss_bytes=now["VmHWM"],
        )


def _status() -> dict[str, int]:
    """Return the sizes in /proc/self/status, bytes; the kernel tells KiB, as `kB`."""
    sizes = {}
    for line in (_SELF / "status").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            sizes[name] = int(value.split()[0]) * 1024
    return sizes
