"""The closed-form repair of a cut graph: each layer's weights refitted so that it makes again what it made before.

Given:   y = W x + b in the original; x' in the cut graph at the same place, without some channels and as the layers
         before it, repaired already, make them
Result:  W', b' with the least mean of |W' x' + b' - y|² over drawn samples, in the channels of y that are left

Layer by layer in the order of execution, so that errors do not add up. What is made again is what comes before an
activation; where that is a ReLU, how far below zero does not matter. Least squares on what the reader of cut channels
made before: He, Zhang and Sun 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.prune.layers import Bare, apart, data_of, drawn, hand, line_of
from edge_aigc.converters.prune.patches import Patches, input_of, plainly, weights_of
from edge_aigc.converters.prune.ridge import Line, fit
from edge_aigc.converters.prune.together import fitted_together
from edge_aigc.converters.prune.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_aigc.converters.ir import Array, Graph
    from edge_aigc.converters.prune.borders import Borders
    from edge_aigc.converters.prune.layers import Layer
    from edge_aigc.converters.prune.ridge import Fit

_MOST_COLUMNS = 4608
"""Of a layer that is fitted whole, 512 channels under 3x3: its normal equations take 170 MB."""
_MOST_VALUES = 1 << 29
"""Of float32 numbers, original and cut graph together, as if all were held at once: 2 GiB. Graphs of large maps, where
each sample has many places to fit on, are repaired on fewer samples."""
_LEAST_SAMPLES = 4
_SAME = 1e-6
"""Share of the largest value below which two inputs are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """One layer that was refitted."""

    name: str
    """Of what it makes."""
    before: float
    after: float
    """Mean square errors on samples that it was not fitted on, as shares of the variance of what the original makes."""


def repair(
    original: Graph,
    cut: Graph,
    left: Callable[[str], Array],
    samples: Sequence[Sequence[Array]],
    borders: Borders | None = None,
) -> tuple[Graph, tuple[Refit, ...]]:
    """Return the cut graph with refitted weights, and what that did to each layer.

    Args:
        original: The graph that was cut; its values have names of their own.
        cut: What is left of it, values called as they were; not touched.
        left: Name of one of the original's values to the places of its last axis that are left.
        samples: Inputs, in the graph's order, at least two; every eighth chooses how strongly weights are held, and
            no more are run than fit into memory.
        borders: What is left of the inputs; None: all of them.
    """
    samples = samples[: max(_LEAST_SAMPLES, _MOST_VALUES // _numbers(original, cut))]
    repaired = cut.copy()
    teacher, student = Bare.of(original), Bare.of(repaired)
    targets = {node.name: node for node in teacher.layers}
    homes = {node.output.name: node for node in repaired.nodes}
    found: list[Refit] = []

    def take(family: Sequence[Layer], fitted: Fit | None) -> None:
        if fitted is not None:
            hand([layer.node for layer in family], fitted.line)
            hand([homes[layer.name] for layer in family], fitted.line)
            found.append(Refit(name=family[0].name, before=fitted.before, after=fitted.after))

    shared, lone = apart(student)
    for family in shared:
        if line_of(family[0].node).weights.shape[1] <= _MOST_COLUMNS:
            take(family, fitted_together(family, teacher, student, left, samples))
    taken = samples if borders is None else [borders.taken(inputs) for inputs in samples]
    ahead, behind = Walk(teacher.graph, samples), Walk(student.graph, taken)
    for layer in lone:
        if layer.name in targets:
            take([layer], _fitted(targets[layer.name], layer, ahead, behind, left))
    return repaired, tuple(found)


def _fitted(target: Layer, layer: Layer, ahead: Walk, behind: Walk, left: Callable[[str], Array]) -> Fit | None:
    """Return the fit of one layer; None where it reads what it read before, all of it."""
    before, now = ahead.reach(input_of(target.node)), behind.reach(input_of(layer.node))
    if all(_same(one, other) for one, other in zip(before, now, strict=True)):
        return None
    start = line_of(layer.node)
    if start.weights.shape[1] > _MOST_COLUMNS:
        return _by_channel(target, layer, before, now, left)
    made = ahead.reach(target.node.output)
    channels = left(target.name)
    wanted = [values[..., channels].reshape(-1, len(channels)) for values in made]
    return fit(drawn(Patches.of(layer.node), now, wanted), start, free_below_zero=layer.free)


def _numbers(*graphs: Graph) -> int:
    return sum(value.size for graph in graphs for node in graph.nodes for value in node.outputs) or 1


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and float(np.abs(one - other).max()) <= _SAME * float(np.abs(one).max())


def _by_channel(
    target: Layer, layer: Layer, before: Sequence[Array], now: Sequence[Array], left: Callable[[str], Array]
) -> Fit | None:
    """Return a wide layer's fit by way of its input: the original's channels from those that there are, place by place.

    Given:   W x, and A with the least mean of |A x' - x|²
    Result:  W' = W A at every tap
    """
    weights = data_of(weights_of(target.node))[left(target.name)]
    depth, fewer = weights.shape[-1], weights_of(layer.node).shape[-1]
    if depth > _MOST_COLUMNS:
        return None
    chosen = np.eye(depth, dtype=np.float32)[:, left(input_of(target.node).name)]
    rows = Patches(down=plainly(now[0].size // fewer), right=plainly(1), width=1, depth=fewer)
    found = fit(drawn(rows, now, [x.reshape(-1, depth) for x in before]), Line(weights=chosen, bias=None))
    line = Line(weights=(weights @ found.line.weights).reshape(len(weights), -1), bias=line_of(layer.node).bias)
    return replace(found, line=line)
