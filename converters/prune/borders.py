"""What a cut leaves of a graph's inputs and outputs: states lose the places that their channels lose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_aigc.converters.ir import write
from edge_aigc.converters.prune.units import lost_places
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.ir import Array, Graph, Value
    from edge_aigc.converters.prune.groups import Group
    from edge_aigc.converters.prune.units import Keep

Places: TypeAlias = "Mapping[int, Array]"
"""By axis the places that are left; an axis that is whole is not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Borders:
    """Of a smaller graph: which places of the whole one's inputs and outputs it has."""

    inputs: tuple[Places, ...]
    outputs: tuple[Places, ...]

    @classmethod
    def of(cls, graph: Graph, groups: Sequence[Group], keep: Keep) -> Borders:
        """Return what a cut leaves.

        Args:
            graph: Whole.
            groups: Of it.
            keep: Groups that are not in it lose nothing.
        """
        gone = lost_places(groups, keep)

        def left(value: Value) -> Places:
            return {
                axis: np.setdiff1d(np.arange(value.shape[axis]), lost)
                for axis, lost in gone.get(value.name, {}).items()
                if len(lost)
            }

        return cls(inputs=tuple(map(left, graph.inputs)), outputs=tuple(map(left, graph.outputs)))

    def taken(self, inputs: Sequence[Array]) -> list[Array]:
        """Return what the smaller graph takes of one sample's inputs to the whole one."""
        return [kept(values, places) for values, places in zip(inputs, self.inputs, strict=True)]

    def error(
        self,
        made: Sequence[Sequence[Array]],
        graph: Graph,
        samples: Sequence[Sequence[Array]],
        weights: Sequence[float],
    ) -> float:
        """Return how far the smaller graph lies from the whole one, as a share of their variance.

        Args:
            made: By the whole graph of each sample.
            graph: The smaller one.
            samples: Inputs of the whole one.
            weights: Of the outputs.
        """
        found = outputs_of(graph, [self.taken(inputs) for inputs in samples])
        pairs = zip(zip(*made, strict=True), zip(*found, strict=True), self.outputs, weights, strict=True)
        return sum(
            weight * _distance(np.stack([kept(values, places) for values in true]), np.stack(ours))
            for true, ours, places, weight in pairs
        )


def kept(values: Array, places: Places, *, before: int = 0) -> Array:
    """Return an array's places that are left.

    Args:
        values: Of the whole graph.
        places: Of the value's own axes.
        before: How many axes of samples, or of samples and steps, come before those.
    """
    for axis, left in places.items():
        values = np.take(values, left, axis + before)
    return np.ascontiguousarray(values)


def outputs_of(graph: Graph, samples: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """Return what a graph makes of each sample."""
    interpreter = Interpreter(write(graph))
    return [interpreter.run(list(inputs)) for inputs in samples]


def _distance(true: Array, found: Array) -> float:
    variance = float(true.var(dtype=np.float64))
    return float(np.square(found - true, dtype=np.float64).mean()) / max(variance, 1e-12)
