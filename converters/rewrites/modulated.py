"""Make weights that are scaled at run time static: the scales go to what is convolved and to what comes out.

Given:   y = conv(x, w · s · d) + b, constant w, s one number an input channel, d one an output channel
Result:  y = conv(x · s, w) · d + b

Given:   q = sum(square(w · s), all axes but that of the output channels)
Result:  q = fully_connected(square(s), w²), w² summed over the window

StyleGAN2 writes its modulated convolutions the first way. XNNPACK takes constant weights only; the kernels that
run computed ones are several times slower, and the weights are more numbers than the activations.

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.graph import constant
from edge_aigc.converters.ir.windows import activation_of
from edge_aigc.converters.rewrites.match import known, plain, swap

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node, Value

_PLACES = {"CONV_2D": (0, 1, 2), "TRANSPOSE_CONV": (2, 1, 3)}
"""Where what is convolved, the weights and the bias stand among the inputs."""
_OUT, _IN = 0, 3
"""Axes of weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A computed tensor taken apart: constants times vectors along axes."""

    data: Array
    scales: tuple[tuple[Value, int], ...]
    """Computed values of one number a place of an axis, and that axis."""


def static_weights(graph: Graph) -> bool:
    """Move computed scales from weights to activations, and sums of their squares to products."""
    changed = False
    for node in list(graph.nodes):
        better = None
        if node.kind in _PLACES:
            better = _convolved(graph, node)
        elif node.kind == "SUM":
            better = _power(graph, node)
        if better is not None:
            changed = swap(graph, node.output, better) or changed
    graph.remove_dead()
    return changed


def taken_apart(value: Value) -> Scaled | None:
    """Return the constants and the vectors that a value is the product of, or None if it is something else."""
    if value.data is not None:
        return Scaled(data=value.data, scales=()) if value.dtype == "FLOAT32" else None
    node = value.producer
    if node is None:
        return None
    if node.kind == "MUL" and plain(node):
        first, second = node.input(0), node.input(1)
        return _scaled(first, second, value.shape) or _scaled(second, first, value.shape)
    inner = taken_apart(node.input(0)) if node.kind in {"TRANSPOSE", "RESHAPE"} else None
    if inner is None or not inner.scales:
        return None
    if node.kind == "TRANSPOSE":
        order = [int(axis) for axis in known(node.input(1))]
        scales = tuple((vector, order.index(axis)) for vector, axis in inner.scales)
        return Scaled(data=inner.data.transpose(order), scales=scales)
    return _reshaped(inner, value.shape)


def _scaled(tensor: Value, vector: Value, shape: tuple[int, ...]) -> Scaled | None:
    inner = taken_apart(tensor) if tensor.shape == shape else None
    padded = (1,) * (len(shape) - len(vector.shape)) + vector.shape
    long = [axis for axis, size in enumerate(padded) if size != 1]
    if inner is None or len(long) > 1:
        return None
    if vector.data is not None:
        return Scaled(data=inner.data * vector.data, scales=inner.scales)
    return Scaled(data=inner.data, scales=(*inner.scales, (vector, long[0] if long else 0)))


def _reshaped(inner: Scaled, shape: tuple[int, ...]) -> Scaled | None:
    """Return it in another shape, if the axes of the scales are axes there, too."""
    scales = []
    for vector, axis in inner.scales:
        size, after = inner.data.shape[axis], int(np.prod(inner.data.shape[axis + 1 :]))
        there = [
            place for place, other in enumerate(shape) if other == size and int(np.prod(shape[place + 1 :])) == after
        ]
        if not there:
            return None
        scales.append((vector, there[-1] if vector.size > 1 else 0))
    return Scaled(data=inner.data.reshape(shape), scales=tuple(scales))


def _convolved(graph: Graph, node: Node) -> Value | None:
    """Return a convolution with static weights, or None where they are or cannot be."""
    x_at, weights_at, bias_at = _PLACES[node.kind]
    weights, x = node.input(weights_at), node.input(x_at)
    apart = None if weights.data is not None else taken_apart(weights)
    if apart is None or weights.shape[_IN] != x.shape[_IN]:
        return None
    if any(axis not in {_OUT, _IN} for vector, axis in apart.scales if vector.size > 1):
        return None
    build = Builder(graph, before=node)
    for vector in _along(apart, _IN):
        x = build.mul(x, build.reshape(vector, (1, 1, 1, vector.size)))
    after = _along(apart, _OUT)
    bias = node.inputs[bias_at] if len(node.inputs) > bias_at else None
    nothing = constant(np.zeros(weights.shape[_OUT], np.float32), "bias")  # a CONV_2D must have one
    inputs = [*node.inputs[:bias_at], nothing if after or bias is None else bias]
    inputs[weights_at], inputs[x_at] = constant(np.ascontiguousarray(apart.data), "weights"), x
    options = {**node.options, "fusedActivationFunction": 0} if after else node.options
    y = build.node(
        node.kind, inputs, node.output.shape, option_class=node.option_class, dtype=node.output.dtype, **options
    )
    if not after:
        return y
    for vector in after:
        y = build.mul(y, build.reshape(vector, (1, 1, 1, vector.size)))
    activation = activation_of(node)
    if bias is not None and (bias.data is None or np.any(bias.data)):
        return build.add(y, bias, activation=activation)
    return build.activate(y, activation)


def _along(apart: Scaled, axis: int) -> list[Value]:
    """Return the vectors along one axis of the weights; single numbers count to the outputs."""
    return [vector for vector, place in apart.scales if (place if vector.size > 1 else _OUT) == axis]


def _power(graph: Graph, node: Node) -> Value | None:
    """Return a sum of squares of scaled constants as a product of a matrix with the squared scales."""
    squared = node.input(0).producer
    if squared is None or node.input(1).data is None or not _squares(squared):
        return None
    apart = taken_apart(squared.input(0))
    if apart is None or not apart.scales:
        return None
    rank = apart.data.ndim
    gone = {int(axis) % rank for axis in known(node.input(1)).reshape(-1)}
    kept = [axis for axis in range(rank) if axis not in gone and apart.data.shape[axis] > 1]
    axes = {axis for vector, axis in apart.scales if vector.size > 1}
    if len(kept) != 1 or len(axes) != 1 or not axes <= gone or any(vector.size == 1 for vector, _ in apart.scales):
        return None
    (axis,) = axes
    others = tuple(place for place in range(rank) if place not in {axis, kept[0]})
    matrix = np.square(apart.data.astype(np.float64)).sum(others).astype(np.float32)
    build = Builder(graph, before=node)
    vectors = [build.reshape(vector, (1, vector.size)) for vector, _ in apart.scales]
    product = vectors[0]
    for vector in vectors[1:]:
        product = build.mul(product, vector)
    weights = matrix.T if axis < kept[0] else matrix
    made = build.fully_connected(build.unary("SQUARE", product), np.ascontiguousarray(weights), None)
    return build.reshape(made, node.output.shape)


def _squares(node: Node) -> bool:
    same = node.kind == "MUL" and plain(node) and node.inputs[0] is node.inputs[1]
    return node.kind == "SQUARE" or same
