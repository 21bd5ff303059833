"""Promises that are checked before anything is run: a form that cannot fit is not made, run or timed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_aigc.converters.costs.memory import peak_ram_of
from edge_aigc.converters.costs.net import in_int8, read_net

if TYPE_CHECKING:
    from edge_aigc.converters.trials import Trial
    from edge_aigc.profile import DeviceProfile


def ram_limit_bytes(profile: DeviceProfile, asked: int | None) -> int:
    """Return what the model may take: what the user allows, else what the board leaves us.

    Args:
        profile: Of the board.
        asked: `--max-ram`; it may be more than the board has, at the user's own risk.
    """
    return profile.ram_for_us_bytes if asked is None else asked


def least_ram_int8(flatbuffer: bytes) -> int:
    """Return what a float model takes at least in int8, before it is calibrated, which runs it many times."""
    return peak_ram_of(in_int8(read_net(flatbuffer)), len(flatbuffer) // 4).total


def too_much_ram(peak_bytes: int, limit_bytes: int) -> str:
    """Return why a form is refused, or nothing if it fits."""
    if peak_bytes <= limit_bytes:
        return ""
    return f"it needs {peak_bytes:,} B of RAM, {limit_bytes:,} B are left for it"


def weighed(trial: Trial, limit_bytes: int) -> Trial:
    """Return a trial with the memory that it took on the device instead of the plan, where it was measured there."""
    cost = trial.cost
    if cost is None or not cost.weighed or cost.peak_ram_bytes is None:
        return trial
    reason = too_much_ram(cost.peak_ram_bytes, limit_bytes)
    return replace(trial, peak_ram_bytes=cost.peak_ram_bytes, refused=reason, too_large=bool(reason))
