"""Write a transposed convolution as an ordinary one that makes every phase of the output at once.

Given:   y = transpose_conv(x, w, b), stride (p, q)
Result:  y = crop(depth_to_space(conv(pad(x), w', b')))

With stride s, each output phase is an ordinary convolution with every s-th tap. One window holds the taps of all
phases; with a kernel that the stride divides no tap of it is idle, so nothing is multiplied that was not before.
What is cropped or padded right behind it, as PyTorch's is, is never made.
Where p and q differ, a reshape and at most one transpose stand for depth_to_space; in one dimension the reshape
alone, which costs nothing. The pad joins the convolution in XNNPACK. With stride 1 there is one phase and nothing to
interleave: an ordinary convolution with the kernel turned round. From a single pixel, as a first layer grows, all
pixels are phases: a product with a matrix, where the operator itself multiplies zeros for every tap.

Source: Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv 1609.07009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of, padding_of, same_padding, stride_of
from edge_aigc.converters.rewrites import phases
from edge_aigc.converters.rewrites.interleaved import convolve, convolve_split

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.converters.ir import Array, Graph, Node, Value

_STRIDES = 3
"""Which input of STRIDED_SLICE they are."""
_MASKS = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")


class NarrowTransposedConvolution:
    """The smallest window there is: the fewest multiplications, then a crop where the phases are shifted."""

    name = "transposed convolution to convolution + depth to space"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return every float transposed convolution with constant weights, and what pads or crops it."""
        return [parts.nodes for parts in _all(graph)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        parts = _match(graph, region[0])
        _replace(graph, parts, parts.narrow_axes())


class SplitTransposedConvolution:
    """One convolution for each group of phases with the same window: no idle tap and no crop, but a concatenation."""

    name = "transposed convolution to one convolution a phase + depth to space"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the transposed convolutions whose phases read different windows."""
        return [parts.nodes for parts in _all(graph) if any(len(axis.groups()) > 1 for axis in parts.axes())]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        parts = _match(graph, region[0])
        _replace(graph, parts, parts.axes(), convolve_split)


class PixelTransposedConvolution:
    """All output pixels as phases of the only input pixel."""

    name = "transposed convolution of one pixel to a product with a matrix"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the transposed convolutions whose input is one pixel."""
        return [parts.nodes for parts in _all(graph) if parts.nodes[0].input(2).shape[1:3] == (1, 1)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        parts = _match(graph, region[0])
        _replace(graph, parts, parts.pixel_axes())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """A transposed convolution, and what pads or crops its output."""

    nodes: tuple[Node, ...]
    shifts: tuple[int, int]
    """How many outputs before the first that is wanted, down and right; negative: zeros."""

    def axes(self) -> tuple[phases.Axis, phases.Axis]:
        return self._axis(0, 0), self._axis(1, 0)

    def narrow_axes(self) -> tuple[phases.Axis, phases.Axis]:
        down, right = (
            phases.narrowest(self._axis(axis, skip) for skip in range(stride))
            for axis, stride in enumerate(stride_of(self.nodes[0]))
        )
        return down, right

    def pixel_axes(self) -> tuple[phases.Axis, phases.Axis]:
        """Return axes with one place: the stride does not matter where there is one input."""
        down, right = (
            phases.transposed(self._sizes(axis), stride=1, together=self.nodes[-1].output.shape[1 + axis])
            for axis in range(2)
        )
        return down, right

    def _axis(self, axis: int, skip: int) -> phases.Axis:
        return phases.transposed(self._sizes(axis), stride=stride_of(self.nodes[0])[axis], skip=skip)

    def _sizes(self, axis: int) -> phases.Sizes:
        first, last = self.nodes[0], self.nodes[-1]
        return phases.Sizes(
            input_size=first.input(2).shape[1 + axis],
            size=last.output.shape[1 + axis],
            kernel=first.input(1).shape[1 + axis],
            pad=_pad(first, axis) + self.shifts[axis],
        )


def _all(graph: Graph) -> list[_Parts]:
    return [_match(graph, node) for node in graph.nodes if _fits(node)]


def _fits(node: Node) -> bool:
    if node.kind != "TRANSPOSE_CONV" or node.output.dtype != "FLOAT32":
        return False
    return all(value is None or value.constant for value in (node.input(1), *node.inputs[3:]))


def _pad(node: Node, axis: int) -> int:
    """Return the padding, which is that of the convolution that would lead from the output back to the input."""
    if padding_of(node) == "VALID":
        return 0
    return same_padding(node.output.shape[1 + axis], node.input(1).shape[1 + axis], stride_of(node)[axis])[0]


def _match(graph: Graph, node: Node) -> _Parts:
    parts = _Parts(nodes=(node,), shifts=(0, 0))
    follower = graph.sole_user(node.output)
    if follower is not None and _pads_zeros(node, follower):
        amounts = follower.input(1).data
        assert amounts is not None
        parts = _Parts(nodes=(node, follower), shifts=(-int(amounts[1, 0]), -int(amounts[2, 0])))
        follower = graph.sole_user(follower.output)
    begin = None if follower is None else _crop(follower)
    if follower is None or begin is None:
        return parts
    down, right = (shift + first for shift, first in zip(parts.shifts, begin, strict=True))
    return _Parts(nodes=(*parts.nodes, follower), shifts=(down, right))


def _pads_zeros(node: Node, pad: Node) -> bool:
    """Return whether a pad adds what no input reaches, so that the convolution's own sums are the zeros there."""
    amounts = pad.input(1).data if pad.kind == "PAD" else None
    if amounts is None or amounts[0].any() or amounts[3].any() or _operands(node)[2] is not None:
        return False
    x, kernel, stride = node.input(2).shape, node.input(1).shape, stride_of(node)
    reach = [(x[1 + axis] - 1) * stride[axis] + kernel[1 + axis] - _pad(node, axis) for axis in range(2)]
    cut = [_pad(node, axis) > 0 or reach[axis] > node.output.shape[1 + axis] for axis in range(2)]
    return not any(cut)


def _crop(node: Node) -> tuple[int, int] | None:
    """Return the first row and column that a slice of pixels keeps; None if it is no such slice."""
    if node.kind not in ("SLICE", "STRIDED_SLICE") or len(node.output.shape) != len(node.input(0).shape):
        return None
    begin = node.input(1).data
    strides = node.input(_STRIDES).data if node.kind == "STRIDED_SLICE" else np.ones(1)
    if begin is None or strides is None or (strides != 1).any() or (begin < 0).any():
        return None
    if any(node.options.get(mask) for mask in _MASKS):
        return None
    mask = int(node.options.get("beginMask", 0))
    first = [0 if mask >> axis & 1 else int(begin[axis]) for axis in range(len(begin))]
    whole = all(node.output.shape[axis] == node.input(0).shape[axis] for axis in (0, 3))
    return (first[1], first[2]) if whole else None


def _operands(node: Node) -> tuple[Value, Array, Array | None]:
    _, weights, x, *rest = node.inputs
    assert x is not None
    assert weights is not None
    assert weights.data is not None
    return x, weights.data, rest[0].data if rest and rest[0] is not None else None


def _replace(
    graph: Graph, parts: _Parts, axes: tuple[phases.Axis, phases.Axis], form: Callable[..., Value] = convolve
) -> None:
    first, last = parts.nodes[0], parts.nodes[-1]
    x, kernel, bias = _operands(first)
    made = form(Builder(graph, last), x, kernel, bias, axes, activation=activation_of(first))
    graph.replace(last.output, made)
    graph.remove_dead()
