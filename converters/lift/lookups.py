"""Operators that look up and write by index: GATHER and its kin."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from edge_aigc.converters.lift.elementwise import keras_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.lift.held import Call, Held, Tensor


def _gather(call: Call) -> Held:
    return _gathered(call, 0, 1, int(call.option("axis")), int(call.option("batchDims")))


def _embedding(call: Call) -> Held:
    return _gathered(call, 1, 0, 0, 0)


def _gathered(call: Call, source: int, where: int, axis: int, shared: int) -> Held:
    """Take entries along an axis; the first `shared` axes of both are the same ones."""
    shape, axis, shared = call.shape(source), call.axis(source, axis), shared % (len(call.shape(where)) + 1)
    table, places = call.at(source), call.at(where)
    if shared == 0 and not places.sampled:
        rows = table.samples() if table.sampled else table.tensor
        return call.from_samples(ops.take(rows, places.tensor, axis + int(table.sampled)))
    before, outer, inner = shape[:shared], shape[shared:axis], shape[axis + 1 :]
    picked = _picked(
        ops.transpose(
            ops.reshape(call.samples(source), (-1, prod(before), prod(outer), shape[axis], prod(inner))),
            (0, 1, 3, 2, 4),
        ),
        ops.reshape(call.samples(where), (-1, prod(before), prod(places.shape[shared:]))),
        same_table=not table.sampled,
    )
    return call.from_samples(ops.transpose(picked, (0, 1, 3, 2, 4)))


def _picked(table: Tensor, places: Tensor, *, same_table: bool) -> Tensor:
    """Return ``table[n, b, places[n, b, k], o, i]`` for each n, b, k, o, i."""
    _, before, size, outer, inner = table.shape
    if same_table and before == 1:
        rows = ops.take(ops.reshape(table, (size, outer * inner)), places, 0)
        return ops.reshape(rows, (-1, 1, places.shape[2], outer, inner))
    flat = ops.reshape(table, (-1, before, size, outer * inner))
    if same_table:
        flat = flat + ops.cast(ops.zeros_like(places[:, :1, :1, None]), flat.dtype)
    chosen = ops.equal(places[..., None], np.arange(size, dtype=np.int32))
    rows = ops.matmul(ops.cast(chosen, flat.dtype), flat)
    return ops.reshape(rows, (-1, before, places.shape[2], outer, inner))


def _gather_nd(call: Call) -> Held:
    """Take slices by places of several axes, as one place of those axes in a row."""
    shape, places = call.shape(0), call.shape(1)
    depth = places[-1]
    strides = np.array([prod(shape[axis + 1 : depth]) for axis in range(depth)], np.int32)
    flat = ops.sum(ops.cast(call.samples(1), "int32") * strides, axis=-1)
    count, rest = prod(places[:-1]), prod(shape[depth:])
    table = ops.reshape(call.samples(0), (-1, 1, prod(shape[:depth]), 1, rest))
    if not call.at(1).sampled:
        return call.from_samples(ops.take(table, ops.reshape(flat, (count,)), 2))
    flat = ops.reshape(flat, (-1, 1, count))
    return call.from_samples(_picked(table, flat, same_table=not call.at(0).sampled))


def _scatter_nd(call: Call) -> Held:
    """Add slices to zeros, at places that are known."""
    places, shape = call.numbers(0), call.node.output.shape
    depth = places.shape[-1]
    flat = np.asarray(np.ravel_multi_index(tuple(places.reshape(-1, depth).T), shape[:depth]))
    updates = ops.reshape(call.samples(1), (-1, len(flat), prod(shape[depth:])))
    added = ops.segment_sum(ops.transpose(updates, (1, 0, 2)), flat.astype(np.int32), prod(shape[:depth]))
    return call.from_samples(ops.transpose(added, (1, 0, 2)))


def _one_hot(call: Call) -> Held:
    depth, on, off = (call.numbers(place).reshape(()) for place in (1, 2, 3))
    axis = int(call.option("axis")) % len(call.node.output.shape)
    rank = len(call.node.output.shape)
    places = ops.expand_dims(call.samples(0), axis + 1)
    range_shape = [int(depth) if place == axis + 1 else 1 for place in range(rank + 1)]
    hot = ops.equal(ops.cast(places, "int32"), np.arange(int(depth), dtype=np.int32).reshape(range_shape))
    return call.from_samples(ops.cast(ops.where(hot, on, off), keras_type(call.node.output.dtype)))


def _fill(call: Call) -> Held:
    shape = call.node.output.shape
    count = call.count if call.sampled else 1
    return call.from_samples(ops.broadcast_to(call.at(1).samples(len(shape)), (count, *shape)))


LOOKUPS: Mapping[str, Callable[[Call], Held]] = {
    "GATHER": _gather,
    "EMBEDDING_LOOKUP": _embedding,
    "GATHER_ND": _gather_nd,
    "SCATTER_ND": _scatter_nd,
    "ONE_HOT": _one_hot,
    "FILL": _fill,
}
