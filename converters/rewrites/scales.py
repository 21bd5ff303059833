"""Fold what is multiplied and added by constants into the weights after it.

Given:   y = conv(x · s + t, w, b)
Result:  y = conv(x, w · s, b + Σ w · t)

A factor passes zero padding, by the operator itself or by a PAD before it; a summand only where nothing is padded.
Every reader of x · s must be such a convolution: else nothing is saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import constant
from edge_aigc.converters.ir.windows import padding_of
from edge_aigc.converters.rewrites.batch_norm import affine_of
from edge_aigc.converters.rewrites.match import WINDOWS, floats, per_channel, plain

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node, Value

_INTO = frozenset({*WINDOWS, "FULLY_CONNECTED"})


def fold_scales(graph: Graph) -> bool:
    """Fold each ADD, SUB, MUL and DIV with a constant into the weights after it."""
    changed = False
    for node in list(graph.nodes):
        found = affine_of(node) if plain(node) and node.output not in graph.outputs else None
        if found is None:
            continue
        x, factor, summand = found
        scale, shift = (per_channel(data, x.shape[-1]) if x.shape else None for data in (factor, summand))
        readers = _readers(graph, node.output, through=not summand.any())
        if scale is None or shift is None or not readers:
            continue
        if all(_takes(reader, shift, x.shape[-1]) for reader in readers):
            for reader in readers:
                _absorb(reader, scale, shift)
            graph.replace(node.output, x)
            changed = True
    graph.remove_dead()
    return changed


def _readers(graph: Graph, value: Value, *, through: bool) -> list[Node]:
    """Return who reads a value, or none at all if somebody does who cannot absorb; PADs of zeros may be passed."""
    found: list[Node] = []
    for user in graph.users(value):
        same_channels = user.output.shape[-1:] == value.shape[-1:]
        if user.kind == "PAD" and through and same_channels and user.output not in graph.outputs:
            further = _readers(graph, user.output, through=True)
            if not further:
                return []
            found += further
        elif user.kind in _INTO and user.inputs[_place(user)] is value:
            found.append(user)
        else:
            return []
    return found


def _place(node: Node) -> int:
    return 2 if node.kind == "TRANSPOSE_CONV" else 0


def _takes(node: Node, shift: Array, depth: int) -> bool:
    """Return whether a node can absorb; grouped convolutions cannot."""
    weights = floats(node.inputs[1])
    if weights is None or weights.shape[-1] % depth or len({id(value) for value in node.inputs}) < len(node.inputs):
        return False
    if node.kind != "DEPTHWISE_CONV_2D" and weights.shape[-1] != depth:
        return False
    if not shift.any():
        return True
    if node.kind == "TRANSPOSE_CONV" or (node.kind != "FULLY_CONNECTED" and padding_of(node) != "VALID"):
        return False
    return len(node.inputs) <= 2 or node.inputs[2] is None or floats(node.inputs[2]) is not None  # noqa: PLR2004


def _absorb(node: Node, scale: Array, shift: Array) -> None:
    weights = floats(node.inputs[1])
    assert weights is not None
    if node.kind == "DEPTHWISE_CONV_2D":
        times = weights.shape[-1] // len(scale)
        scale, shift = np.repeat(scale, times), np.repeat(shift, times)
    if shift.any():
        weighted = (weights.astype(np.float64) * shift).reshape(weights.shape)
        axes = (0, 1, 2) if node.kind == "DEPTHWISE_CONV_2D" else tuple(range(1, weights.ndim))
        extra = weighted.sum(axis=axes)
        entry = node.inputs[2] if len(node.inputs) > 2 else None  # noqa: PLR2004
        bias = extra if entry is None else extra + floats(entry)
        node.inputs = [*node.inputs[:2], constant(bias.astype(np.float32), "bias")]
    node.inputs[1] = constant(weights * scale, node.input(1).name)
