"""Operators that change shapes, join and part tensors, and repeat them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.lift.held import Call, Held


def _reshaped(call: Call) -> Held:
    """Give the same numbers another shape; rows of samples stay one after the other."""
    shape = call.node.output.shape
    return call.from_rows(ops.reshape(call.rows(0), (-1, *shape[1:]) if call.sampled else shape))


def _transpose(call: Call) -> Held:
    order = [int(axis) for axis in call.numbers(1)]
    if order and order[0] == 0:
        return call.from_rows(ops.transpose(call.rows(0), order))
    return call.from_samples(ops.transpose(call.samples(0), (0, *(axis + 1 for axis in order))))


def _concatenation(call: Call) -> Held:
    axis = int(call.option("axis")) % len(call.node.output.shape)
    places = range(len(call.held))
    if axis > 0 and all(call.at(place).sampled == call.sampled for place in places):
        return call.from_rows(ops.concatenate([call.rows(place) for place in places], axis))
    parts = [call.samples(place, repeated=True) for place in places]
    return call.from_samples(ops.concatenate(parts, axis + 1))


def _pack(call: Call) -> Held:
    axis = int(call.option("axis")) % len(call.node.output.shape)
    parts = [call.samples(place, repeated=True) for place in range(len(call.held))]
    return call.from_samples(ops.stack(parts, axis + 1))


def _unpack(call: Call) -> list[Held]:
    axis = call.axis(0, int(call.option("axis")))
    parts = ops.unstack(call.samples(0), num=call.shape(0)[axis], axis=axis + 1)
    return [call.from_samples(part, place) for place, part in enumerate(parts)]


def _parted(call: Call, place: int, axis: int) -> list[Held]:
    """Cut along an axis into the outputs, by their sizes there."""
    x, at, _ = call.along(place, axis)
    give = call.from_samples if call.axis(place, axis) == 0 else call.from_rows
    sizes = [made.shape[call.axis(place, axis)] for made in call.node.outputs]
    parts = ops.split(x, [int(end) for end in np.cumsum(sizes)[:-1]], at)
    return [give(part, number) for number, part in enumerate(parts)]


def _split(call: Call) -> list[Held]:
    return _parted(call, 1, int(call.numbers(0)))


def _split_v(call: Call) -> list[Held]:
    return _parted(call, 0, int(call.numbers(2)))


def _tile(call: Call) -> Held:
    times = [int(count) for count in call.numbers(1)]
    if times and times[0] == 1:
        return call.from_rows(ops.tile(call.rows(0), times))
    return call.from_samples(ops.tile(call.samples(0), [1, *times]))


def _broadcast_to(call: Call) -> Held:
    shape = call.node.output.shape
    count = call.count if call.sampled else 1
    return call.from_samples(ops.broadcast_to(call.at(0).samples(len(shape)), (count, *shape)))


def _reverse(call: Call) -> Held:
    axes = [call.axis(0, int(axis)) for axis in np.atleast_1d(call.numbers(1))]
    if 0 not in axes:
        return call.from_rows(ops.flip(call.rows(0), axes))
    return call.from_samples(ops.flip(call.samples(0), [axis + 1 for axis in axes]))


SHAPES: Mapping[str, Callable[[Call], Held | list[Held]]] = {
    "RESHAPE": _reshaped,
    "SQUEEZE": _reshaped,
    "EXPAND_DIMS": _reshaped,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "UNPACK": _unpack,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "TILE": _tile,
    "BROADCAST_TO": _broadcast_to,
    "REVERSE_V2": _reverse,
}
