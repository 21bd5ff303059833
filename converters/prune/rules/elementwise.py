"""Operators that compute each place from the same place of their inputs: all go together, place by place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Node
    from edge_aigc.converters.prune.labels import Axes, Labels

BROADCASTING = (
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD", "ADD_N",
    "ATAN2", "PRELU", "EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "LOGICAL_AND",
    "LOGICAL_OR", "BITWISE_XOR", "SELECT_V2",
)  # fmt: skip
ONE_INPUT = (
    "ABS", "CAST", "CEIL", "COS", "DEQUANTIZE", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG",
    "LOGICAL_NOT", "LOGISTIC", "NEG", "QUANTIZE", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "RSQRT",
    "SIGN", "SIN", "SQRT", "SQUARE", "TANH", "ZEROS_LIKE",
)  # fmt: skip


def one_input(labels: Labels, node: Node) -> None:
    """Of the same shape."""
    labels.give(node.output, labels.read(node, 0))


def broadcasting(labels: Labels, node: Node) -> None:
    """Axes of one place are repeated along the others'."""
    _joined(labels, node, [labels.read(node, place) for place in range(len(node.inputs))])


def select(labels: Labels, node: Node) -> None:
    """As a broadcast, but a vector of conditions chooses among rows."""
    condition, *rest = (labels.read(node, place) for place in range(3))
    rank = len(node.output.shape)
    if len(condition) == 1 < rank:
        condition = [condition[0], *[labels.axis(1) for _ in range(rank - 1)]]
    _joined(labels, node, [condition, *rest])


def _joined(labels: Labels, node: Node, inputs: list[Axes]) -> None:
    axes: list[Array | None] = []
    for axis, size in enumerate(node.output.shape):
        back = axis - len(node.output.shape)
        sides = [side[back] for side in inputs if len(side) >= -back and side[back].size == size > 1]
        for other in sides[1:]:
            labels.join(sides[0], other)
        axes.append(sides[0] if sides else None)
    labels.give(node.output, axes)
