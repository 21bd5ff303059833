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

from edge_aigc.converters.ir import Node, Value
from edge_aigc.converters.ir.windows import activation_of
from edge_aigc.converters.prune.patches import Patches, bias_of, input_of, plainly, refitted, weights_of
from edge_aigc.converters.prune.ridge import Line, Part, fit
from edge_aigc.converters.prune.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edge_aigc.converters.ir import Array, Graph
    from edge_aigc.converters.prune.borders import Borders
    from edge_aigc.converters.prune.ridge import Fit, Parts

_ROWS_A_COLUMN = 6
"""Rows for each number to fit."""
_LEAST_ROWS = 4096
_MOST_COLUMNS = 4608
"""Of a layer that is fitted whole, 512 channels under 3x3: its normal equations take 170 MB."""
_PART_BYTES = 64 << 20
"""Of rows that are in memory at once."""
_MOST_VALUES = 1 << 29
"""Of float32 numbers, original and cut graph together, as if all were held at once: 2 GiB. Graphs of large maps, where
each sample has many places to fit on, are repaired on fewer samples."""
_LEAST_SAMPLES = 4
_HELD_OUT_EVERY = 8
_SAME = 1e-6
"""Share of the largest value below which two inputs are equal."""
_FREE = frozenset({"RELU", "RELU6"})


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
    teacher, student = _bare(original), _bare(repaired)
    targets = {node.name: node for node in teacher.layers}
    taken = samples if borders is None else [borders.taken(inputs) for inputs in samples]
    ahead, behind = Walk(teacher.graph, samples), Walk(student.graph, taken)
    homes = {node.output.name: node for node in repaired.nodes}
    found: list[Refit] = []
    for layer in student.layers:
        if layer.name not in targets:
            continue
        fitted = _fitted(targets[layer.name], layer, ahead, behind, left)
        if fitted is not None:
            _hand(layer.node, fitted.line)
            _hand(homes[layer.name], fitted.line)
            found.append(Refit(name=layer.name, before=fitted.before, after=fitted.after))
    return repaired, tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A node with weights, its activation taken off."""

    name: str
    """Of what it makes after the activation."""
    node: Node
    free: bool
    """Whether what it makes below zero is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bare:
    """A graph whose layers show what they make before their activations."""

    graph: Graph
    layers: tuple[_Layer, ...]


def _bare(graph: Graph) -> _Bare:
    bare = graph.copy()
    layers = []
    for node in list(bare.nodes):
        if not refitted(node):
            continue
        made, activation = node.output, activation_of(node)
        layers.append(_Layer(name=made.name, node=node, free=activation in _FREE))
        if activation != "NONE":
            linear = Value(name=f"{made.name}/linear", shape=made.shape, dtype=made.dtype, producer=node)
            node.outputs, node.options["fusedActivationFunction"] = [linear], 0
            at = bare.nodes.index(node) + 1
            bare.nodes.insert(at, Node(kind=activation, inputs=[linear], outputs=[made]))
    return _Bare(graph=bare, layers=tuple(layers))


def _fitted(target: _Layer, layer: _Layer, ahead: Walk, behind: Walk, left: Callable[[str], Array]) -> Fit | None:
    """Return the fit of one layer; None where it reads what it read before, all of it."""
    before, now = ahead.reach(input_of(target.node)), behind.reach(input_of(layer.node))
    if all(_same(one, other) for one, other in zip(before, now, strict=True)):
        return None
    start = _line(layer.node)
    if start.weights.shape[1] > _MOST_COLUMNS:
        return _by_channel(target, layer, before, now, left)
    made = ahead.reach(target.node.output)
    channels = left(target.name)
    wanted = [values[..., channels].reshape(-1, len(channels)) for values in made]
    return fit(_parts(Patches.of(layer.node), now, wanted), start, free_below_zero=layer.free)


def _numbers(*graphs: Graph) -> int:
    return sum(value.size for graph in graphs for node in graph.nodes for value in node.outputs) or 1


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and float(np.abs(one - other).max()) <= _SAME * float(np.abs(one).max())


def _line(node: Node) -> Line:
    weights, bias = weights_of(node), bias_of(node)
    return Line(weights=_data(weights).reshape(weights.shape[0], -1), bias=None if bias is None else _data(bias))


def _data(value: Value) -> Array:
    assert value.data is not None, f"{value} is not constant"
    return value.data


def _hand(node: Node, line: Line) -> None:
    """Give a node weights of its own."""
    for old, fresh in ((weights_of(node), line.weights), (bias_of(node), line.bias)):
        if old is not None and fresh is not None:
            new = Value(name=old.name, shape=old.shape, data=fresh.reshape(old.shape))
            node.inputs = [new if value is old else value for value in node.inputs]


def _by_channel(
    target: _Layer, layer: _Layer, before: Sequence[Array], now: Sequence[Array], left: Callable[[str], Array]
) -> Fit | None:
    """Return a wide layer's fit by way of its input: the original's channels from those that there are, place by place.

    Given:   W x, and A with the least mean of |A x' - x|²
    Result:  W' = W A at every tap
    """
    weights = _data(weights_of(target.node))[left(target.name)]
    depth, fewer = weights.shape[-1], weights_of(layer.node).shape[-1]
    if depth > _MOST_COLUMNS:
        return None
    chosen = np.eye(depth, dtype=np.float32)[:, left(input_of(target.node).name)]
    rows = Patches(down=plainly(now[0].size // fewer), right=plainly(1), width=1, depth=fewer)
    found = fit(_parts(rows, now, [x.reshape(-1, depth) for x in before]), Line(weights=chosen, bias=None))
    line = Line(weights=(weights @ found.line.weights).reshape(len(weights), -1), bias=_line(layer.node).bias)
    return replace(found, line=line)


def _parts(patches: Patches, now: Sequence[Array], wanted: Sequence[Array]) -> Parts:
    """Return the rows of a layer at places that are drawn evenly from all samples, and what is wanted there."""
    dice = np.random.default_rng(0)
    rows = max(_LEAST_ROWS, _ROWS_A_COLUMN * patches.columns)
    each = min(patches.places, -(-rows // len(now)))
    places = [np.sort(dice.choice(patches.places, each, replace=False)) for _ in now]
    most = max(1, _PART_BYTES // (4 * patches.columns * each))
    apart = min(_HELD_OUT_EVERY, len(now))
    held_out = list(range(apart - 1, len(now), apart))
    fitted = [number for number in range(len(now)) if number not in held_out]

    def parts() -> Iterator[Part]:
        for numbers in (held_out, fitted):
            for begin in range(0, len(numbers), most):
                some = numbers[begin : begin + most]
                yield Part(
                    rows=np.concatenate([patches.rows(now[number], places[number]) for number in some]),
                    targets=np.concatenate([wanted[number][places[number]] for number in some]),
                    held_out=numbers is held_out,
                )

    return parts
