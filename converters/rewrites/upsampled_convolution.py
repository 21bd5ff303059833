"""Convolve before a nearest upsampling, not after it.

Given:   y = conv(pad(resize_nearest(x, f), …), w, b), f whole
Result:  y = crop(depth_to_space(conv(pad(x), w', b'), f))

Each phase of the output reads few different pixels: a 3x3 window after an upsampling by 2 covers 2x2 of them. The
taps that meet the same pixel are added up beforehand: 4 multiplications remain of 9. The borders are exact: what the
convolution pads are zeros beyond whole repeated pixels. A mirrored border repeats the last pixel, which a symmetric
pad before the upsampling does, too, as long as it reaches no further.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of, dilation_of, padding_of, same_padding, stride_of
from edge_aigc.converters.rewrites import phases
from edge_aigc.converters.rewrites.interleaved import convolve, convolve_split
from edge_aigc.converters.rewrites.movement import repeats

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.converters.ir import Array, Graph, Node, Value

_SYMMETRIC = 1
"""The mode of MIRROR_PAD that repeats the border itself: schema.fbs, MirrorPadMode."""


class NarrowUpsampledConvolution:
    """The smallest window there is: the fewest multiplications, then a crop where the phases are shifted."""

    name = "nearest upsampling, then convolution, to convolution + depth to space"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return every upsampling that only a convolution of stride 1 with constant weights reads."""
        return [parts.nodes for node in graph.nodes if (parts := _match(graph, node))]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        parts = _match(graph, region[-1])
        assert parts is not None
        _replace(graph, parts, parts.narrow_axes(), convolve)


class SplitUpsampledConvolution:
    """One convolution for each group of phases with the same window: no idle tap and no crop, but a concatenation."""

    name = "nearest upsampling, then convolution, to one convolution a phase + depth to space"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the upsamplings before a convolution whose phases read different windows."""
        return [
            parts.nodes
            for node in graph.nodes
            if (parts := _match(graph, node)) and any(len(axis.groups()) > 1 for axis in parts.axes())
        ]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        parts = _match(graph, region[-1])
        assert parts is not None
        _replace(graph, parts, parts.axes(), convolve_split)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """An upsampling and the convolution that reads it."""

    resize: Node
    pad: Node | None
    convolution: Node
    pads: tuple[phases.Pair, phases.Pair]
    """Before and after each axis of what is upsampled."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        middle = () if self.pad is None else (self.pad,)
        return (self.resize, *middle, self.convolution)

    @property
    def mirrored(self) -> bool:
        return self.pad is not None and self.pad.kind == "MIRROR_PAD"

    def factor(self, axis: int) -> int:
        return self.resize.output.shape[1 + axis] // self.resize.input(0).shape[1 + axis]

    def axes(self) -> tuple[phases.Axis, phases.Axis]:
        return self._axis(0, 0), self._axis(1, 0)

    def narrow_axes(self) -> tuple[phases.Axis, phases.Axis]:
        down, right = (
            phases.narrowest(self._axis(axis, skip) for skip in range(self.factor(axis))) for axis in range(2)
        )
        return down, right

    def border(self, axis: int) -> phases.Pair:
        """Return what a symmetric pad adds to the input before the upsampling; nothing where zeros do."""
        before, after = self.pads[axis] if self.mirrored else (0, 0)
        return min(before, 1), min(after, 1)

    def _axis(self, axis: int, skip: int) -> phases.Axis:
        before, after = self.border(axis)
        sizes = phases.Sizes(
            input_size=self.resize.input(0).shape[1 + axis] + before + after,
            size=self.convolution.output.shape[1 + axis],
            kernel=self.convolution.input(1).shape[1 + axis],
            # Counted from the first repeated pixel of what the symmetric pad has made.
            pad=self.pads[axis][0] - before * self.factor(axis),
        )
        dilation = dilation_of(self.convolution)[axis]
        return phases.repeated(sizes, factor=self.factor(axis), skip=skip, dilation=dilation)


def _match(graph: Graph, convolution: Node) -> _Parts | None:
    if convolution.kind != "CONV_2D" or stride_of(convolution) != (1, 1) or convolution.output.dtype != "FLOAT32":
        return None
    if not all(value is None or value.constant for value in convolution.inputs[1:]):
        return None
    maker = convolution.input(0).producer
    pad = maker if maker is not None and maker.kind in ("PAD", "MIRROR_PAD") else None
    resize = maker if pad is None else pad.input(0).producer
    if resize is None or not repeats(resize) or not _private(graph, resize, pad, convolution):
        return None
    if pad is None:
        return _Parts(resize=resize, pad=None, convolution=convolution, pads=_own_pads(convolution))
    return _with_pad(resize, pad, convolution)


def _private(graph: Graph, *chain: Node | None) -> bool:
    """Return whether nobody else reads what is between the nodes of a chain."""
    nodes = [node for node in chain if node is not None]
    return all(graph.sole_user(node.output) is follower for node, follower in itertools.pairwise(nodes))


def _own_pads(convolution: Node) -> tuple[phases.Pair, phases.Pair]:
    if padding_of(convolution) == "VALID":
        return (0, 0), (0, 0)
    down, right = (
        same_padding(size, kernel, 1, dilation)
        for size, kernel, dilation in zip(
            convolution.input(0).shape[1:3], convolution.input(1).shape[1:3], dilation_of(convolution), strict=True
        )
    )
    return down, right


def _with_pad(resize: Node, pad: Node, convolution: Node) -> _Parts | None:
    amounts = pad.input(1).data
    if amounts is None or amounts[0].any() or amounts[3].any():
        return None
    down, right = ((int(before), int(after)) for before, after in amounts[1:3])
    parts = _Parts(resize=resize, pad=pad, convolution=convolution, pads=(down, right))
    if pad.kind == "MIRROR_PAD":
        if padding_of(convolution) == "SAME" and _own_pads(convolution) != ((0, 0), (0, 0)):
            return None
        symmetric = int(pad.options["mode"]) == _SYMMETRIC
        reach = [parts.factor(axis) - (not symmetric) for axis in range(2)]
        return parts if all(max(ends) <= most for ends, most in zip(parts.pads, reach, strict=True)) else None
    own = _own_pads(convolution)
    pads = [(before + more, after + yet) for (before, after), (more, yet) in zip((down, right), own, strict=True)]
    return _Parts(resize=resize, pad=pad, convolution=convolution, pads=(pads[0], pads[1]))


def _replace(graph: Graph, parts: _Parts, axes: tuple[phases.Axis, phases.Axis], form: Callable[..., Value]) -> None:
    node = parts.convolution
    build = Builder(graph, node)
    x = parts.resize.input(0)
    if parts.mirrored:
        x = build.mirror_pad(x, ((0, 0), parts.border(0), parts.border(1), (0, 0)), symmetric=True)
    _, weights, *rest = node.inputs
    assert weights is not None
    assert weights.data is not None
    bias: Array | None = rest[0].data if rest and rest[0] is not None else None
    graph.replace(node.output, form(build, x, weights.data, bias, axes, activation=activation_of(node)))
    graph.remove_dead()
