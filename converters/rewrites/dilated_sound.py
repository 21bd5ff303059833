"""Write a dilated convolution in one dimension as an ordinary one over rows.

Given:   y = conv(x, w, b), x one pixel high, dilation d
Result:  y = reshape(conv(reshape(x), w', b')), over rows of d elements, the kernel upright

Elements d apart stand below one another in rows of d, so the kernel reads a column. Where d divides the length neither
reshape costs anything; else a pad and a slice stand around them. The convolution alone gains nothing: XNNPACK reads
dilated windows as fast. It is for what knows no dilation: Winograd's forms, and several neighbours at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of, dilation_of, stride_of
from edge_aigc.converters.rewrites.zeros import with_pad, zeros_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Node, Value

_AXES = (1, 2)


class RowsForDilation:
    """An alternative: rows as long as the dilation."""

    name = "dilated 1-D convolution to one over rows"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the float convolutions of one dimension with a dilation, stride 1 and constant weights."""
        return [with_pad(graph, node) for node in graph.nodes if _axis(node) is not None]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace one."""
        node, *pad = region
        axis = _axis(node)
        kernel = node.input(1).data
        assert axis is not None
        assert kernel is not None
        dilation, taps = dilation_of(node)[axis - 1], kernel.shape[axis]
        x, length = (pad[0] if pad else node).input(0), node.output.shape[axis]
        above, ahead = divmod(zeros_of(node, pad)[axis - 1][0], dilation)
        build, made = Builder(graph, node), -(-length // dilation)
        x = _in_rows(build, x, ahead, dilation)
        below = made + taps - 1 - above - x.shape[1]
        same = above == (taps - 1) // 2 and made == x.shape[1]
        if not same and (above or below):
            x = build.pad(x, ((0, 0), (above, below), (0, 0), (0, 0)))
        y = build.conv_2d(
            x,
            np.ascontiguousarray(kernel.reshape(kernel.shape[0], taps, 1, kernel.shape[3])),
            node.inputs[2],
            padding="SAME" if same else "VALID",
            activation=activation_of(node),
        )
        batch, _, _, count = y.shape
        y = build.reshape(y, (batch, 1, made * dilation, count))
        if made * dilation > length:
            y = build.slice(y, (0, 0, 0, 0), (batch, 1, length, count))
        graph.replace(node.output, build.reshape(y, node.output.shape))
        graph.remove_dead()


def _in_rows(build: Builder, x: Value, ahead: int, wide: int) -> Value:
    """Add what puts a sound, upright or not, into rows: [b, …, c] to [b, rows, wide, c], zeros ahead and behind."""
    batch, depth = x.shape[0], x.shape[3]
    length = x.size // (batch * depth)
    rows = -(-(ahead + length) // wide)
    x = build.reshape(x, (batch, 1, length, depth))
    if ahead or rows * wide > length:
        x = build.pad(x, ((0, 0), (0, 0), (ahead, rows * wide - ahead - length), (0, 0)))
    return build.reshape(x, (batch, rows, wide, depth))


def _axis(node: Node) -> int | None:
    """Return the axis along which a convolution of one dimension is dilated; None if it is no such one."""
    if node.kind != "CONV_2D" or node.output.dtype != "FLOAT32" or stride_of(node) != (1, 1):
        return None
    x, kernel = node.input(0), node.input(1)
    if kernel.shape[3] != x.shape[3] or not all(value is None or value.constant for value in node.inputs[1:]):
        return None
    for axis, other in (_AXES, _AXES[::-1]):
        one = node.output.shape[other] == x.shape[other] == kernel.shape[other] == 1
        if one and dilation_of(node)[axis - 1] > 1 and kernel.shape[axis] > 1:
            return axis
    return None
