"""Convolutions whose kernels differ by sample (modulated ones): a product of matrices for each tap."""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING

from keras import ops

from edge_aigc.converters.ir.windows import dilation_of, padding_of, same_padding, stride_of
from edge_aigc.converters.lift.refusal import refused

if TYPE_CHECKING:
    from edge_aigc.converters.ir.windows import Pair
    from edge_aigc.converters.lift.held import Call, Tensor


def fitted(x: Tensor, axis: int, before: int, size: int) -> Tensor:
    """Return a tensor with zeros put before an axis (or entries cut off, if negative), then brought to a size."""
    length = x.shape[axis]
    x = x[tuple(slice(max(-before, 0), None) if place == axis else slice(None) for place in range(len(x.shape)))]
    front, kept = max(before, 0), length - max(-before, 0)
    if front + kept > size:
        return fitted_end(x, axis, size - front, front)
    amounts = [(front, size - front - kept) if place == axis else (0, 0) for place in range(len(x.shape))]
    return x if (front, kept) == (0, size) else ops.pad(x, amounts)


def fitted_end(x: Tensor, axis: int, kept: int, front: int) -> Tensor:
    """Return the first entries of an axis after some zeros."""
    x = x[tuple(slice(0, kept) if place == axis else slice(None) for place in range(len(x.shape)))]
    amounts = [(front, 0) if place == axis else (0, 0) for place in range(len(x.shape))]
    return ops.pad(x, amounts) if front else x


def convolved(call: Call) -> Tensor:
    """Return the rows of CONV_2D or DEPTHWISE_CONV_2D before the bias."""
    reach, stride, dilation = call.shape(1)[1:3], stride_of(call.node), dilation_of(call.node)
    made, x = call.node.output.shape[1:3], call.samples(0, repeated=True)
    _one_map(call, 0)
    for axis, (size, kernel, step, spread, want) in enumerate(
        zip(call.shape(0)[1:3], reach, stride, dilation, made, strict=True), 2
    ):
        before = same_padding(size, kernel, step, spread)[0] if padding_of(call.node) == "SAME" else 0
        x = fitted(x, axis, before, (want - 1) * step + (kernel - 1) * spread + 1)
    return _tapped(call, x, call.samples(1), (stride, dilation, made))


def transposed(call: Call) -> Tensor:
    """Return the rows of TRANSPOSE_CONV before the bias: zeros between the pixels, then a convolution."""
    _one_map(call, 2)
    reach, stride, sizes = call.shape(1)[1:3], stride_of(call.node), call.shape(2)[1:3]
    made, x = call.node.output.shape[1:3], call.samples(2, repeated=True)
    _, _, high, wide, depth = x.shape
    x = ops.reshape(x, (-1, high, 1, wide, 1, depth))
    x = ops.pad(x, [(0, 0), (0, 0), (0, stride[0] - 1), (0, 0), (0, stride[1] - 1), (0, 0)])
    x = ops.reshape(x, (-1, 1, high * stride[0], wide * stride[1], depth))
    for axis, (size, kernel, step, want) in enumerate(zip(sizes, reach, stride, made, strict=True), 2):
        before = max((size - 1) * step + kernel - want, 0) // 2
        x = fitted(x, axis, kernel - 1 - before, want + kernel - 1)
    return _tapped(call, x, ops.flip(call.samples(1), (2, 3)), ((1, 1), (1, 1), made))


def _one_map(call: Call, place: int) -> None:
    if call.shape(place)[0] != 1:
        raise refused(call.node, f"its weights change with the inputs and it reads {call.shape(place)[0]} maps at once")


def _tapped(call: Call, x: Tensor, kernel: Tensor, geometry: tuple[Pair, Pair, tuple[int, ...]]) -> Tensor:
    """Return the sum over the taps of kernels ``[N, o, kh, kw, i]`` on maps ``[N, 1, h, w, i]`` that are padded."""
    stride, dilation, (high, wide) = geometry
    _, count, down, right, depth = kernel.shape
    depthwise = call.node.kind == "DEPTHWISE_CONV_2D"
    if not depthwise and depth != x.shape[-1]:
        raise refused(call.node, "its weights change with the inputs, in groups")
    terms = []
    for row in range(down):
        for column in range(right):
            top, left = row * dilation[0], column * dilation[1]
            part = x[
                :,
                0,
                top : top + (high - 1) * stride[0] + 1 : stride[0],
                left : left + (wide - 1) * stride[1] + 1 : stride[1],
            ]
            weights = kernel[:, :, row, column, :]
            if depthwise:
                part = ops.repeat(part, depth // x.shape[-1], 3) if depth != x.shape[-1] else part
                terms.append(part * ops.reshape(weights, (-1, 1, 1, depth)))
            else:
                flat = ops.reshape(part, (-1, high * wide, depth))
                terms.append(ops.matmul(flat, ops.transpose(weights, (0, 2, 1))))
    total = reduce(operator.add, terms)
    return ops.reshape(total, (-1, high, wide, depth if depthwise else count))
