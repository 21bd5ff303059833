"""Where a path of whole steps is left, so that the share that is removed is the one asked for.

Whole steps seldom end there. The last step taken in part does, and may leave a layer with channels that a kernel
computes for nothing: of ESRGAN x2 at a quarter of its multiplications, a 5x5 convolution of 38 channels takes nearly as
long as one of 48. So any other group may make up the difference, from a state a step or two away.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.prune.allocation import Stock
    from edge_aigc.converters.prune.ledger import Counts, Ledger

_AROUND = 2
"""States of the path before the ratio, and as many after it, that an end is looked for from."""
_OFF = 0.002
"""Share of all multiplications by which an end may miss what was asked for and still be chosen for its score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """A way to leave the path."""

    counts: Counts
    removed: float
    """Share of all multiplications."""
    score: float
    """Importance lost, and what the cost that is left is worth: the less the better."""


def landed(ledger: Ledger, stocks: Sequence[Stock], passed: Sequence[Counts], at: int, ratio: float) -> Counts:
    """Return what is kept of every group.

    Args:
        ledger: Of the whole graph.
        stocks: Its groups.
        passed: The path.
        at: Which of its states is the first to remove as much.
        ratio: Share of all multiplications to remove.
    """
    before, after = passed[at - 1], passed[at]
    (last,) = (stock for stock in stocks if before[stock.name] != after[stock.name])
    saved = ledger.saved(before, last.name, after[last.name])
    lost = last.lost(before[last.name], after[last.name])
    moves = _Moves(ledger, stocks, worth=lost / saved if saved > 0 else 0.0)
    origins = [moves.at(counts) for counts in passed[max(at - _AROUND, 0) : at + _AROUND]]
    ends = [*origins, *(moves.nearest(origin, stock, ratio) for origin in origins for stock in stocks)]
    off = max(_OFF, min(abs(end.removed - ratio) for end in ends))
    return min((end for end in ends if abs(end.removed - ratio) <= off), key=lambda end: end.score).counts


class _Moves:
    """What taking or giving back units does to a state of a path."""

    def __init__(self, ledger: Ledger, stocks: Sequence[Stock], *, worth: float) -> None:
        """Choose what a unit of cost is worth, in importance: what the path gave for it last."""
        self._ledger, self._stocks, self._worth = ledger, stocks, worth
        self._whole = ledger.multiplications(ledger.full)

    def at(self, counts: Counts) -> _End:
        """Return a state."""
        lost = sum(stock.lost(len(stock.losses), counts[stock.name]) for stock in self._stocks)
        return _End(
            counts=counts,
            removed=1 - self._ledger.multiplications(counts) / self._whole,
            score=lost + self._worth * self._ledger.cost(counts),
        )

    def moved(self, end: _End, stock: Stock, kept: int) -> _End:
        """Return a state with another number of one group's units."""
        counts, name = end.counts, stock.name
        had = counts[name]
        lost = stock.lost(had, kept) if kept < had else -stock.lost(kept, had)
        return _End(
            counts={**counts, name: kept},
            removed=end.removed + self._ledger.multiplications_saved(counts, name, kept) / self._whole,
            score=end.score + lost - self._worth * self._ledger.saved(counts, name, kept),
        )

    def nearest(self, end: _End, stock: Stock, ratio: float) -> _End:
        """Return a state with as many of one group's units as come nearest to a ratio."""
        counts = range(stock.least, len(stock.losses) + 1)
        at = bisect.bisect_left(counts, -ratio, key=lambda kept: -self.moved(end, stock, kept).removed)
        near = [self.moved(end, stock, counts[some]) for some in (at - 1, at) if 0 <= some < len(counts)]
        return min(near, key=lambda one: abs(one.removed - ratio))
