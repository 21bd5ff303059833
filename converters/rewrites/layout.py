"""Move transposes toward the outputs until they meet and cancel.

Given:   y = TRANSPOSE(f(TRANSPOSE(x))), f elementwise, a concatenation, a pad, a slice, a reduction, a reshape
Result:  y = f'(x), its axes, constants and amounts in the other order

A net from a framework that puts channels first carries such pairs around whatever its converter knew only channels
first. What is moved is kept only if less is transposed in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from edge_aigc.converters.ir import Array, Builder, Graph, Node, Value, constant
from edge_aigc.converters.rewrites.identities import remove_identities
from edge_aigc.converters.rewrites.match import UNARY, again, inverse, known, maker, order_of, swap
from edge_aigc.converters.rewrites.pixel_shuffle import know_pixel_shuffle
from edge_aigc.converters.rewrites.products import read_turned
from edge_aigc.converters.rewrites.shortest import moves, places, shorten_movements, steps
from edge_aigc.converters.rewrites.twins import merge_twins

Order: TypeAlias = tuple[int, ...]
Rule: TypeAlias = Callable[[Graph, Node], bool]

_BINARY = frozenset({"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "PRELU"})
_TIDY = (remove_identities, know_pixel_shuffle, merge_twins, shorten_movements, read_turned)
_MOST_ROUNDS = 400
"""Each round moves every transpose by one operator at least; deeper nets than this are left half done."""


def cancel_transposes(graph: Graph) -> bool:
    """Move transposes until they cancel, if that leaves less to transpose."""
    if not any(node.kind == "TRANSPOSE" for node in graph.nodes):
        return False
    trial = graph.copy()
    for _ in range(_MOST_ROUNDS):
        moved = [_sink(trial), *[one(trial) for one in _TIDY]]
        if not any(moved):
            break
    if _transposed(trial) >= _transposed(graph):
        return False
    graph.nodes, graph.inputs, graph.outputs = trial.nodes, trial.inputs, trial.outputs
    return True


def _transposed(graph: Graph) -> tuple[int, int]:
    """Return how many elements are transposed, and how many operators there are."""
    return sum(node.output.size for node in graph.nodes if node.kind == "TRANSPOSE"), len(graph.nodes)


def _sink(graph: Graph) -> bool:
    """Move each transpose past one operator after it."""
    moved = False
    for node in list(graph.nodes):
        rule = _RULES.get(node.kind)
        if rule is not None:
            moved |= rule(graph, node)
    if moved:
        graph.remove_dead()
        graph.sort()
    return moved


def _finish(graph: Graph, node: Node, made: Value, order: Order) -> bool:
    return swap(graph, node.output, Builder(graph, before=node).transpose(made, order))


def _shape_before(shape: tuple[int, ...], order: Order) -> tuple[int, ...]:
    return tuple(shape[place] for place in inverse(order))


def _order_into(node: Node, place: int = 0) -> Order | None:
    value = node.inputs[place]
    return None if value is None else order_of(value.producer)


def _unary(graph: Graph, node: Node) -> bool:
    order = _order_into(node)
    if order is None:
        return False
    x = node.input(0).producer.input(0)  # type: ignore[union-attr]
    return _finish(graph, node, again(Builder(graph, before=node), node, [x], x.shape), order)


def _softmax(graph: Graph, node: Node) -> bool:
    order = _order_into(node)
    return order is not None and order[-1] == len(order) - 1 and _unary(graph, node)


def _binary(graph: Graph, node: Node) -> bool:
    values = [value for value in node.inputs if value is not None]
    order = next((found for value in values if (found := order_of(value.producer)) is not None), None)
    if order is None or len(order) != len(node.output.shape):
        return False
    before = [_before(graph, node, value, order) for value in values]
    if any(value is None for value in before):
        return False
    shape = _shape_before(node.output.shape, order)
    return _finish(graph, node, again(Builder(graph, before=node), node, before, shape), order)


def _before(graph: Graph, node: Node, value: Value, order: Order) -> Value | Array | None:
    """Return what gives a value when it is transposed, if that costs no new TRANSPOSE."""
    if order_of(value.producer) == order:
        return value.producer.input(0)  # type: ignore[union-attr]
    shape = (1,) * (len(order) - len(value.shape)) + value.shape
    back = inverse(order)
    if value.data is not None:
        return np.ascontiguousarray(known(value).reshape(shape).transpose(back)) if value.size > 1 else value
    moved = [axis for axis in back if shape[axis] != 1]
    if moved == sorted(moved):
        return Builder(graph, before=node).reshape(value, [shape[axis] for axis in back])
    there = next((user for user in graph.users(value) if order_of(user) == back), None)
    return None if there is None else there.output


def _concatenation(graph: Graph, node: Node) -> bool:
    order = next((found for place in range(len(node.inputs)) if (found := _order_into(node, place))), None)
    if order is None:
        return False
    parts = [_before(graph, node, value, order) for value in node.inputs if value is not None]
    if any(value is None for value in parts):
        return False
    axis = order[int(node.options["axis"]) % len(order)]
    values = [value if isinstance(value, Value) else _stored(value) for value in parts]
    return _finish(graph, node, Builder(graph, before=node).concatenate(values, axis), order)


def _stored(data: Array | None) -> Value:
    assert data is not None
    return constant(data)


def _by_axis(graph: Graph, node: Node) -> bool:
    """Move past an operator whose constants hold a row an axis: PAD, MIRROR_PAD, SLICE, STRIDED_SLICE, TILE."""
    order = _order_into(node)
    settings = node.inputs[1:]
    if order is None or any(value is None or value.data is None for value in settings):
        return False
    x = node.input(0).producer.input(0)  # type: ignore[union-attr]
    rows = [known(value)[list(inverse(order))] if value.size >= len(order) else value for value in settings]  # type: ignore[union-attr]
    made = again(Builder(graph, before=node), node, [x, *rows], _shape_before(node.output.shape, order))
    return _finish(graph, node, made, order)


def _strided_slice(graph: Graph, node: Node) -> bool:
    masks = ("beginMask", "endMask", "ellipsisMask", "newAxisMask", "shrinkAxisMask")
    return not any(node.options.get(mask) for mask in masks) and _by_axis(graph, node)


def _reduction(graph: Graph, node: Node) -> bool:
    order = _order_into(node)
    if order is None or node.input(1).data is None:
        return False
    gone = {int(axis) % len(order) for axis in known(node.input(1)).reshape(-1)}
    axes = np.array(sorted(order[axis] for axis in gone), np.int32)
    x, keep = node.input(0).producer.input(0), bool(node.options.get("keepDims"))  # type: ignore[union-attr]
    left = [axis for axis in range(len(order)) if keep or axis not in gone]
    reached = sorted(order[axis] for axis in left)
    after = tuple(reached.index(order[axis]) for axis in left)
    shape = [1 if axis in axes else x.shape[axis] for axis in reached]
    made = again(Builder(graph, before=node), node, [x, axes], shape)
    return _finish(graph, node, made, after) if len(after) > 1 else swap(graph, node.output, made)


def _reshape(graph: Graph, node: Node) -> bool:
    """Make the RESHAPE first where it cuts or joins axes that lie as they should."""
    before = maker(node.input(0), "TRANSPOSE")
    if before is None or not moves(before) or not moves(node):
        return False
    distances = steps(places([node, before]))
    if distances is None:
        return False
    # Axes of size 1 come first in the source, where they change nothing.
    source = sorted(range(len(distances)), key=lambda axis: (node.output.shape[axis] != 1, -distances[axis]))
    made = Builder(graph, before=node).reshape(before.input(0), [node.output.shape[axis] for axis in source])
    return _finish(graph, node, made, inverse(source))


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD", "SLICE", "TILE"), _by_axis),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), _reduction),
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "STRIDED_SLICE": _strided_slice,
}
