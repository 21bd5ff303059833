"""How many units each group gives up: the least importance lost for each multiplication, or millisecond, saved.

A knapsack, filled greedily. Every step takes a few units, those of least importance, from the group where the
importance lost is smallest beside what the target saves by it; what a step saves is found anew after each one, as a
layer's cost is the product of its inputs and its outputs. Steps are such that a group keeps a multiple of the
channels that kernels make at a time; so that the ratio is what was asked for, see `landing.py`.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.costs.work import LANES
from edge_aigc.converters.prune.landing import landed
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.ir import Array, Graph
    from edge_aigc.converters.prune.groups import Group
    from edge_aigc.converters.prune.ledger import Counts, Ledger

_CLOSE = 0.97
"""Share of a limit from which a cost is near enough to it: what is timed twice differs by as much."""
TOLERANCE = 0.01
"""How far the share of multiplications that is removed may lie from the one asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """A group that units can be taken from."""

    name: str
    losses: Array
    """Importance of each unit, in ascending order."""
    order: Array
    """The units in that order."""
    step: int
    """Units that are taken at a time."""
    least: int
    """Units that stay."""

    @classmethod
    def of(cls, graph: Graph, group: Group, scores: Array, lanes: int) -> Stock:
        """Return the stock of a group."""
        order = np.argsort(scores, kind="stable")
        step = _step(graph, group, lanes)
        # Of a group of 32 channels 8 stay, of one of 8 channels one: what is small is often a bottleneck already.
        least = min(_step(graph, group, LANES), max(1, group.units // 4))
        return cls(name=group.name, losses=np.asarray(scores, np.float64)[order], order=order, step=step, least=least)

    @property
    def scores(self) -> Array:
        """Return the importance of each unit, in their own order."""
        scores = np.empty_like(self.losses)
        scores[self.order] = self.losses
        return scores

    def fewer(self, count: int) -> int:
        """Return how many are kept after one more step."""
        return max(self.least, (count - 1) // self.step * self.step)

    def lost(self, count: int, fewer: int) -> float:
        """Return the importance of those that are kept of `count` and not of `fewer`."""
        units = len(self.losses)
        return float(self.losses[units - count : units - fewer].sum())

    def kept(self, count: int) -> Array:
        """Return which units are kept."""
        keep = np.ones(len(self.order), bool)
        keep[self.order[: len(self.order) - count]] = False
        return keep


def stocks_of(graph: Graph, groups: Sequence[Group], scores: Mapping[str, Array], *, lanes: int = LANES) -> list[Stock]:
    """Return what there is to take from, group by group.

    Args:
        graph: Whole.
        groups: Of it.
        scores: Of each group.
        lanes: Channels that the target's kernels make at a time.
    """
    return [Stock.of(graph, group, scores[group.name], lanes) for group in groups]


def path(ledger: Ledger, stocks: Sequence[Stock]) -> list[dict[str, int]]:
    """Return what is kept of every group after no step, one, two, …, until nothing more can be taken."""
    counts = {stock.name: len(stock.losses) for stock in stocks}
    gains: dict[str, float] = {}
    passed = [dict(counts)]
    while True:
        for stock in stocks:
            if stock.name not in gains and counts[stock.name] > stock.least:
                gains[stock.name] = _gain(ledger, stock, counts)
        if not gains:
            return passed
        name = max(gains, key=lambda one: (gains[one], one))
        chosen = next(stock for stock in stocks if stock.name == name)
        counts[name] = chosen.fewer(counts[name])
        passed.append(dict(counts))
        for neighbour in ledger.neighbours(name):
            gains.pop(neighbour, None)


def by_ratio(ledger: Ledger, stocks: Sequence[Stock], ratio: float) -> dict[str, Array]:
    """Return which units of each group are kept so that a share of the multiplications is removed.

    Args:
        ledger: Of the whole graph.
        stocks: Its groups.
        ratio: Share of all multiplications.

    Raises:
        ConversionError: So many cannot be removed.
    """
    whole = ledger.multiplications(ledger.full)

    def removed(counts: Counts) -> float:
        return 1 - ledger.multiplications(counts) / whole if whole else 0.0

    passed = path(ledger, stocks)
    if removed(passed[-1]) < ratio - TOLERANCE:
        raise ConversionError(
            f"{ratio:.0%} of the multiplications cannot be removed: the channels that can be cut make up "
            f"{removed(passed[-1]):.0%}.",
            remedy=f"Ask for at most {math.floor(100 * removed(passed[-1])) / 100:g}; `edge-aigc inspect --groups` "
            "tells which channels cannot be cut, and why.",
        )
    at = min(bisect.bisect_left(passed, ratio, key=removed), len(passed) - 1)
    return _masks(stocks, landed(ledger, stocks, passed, at, ratio) if at else passed[0])


def by_cost(
    ledger: Ledger,
    stocks: Sequence[Stock],
    priced: Callable[[Mapping[str, Array]], float],
    limit: float,
    *,
    unit: str,
    aim: float = 1.0,
) -> dict[str, Array]:
    """Return which units of each group are kept so that the graph costs no more than it may; as many as that allows.

    Args:
        ledger: Of the whole graph.
        stocks: Its groups.
        priced: What the graph costs that is left: measured, so asked for a few times only.
        limit: What it may cost.
        unit: Of both, for the message: `ms`, `multiplications`.
        aim: Share of the limit to stay below where that can be: what is measured again may be a little more.

    Raises:
        ConversionError: It costs more even with all that can be cut away.
    """
    passed = path(ledger, stocks)
    least = priced(_masks(stocks, passed[-1]))
    if least > limit:
        raise ConversionError(
            f"With every channel cut that can be, the generator still takes {least:.4g} {unit}; asked are at "
            f"most {limit:.4g} {unit}.",
            remedy=f"Ask for {least / aim:.4g} {unit} or more, or for a faster recipe.",
        )
    steps = _first_below(passed, ledger, lambda counts: priced(_masks(stocks, counts)), aim * limit)
    return _masks(stocks, passed[steps])


def _first_below(
    passed: Sequence[dict[str, int]], ledger: Ledger, priced: Callable[[Counts], float], limit: float
) -> int:
    """Return how many steps it takes until a cost is as low as it must be, or a little lower.

    The ledger tells how costs fall along the path, up to a factor: what it expects is priced first.
    """
    low, high = -1, len(passed) - 1  # the last is low enough
    expected = [ledger.cost(counts) for counts in passed]
    factor = limit / expected[0]
    while high - low > 1:
        guess = next((at for at in range(low + 1, high) if factor * expected[at] <= limit), high - 1)
        cost = priced(passed[guess])
        factor = cost / expected[guess]
        if cost > limit:
            low = guess
        else:
            high = guess
            if cost >= _CLOSE * limit:
                break
    return high


def _gain(ledger: Ledger, stock: Stock, counts: Counts) -> float:
    """Return what one step saves for each importance that is lost."""
    fewer = stock.fewer(counts[stock.name])
    saved = ledger.saved(counts, stock.name, fewer)
    lost = stock.lost(counts[stock.name], fewer)
    return saved / max(lost, np.finfo(np.float64).tiny * max(saved, 1.0))


def _masks(stocks: Sequence[Stock], counts: Counts) -> dict[str, Array]:
    return {stock.name: stock.kept(counts[stock.name]) for stock in stocks}


def _step(graph: Graph, group: Group, lanes: int) -> int:
    """Return how many units make up the channels that a kernel makes at a time."""
    shapes = {value.name: value.shape for node in graph.nodes for value in node.outputs}
    channels = [
        member.places.shape[1] for member in group.members if member.axis == len(shapes.get(member.value_name, ())) - 1
    ]
    each = min(channels, default=1)
    return max(1, lanes // max(1, math.gcd(lanes, each)))
