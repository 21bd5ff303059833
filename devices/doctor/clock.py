"""The clock: boards without one of their own start in the past until a time server has answered."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc import version
from edge_aigc.finding import Finding, as_root, install

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient

_MARKER = "/run/systemd/timesync/synchronized"
"""Touched by systemd-timesyncd at every synchronisation: systemd-timesyncd.service(8)."""
_TIME_ERROR = 5
"""What adjtimex(2) returns of a clock that nobody synchronizes."""
_TIMEX_BYTES = 1024
"""More than any kernel's struct timex has; all zero asks and sets nothing."""


def check(patient: Patient) -> list[Finding]:
    """Ask whether the clock is synchronized, and whether it is plainly wrong."""
    now_s, ours_s = time.time(), Path(version.__file__).stat().st_mtime
    if now_s < ours_s:
        return [
            Finding(
                id="clock-wrong",
                severity="problem",
                message=f"The clock says {_date(now_s)}, and this project was installed on {_date(ours_s)}: "
                "certificates will not hold.",
                remedy=_remedy(patient),
            )
        ]
    synced = _synced(patient)
    if synced is None:
        message = "Unknown: neither the kernel nor systemd-timesyncd tells whether the clock is synchronized."
        return [Finding(id="clock", severity="note", message=message)]
    if synced:
        return [Finding(id="clock", severity="ok", message="The clock is synchronized.")]
    tls = patient.broker is not None and patient.broker.scheme == "mqtts"
    return [
        Finding(
            id="clock-unsynced",
            # Schedules and time limits here run on the monotonic clock; certificates do not.
            severity="problem" if tls else "note",
            message=f"No time server has set the clock since the start ({_date(now_s)}).",
            remedy=_remedy(patient),
        )
    ]


def _synced(patient: Patient) -> bool | None:
    if patient.path(_MARKER).exists():
        return True
    if patient.root != Path("/"):
        return False if patient.path("/run").is_dir() else None
    ask = getattr(ctypes.CDLL(None), "adjtimex", None)
    if ask is None:
        return None
    answer: int = ask(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if answer < 0 else answer != _TIME_ERROR


def _remedy(patient: Patient) -> str:
    if patient.path("/usr/sbin/chronyd").exists():
        return as_root("chronyc -a makestep")
    if patient.path("/usr/lib/systemd/systemd-timesyncd").exists():
        return as_root("timedatectl set-ntp true")
    return install("systemd-timesyncd")


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
