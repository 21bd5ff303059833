"""Pooling over windows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.sources.translate.elementwise import mul
from edge_aigc.converters.sources.translate.windows import PICTURE, out, padded, padding_of, pads_of, window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.ir import Value
    from edge_aigc.converters.sources.translate.laid import Array, Laid
    from edge_aigc.converters.sources.translate.translation import Handler, Held, Operator, Translation

_LOWEST = float(np.finfo(np.float32).min)


def _max_pool(t: Translation, op: Operator) -> list[Held]:
    return [_pooled(t, op, "MAX_POOL_2D", _LOWEST)]


def _average_pool(t: Translation, op: Operator) -> list[Held]:
    return [_pooled(t, op, "AVERAGE_POOL_2D", 0.0)]


def _pooled(t: Translation, op: Operator, kind: str, fill: float) -> Laid:
    x = t.channels_last(op.tensor(0))
    if x.rank > PICTURE:
        raise op.refusal(f"over {x.rank - 2} axes")
    kernel, strides, dilations = window(op, op.attributes["kernel_shape"])
    if list(dilations) != [1, 1]:
        raise op.refusal("with dilated windows")
    sides = list(x.value.shape[1:3])
    padding, amounts = padding_of(op, sides, kernel, strides, dilations)
    counted = bool(op.attributes.get("count_include_pad", 0)) or kind == "MAX_POOL_2D"
    if padding == "SAME" and counted and kind == "AVERAGE_POOL_2D" and _has_pads(op):
        padding, amounts = "VALID", pads_of(op, sides, kernel, strides, dilations)
    value = padded(t, x.value, amounts, fill)
    made = _pool(t, value, kind, kernel, strides, padding)
    result = out(x, made)
    if not counted and any(map(any, amounts)):
        full = math.prod(kernel)
        shares = _share(sides, kernel, strides, amounts) / full
        result = mul(t, result, (1 / shares).astype(np.float32).reshape(made.shape[1:3][-(x.rank - 2) :]))
    return result


def _pool(
    t: Translation, value: Value, kind: str, kernel: Sequence[int], strides: Sequence[int], padding: str
) -> Value:
    sides = [
        -(-n // s) if padding == "SAME" else (n - k) // s + 1
        for n, k, s in zip(value.shape[1:3], kernel, strides, strict=True)
    ]
    return t.build.node(
        kind,
        [value],
        (value.shape[0], *sides, value.shape[3]),
        option_class="Pool2DOptions",
        padding=int(padding == "VALID"),
        strideH=strides[0],
        strideW=strides[1],
        filterHeight=kernel[0],
        filterWidth=kernel[1],
        fusedActivationFunction=0,
    )


def _share(
    sides: Sequence[int], kernel: Sequence[int], strides: Sequence[int], amounts: Sequence[tuple[int, int]]
) -> Array:
    """Return how many elements of each window are no padding."""
    counts = []
    for n, k, s, (before, after) in zip(sides, kernel, strides, amounts, strict=True):
        there = np.pad(np.ones(n), (before, after))
        starts = range(0, len(there) - k + 1, s)
        counts.append(np.array([there[start : start + k].sum() for start in starts]))
    return np.outer(*counts)


def _has_pads(op: Operator) -> bool:
    return any(op.attributes.get("pads", ()))


OPERATORS: Mapping[str, Handler] = {"MaxPool": _max_pool, "AveragePool": _average_pool}
