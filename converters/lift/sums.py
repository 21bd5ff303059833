"""Operators along axes: reductions, running sums, the largest and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from edge_aigc.converters.lift.elementwise import keras_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.lift.held import Call, Held

_SMALLEST_NORM = 1e-6
"""TFLite's l2normalization.h, `epsilon`."""


def _reduction(function: Callable[..., Any]) -> Callable[[Call], Held]:
    def run(call: Call) -> Held:
        axes = sorted({call.axis(0, int(axis)) for axis in np.atleast_1d(call.numbers(1))})
        kept = bool(call.option("keepDims"))
        if axes[:1] == [0] and call.sampled and kept and call.shape(0)[0] == 1:
            axes = axes[1:]
        if not axes:
            return call.from_rows(call.rows(0))
        if axes[0] > 0:
            return call.from_rows(function(call.rows(0), axis=tuple(axes), keepdims=kept))
        places = tuple(axis + 1 for axis in axes)
        return call.from_samples(function(call.samples(0), axis=places, keepdims=kept))

    return run


def _cumsum(call: Call) -> Held:
    x, axis, give = call.along(0, int(call.numbers(1)))
    backward = bool(call.option("reverse", default=False))
    if backward:
        x = ops.flip(x, axis)
    if call.option("exclusive", default=False):
        length = x.shape[axis]
        before = [(1, 0) if place == axis else (0, 0) for place in range(len(x.shape))]
        x = ops.take(ops.pad(x, before), np.arange(length), axis)
    x = ops.cumsum(x, axis)
    return give(ops.flip(x, axis) if backward else x)


def _where(function: Callable[..., Any]) -> Callable[[Call], Held]:
    def run(call: Call) -> Held:
        x, axis, give = call.along(0, int(call.numbers(1)))
        return give(ops.cast(function(x, axis=axis), keras_type(call.node.output.dtype)))

    return run


def _top(call: Call) -> list[Held]:
    x, _, give = call.along(0, -1)
    values, places = ops.top_k(x, int(call.numbers(1)))
    give_places = call.from_rows if give == call.from_rows else call.from_samples
    return [give(values), give_places(ops.cast(places, "int32"), 1)]


def _l2_normalization(call: Call) -> Held:
    x, axis, give = call.along(0, -1)
    norm = ops.sqrt(ops.sum(ops.square(x), axis=axis, keepdims=True))
    return give(x / ops.maximum(norm, _SMALLEST_NORM))


def _local_response(call: Call) -> Held:
    """Divide by the power of the channels near by, as `tf.nn.local_response_normalization`."""
    x, radius = call.rows(0), int(call.option("radius"))
    channels = np.arange(call.shape(0)[-1])
    near = (abs(channels[:, None] - channels) <= radius).astype(np.float32)
    power = float(call.option("bias")) + float(call.option("alpha")) * ops.matmul(ops.square(x), near)
    return call.from_rows(x * ops.power(power, -float(call.option("beta"))))


SUMS: Mapping[str, Callable[[Call], Held | list[Held]]] = {
    "MEAN": _reduction(ops.mean),
    "SUM": _reduction(ops.sum),
    "REDUCE_MAX": _reduction(ops.max),
    "REDUCE_MIN": _reduction(ops.min),
    "REDUCE_PROD": _reduction(ops.prod),
    "REDUCE_ANY": _reduction(ops.any),
    "REDUCE_ALL": _reduction(ops.all),
    "CUMSUM": _cumsum,
    "ARG_MAX": _where(ops.argmax),
    "ARG_MIN": _where(ops.argmin),
    "TOPK_V2": _top,
    "L2_NORMALIZATION": _l2_normalization,
    "LOCAL_RESPONSE_NORMALIZATION": _local_response,
}
