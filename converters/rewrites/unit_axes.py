"""Drop axes of size 1 that only make tensors of more than four axes.

Given:   y = mean(x5, (1, 2, 4)), x5 of shape [1, h, w, c, 1]: instance norm as Keras spells it
Result:  y = reshape(mean(reshape(x5), (1, 2)))

XNNPACK reduces tensors of up to four axes; a kernel that takes some 50 times as long runs for those of five.
Reshapes of neighbours cancel each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.graph import constant
from edge_aigc.converters.rewrites.match import known, swap

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Node, Value

_MOST_AXES = 4
_REDUCES = frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"})
_ELEMENTWISE = frozenset(
    {"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "NEG", "ABS", "SQUARE", "SQRT", "RSQRT"}
    | {"EXP", "RELU", "RELU6", "LEAKY_RELU", "TANH", "LOGISTIC"}
)


def drop_unit_axes(graph: Graph) -> bool:
    """Have elementwise operators and reductions of more than four axes work on fewer."""
    changed = False
    for node in list(graph.nodes):
        axis = _spare(node)
        if axis is not None:
            changed = swap(graph, node.output, _without(graph, node, axis)) or changed
    graph.remove_dead()
    return changed


def _spare(node: Node) -> int | None:
    """Return the last axis, of more than four, that is 1 in all that a node takes."""
    reduces = node.kind in _REDUCES and node.input(1).data is not None
    if node.output.dtype != "FLOAT32" or not (reduces or node.kind in _ELEMENTWISE):
        return None
    taken = [node.input(0)] if reduces else [value for value in node.inputs if value is not None]
    rank = max(len(value.shape) for value in taken)
    if rank <= _MOST_AXES:
        return None
    shapes = [_padded(value, rank) for value in taken]
    return next((axis for axis in reversed(range(rank)) if all(shape[axis] == 1 for shape in shapes)), None)


def _padded(value: Value, rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(value.shape)) + value.shape


def _without(graph: Graph, node: Node, axis: int) -> Value:
    """Return what a node makes, computed without an axis."""
    build = Builder(graph, before=node)
    if node.kind in _REDUCES:
        x = node.input(0)
        gone = {int(place) % len(x.shape) for place in known(node.input(1)).reshape(-1)}
        left = [place - (place > axis) for place in sorted(gone - {axis})]
        y = build.reduce(node.kind, _squeezed(build, x, axis, len(x.shape)), left) if left else x
    else:
        rank = len(node.output.shape)
        taken = [_squeezed(build, value, axis, rank) for value in node.inputs if value is not None]
        shape = node.output.shape[:axis] + node.output.shape[axis + 1 :]
        y = build.node(node.kind, taken, shape, option_class=node.option_class, **node.options)
    return build.reshape(y, node.output.shape)


def _squeezed(build: Builder, value: Value, axis: int, rank: int) -> Value:
    if len(value.shape) < rank - axis:
        return value  # it has no such axis: it is broadcast along it
    own = axis - (rank - len(value.shape))
    shape = value.shape[:own] + value.shape[own + 1 :]
    if value.data is not None:
        return constant(value.data.reshape(shape), value.name)
    return build.reshape(value, shape)
