"""Write a convolution of a map of few pixels as a dense layer.

Given:   y = conv(x, w, b) or transpose_conv(x, w, b), x or y of one or of few pixels
Result:  y = reshape(fully_connected(reshape(x), w', b'))

The first transposed convolution of most generators takes one pixel, the innermost ones of a U-Net take or make one.
Most of their window lies outside of the map: a 4x4 kernel that makes 2x2 pixels of one multiplies by a quarter of its
weights. What is left is a product of a vector with a matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of, dilation_of, padding_of, same_padding, stride_of
from edge_aigc.converters.rewrites.match import floats
from edge_aigc.converters.rewrites.zeros import with_pad, zeros_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node, Value

_MOST_GROWTH = 2
"""Of the weights: each is read once an inference, so more of them cost what they weigh."""


class DenseMap:
    """One matrix from all of the input to all of the output."""

    name = "convolution of few pixels to dense layer"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the float convolutions, with their pads, whose matrix is not much larger than their kernel."""
        regions = (_region(graph, node) for node in graph.nodes if _fits(node))
        return [region for region in regions if _grows_little(region)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        node, *pad = region
        x = (pad[0] if pad else node).input(0) if node.kind == "CONV_2D" else node.input(2)
        matrix, bias = _matrix(region), floats(_bias(node))
        _, high, wide, depth = node.output.shape
        build = Builder(graph, node)
        whole = np.tile(np.zeros(depth, np.float32) if bias is None else bias, high * wide)
        y = build.fully_connected(build.reshape(x, (1, x.size)), matrix, whole, activation=activation_of(node))
        graph.replace(node.output, build.reshape(y, node.output.shape))
        graph.remove_dead()


def _region(graph: Graph, node: Node) -> tuple[Node, ...]:
    return with_pad(graph, node) if node.kind == "CONV_2D" else (node,)


def _fits(node: Node) -> bool:
    if node.kind not in {"CONV_2D", "TRANSPOSE_CONV"} or node.output.shape[0] != 1 or floats(node.input(1)) is None:
        return False
    bias = _bias(node)
    grouped = node.input(1).shape[3] != node.input(0 if node.kind == "CONV_2D" else 2).shape[3]
    return not grouped and (bias is None or floats(bias) is not None)


def _bias(node: Node) -> Value | None:
    at = 2 if node.kind == "CONV_2D" else 3
    return node.inputs[at] if len(node.inputs) > at else None


def _sizes(region: tuple[Node, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return height and width of what goes in, before its pad, and of what comes out."""
    node, *pad = region
    x = (pad[0] if pad else node).input(0) if node.kind == "CONV_2D" else node.input(2)
    return x.shape[1:3], node.output.shape[1:3]


def _grows_little(region: tuple[Node, ...]) -> bool:
    taken, made = _sizes(region)
    return int(np.prod(taken) * np.prod(made)) <= _MOST_GROWTH * int(np.prod(region[0].input(1).shape[1:3]))


def _matrix(region: tuple[Node, ...]) -> Array:
    """Return the weights ``[pixels out · channels out, pixels in · channels in]``."""
    node = region[0]
    kernel = node.input(1).data
    assert kernel is not None
    taken, made = _sizes(region)
    down, right = (_taps(region, axis) for axis in range(2))
    channels_out, _, _, channels_in = kernel.shape
    matrix = np.zeros((*made, channels_out, *taken, channels_in), np.float32)
    for (row_out, row_in), tap_down in down.items():
        for (column_out, column_in), tap_right in right.items():
            matrix[row_out, column_out, :, row_in, column_in, :] = kernel[:, tap_down, tap_right, :]
    return matrix.reshape(matrix[..., 0, 0, 0].size, -1)


def _taps(region: tuple[Node, ...], axis: int) -> dict[tuple[int, int], int]:
    """Return which tap of one axis joins which places, by (out, in)."""
    node, *pad = region
    taken, made = (sizes[axis] for sizes in _sizes(region))
    stride, kernel = stride_of(node)[axis], node.input(1).shape[1 + axis]
    found = {}
    for out in range(made):
        for place in range(taken):
            if node.kind == "CONV_2D":
                tap, rest = divmod(place + zeros_of(node, pad)[axis][0] - out * stride, dilation_of(node)[axis])
            else:
                crop = same_padding(made, kernel, stride)[0] if padding_of(node) == "SAME" else 0
                tap, rest = out + crop - place * stride, 0
            if rest == 0 and 0 <= tap < kernel:
                found[out, place] = tap
    return found
