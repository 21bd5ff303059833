"""What rewrites ask of a graph again and again: who reads, what is constant, what is one number a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir import Array, Graph, Node, Value

COMMUTATIVE = frozenset({"ADD", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"})
WINDOWS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"})
"""Operators with weights that slide over a map."""
UNARY = frozenset(
    {
        "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG",
        "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIGN", "SIN", "SQRT", "SQUARE", "TANH",
    }
)  # fmt: skip
"""Operators of one input that treat every element alike."""


def known(value: Value | None) -> Array:
    """Return a constant's values."""
    assert value is not None
    assert value.data is not None, f"{value} is no constant"
    return value.data


def floats(value: Value | None) -> Array | None:
    """Return the values of a float32 constant, else None."""
    return None if value is None or value.dtype != "FLOAT32" else value.data


def swap(graph: Graph, old: Value, new: Value) -> bool:
    """Have the readers of one value take another, where the graph's borders allow it.

    An output of the graph must be made by a node of it and only once: else nothing is done.

    Returns:
        Whether it was done.
    """
    if old in graph.outputs and (new.producer is None or new in graph.outputs):
        return False
    graph.replace(old, new)
    return True


def maker(value: Value | None, *kinds: str) -> Node | None:
    """Return the node that makes a value if it is of one of these kinds."""
    made = None if value is None else value.producer
    return made if made is not None and made.kind in kinds else None


def sole_maker(graph: Graph, value: Value | None, *kinds: str) -> Node | None:
    """Return the node that makes a value if it is of one of these kinds and nobody else reads what it makes."""
    made = maker(value, *kinds)
    return made if made is not None and graph.sole_user(made.output) is not None else None


def split_operands(node: Node) -> tuple[Value, Array] | None:
    """Return a binary node's varying operand and the float constant that is the other, or None.

    The constant is the second operand, or either one where the order does not matter.
    """
    first, second = node.input(0), node.input(1)
    number = floats(second)
    if number is not None and first.data is None:
        return first, number
    number = floats(first)
    if number is not None and second.data is None and node.kind in COMMUTATIVE:
        return second, number
    return None


def per_channel(data: Array, depth: int) -> Array | None:
    """Return a constant as one number a channel of the last axis, shape ``[depth]``, or None if it is not that."""
    if data.size == 1:
        return np.full(depth, data.reshape(()), np.float32)
    if data.shape[-1] == depth == data.size:
        return data.reshape(depth).astype(np.float32)
    return None


def plain(node: Node) -> bool:
    """Return whether no activation is fused into a node."""
    return activation_of(node) == "NONE"


def after(graph: Graph, node: Node) -> Builder:
    """Return a builder whose nodes come right after one."""
    at = graph.nodes.index(node) + 1
    return Builder(graph, before=graph.nodes[at] if at < len(graph.nodes) else None)


def one_number(data: Array | None) -> float | None:
    """Return the number that a constant of one element holds."""
    return None if data is None or data.size != 1 else float(data.reshape(()))


def again(build: Builder, node: Node, inputs: Sequence[Value | Array | None], shape: Sequence[int]) -> Value:
    """Add a node of one output like another, on other inputs."""
    return build.node(
        node.kind, inputs, shape, option_class=node.option_class, dtype=node.output.dtype, **dict(node.options)
    )


def order_of(node: Node | None) -> tuple[int, ...] | None:
    """Return the order of axes of a TRANSPOSE, if it is known."""
    if node is None or node.kind != "TRANSPOSE" or node.input(1).data is None:
        return None
    return tuple(int(axis) for axis in known(node.input(1)))


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """Return the order of axes that undoes another."""
    return tuple(int(axis) for axis in np.argsort(order))
