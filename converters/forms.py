"""The cheapest of all exact forms of a float graph, chosen place by place, by what each costs on the target.

Every alternative of `rewrites/` names regions where it applies. Regions that overlap make one *place*; it is
taken out as a small net of its own, all that alternatives make of it (and of what they made) are its
*candidates*, each brought to the number types of the recipe and measured. What is cheapest goes in.
Places of the same operators and shapes are measured once.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_aigc.converters.costs.work import price
from edge_aigc.converters.ir import Graph, Node, write
from edge_aigc.converters.places import joined, place_key
from edge_aigc.errors import EdgeAigcError
from edge_aigc.manifest import Rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edge_aigc.converters.rewrites.rewrite import Alternative
    from edge_aigc.cost import Cost

Lower: TypeAlias = "Callable[[bytes], bytes]"
"""Brings a small float net to the number types of a recipe."""
Measure: TypeAlias = "Callable[[Mapping[str, bytes]], dict[str, Cost]]"
Decisions: TypeAlias = "Mapping[str, Steps]"
"""What was chosen at each kind of place, by `place_key`."""
Steps: TypeAlias = tuple[tuple[str, int], ...]
"""Alternatives applied one after the other: name, and which of the regions that it found."""

GAIN = 0.97
"""A form is left as it is unless another takes at most this share: medians of 15 rounds repeat within 3 %."""
EQUAL = 1.05
"""Forms within 5 % of the cheapest count as equal; among them the one of the fewest rewrites is taken, then the
smallest, so that the choice does not hang on the last percent of a clock."""
_MOST_CANDIDATES = 24
"""Of a place."""
_MOST_STEPS = 3
_MOST_PLACE_BYTES = 384 << 20
"""Of all forms of one place together: of a layer of 33 MB eleven are tried, not dozens of several times its size."""
_MOST_BYTES = 1 << 30
"""Of memory that nets which are measured together take once they are loaded; a place that takes more alone is left as
it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One candidate for a place."""

    steps: Steps
    size_bytes: int
    """Float, alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Operators that may be put another way."""

    key: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A form of a place, written."""

    flatbuffer: bytes
    takes_bytes: int
    """Once it is loaded, at most: the file, packed weights, and everything that it computes in float32."""

    @classmethod
    def of(cls, micro: Graph) -> _Made:
        """Write a small net."""
        flatbuffer = write(micro)
        computed = sum(
            value.size for node in micro.nodes for value in (*node.inputs, *node.outputs) if value is not None
        )
        return cls(flatbuffer=flatbuffer, takes_bytes=2 * len(flatbuffer) + 4 * computed)


class Former:
    """Chooses forms for one target in one recipe; remembers what small nets cost there."""

    def __init__(
        self,
        alternatives: Sequence[Alternative],
        measure: Measure,
        *,
        lower: Lower = lambda net: net,
        shortlist: int = _MOST_CANDIDATES,
    ) -> None:
        """Choose what is tried, and how costs are found.

        Args:
            alternatives: In any order; each name once.
            measure: Small nets to their costs, all in turns.
            lower: Brings a small net to the recipe's types.
            shortlist: Other forms of a place that are measured: those that look cheapest at a desk.
        """
        self._shortlist = shortlist
        self._alternatives = {one.name: one for one in alternatives}
        self._measure, self._lower = measure, lower
        self._tried: dict[str, tuple[Tried, ...]] = {}
        self._costs: dict[str, dict[Steps, Cost]] = {}

    def decide(self, graph: Graph, *, growth: float | None = None) -> tuple[dict[str, Steps], tuple[Rewrite, ...]]:
        """Return what is cheapest at every kind of place, and the record of what pays.

        Args:
            graph: Normalized; it is not touched.
            growth: The most that the bytes of a form may be of the original's; None: any.
        """
        places = self.places(graph)
        self._fill([graph.extract(place.nodes) for place in places], [place.key for place in places])
        decisions: dict[str, Steps] = {}
        records: list[Rewrite] = []
        for key in dict.fromkeys(place.key for place in places):
            costs = self._costs[key]
            best = self._best(key, growth)
            if not best:
                continue
            decisions[key] = best
            same = [place for place in places if place.key == key]
            records.append(_record(same, best, costs))
        return decisions, tuple(records)

    def apply(self, graph: Graph, decisions: Decisions) -> Graph:
        """Return a copy of the graph in the forms that were chosen."""
        formed = graph.copy()
        for place in self.places(formed):
            steps = decisions.get(place.key, ())
            micro = self._stepped(formed.extract(place.nodes), steps) if steps else None
            if micro is not None:
                formed.splice(place.nodes, micro)
        formed.remove_dead()
        return formed

    def costs(self, graphs: Mapping[str, Graph]) -> dict[str, Cost]:
        """Return what graphs cost in their cheapest forms and the recipe's types; all are measured together.

        Args:
            graphs: Normalized; they are not touched.

        Raises:
            ConversionError: One cannot be made in these types.
        """
        micros = [graph.extract(place.nodes) for graph in graphs.values() for place in self.places(graph)]
        self._fill(micros, list(map(place_key, micros)))
        formed = {name: write(self.apply(graph, self.decide(graph)[0])) for name, graph in graphs.items()}
        return self._measure({name: self._lower(flatbuffer) for name, flatbuffer in formed.items()})

    def places(self, graph: Graph) -> list[Place]:
        """Return where anything applies, in the order of execution; places do not overlap."""
        regions = [region for one in self._alternatives.values() for region in one.regions(graph)]
        order = {id(node): index for index, node in enumerate(graph.nodes)}
        return [Place(key=place_key(graph.extract(nodes)), nodes=nodes) for nodes in joined(regions, order)]

    def _best(self, key: str, growth: float | None) -> Steps:
        """Return the steps to the form of a place that is taken; none where nothing is gained."""
        costs = self._costs[key]
        allowed = [one for one in self._small_enough(key, growth) if one.steps in costs]
        cheapest = min((costs[one.steps].rank for one in allowed), default=math.inf)
        if not costs or cheapest > GAIN * costs[()].rank:
            return ()
        equal = [one for one in allowed if one.steps and costs[one.steps].rank <= EQUAL * cheapest]
        return min(equal, key=lambda one: (len(one.steps), one.size_bytes, one.steps)).steps

    def _small_enough(self, key: str, growth: float | None) -> Iterable[Tried]:
        tried = self._tried[key]
        original = tried[0].size_bytes
        return [one for one in tried if growth is None or one.size_bytes <= max(growth * original, original + 4096)]

    def _fill(self, micros: Sequence[Graph], keys: Sequence[str]) -> None:
        """Find the costs that are not known yet, of as many places at once as fit into memory."""
        wanted: dict[str, bytes] = {}
        named: dict[str, tuple[str, Steps]] = {}
        taken = 0
        for key, micro in zip(keys, micros, strict=True):
            if key in self._costs:
                continue
            self._costs[key] = {}
            found = self._candidates(micro)
            self._tried[key] = tuple(
                Tried(steps=steps, size_bytes=len(made.flatbuffer)) for steps, made in found.items()
            )
            nets = self._shortlisted(found)
            takes = sum(found[steps].takes_bytes for steps in nets)
            if taken + takes > _MOST_BYTES:
                self._find(wanted, named)
                wanted, taken = {}, 0
            taken += takes
            for steps, net in nets.items():
                name = f"{len(named)} {key} {'>'.join(step for step, _ in steps)}"
                wanted[name], named[name] = net, (key, steps)
        self._find(wanted, named)
        for costs in self._costs.values():
            if () not in costs:  # as it is it cannot be made in these types: nothing to compare with
                costs.clear()

    def _shortlisted(self, found: Mapping[Steps, _Made]) -> dict[Steps, bytes]:
        """Return the form that a place has and the likeliest others, in the recipe's types."""
        nets = {
            steps: lowered
            for steps, made in found.items()
            if (lowered := _lowered(made.flatbuffer, self._lower)) is not None
        }
        others = [steps for steps in nets if steps]
        if len(others) > self._shortlist:
            others = sorted(others, key=lambda steps: (price(nets[steps]), steps))[: self._shortlist]
        likely = [steps for steps in ((), *others) if steps in nets]
        room = itertools.accumulate(found[steps].takes_bytes for steps in likely)
        return {steps: nets[steps] for steps, total in zip(likely, room, strict=True) if total <= _MOST_BYTES}

    def _find(self, wanted: Mapping[str, bytes], named: Mapping[str, tuple[str, Steps]]) -> None:
        for name, cost in (self._measure(wanted) if wanted else {}).items():
            key, steps = named[name]
            self._costs[key][steps] = cost

    def _candidates(self, micro: Graph) -> dict[Steps, _Made]:
        """Return the micro net as it is and everything that alternatives make of it, one after the other."""
        found: dict[Steps, _Made] = {(): _Made.of(micro)}
        known = {place_key(micro)}
        waiting: list[tuple[Steps, Graph]] = [((), micro)]
        while waiting and len(found) < _MOST_CANDIDATES:
            steps, form = waiting.pop(0)
            for name, one in self._alternatives.items():
                for index in range(len(one.regions(form))):
                    if sum(len(done.flatbuffer) for done in found.values()) > _MOST_PLACE_BYTES:
                        return found
                    longer = (*steps, (name, index))
                    made = self._stepped(form, ((name, index),))
                    if made is None or (key := place_key(made)) in known:
                        continue
                    known.add(key)
                    found[longer] = _Made.of(made)
                    if len(longer) < _MOST_STEPS:
                        waiting.append((longer, made))
        return found

    def _stepped(self, micro: Graph, steps: Steps) -> Graph | None:
        """Return the micro net after some steps, or None where one does not apply to its values."""
        form = micro.copy()
        for name, index in steps:
            one = self._alternatives[name]
            regions = one.regions(form)
            if index >= len(regions):
                return None
            one.apply(form, regions[index])
            form.remove_dead()
        return form


def _lowered(flatbuffer: bytes, lower: Lower) -> bytes | None:
    try:
        return lower(flatbuffer)
    except EdgeAigcError:
        return None  # this form does not exist in these types


def _record(same: Sequence[Place], steps: Steps, costs: Mapping[Steps, Cost]) -> Rewrite:
    before, after = costs[()], costs[steps]
    return Rewrite(
        key=same[0].key,
        steps=steps,
        place=same[0].nodes[-1].output.name,
        times=len(same),
        before=round(before.rank, 6),
        after=round(after.rank, 6),
        unit=before.unit,
    )


def random_inputs(flatbuffer: bytes, samples: int) -> list[list[np.ndarray]]:
    """Return standard normal inputs for a small net, the same each time: for calibrating what only is measured."""
    from edge_aigc.converters.graph import inputs_and_outputs

    rng = np.random.default_rng(0)
    return [
        [rng.standard_normal(tensor.shape).astype(np.float32) for tensor in inputs_and_outputs(flatbuffer)[0]]
        for _ in range(samples)
    ]
