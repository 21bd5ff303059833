"""Operators that slide a window: convolutions, transposed convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.sources.translate.elementwise import add
from edge_aigc.converters.sources.translate.laid import CHANNELS_LAST, Array, Laid
from edge_aigc.converters.sources.translate.translation import Held, Operator, Translation, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.ir import Value
    from edge_aigc.converters.sources.translate.translation import Handler

PICTURE = 4
"""Axes of a picture, batch and channels included."""


def _conv(t: Translation, op: Operator) -> list[Held]:
    x = _input(t, op)
    if isinstance(op.given(1), Laid):
        return [_conv_computed(t, op, x)]
    weights = plain(op.constant(1))
    if x.rank > PICTURE:
        return [_conv_3d(t, op, x, weights)]
    bias = op.optional(2)
    kernel, strides, dilations = window(op, weights.shape[2:])
    groups = int(op.attributes.get("group", 1))
    spatial = list(x.value.shape[1:3])
    padding, amounts = padding_of(op, spatial, kernel, strides, dilations)
    value = padded(t, x.value, amounts)
    picture = weights.reshape(*weights.shape[:2], *kernel)
    make, laid = t.build.conv_2d, picture.transpose(0, 2, 3, 1)
    if groups > 1 and picture.shape[1] == 1:
        make, laid = t.build.depthwise_conv_2d, picture.transpose(1, 2, 3, 0)
    made = make(
        value,
        np.ascontiguousarray(laid),
        None if bias is None else plain(bias),
        stride=strides,
        dilation=dilations,
        padding=padding,
    )
    return [out(x, made)]


def _input(t: Translation, op: Operator) -> Laid:
    """Return what the window slides over, channels last; a generator may begin with a learned constant."""
    held = op.given(0)
    return t.channels_last(op.tensor(0) if held is None or isinstance(held, Laid) else plain(held))


def _conv_computed(t: Translation, op: Operator, x: Laid) -> Laid:
    """Return a convolution whose weights are computed, as a style modulates them."""
    weights = op.tensor(1)
    if x.rank != PICTURE or int(op.attributes.get("group", 1)) != 1:
        raise op.refusal("with computed weights in groups, or over other than two axes")
    kernel, strides, dilations = window(op, weights.shape[2:])
    padding, amounts = padding_of(op, list(x.value.shape[1:3]), kernel, strides, dilations)
    bias = op.optional(2)
    made = t.build.conv_2d(
        padded(t, x.value, amounts),
        t.to(weights, (0, 2, 3, 1)),
        None if bias is None else plain(bias),
        stride=strides,
        dilation=dilations,
        padding=padding,
    )
    return out(x, made)


def _conv_3d(t: Translation, op: Operator, x: Laid, weights: Array) -> Laid:
    strides = op.attributes.get("strides", [1] * 3)
    dilations = op.attributes.get("dilations", [1] * 3)
    amounts = pads_of(op, list(x.value.shape[1:4]), list(weights.shape[2:]), strides, dilations)
    value = padded(t, x.value, amounts)
    spans = [(k - 1) * d + 1 for k, d in zip(weights.shape[2:], dilations, strict=True)]
    sides = [(n - span) // s + 1 for n, span, s in zip(value.shape[1:4], spans, strides, strict=True)]
    bias = op.optional(2)
    options: dict[str, Any] = {"padding": 1}  # Padding.VALID
    options |= {f"stride{axis}": int(n) for axis, n in zip("DHW", strides, strict=True)}
    options |= {f"dilation{axis}Factor": int(n) for axis, n in zip("DHW", dilations, strict=True)}
    made = t.build.node(
        "CONV_3D",
        [value, np.ascontiguousarray(weights.transpose(2, 3, 4, 1, 0)), *([] if bias is None else [plain(bias)])],
        (value.shape[0], *sides, weights.shape[0]),
        option_class="Conv3DOptions",
        **options,
    )
    return out(x, made)


def _conv_transpose(t: Translation, op: Operator) -> list[Held]:
    """Return TRANSPOSE_CONV where its padding is the same, else an unpadded one, cropped."""
    x = _input(t, op)
    if x.rank > PICTURE:
        raise op.refusal(f"over {x.rank - 2} axes")
    laid, kernel, strides = _upward_kernel(t, op)
    sides = x.value.shape[1], x.value.shape[2]
    amounts, extra = _transposed_pads(op, sides, kernel, strides, x.rank)
    wanted = [
        (n - 1) * s + k - before - after + more
        for n, s, k, (before, after), more in zip(sides, strides, kernel, amounts, extra, strict=True)
    ]
    given = op.optional(2)
    bias = None if given is None else plain(given)
    if all(
        n * s == out and _same_before(n, s, k, out) == before and k >= s
        for n, s, k, out, (before, _) in zip(sides, strides, kernel, wanted, amounts, strict=True)
    ):
        made = t.build.transpose_conv(x.value, laid, bias, (wanted[0], wanted[1]), stride=strides, padding="SAME")
        return [out(x, made)]
    full = [(n - 1) * s + k for n, s, k in zip(sides, strides, kernel, strict=True)]
    missing = [max(0, before + out - have) for (before, _), out, have in zip(amounts, wanted, full, strict=True)]
    late = bias if any(missing) else None
    made = t.build.transpose_conv(
        x.value, laid, None if late is not None else bias, (full[0], full[1]), stride=strides, padding="VALID"
    )
    if any(missing):
        made = t.build.pad(made, [(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)])
    if list(made.shape[1:3]) != wanted:
        begin = [0, amounts[0][0], amounts[1][0], 0]
        made = t.build.slice(made, begin, [made.shape[0], *wanted, made.shape[3]])
    result = out(x, made)
    return [result if late is None else add(t, result, late.reshape(-1, *[1] * (x.rank - 2)))]


def _upward_kernel(t: Translation, op: Operator) -> tuple[Value | Array, tuple[int, int], tuple[int, int]]:
    """Return a transposed convolution's weights [o, kh, kw, i], their size and the strides."""
    held = op.given(1)
    if isinstance(held, Laid):
        kernel, strides, dilations = window(op, held.shape[2:])
        if held.rank != PICTURE or int(op.attributes.get("group", 1)) != 1 or dilations != (1, 1):
            raise op.refusal("with computed weights in groups, dilated, or over other than two axes")
        return t.to(held, (1, 2, 3, 0)), kernel, strides
    weights = plain(op.constant(1))
    kernel, strides, dilations = window(op, weights.shape[2:])
    weights = _dense(weights, int(op.attributes.get("group", 1)))
    weights = _spread(weights.reshape(*weights.shape[:2], *kernel), dilations)
    return np.ascontiguousarray(weights.transpose(1, 2, 3, 0)), (weights.shape[2], weights.shape[3]), strides


def _same_before(size: int, stride: int, kernel: int, out: int) -> int:
    """Return what SAME takes away at the beginning: `ComputePaddingHeightWidth` of TFLite's padding.h."""
    return max((size - 1) * stride + kernel - out, 0) // 2


def _transposed_pads(
    op: Operator, sides: Sequence[int], kernel: Sequence[int], strides: Sequence[int], rank: int
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the amounts taken away on each side and the rows and columns added at the end."""
    count = rank - 2
    extra = _two(op.attributes.get("output_padding", [0] * count), 0)
    automatic = _word(op.attributes.get("auto_pad", "NOTSET"))
    wanted = op.attributes.get("output_shape")
    if wanted is None and automatic not in {"SAME_UPPER", "SAME_LOWER"}:
        return _pairs(op.attributes.get("pads", [0] * 2 * count)), extra
    outs = _two(wanted[-count:], 1) if wanted is not None else [n * s for n, s in zip(sides, strides, strict=True)]
    amounts = []
    for n, s, k, out, more in zip(sides, strides, kernel, outs, extra, strict=True):
        total = (n - 1) * s + k + more - out
        # ONNX, ConvTranspose: SAME_UPPER takes the smaller half at the beginning, all else the larger.
        before = total // 2 if automatic == "SAME_UPPER" else total - total // 2
        amounts.append((before, total - before))
    return amounts, extra


def _dense(weights: Array, groups: int) -> Array:
    """Return the weights [i, o / groups, …] of a grouped transposed convolution as [i, o, …] with zeros."""
    if groups == 1:
        return weights
    depth, made = weights.shape[0] // groups, weights.shape[1]
    wide = np.zeros((weights.shape[0], made * groups, *weights.shape[2:]), weights.dtype)
    for group in range(groups):
        rows = slice(group * depth, (group + 1) * depth)
        wide[rows, group * made : (group + 1) * made] = weights[rows]
    return wide


def _spread(weights: Array, dilations: Sequence[int]) -> Array:
    """Return a dilated kernel as a larger one with zeros."""
    if list(dilations) == [1, 1]:
        return weights
    spans = [(k - 1) * d + 1 for k, d in zip(weights.shape[2:], dilations, strict=True)]
    wide = np.zeros((*weights.shape[:2], *spans), weights.dtype)
    wide[:, :, :: dilations[0], :: dilations[1]] = weights
    return wide


def window(op: Operator, kernel: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return kernel, strides and dilations, each down and right; sound is a row."""
    count = len(kernel)
    down, right = _two(kernel, 1)
    strides = _two(op.attributes.get("strides", [1] * count), 1)
    dilations = _two(op.attributes.get("dilations", [1] * count), 1)
    return (down, right), (strides[0], strides[1]), (dilations[0], dilations[1])


def padding_of(
    op: Operator, sides: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[Any, list[tuple[int, int]]]:
    """Return SAME where that is what ONNX asks for, else VALID and the amounts to pad before."""
    amounts = pads_of(op, sides, kernel, strides, dilations)
    same = [_same(n, k, s, d) for n, k, s, d in zip(sides, kernel, strides, dilations, strict=True)]
    if amounts == same and any(map(any, amounts)):
        return "SAME", [(0, 0)] * len(amounts)
    return "VALID", amounts


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def pads_of(
    op: Operator, sides: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the amounts to pad before and after, one pair an axis: as given, automatic, or grown by `ceil_mode`."""
    automatic = _word(op.attributes.get("auto_pad", "NOTSET"))
    if automatic in {"SAME_UPPER", "SAME_LOWER"}:
        same = [_same(n, k, s, d) for n, k, s, d in zip(sides, kernel, strides, dilations, strict=True)]
        return same if automatic == "SAME_UPPER" else [(after, before) for before, after in same]
    given = op.attributes.get("pads", [0] * 2 * len(sides))
    amounts = _pairs(given)
    if not op.attributes.get("ceil_mode", 0):
        return amounts
    grown = []
    for n, k, s, (before, after) in zip(sides, kernel, strides, amounts, strict=True):
        count = -(-(n + before + after - k) // s) + 1
        # A window that would begin in the padding at the end is left out, as PyTorch and ONNX do.
        count -= (count - 1) * s >= n + before
        grown.append((before, max(after, (count - 1) * s + k - n - before)))
    return grown


def _pairs(pads: Sequence[int]) -> list[tuple[int, int]]:
    """Return ONNX's beginnings and ends as pairs, one an axis; sound gets a row without."""
    half = len(pads) // 2
    pairs = [(int(before), int(after)) for before, after in zip(pads[:half], pads[half:], strict=True)]
    return [(0, 0), *pairs] if half == 1 else pairs


def _two(values: Sequence[int], fill: int) -> list[int]:
    listed = [int(value) for value in values]
    return [fill, *listed] if len(listed) == 1 else listed


def padded(t: Translation, value: Value, amounts: Sequence[tuple[int, int]], fill: float = 0.0) -> Value:
    """Return a picture with a border."""
    if not any(map(any, amounts)):
        return value
    return t.build.pad(value, [(0, 0), *amounts, (0, 0)], fill)


def out(x: Laid, made: Value) -> Laid:
    """Return what a window made of a tensor, channels last as that was."""
    layout = CHANNELS_LAST[x.rank]
    found = {axis: made.shape[place] for place, axis in enumerate(layout) if axis is not None}
    return Laid(made, layout, tuple(found[axis] for axis in range(x.rank)))


def _word(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


OPERATORS: Mapping[str, Handler] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
}
