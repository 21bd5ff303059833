"""Write a dilated convolution of a sound as one that is not dilated, over the sound laid out in rows.

Given:   y = conv(x, w, b), x of one row, dilation d along it, stride 1
Result:  y = crop(reshape(conv(reshape(pad(x), [w / d, d]), w', b)))

Sample a d + r stands in row a, column r: what a dilated window reads is one column. The reshapes cost nothing, and
Winograd's forms, which know no dilation, then apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.build import activation_of, dilation_of, same_padding, stride_of
from edge_aigc.converters.rewrites.zeros import with_pad, zeros_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node, Value
    from edge_aigc.converters.ir.build import Pair

_ROWS, _COLUMNS = 1, 2


class DilatedConvolution:
    """An alternative: the columns of a sound's rows."""

    name = "dilated convolution over rows"
    dtypes = ("FLOAT32",)
    """What it is followed by, Winograd's forms, is for floats."""

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the float convolutions with constant weights that are dilated along the only axis there is."""
        return [with_pad(graph, node) for node in graph.nodes if _fits(node)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace one."""
        node, *pad = region
        build, along = Builder(graph, node), _along(node)
        x = (pad[0] if pad else node).input(0)
        kernel, bias = node.input(1).data, node.inputs[2]
        assert kernel is not None
        weights = kernel.reshape(kernel.shape[0], kernel.shape[along], 1, kernel.shape[3])
        outputs, step = node.output.shape[along], dilation_of(node)[along - 1]
        made = _over_rows(
            build,
            build.reshape(x, (x.shape[0], 1, x.shape[along], x.shape[3])),
            (weights, None if bias is None else bias.data),
            zeros_of(node, pad)[along - 1],
            step,
            activation_of(node),
        )
        batch, _, _, depth = made.shape
        flat = build.reshape(made, (batch, 1, made.size // (batch * depth), depth))
        if flat.shape[_COLUMNS] != outputs:
            flat = build.slice(flat, (0, 0, 0, 0), (batch, 1, outputs, depth))
        graph.replace(node.output, build.reshape(flat, node.output.shape) if flat.shape != node.output.shape else flat)
        graph.remove_dead()


def _over_rows(
    build: Builder, x: Value, weights: tuple[Array, Array | None], zeros: Pair, step: int, activation: str
) -> Value:
    """Add the convolution along the rows of a sound [n, 1, samples, i]: [n, rows, step, o], maybe more than wanted."""
    kernel, bias = weights
    batch, _, samples, depth = x.shape
    taps = kernel.shape[1]
    if samples % step == 0 and zeros == same_padding(samples, taps, 1, step) and zeros[0] % step == 0:
        rows = build.reshape(x, (batch, samples // step, step, depth))
        return build.conv_2d(rows, kernel, bias, padding="SAME", activation=activation)
    outputs = samples + sum(zeros) - (taps - 1) * step
    whole = (-(-outputs // step) + taps - 1) * step
    padded = build.pad(x, [(0, 0), (0, 0), (zeros[0], whole - samples - zeros[0]), (0, 0)])
    rows = build.reshape(padded, (batch, whole // step, step, depth))
    return build.conv_2d(rows, kernel, bias, activation=activation)


def _along(node: Node) -> int:
    return _COLUMNS if dilation_of(node)[0] == 1 else _ROWS


def _fits(node: Node) -> bool:
    if node.kind != "CONV_2D" or stride_of(node) != (1, 1) or max(dilation_of(node)) == 1:
        return False
    x, kernel, bias = node.input(0), node.input(1), node.inputs[2]
    other = _ROWS + _COLUMNS - _along(node)
    return (
        node.output.dtype == x.dtype == kernel.dtype == "FLOAT32"
        and kernel.constant
        and (bias is None or bias.constant)
        and kernel.shape[3] == x.shape[3]
        and x.shape[other] == kernel.shape[other] == node.output.shape[other] == 1
    )
