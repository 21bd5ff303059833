"""Convolutions with weights that are the same for every sample; `per_sample.py` has the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import ops

from edge_aigc.converters.ir.windows import dilation_of, padding_of, stride_of
from edge_aigc.converters.lift.maps import LAST
from edge_aigc.converters.lift.per_sample import convolved, fitted, transposed
from edge_aigc.converters.lift.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.lift.held import Call, Held, Tensor


def _biased(call: Call, rows: Tensor, place: int) -> Held:
    """Add a bias, if there is one, to rows with channels last."""
    if not call.has(place):
        return call.from_rows(rows)
    bias = call.at(place)
    if not bias.sampled:
        return call.from_rows(rows + bias.tensor)
    shape = call.node.output.shape
    maps = ops.reshape(rows, (-1, *shape))
    return call.from_samples(maps + bias.samples(len(shape)))


def _conv_2d(call: Call) -> Held:
    if call.at(1).sampled:
        return _biased(call, convolved(call), 2)
    kernel = ops.transpose(call.rows(1), (1, 2, 3, 0))
    groups, rest = divmod(call.shape(0)[3], call.shape(1)[3])
    if rest or call.shape(1)[0] % groups:
        raise refused(call.node, f"kernels of {call.shape(1)[3]} channels do not share out {call.shape(0)[3]}")
    # In parts: TensorFlow has no kernels for groups on CPUs, and compiled ones took 47 times as long (4 groups of 16).
    parts = zip(ops.split(call.rows(0), groups, 3), ops.split(kernel, groups, 3), strict=True)
    made = [
        ops.conv(
            x,
            weights,
            stride_of(call.node),
            padding_of(call.node).lower(),
            data_format=LAST,
            dilation_rate=dilation_of(call.node),
        )
        for x, weights in (parts if groups > 1 else [(call.rows(0), kernel)])
    ]
    return _biased(call, made[0] if groups == 1 else ops.concatenate(made, 3), 2)


def _depthwise(call: Call) -> Held:
    if call.at(1).sampled:
        return _biased(call, convolved(call), 2)
    _, high, wide, count = call.shape(1)
    channels = call.shape(0)[3]
    kernel = ops.reshape(call.rows(1), (high, wide, channels, count // channels))
    made = ops.depthwise_conv(
        call.rows(0),
        kernel,
        stride_of(call.node),
        padding_of(call.node).lower(),
        data_format=LAST,
        dilation_rate=dilation_of(call.node),
    )
    return _biased(call, made, 2)


def _transpose_conv(call: Call) -> Held:
    """Convolve transposed: what SAME or VALID would have read of the output, from which the input came."""
    if call.at(1).sampled:
        return _biased(call, transposed(call), 3)
    stride, sizes = stride_of(call.node), call.shape(2)[1:3]
    kernel, made = ops.transpose(call.rows(1), (1, 2, 0, 3)), call.node.output.shape[1:3]
    same = padding_of(call.node) == "SAME"
    if same and made == (sizes[0] * stride[0], sizes[1] * stride[1]):
        # The whole and a crop took 1.3 to 1.6 times as long in TensorFlow.
        return _biased(call, ops.conv_transpose(call.rows(2), kernel, stride, "same", data_format=LAST), 3)
    whole = ops.conv_transpose(call.rows(2), kernel, stride, "valid", data_format=LAST)
    return _biased(call, _cropped(call, whole, stride, call.shape(1)[1:3]), 3)


def _conv_3d(call: Call) -> Held:
    stride, dilation = _of_volumes(call)
    padding = padding_of(call.node).lower()
    made = ops.conv(call.rows(0), call.rows(1), stride, padding, data_format=LAST, dilation_rate=dilation)
    return _biased(call, made, 2)


def _conv_3d_transpose(call: Call) -> Held:
    """Convolve transposed, as `_transpose_conv`; the weights are ``[d, h, w, o, i]``."""
    stride, _ = _of_volumes(call)
    whole = ops.conv_transpose(call.rows(2), call.rows(1), stride, "valid", data_format=LAST)
    return _biased(call, _cropped(call, whole, stride, call.shape(1)[:3]), 3)


def _cropped(call: Call, whole: Tensor, stride: Sequence[int], reach: Sequence[int]) -> Tensor:
    """Return the part of a whole transposed convolution that belongs to the output, zeros where it ends too early."""
    made = call.node.output.shape[1:-1]
    for axis, (size, step, kernel, want) in enumerate(zip(call.shape(2)[1:-1], stride, reach, made, strict=True), 1):
        before = max((size - 1) * step + kernel - want, 0) // 2
        whole = fitted(whole, axis, -before, want)
    return whole


def _of_volumes(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if call.at(1).sampled:
        raise refused(call.node, "its weights change with the inputs")
    strides = tuple(int(call.option(f"stride{axis}", 1)) for axis in "DHW")
    return strides, tuple(int(call.option(f"dilation{axis}Factor", 1)) for axis in "DHW")


CONVOLUTIONS: Mapping[str, Callable[[Call], Held]] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose_conv,
    "CONV_3D": _conv_3d,
    "CONV_3D_TRANSPOSE": _conv_3d_transpose,
}
