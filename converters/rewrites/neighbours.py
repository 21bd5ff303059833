"""Have a convolution with few output channels make several neighbouring pixels at once.

Given:   y = conv(x, w, b), few output channels: the last layer of most that makes pictures or sound
Result:  y = crop(interleave(conv(pad(x), w', b', stride (a m, b n))))

A kernel of XNNPACK makes 8 or 16 output channels at a time; with 3, or 1, most of its lanes compute nothing. A
strided convolution with a wider window gives a block of m by n pixels at each place, as channels. The window grows
less than the lanes fill: 7x7 to 3 channels reads 7 x 11 for five pixels instead of 5 x 49. Along a row the
interleaving is a reshape, which costs nothing.

Source: the widths of XNNPACK's float32 kernels: 4x8 and 6x8 on NEON, 5x16 on AVX2 (src/configs/gemm-config.c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of, dilation_of, padding_of, same_padding, stride_of
from edge_aigc.converters.rewrites import phases
from edge_aigc.converters.rewrites.interleaved import convolve

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourConvolution:
    """Blocks of a height and of the width that fills the lanes."""

    lanes: int
    """Output channels that a kernel makes at a time."""
    rows: int = 1
    """Of a block."""

    @property
    def name(self) -> str:
        """Return what reports call it."""
        return f"convolution of few channels to {self.lanes} lanes, {self.rows} rows at a time"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the float convolutions with constant weights and so few channels that a block fills the lanes."""
        return [(node,) for node in graph.nodes if _fits(node) and self._block(node) is not None]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        (node,) = region
        block = self._block(node)
        assert block is not None
        down, right = (_axis(node, axis, count) for axis, count in enumerate(block))
        x, weights, *rest = node.inputs
        assert x is not None
        assert weights is not None
        assert weights.data is not None
        bias = rest[0].data if rest and rest[0] is not None else None
        made = convolve(Builder(graph, node), x, weights.data, bias, (down, right), activation=activation_of(node))
        graph.replace(node.output, made)
        graph.remove_dead()

    def _block(self, node: Node) -> tuple[int, int] | None:
        """Return the height and width of a block; None where the output is lower, or its channels fill the lanes."""
        _, high, wide, count = node.output.shape
        room = self.lanes // (count * self.rows)
        if self.rows > high or room == 0 or self.rows * room == 1:
            return None
        if wide == 1:
            # A sound that stands upright.
            return (min(room, high), 1) if self.rows == 1 else None
        return self.rows, min(room, wide)


def _fits(node: Node) -> bool:
    if node.kind != "CONV_2D" or node.output.dtype != "FLOAT32":
        return False
    x, weights = node.input(0), node.input(1)
    # A kernel of one element has no window to share; grouped convolutions differ in their depth.
    if max(weights.shape[1:3]) == 1 or x.shape[3] != weights.shape[3]:
        return False
    return all(value is None or value.constant for value in node.inputs[1:])


def _axis(node: Node, axis: int, together: int) -> phases.Axis:
    size, kernel = node.input(0).shape[1 + axis], node.input(1).shape[1 + axis]
    stride, dilation = stride_of(node)[axis], dilation_of(node)[axis]
    pad = same_padding(size, kernel, stride, dilation)[0] if padding_of(node) == "SAME" else 0
    sizes = phases.Sizes(input_size=size, size=node.output.shape[1 + axis], kernel=kernel, pad=pad)
    return phases.neighbours(sizes, stride=stride, dilation=dilation, together=together)
