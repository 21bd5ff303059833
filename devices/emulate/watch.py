"""Run a command under a limit of memory; a program of its own: `watch.py LIMIT REPORT command…`.

LIMIT is in bytes of resident memory, 0 for none; a JSON line goes to descriptor REPORT at the end.

Why a program: Linux hands a process the peak of who started it (`ru_maxrss` survives exec), so only a small
parent sees a true peak. Why not a limit of the kernel's: RLIMIT_AS counts what is only reserved, which QEMU
does a lot of, RLIMIT_RSS has been without effect since Linux 2.4, and control groups need root. `VmHWM` is the
kernel's own high-water mark: no spike between two looks is missed, it is only noticed late.
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
_KIB = 1024
"""proc(5) and getrusage(2) count in KiB."""


def main(arguments: list[str]) -> int:
    """Run the command and report `returncode`, `peak_rss_bytes` and `exceeded`; return 0."""
    limit_bytes, report = int(arguments[0]), int(arguments[1])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = os.getppid()
    process = subprocess.Popen(arguments[2:])
    peak = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, _peak(process.pid))
        if (limit_bytes and peak > limit_bytes) or os.getppid() != parent:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(_LOOK_S)
    peak = max(peak, usage.ru_maxrss * _KIB)
    result = {
        "returncode": os.waitstatus_to_exitcode(status),
        "peak_rss_bytes": peak,
        "exceeded": bool(limit_bytes) and peak > limit_bytes,
    }
    os.write(report, json.dumps(result).encode())
    return 0


def _peak(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123 - pathlib would triple this program's memory
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * _KIB
    except OSError:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
