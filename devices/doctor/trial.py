"""Have a child process try something, and see what becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import msgspec

from edge_aigc.devices.doctor.probe import Report

_WORDS = 300
"""Of the last that a child said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One child."""

    report: Report | None
    """None where the child did not get so far."""
    death: str = ""
    """What became of it then, in words."""
    too_slow: bool = False
    """Whether it was killed because its time was over."""


def attempt(what: Literal["runtime", "bundle", "library"], name: str, *, limit_s: float) -> Trial:
    """Run `probe` in a process of its own.

    Args:
        what: As `probe` takes it.
        name: As `probe` takes it.
        limit_s: After which the child is killed.
    """
    command = [sys.executable, "-m", "edge_aigc.devices.doctor.probe", what, name]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
            # Nobody's working folder may shadow a module of ours.
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
    except subprocess.TimeoutExpired:
        return Trial(report=None, death=f"took more than {limit_s:g} s", too_slow=True)
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        return Trial(report=msgspec.json.decode(lines[-1], type=Report))
    if done.returncode < 0:
        return Trial(report=None, death=f"died of {_signal(-done.returncode)}")
    words = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return Trial(report=None, death=f"exited with {done.returncode}: {words[-1][-_WORDS:]}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
