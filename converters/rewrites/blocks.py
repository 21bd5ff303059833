"""Write a convolution over blocks of pixels.

Given:   y = act(conv(x, w, b)), strides (s, s) of 2, or of 1 with few input channels and a large window
Result:  y = depth_to_space(act(conv(space_to_depth(pad(x)), w', b'))), stride 1; without depth_to_space where s is 2

With stride 2 nothing is multiplied that was not before where the window is even, and Winograd's forms then apply, which
know stride 1 only. With 3 input channels and 7x7 taps XNNPACK's kernels take 49 runs of 3 channels a pixel; over blocks
they take 16 runs of 12 for four pixels: a third more multiplications in far fewer and longer loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of, dilation_of, stride_of
from edge_aigc.converters.rewrites.zeros import with_pad, zeros_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node, Value

_BLOCK = 2
_FEW_CHANNELS = 4
_LARGE_WINDOW = 5
_LEAST_CHANNELS = 8
"""Where strides are 2: as many as Winograd's forms want."""


class BlockConvolution:
    """An alternative: blocks of 2x2 pixels as channels."""

    name = "convolution over blocks of 2x2 pixels"
    dtypes = ("FLOAT32",)
    """What it is followed by, Winograd's forms, is for floats."""

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the float convolutions of stride 2, and those of few channels with large windows."""
        return [with_pad(graph, node) for node in graph.nodes if _fits(node)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace one."""
        node, *pad = region
        kernel, bias = node.input(1).data, node.inputs[2]
        assert kernel is not None
        build = Builder(graph, node)
        stride, each = stride_of(node)[0], _BLOCK // stride_of(node)[0]
        weights = _blocked(kernel, stride)
        x = (pad[0] if pad else node).input(0)
        places = []
        amounts = [(0, 0)]
        sides = zip(x.shape[1:3], weights.shape[1:3], zeros_of(node, pad), node.output.shape[1:3], strict=True)
        for size, window, (before, _), outputs in sides:
            places.append(max(-(-outputs // each), -(-(before + size) // _BLOCK) - window + 1))
            amounts.append((before, (places[-1] + window - 1) * _BLOCK - before - size))
        padded = build.pad(x, [*amounts, (0, 0)]) if any(map(any, amounts)) else x
        shift = None if bias is None or bias.data is None else np.tile(bias.data, each**2)
        made = build.conv_2d(build.space_to_depth(padded, _BLOCK), weights, shift, activation=activation_of(node))
        graph.replace(node.output, _cropped(build, made, each, node.output.shape))
        graph.remove_dead()


def _cropped(build: Builder, made: Value, each: int, shape: tuple[int, ...]) -> Value:
    y = build.depth_to_space(made, each) if each > 1 else made
    return y if y.shape == shape else build.slice(y, (0, 0, 0, 0), shape)


def _blocked(kernel: Array, stride: int) -> Array:
    """Return the weights over blocks: [blocks out, kh', kw', blocks in]."""
    count, high, wide, depth = kernel.shape
    each = _BLOCK // stride
    window = [-(-(taps + _BLOCK - stride) // _BLOCK) for taps in (high, wide)]
    weights = np.zeros((each, each, count, window[0] * _BLOCK, window[1] * _BLOCK, depth), kernel.dtype)
    for row in range(each):
        for column in range(each):
            top, left = row * stride, column * stride
            weights[row, column, :, top : top + high, left : left + wide] = kernel
    split = weights.reshape(each**2 * count, window[0], _BLOCK, window[1], _BLOCK, depth).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(split.reshape(each**2 * count, *window, _BLOCK**2 * depth))


def _fits(node: Node) -> bool:
    if node.kind != "CONV_2D" or dilation_of(node) != (1, 1):
        return False
    x, kernel, bias = node.input(0), node.input(1), node.inputs[2]
    if not (node.output.dtype == x.dtype == kernel.dtype == "FLOAT32" and kernel.constant):
        return False
    if (bias is not None and not bias.constant) or kernel.shape[3] != x.shape[3] or kernel.shape[0] < _LEAST_CHANNELS:
        return False
    if stride_of(node) == (_BLOCK, _BLOCK):
        return x.shape[3] >= _LEAST_CHANNELS and min(kernel.shape[1:3]) > _BLOCK
    return stride_of(node) == (1, 1) and x.shape[3] <= _FEW_CHANNELS and min(kernel.shape[1:3]) >= _LARGE_WINDOW
