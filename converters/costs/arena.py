"""Where tensors lie in memory that they share: greedy by size, the smallest gap that holds.

What XNNPACK (memory-planner.c) and TFLite (arena_planner.cc, simple_memory_arena.cc) both do; after
Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net Inference".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """One tensor: its size, and the operators between which it must not be overwritten."""

    size_bytes: int
    first: int
    """Index of the operator that writes it."""
    last: int
    """Index of the last operator that reads it; at least `first`."""

    def meets(self, other: Lifetime) -> bool:
        """Return whether some operator needs both."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A plan."""

    offsets: tuple[int, ...]
    """Of each lifetime, in the order given."""
    size_bytes: int


def plan(lifetimes: Sequence[Lifetime], *, align_bytes: int = 64) -> Arena:
    """Return where each tensor lies; no two that meet overlap.

    Args:
        lifetimes: In any order.
        align_bytes: Every offset is a multiple of it; TFLite's `kDefaultTensorAlignment` is 64.
    """
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    for index in sorted(range(len(lifetimes)), key=lambda i: (-lifetimes[i].size_bytes, lifetimes[i].first)):
        taken = sorted(
            (offsets[other], offsets[other] + lifetimes[other].size_bytes)
            for other in placed
            if lifetimes[other].meets(lifetimes[index])
        )
        offsets[index] = _smallest_gap(taken, lifetimes[index].size_bytes, align_bytes)
        placed.append(index)
    ends = (offset + entry.size_bytes for offset, entry in zip(offsets, lifetimes, strict=True))
    return Arena(offsets=tuple(offsets), size_bytes=max(ends, default=0))


def least_bytes(lifetimes: Sequence[Lifetime]) -> int:
    """Return what no plan can undercut: the largest sum of sizes that one operator needs at once."""
    times = {entry.first for entry in lifetimes}
    return max(
        (sum(entry.size_bytes for entry in lifetimes if entry.first <= time <= entry.last) for time in times),
        default=0,
    )


def _smallest_gap(taken: Sequence[tuple[int, int]], size_bytes: int, align_bytes: int) -> int:
    best, best_gap = None, 0
    end = 0
    for start, stop in taken:
        gap = start - end
        if gap >= size_bytes and (best is None or gap < best_gap):
            best, best_gap = end, gap
        end = max(end, _aligned(stop, align_bytes))
    return end if best is None else best


def _aligned(offset: int, align_bytes: int) -> int:
    return -(-offset // align_bytes) * align_bytes
