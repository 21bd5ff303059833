"""Other people's programs, and what they start themselves: all of it ends in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def kill_group(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Kill a process that leads a session of its own, and whatever it started, whether it has ended itself or not.

    Args:
        process: Started with ``start_new_session``. One that was waited for is left alone: its number may be another's.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def await_end(process: subprocess.Popen[bytes]) -> int:
    """Wait until a session's leader has ended, kill what it left behind, and return its exit code."""
    with contextlib.suppress(ChildProcessError):
        # Not reaped yet, so that its number cannot be another's when the group is killed.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    kill_group(process)
    return process.wait()


def said_by(command: Sequence[str | Path], *, limit_s: float) -> bytes:
    """Run a program in a session of its own, and return what it wrote to stdout and stderr.

    Args:
        command: With the program's name or path.
        limit_s: After which it is killed, with whatever it started.

    Raises:
        OSError: It does not start.
        subprocess.TimeoutExpired: It, or something that it started and that holds its outputs, did not end in time.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=limit_s)
        finally:
            kill_group(process)
    return said
