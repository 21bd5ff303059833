"""Run QEMU under a limit of the guest's memory; a program of its own: `watch.py LIMIT REPORT command…`.

LIMIT is in bytes of resident memory, 0 for none; a JSON line goes to descriptor REPORT at the end.

Why a program: Linux hands a process the peak of who started it (`ru_maxrss` survives exec), so only a small
parent sees a true peak. Why not a limit of the kernel's: QEMU's user mode does not apply the guest's own;
RLIMIT_AS counts what is only reserved, which QEMU does a lot of, RLIMIT_RSS has been without effect since Linux
2.4, and control groups need root. `VmHWM` is the kernel's own high-water mark: no spike between two looks is
missed, it is only noticed late. What QEMU keeps for itself, above all translated code, is taken off.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time

_LOOK_S = 0.004
_QEMU_S = 0.1
_QEMU_GROWING_S = 0.03
_GROWN_BYTES = 256 << 10
"""Between two looks at QEMU's own memory, which take 10 ms each: more often while the whole grows so much."""
_KIB = 1024
"""proc(5) and getrusage(2) count in KiB."""
_ABOVE_GUESTS = 1 << 40
"""QEMU maps a 64-bit guest at its own addresses, from 0x5500000000 (linux-user/mmap.c); itself lies above."""


class _Watch:
    """A process under QEMU, and the peak of the guest in it so far."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command)
        self.peak_bytes = 0
        self._own_bytes = 0
        self._seen_bytes = 0
        self._seen_s = 0.0

    def look(self, limit_bytes: int) -> bool:
        """Note the peak; return whether the guest went over the limit."""
        highest = high_water(self.process.pid)
        since_s = time.monotonic() - self._seen_s
        grows = highest > self._seen_bytes + _GROWN_BYTES
        if since_s >= (_QEMU_GROWING_S if grows else _QEMU_S) or self._over(highest, limit_bytes):
            resident, own = status_bytes(self.process.pid, b"VmRSS:"), qemu_bytes(self.process.pid)
            self._own_bytes = max(self._own_bytes, own)
            self._seen_bytes, self._seen_s = highest, time.monotonic()
            # Both err low: QEMU's own may have been more for a moment, as when it moves its tables.
            self.peak_bytes = max(self.peak_bytes, resident - own if own else 0)
            self.note(highest)
        return self._over(highest, limit_bytes)

    def note(self, highest: int) -> None:
        """Note a high-water mark of the whole process."""
        self.peak_bytes = max(self.peak_bytes, highest - self._own_bytes)

    def _over(self, highest: int, limit_bytes: int) -> bool:
        return 0 < limit_bytes < highest - self._own_bytes


def main(arguments: list[str]) -> int:
    """Run the command and report `returncode`, `peak_rss_bytes` and `exceeded`; return 0."""
    limit_bytes, report = int(arguments[0]), int(arguments[1])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = os.getppid()
    watch = _Watch(arguments[2:])
    pid = watch.process.pid
    ended = exceeded = 0
    while not ended:
        exceeded = exceeded or watch.look(limit_bytes)
        if exceeded or os.getppid() != parent:
            os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK_S)
        ended, status, usage = os.wait4(pid, os.WNOHANG)
    watch.note(usage.ru_maxrss * _KIB)
    result = {
        "returncode": os.waitstatus_to_exitcode(status),
        "peak_rss_bytes": watch.peak_bytes,
        "exceeded": bool(limit_bytes) and watch.peak_bytes > limit_bytes,
    }
    os.write(report, json.dumps(result).encode())
    return 0


def high_water(pid: int) -> int:
    """Return the most resident memory that a process has had; 0 when it has ended."""
    return status_bytes(pid, b"VmHWM:")


def status_bytes(pid: int, key: bytes) -> int:
    """Return a figure of /proc/PID/status; 0 when the process has ended."""
    for line in _lines(pid, "status"):
        if line.startswith(key):
            return int(line.split()[1]) * _KIB
    return 0


def qemu_bytes(pid: int) -> int:
    """Return the resident memory that QEMU has allocated for itself; 0 where it cannot be told from the guest's."""
    lines = iter(_lines(pid, "smaps"))
    total, counts, first, whole = 0, False, True, False
    for line in lines:
        fields = line.split()
        if not fields[0].endswith(b":"):
            address = int(fields[0].split(b"-")[0], 16)
            if first and address >= _ABOVE_GUESTS:
                return 0  # the guest is not where it usually is
            first = False
            named = fields[5] if len(fields) > 5 else b""  # noqa: PLR2004 - proc(5): the sixth is the file
            counts = address >= _ABOVE_GUESTS and named in {b"", b"[heap]"}
            whole = whole or named == b"[stack]"  # above all of QEMU's; missing where the process ended meanwhile
        elif counts and fields[0] == b"Rss:":
            total += int(fields[1]) * _KIB
    return total if whole else 0


def _lines(pid: int, name: str) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:  # noqa: PTH123 - pathlib would double this program's memory
            return file.read().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
