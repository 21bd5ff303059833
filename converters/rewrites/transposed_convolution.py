"""Write a transposed convolution as an ordinary one that makes every phase of the output at once.

Given:   y = transpose_conv(x, w, b), stride (p, q)
Result:  y = crop(depth_to_space(conv(pad(x), w', b')))

With stride s, each output phase is an ordinary convolution with every s-th tap. One window holds the taps of all
phases; with a kernel that the stride divides no tap of it is idle, so nothing is multiplied that was not before.
Where p and q differ, a reshape and at most one transpose stand for depth_to_space; in one dimension the reshape
alone, which costs nothing. The pad joins the convolution in XNNPACK.

Source: Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv 1609.07009.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.build import activation_of, padding_of, same_padding, stride_of
from edge_aigc.converters.rewrites import phases
from edge_aigc.converters.rewrites.interleaved import convolve, convolve_split

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.converters.ir import Array, Graph, Node, Value


class NarrowTransposedConvolution:
    """The smallest window there is: the fewest multiplications, then a crop where the phases are shifted."""

    name = "transposed convolution to convolution + depth to space"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return every float transposed convolution with constant weights."""
        return [(node,) for node in graph.nodes if _fits(node)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        _replace(graph, region[0], _narrow_axes(region[0]))


class UncroppedTransposedConvolution:
    """A window that needs no crop in front, where the smallest one does: more multiplications, less to move."""

    name = "transposed convolution to a wider convolution + depth to space, without a crop"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the transposed convolutions whose smallest window would need a crop that another spares."""
        return [(node,) for node in graph.nodes if _fits(node) and _spares_a_crop(node)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        _replace(graph, region[0], _axes(region[0], (0, 0)))


class SplitTransposedConvolution:
    """One convolution for each group of phases with the same window: no idle tap and no crop, but a concatenation."""

    name = "transposed convolution to one convolution a phase + depth to space"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the transposed convolutions whose phases read different windows."""
        return [
            (node,)
            for node in graph.nodes
            if _fits(node) and any(len(axis.groups()) > 1 for axis in _axes(node, (0, 0)))
        ]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        _replace(graph, region[0], _axes(region[0], (0, 0)), convolve_split)


def _fits(node: Node) -> bool:
    if node.kind != "TRANSPOSE_CONV" or max(stride_of(node)) == 1 or node.output.dtype != "FLOAT32":
        return False
    return all(value is None or value.constant for value in (node.input(1), *node.inputs[3:]))


def _spares_a_crop(node: Node) -> bool:
    pairs = zip(_narrow_axes(node), _axes(node, (0, 0)), strict=True)
    return any(narrow.crops and not wide.crops for narrow, wide in pairs)


def _operands(node: Node) -> tuple[Value, Array, Array | None]:
    _, weights, x, *rest = node.inputs
    assert x is not None
    assert weights is not None
    assert weights.data is not None
    return x, weights.data, rest[0].data if rest and rest[0] is not None else None


def _replace(
    graph: Graph, node: Node, axes: tuple[phases.Axis, phases.Axis], form: Callable[..., Value] = convolve
) -> None:
    x, kernel, bias = _operands(node)
    made = form(Builder(graph, node), x, kernel, bias, axes, activation=activation_of(node))
    graph.replace(node.output, made)
    graph.remove_dead()


def _narrow_axes(node: Node) -> tuple[phases.Axis, phases.Axis]:
    down, right = (
        phases.narrowest(_axis(node, axis, skip) for skip in range(stride))
        for axis, stride in enumerate(stride_of(node))
    )
    return down, right


def _axes(node: Node, skips: tuple[int, int]) -> tuple[phases.Axis, phases.Axis]:
    down, right = (_axis(node, axis, skip) for axis, skip in enumerate(skips))
    return down, right


def _axis(node: Node, axis: int, skip: int) -> phases.Axis:
    size, kernel, stride = node.output.shape[1 + axis], node.input(1).shape[1 + axis], stride_of(node)[axis]
    # The padding is that of the convolution which would lead from the output back to the input.
    pad = same_padding(size, kernel, stride)[0] if padding_of(node) == "SAME" else 0
    sizes = phases.Sizes(input_size=node.input(2).shape[1 + axis], size=size, kernel=kernel, pad=pad)
    return phases.transposed(sizes, stride=stride, skip=skip)
