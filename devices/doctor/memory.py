"""RAM and swap, against the profile and against what an idle worker takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge_aigc.finding import Finding, as_root

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient

_WORKER_BYTES = 100 << 20
"""A worker with the digits generator has 60 to 90 MB resident on x86-64, measured; and some air."""
_SMALL_BYTES = 1 << 30
"""Boards with less need swap for the moments when two programs want memory."""
_OF_NOMINAL = 0.75
"""A kernel shows less than is soldered on: a Zero 2 W 427 of 512 MiB, firmware and graphics have the rest."""
_SWAP_LEFT = 0.2
_SWAP_BYTES = 512 << 20


def check(patient: Patient) -> list[Finding]:
    """Look at /proc/meminfo."""
    rows = re.findall(r"^(\w+):\s+(\d+) kB", patient.text("/proc/meminfo"), re.MULTILINE)
    bytes_of = {name: int(value) << 10 for name, value in rows}
    if "MemAvailable" not in bytes_of:
        return [Finding(id="memory", severity="note", message="Unknown: /proc/meminfo does not tell what is free.")]
    total, free = bytes_of["MemTotal"], bytes_of["MemAvailable"]
    findings = [_free(total, free), *_other(patient, total), *_swap(total, bytes_of)]
    return [finding for finding in findings if finding.severity != "ok"] or findings[:1]


def _free(total: int, free: int) -> Finding:
    message = f"{free:,} B of {total:,} B RAM are available; a worker takes some {_WORKER_BYTES:,} B."
    if free >= _WORKER_BYTES:
        return Finding(id="memory", severity="ok", message=message)
    return Finding(id="memory-low", severity="problem", message=f"{message} Stop other programs.", remedy=_more_swap())


def _other(patient: Patient, total: int) -> list[Finding]:
    profile = patient.profile
    if profile is None or patient.is_host or total >= profile.memory.ram_bytes * _OF_NOMINAL:
        return []
    message = (
        f"{profile.name} has {profile.memory.ram_bytes:,} B of RAM, this machine {total:,} B: "
        "what fits there need not fit here. Convert for the profile of this board."
    )
    return [Finding(id="memory-other", severity="problem", message=message, remedy="edge-aigc profiles")]


def _swap(total: int, bytes_of: dict[str, int]) -> list[Finding]:
    swap, left = bytes_of.get("SwapTotal", 0), bytes_of.get("SwapFree", 0)
    if not swap and total < _SMALL_BYTES:
        message = f"There are {total:,} B of RAM and no swap: a moment's shortage kills a process."
        return [Finding(id="swap", severity="note", message=message, remedy=_more_swap())]
    if swap and left < swap * _SWAP_LEFT:
        message = f"Of {swap:,} B swap {left:,} B are left."
        return [Finding(id="swap", severity="note", message=message, remedy=_more_swap())]
    return []


def _more_swap() -> str:
    file = "/var/edge-aigc.swap"
    steps = (f"fallocate -l {_SWAP_BYTES} {file}", f"chmod 600 {file}", f"mkswap {file}", f"swapon {file}")
    return " && ".join(as_root(step) for step in steps)
