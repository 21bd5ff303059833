"""Fold what is multiplied and added by constants into the weights before it.

Given:   y = conv(x, w, b) · s + t, one s and t a channel: a batch norm, a scale, a bias
Result:  y = conv(x, w · s, b · s + t)

The convolution may be plain, transposed, depthwise or dense; between a dense layer and the constants a RESHAPE
may stand: then there is one s and t for every element.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_aigc.converters.ir import Builder, constant
from edge_aigc.converters.ir.windows import activation_of
from edge_aigc.converters.rewrites.match import WINDOWS, floats, one_number, plain, sole_maker, swap

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node, Value

Affine: TypeAlias = "tuple[Value, Array, Array]"
"""x, s and t of x · s + t."""

_BIAS_AT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}


def fold_batch_norm(graph: Graph) -> bool:
    """Fold each ADD, SUB, MUL and DIV with a constant into the weights before it, or into the one before it."""
    changed = False
    for node in list(graph.nodes):
        found = affine_of(node)
        if found is not None and (_into_weights(graph, node, found) or _into_other(graph, node, found)):
            changed = True
    graph.remove_dead()
    return changed


def affine_of(node: Node) -> Affine | None:
    """Return a binary node with a float constant as x · s + t, or None; what is fused into it comes after."""
    if node.kind not in {"ADD", "SUB", "MUL", "DIV"} or node.output.dtype != "FLOAT32":
        return None
    for place in (1, 0):
        number, x = floats(node.input(place)), node.input(1 - place)
        if number is None or x.data is not None or x.shape != node.output.shape:
            continue
        one, zero = np.ones((), np.float32), np.zeros((), np.float32)
        if node.kind == "MUL":
            return x, number, zero
        if node.kind == "ADD":
            return x, one, number
        if node.kind == "SUB":
            return (x, one, -number) if place == 1 else (x, -one, number)
        if place == 1 and bool(np.all(number)):
            return x, (1 / number.astype(np.float64)).astype(np.float32), zero
    return None


def _into_weights(graph: Graph, node: Node, found: Affine) -> bool:
    x, scale, shift = found
    between = sole_maker(graph, x, "RESHAPE")
    home = sole_maker(graph, x, *WINDOWS, "FULLY_CONNECTED")
    if between is not None:
        home = sole_maker(graph, between.input(0), "FULLY_CONNECTED")
    if home is None or not plain(home) or floats(home.inputs[1]) is None:
        return False
    rows = _rows(scale, shift, x.shape, home.output.shape)
    if rows is None or not _scale_weights(home, *rows):
        return False
    x.name = node.output.name
    return swap(graph, node.output, Builder(graph, before=node).activate(x, activation_of(node)))


def _rows(scale: Array, shift: Array, shape: tuple[int, ...], made: tuple[int, ...]) -> tuple[Array, Array] | None:
    """Return s and t as one number an output channel of the weights, or None where there is more than one.

    Args:
        scale: Broadcasts to `shape`.
        shift: Broadcasts to `shape`.
        shape: Where they are applied.
        made: What the weights give, of the same size; its last axis is the channel.
    """
    rows = []
    for data in (scale, shift):
        if data.size == 1:
            rows.append(np.full(made[-1], data.reshape(()), np.float32))
        elif shape[-1:] == made[-1:] and data.shape[-1] == data.size == made[-1]:
            rows.append(data.reshape(-1))
        elif int(np.prod(made)) == made[-1]:
            rows.append(np.broadcast_to(data, shape).reshape(-1))
        else:
            return None
    return rows[0], rows[1]


def _scale_weights(home: Node, scale: Array, shift: Array) -> bool:
    """Multiply the output channels of a node's weights, and its bias; False if the bias is not constant."""
    at = _BIAS_AT[home.kind]
    entry = home.inputs[at] if len(home.inputs) > at else None
    bias = np.zeros(len(scale), np.float32) if entry is None else floats(entry)
    weights = floats(home.inputs[1])
    if bias is None or weights is None:
        return False
    axis = 3 if home.kind == "DEPTHWISE_CONV_2D" else 0
    along = [1] * weights.ndim
    along[axis] = -1
    home.inputs[1] = constant(weights * scale.reshape(along), home.input(1).name)
    moved = constant(bias * scale + shift, "bias" if entry is None else entry.name)
    home.inputs = [*home.inputs[:at], moved, *home.inputs[at + 1 :]]
    return True


def _into_other(graph: Graph, node: Node, found: Affine) -> bool:
    """Merge two affine nodes in a row: into one of the same kind, or ADD, MUL into MUL, ADD."""
    x, scale, shift = found
    first = sole_maker(graph, x, "ADD", "SUB", "MUL", "DIV")
    inner = None if first is None or not plain(first) else affine_of(first)
    if inner is None:
        return False
    factor, added = inner[1] * scale, inner[2] * scale + shift
    if max(factor.size, added.size) > max(part.size for part in (*inner[1:], scale, shift)):
        return False  # a row times a column is a map
    multiplies, adds = one_number(factor) != 1, one_number(added) != 0
    if multiplies and adds and inner[2].any() == 0:
        return False  # MUL, ADD is as short as it gets
    build, result = Builder(graph, before=node), inner[0]
    activation = activation_of(node)
    if multiplies:
        result = build.mul(result, factor, activation="NONE" if adds else activation)
    if adds or not multiplies:
        result = build.add(result, added, activation=activation)
    return result.shape == node.output.shape and swap(graph, node.output, result)
