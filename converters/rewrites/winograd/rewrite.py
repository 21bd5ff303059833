"""Write a convolution of stride 1 in fewer multiplications.

Given:   y = act(conv(x, w, b)), stride 1, maybe behind a pad with zeros
Result:  y = act(A (conv(B x, G w) + b')), a convolution for each of the products

A tile of m outputs from r taps costs m + r - 1 multiplications in place of m r, along each axis. For 3x3 windows and
tiles of 4x4 that is 4 times fewer, for tiles of 2x2 2.25 times, along one axis only 2 and 1.5 times. The weights grow
by (m + r - 1) / r an axis, and sums take the place of the multiplications: it pays where channels are many and the
picture is larger than a few tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of, dilation_of, stride_of
from edge_aigc.converters.rewrites.winograd.bilinear import MOST_PRODUCTS, filtering
from edge_aigc.converters.rewrites.winograd.form import COLUMNS, ROWS, Axis, convolve
from edge_aigc.converters.rewrites.zeros import with_pad, zeros_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir import Graph, Node, Value

TILES = ((4, 4), (2, 2), (3, 3), (4, 2), (4, 1), (2, 1), (3, 1), (1, 4), (1, 2), (1, 3))
"""What is worth trying: rows and columns of outputs in a tile."""
_LEAST_CHANNELS = 8
_LEAST_SAVED = 1.2
"""Of the multiplications, tiles that stick out of the picture counted whole; below, the sums cost more than that."""

_TWO_TAPS, _THREES, _FOURS = 2, 3, 4


class Winograd:
    """An alternative of one tile size."""

    dtypes = ("FLOAT32",)
    """Nets that are quantized later do without: eight bits do not hold the factors."""

    def __init__(self, rows: int, columns: int) -> None:
        """Choose the tile.

        Args:
            rows: Of outputs; 1 saves nothing along that axis.
            columns: The same.
        """
        self._tile = (rows, columns)
        self.name = f"convolution to Winograd products, tiles of {rows}x{columns}"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the float convolutions of stride 1 with constant weights that are as large as a tile."""
        return [with_pad(graph, node) for node in graph.nodes if _fits(node) and self._pays(node)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace one."""
        node, *pad = region
        kernel, bias = node.input(1).data, node.inputs[2]
        assert kernel is not None
        x = pad[0].input(0) if pad else node.input(0)
        made = convolve(
            Builder(graph, node),
            x,
            kernel,
            None if bias is None else bias.data,
            self._axes(node, pad),
            activation=activation_of(node),
        )
        graph.replace(node.output, made)
        graph.remove_dead()

    def _pays(self, node: Node) -> bool:
        """Return whether a tile fits the window and the output, and can save enough."""
        _, *taps, _ = node.input(1).shape
        sides = zip(self._tile, taps, node.output.shape[1:3], strict=True)
        if not all(tile == 1 or _suits(tile, reach, size) for tile, reach, size in sides):
            return False
        if self._tile[0] == 1 and taps[0] > 1:
            return False  # filtering the columns saves as much as filtering the rows, which is cheaper
        rows, columns = self._axes(node, [])
        return rows.saved * columns.saved >= _LEAST_SAVED

    def _axes(self, node: Node, pad: Sequence[Node]) -> tuple[Axis, Axis]:
        sides = zip((ROWS, COLUMNS), self._tile, node.input(1).shape[1:3], zeros_of(node, pad), strict=True)
        rows, columns = (
            Axis(
                place=place,
                size=(pad[0] if pad else node).input(0).shape[place],
                before=before,
                after=after,
                taps=taps,
                by=filtering(tile, taps if tile == 1 or tile + taps - 1 <= MOST_PRODUCTS else tile),
            )
            for place, tile, taps, (before, after) in sides
        )
        return rows, columns


def _suits(tile: int, taps: int, size: int) -> bool:
    """Return whether a tile is worth trying along an axis.

    Two taps are best filtered in threes, more in fours; in threes only what threes cover and fours do not. Long rows
    of taps are cut into fours, too.
    """
    if taps == 1 or tile > size:
        return False
    if taps == _TWO_TAPS:
        return tile <= _THREES
    if tile == _THREES:
        return tile + taps - 1 <= MOST_PRODUCTS and size % tile == 0 and size % _FOURS != 0
    return tile == _FOURS or tile + taps - 1 <= MOST_PRODUCTS


def _fits(node: Node) -> bool:
    if node.kind != "CONV_2D" or stride_of(node) != (1, 1) or dilation_of(node) != (1, 1):
        return False
    x, kernel, bias = node.input(0), node.input(1), node.inputs[2]
    return (
        node.output.dtype == x.dtype == kernel.dtype == "FLOAT32"
        and kernel.constant
        and (bias is None or bias.constant)
        and kernel.shape[3] == x.shape[3]
        and min(kernel.shape[0], kernel.shape[3]) >= _LEAST_CHANNELS
        and not _is_product(x)
    )


def _is_product(factor: Value) -> bool:
    """Return whether what reads this is a product of ours already."""
    maker = factor.producer
    return maker is not None and maker.kind == "DEPTHWISE_CONV_2D" and max(stride_of(maker)) > 1
