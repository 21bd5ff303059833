"""A generator with fewer multiplications: units scored, spread over groups, cut, and what is left repaired."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from edge_aigc.converters.costs.work import multiplications
from edge_aigc.converters.ir import write
from edge_aigc.converters.prune.allocation import TOLERANCE, by_cost, by_ratio, stocks_of
from edge_aigc.converters.prune.borders import Borders, outputs_of
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.converters.prune.labelled import feeding_of
from edge_aigc.converters.prune.ledger import Ledger
from edge_aigc.converters.prune.mended import mended
from edge_aigc.converters.prune.repair import Refit, repair
from edge_aigc.converters.prune.scores import activity, magnitude, taylor, weight_of
from edge_aigc.converters.prune.tariff import Tariff, tariff_on
from edge_aigc.converters.prune.units import places_left, prunable
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from edge_aigc.converters.ir import Array, Graph
    from edge_aigc.converters.prune.allocation import Stock
    from edge_aigc.converters.prune.groups import Group
    from edge_aigc.converters.prune.tariff import Target
    from edge_aigc.converters.prune.units import Keep

ScoreName: TypeAlias = Literal["magnitude", "activity", "taylor"]

_SCORED = 16
"""Samples that units are scored on: the mean of so many squares, four projections each, is good to a sixth."""
_LEAST_SAMPLES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCut:
    """What became of one group."""

    name: str
    units: int
    kept: int
    lost: float
    """Importance of what is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a graph was pruned."""

    ratio: float
    """Share of the multiplications that is gone."""
    coarsest: tuple[str, float] | None
    """Where that is not the share that was asked for, the group of which one unit makes up most, and which share."""
    multiplications: tuple[int, int]
    """Before and after."""
    scores: ScoreName | None
    """None where an earlier run chose."""
    mended: bool
    """Whether the scores took into account what the repair makes up for."""
    groups: tuple[GroupCut, ...]
    repaired: tuple[Refit, ...]
    """Empty where nothing was repaired."""
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """A smaller graph."""

    graph: Graph
    record: Record
    keep: Keep
    """Which units of each group are left: with `cut` and `repair` it is made again."""


class Pruner:
    """Knows what each unit of one graph is worth, and makes smaller graphs of it."""

    def __init__(
        self,
        graph: Graph,
        samples: Sequence[Sequence[Array]],
        *,
        scores: ScoreName | None = None,
        target: Target | None = None,
        states: Mapping[str, str] | None = None,
    ) -> None:
        """Find the groups and score their units.

        Args:
            graph: Float, normalized, of one batch; not touched.
            samples: Inputs that stand for what it will see, in its order; at least two.
            scores: None: by Taylor, or by activity where the graph does not lift.
            target: Asked once what each operator costs there at several widths, and how many channels kernels make at a
                time; None: costs are told by multiplications, numbers moved and the idle ones of 8 lanes.
            states: As in `channel_groups`.

        Raises:
            ConversionError: There is no group that can be cut, or fewer than two samples.
        """
        if len(samples) < _LEAST_SAMPLES:
            raise ConversionError(
                f"Pruning looks at what a generator makes, and there are {len(samples)} samples of it.",
                remedy=f"Give at least {_LEAST_SAMPLES}; 64 repair well.",
            )
        self.graph = graph.copy()
        self.graph.name_apart()
        self._samples, self._states = samples, states
        groups = channel_groups(self.graph, states=states)
        self._groups = prunable(groups)
        if not self._groups:
            raise ConversionError(_nothing(groups), remedy="`edge-aigc inspect --groups` tells why, group by group.")
        self._feeding = feeding_of(self.graph, states)
        self._scored, alone = _scored(self.graph, self._groups, samples[:_SCORED], scores, self._feeding)
        tariff = Tariff() if target is None else tariff_on(self.graph, self._groups, target)
        self._ledger, self._lanes = Ledger(self.graph, self._groups, tariff), tariff.lanes
        self._alone = stocks_of(self.graph, self._groups, alone, lanes=tariff.lanes)

    @functools.cached_property
    def _mended(self) -> list[Stock]:
        """What there is to take where the rest makes up for it."""
        alone = {stock.name: stock.scores for stock in self._alone}
        found = mended(self.graph, self._groups, alone, self._samples[:_SCORED])
        return stocks_of(self.graph, self._groups, found, lanes=self._lanes)

    @functools.cached_property
    def _made(self) -> list[list[Array]]:
        return outputs_of(self.graph, self._samples[:_SCORED])

    def by_ratio(self, ratio: float, *, repaired: bool = True) -> Pruned:
        """Return the graph without a share of its multiplications.

        Args:
            ratio: Share to remove, between 0 and 1.
            repaired: Refit the weights that are left.

        Raises:
            ConversionError: So many cannot be removed.
        """
        if not 0 <= ratio < 1:
            raise ConversionError(
                f"{ratio:g} is no share of multiplications that can be removed.", remedy="Give one from 0 to below 1."
            )
        pruned = self._best(lambda stocks: by_ratio(self._ledger, stocks, ratio), repaired=repaired)
        if abs(pruned.record.ratio - ratio) <= TOLERANCE:
            return pruned
        counts = {name: int(mask.sum()) for name, mask in pruned.keep.items()}
        return replace(pruned, record=replace(pruned.record, coarsest=self._ledger.coarsest(counts)))

    def by_cost(self, priced: Callable[[Graph], float], limit: float, *, unit: str, aim: float = 1.0) -> Pruned:
        """Return the graph with as many units as a cost allows.

        Args:
            priced: What a graph costs on the target; asked some four times.
            limit: Of that.
            unit: Of both, for the message.
            aim: Share of the limit to stay below where that can be.

        Raises:
            ConversionError: It costs more even with all that can be cut away.
        """

        def allocated(stocks: Sequence[Stock]) -> Keep:
            return by_cost(self._ledger, stocks, lambda keep: priced(self._cut(keep)), limit, unit=unit, aim=aim)

        return self._best(allocated, repaired=True)

    def _best(self, allocated: Callable[[Sequence[Stock]], Keep], *, repaired: bool) -> Pruned:
        """Return the graph by scores of units alone or, where it is repaired, by mended ones if that comes nearer."""
        first = self._pruned(allocated(self._alone), self._alone, repaired=repaired)
        if not repaired or self._scored == "magnitude":
            return first
        other = self._pruned(allocated(self._mended), self._mended, repaired=True)
        return min((first, other), key=self._error)

    def _error(self, pruned: Pruned) -> float:
        borders = Borders.of(self.graph, self._groups, pruned.keep)
        weights = [weight_of(name, self._feeding) for name in self.graph.output_names]
        return borders.error(self._made, pruned.graph, self._samples[:_SCORED], weights)

    def _cut(self, keep: Keep) -> Graph:
        return cut(self.graph, keep, states=self._states)

    def _pruned(self, keep: Keep, stocks: Sequence[Stock], *, repaired: bool) -> Pruned:
        smaller = self._cut(keep)
        refits: tuple[Refit, ...] = ()
        if repaired:
            smaller, refits = _repaired(self.graph, smaller, self._groups, keep, self._samples)
        counts = {name: int(mask.sum()) for name, mask in keep.items()}
        before, after = (self._ledger.multiplications(some) for some in (self._ledger.full, counts))
        return Pruned(
            graph=smaller,
            record=Record(
                ratio=1 - after / before if before else 0.0,
                coarsest=None,
                multiplications=(before, after),
                scores=self._scored,
                mended=stocks is not self._alone,
                groups=tuple(
                    GroupCut(
                        name=stock.name,
                        units=len(stock.losses),
                        kept=counts[stock.name],
                        lost=stock.lost(len(stock.losses), counts[stock.name]),
                    )
                    for stock in stocks
                ),
                repaired=refits,
                samples=len(self._samples),
            ),
            keep=keep,
        )


def replayed(
    graph: Graph,
    keep: Keep,
    samples: Sequence[Sequence[Array]],
    *,
    repaired: bool = True,
    states: Mapping[str, str] | None = None,
) -> Pruned:
    """Return a graph with the units that an earlier run kept; nothing is scored or priced.

    Args:
        graph: As it was then.
        keep: By group; groups that are not named are whole.
        samples: What repairs: the same give the same weights.
        repaired: Refit the weights that are left.
        states: As in `channel_groups`.

    Raises:
        ConversionError: The graph has no such group.
    """
    graph = graph.copy()
    graph.name_apart()
    groups = channel_groups(graph, states=states)
    if unknown := sorted(set(keep) - {group.name for group in groups}):
        raise ConversionError(
            f"The generator has no channels {', '.join(unknown)}.", remedy="Give the model that was pruned then."
        )
    smaller = cut(graph, keep, states=states)
    refits: tuple[Refit, ...] = ()
    if repaired:
        smaller, refits = _repaired(graph, smaller, groups, keep, samples)
    before, after = (multiplications(write(one)) for one in (graph, smaller))
    return Pruned(
        graph=smaller,
        keep=keep,
        record=Record(
            ratio=1 - after / before if before else 0.0,
            coarsest=None,
            multiplications=(before, after),
            scores=None,
            mended=False,
            groups=(),
            repaired=refits,
            samples=len(samples),
        ),
    )


def _repaired(
    graph: Graph, smaller: Graph, groups: Sequence[Group], keep: Keep, samples: Sequence[Sequence[Array]]
) -> tuple[Graph, tuple[Refit, ...]]:
    borders = Borders.of(graph, groups, keep)
    return repair(graph, smaller, places_left(graph, groups, keep), samples, borders)


def _scored(
    graph: Graph,
    groups: Sequence[Group],
    samples: Sequence[Sequence[Array]],
    asked: ScoreName | None,
    feeding: Collection[str],
) -> tuple[ScoreName, dict[str, Array]]:
    if asked == "magnitude":
        return asked, magnitude(graph, groups)
    if asked != "activity":
        try:
            return "taylor", taylor(graph, groups, samples, feeding=feeding)
        except ConversionError:
            if asked is not None:
                raise
    return "activity", activity(graph, groups, samples)


def _nothing(groups: Sequence[Group]) -> str:
    reasons = sorted({group.refused for group in groups if group.refused})
    return "No channels of this generator can be cut" + (f": {'; '.join(reasons)}." if reasons else ".")
