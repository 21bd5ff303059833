"""Who chooses forms for one place: one `Former` for each set of number types, made when it is first asked for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from edge_aigc.converters.forms import Former
from edge_aigc.converters.prune import tariff
from edge_aigc.converters.recipes import NAMED
from edge_aigc.converters.workbench import lowered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.ir import Graph, Node
    from edge_aigc.converters.targets.target import Target
    from edge_aigc.cost import CostMeter
    from edge_aigc.profile import RecipeName


class Formers:
    """Of one place; pruning asks first what operators cost, and the search knows it then."""

    def __init__(self, target: Target, meter: CostMeter, threads: int) -> None:
        """Choose the place.

        Args:
            target: Names the forms to try.
            meter: Tells what they cost.
            threads: There.
        """
        self._target, self._meter, self._threads = target, meter, threads
        self._held: dict[str, Former] = {}

    def of(self, recipe: RecipeName) -> Former:
        """Return the one for a recipe's types."""
        types = NAMED[recipe].types
        if types not in self._held:
            self._held[types] = Former(
                self._target.alternatives(recipe),
                lambda nets: self._meter.measure(nets, threads=self._threads),
                lower=functools.partial(lowered, recipe=recipe),
                shortlist=self._meter.shortlist,
            )
        return self._held[types]

    def target(self, recipe: RecipeName) -> tariff.Target:
        """Return what tells pruning what small nets cost in a recipe's types, each in its cheapest form."""
        former = self.of(recipe)

        def priced(graphs: Mapping[str, Graph]) -> dict[str, float]:
            return {name: cost.rank for name, cost in former.costs(graphs).items()}

        def regions(graph: Graph) -> list[tuple[Node, ...]]:
            return [place.nodes for place in former.places(graph)]

        return tariff.Target(priced=priced, regions=regions)
