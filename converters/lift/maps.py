"""Operators on maps without weights: resizing, pools, channels to pixels and back, batches of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from edge_aigc.converters.ir.windows import padding_of, same_padding, stride_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.ir import Array
    from edge_aigc.converters.ir.windows import Pair
    from edge_aigc.converters.lift.held import Call, Held, Tensor

LAST = "channels_last"


def _resize_nearest(call: Call) -> Held:
    _, high, wide, _ = call.shape(0)
    x = call.rows(0)
    for axis, (size, made) in enumerate(zip((high, wide), call.node.output.shape[1:3], strict=True), 1):
        places = _nearest_places(call, size, made)
        factor = made // size
        if np.array_equal(places, np.repeat(np.arange(size), factor)):
            x = x if factor == 1 else ops.repeat(x, factor, axis)
        else:
            x = _mixed(x, np.eye(size, dtype=np.float32)[places], axis)
    return call.from_rows(x)


def _nearest_places(call: Call, size: int, made: int) -> Array:
    """Return which pixel each new one shows: TFLite's resize_nearest_neighbor.h."""
    aligned, half = (bool(call.option(name, default=False)) for name in ("alignCorners", "halfPixelCenters"))
    scale = np.float32((size - 1) / (made - 1) if aligned and made > 1 else size / made)
    exact = (np.arange(made, dtype=np.float32) + np.float32(0.5 if half else 0.0)) * scale
    # C's round: halves away from zero, and the places are not negative.
    places = np.floor(exact + np.float32(0.5)) if aligned else np.floor(exact)
    found: Array = np.clip(places, 0, size - 1).astype(np.int64)
    return found


def _resize_bilinear(call: Call) -> Held:
    _, high, wide, _ = call.shape(0)
    tall, broad = call.node.output.shape[1:3]
    half = bool(call.option("halfPixelCenters", default=False))
    if half and tall >= high and broad >= wide:
        return call.from_rows(ops.image.resize(call.rows(0), (tall, broad), "bilinear", data_format=LAST))
    x = _mixed(call.rows(0), _bilinear_matrix(call, high, tall), 1)
    return call.from_rows(_mixed(x, _bilinear_matrix(call, wide, broad), 2))


def _bilinear_matrix(call: Call, size: int, made: int) -> Array:
    """Return the shares that each new row has of the old ones: TFLite's resize_bilinear.h."""
    aligned, half = (bool(call.option(name, default=False)) for name in ("alignCorners", "halfPixelCenters"))
    scale = np.float32((size - 1) / (made - 1) if aligned and made > 1 else size / made)
    places = np.arange(made, dtype=np.float32)
    exact = (places + np.float32(0.5)) * scale - np.float32(0.5) if half else places * scale
    lower = np.maximum(np.floor(exact), 0).astype(np.int64)
    upper = np.minimum(np.ceil(exact), size - 1).astype(np.int64)
    share = (exact - lower.astype(np.float32))[:, None]
    one = np.eye(size, dtype=np.float32)
    matrix: Array = one[np.minimum(lower, size - 1)] * (1 - share) + one[upper] * share
    return matrix


def _mixed(x: Tensor, matrix: Array, axis: int) -> Tensor:
    """Return maps whose rows (axis 1) or columns (axis 2) are mixed from the old ones by a matrix."""
    _, high, wide, channels = x.shape
    made, size = matrix.shape
    if np.array_equal(matrix, np.eye(size)):
        return x
    if axis == 1:
        return ops.reshape(ops.matmul(matrix, ops.reshape(x, (-1, high, wide * channels))), (-1, made, wide, channels))
    return ops.reshape(ops.matmul(matrix, ops.reshape(x, (-1, wide, channels))), (-1, high, made, channels))


def _depth_to_space(call: Call) -> Held:
    _, high, wide, depth = call.shape(0)
    block = int(call.option("blockSize"))
    x = ops.reshape(call.rows(0), (-1, high, wide, block, block, depth // block**2))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return call.from_rows(ops.reshape(x, (-1, high * block, wide * block, depth // block**2)))


def _space_to_depth(call: Call) -> Held:
    _, high, wide, depth = call.shape(0)
    block = int(call.option("blockSize"))
    x = ops.reshape(call.rows(0), (-1, high // block, block, wide // block, block, depth))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return call.from_rows(ops.reshape(x, (-1, high // block, wide // block, depth * block**2)))


def _space_to_batch(call: Call) -> Held:
    blocks, pads = [int(n) for n in call.numbers(1)], call.numbers(2).tolist()
    batch, *sizes = call.shape(0)
    count = len(blocks)
    rest = sizes[count:]
    x = ops.pad(call.samples(0), [(0, 0), (0, 0), *pads, *[(0, 0)] * len(rest)])
    spread = [
        n for size, pad, block in zip(sizes, pads, blocks, strict=False) for n in ((size + sum(pad)) // block, block)
    ]
    x = ops.reshape(x, (-1, batch, *spread, *rest))
    inner = [3 + 2 * place for place in range(count)]
    outer = [2 + 2 * place for place in range(count)]
    last = range(2 + 2 * count, 2 + 2 * count + len(rest))
    return call.from_samples(ops.transpose(x, (0, *inner, 1, *outer, *last)))


def _batch_to_space(call: Call) -> Held:
    blocks, crops = [int(n) for n in call.numbers(1)], call.numbers(2).tolist()
    batch, *sizes = call.shape(0)
    count, made = len(blocks), batch // int(np.prod(blocks))
    rest = sizes[count:]
    x = ops.reshape(call.samples(0), (-1, *blocks, made, *sizes))
    paired = [axis for place in range(count) for axis in (2 + count + place, 1 + place)]
    last = range(2 + 2 * count, 2 + 2 * count + len(rest))
    x = ops.transpose(x, (0, 1 + count, *paired, *last))
    whole = [size * block for size, block in zip(sizes, blocks, strict=False)]
    x = ops.reshape(x, (-1, made, *whole, *rest))
    cut = tuple(slice(first, size - after) for size, (first, after) in zip(whole, crops, strict=True))
    return call.from_samples(x[(slice(None), slice(None), *cut)])


def _max_pool(call: Call) -> Held:
    padding = padding_of(call.node).lower()
    return call.from_rows(ops.max_pool(call.rows(0), _window(call), stride_of(call.node), padding, data_format=LAST))


def _average_pool(call: Call) -> Held:
    """Average what lies within the maps; what SAME adds around them does not count."""
    size, stride, x = _window(call), stride_of(call.node), call.rows(0)
    if padding_of(call.node) == "VALID":
        return call.from_rows(ops.average_pool(x, size, stride, "valid", data_format=LAST))
    # Not Keras's "same", which averages otherwise on PyTorch.
    amounts = [same_padding(n, k, s) for n, k, s in zip(call.shape(0)[1:3], size, stride, strict=True)]
    counted = [
        np.array([sum(before <= start + at < before + n for at in range(k)) / k for start in range(0, made * s, s)])
        for n, k, s, made, (before, _) in zip(
            call.shape(0)[1:3], size, stride, call.node.output.shape[1:3], amounts, strict=True
        )
    ]
    whole = ops.average_pool(ops.pad(x, [(0, 0), *amounts, (0, 0)]), size, stride, "valid", data_format=LAST)
    share = np.outer(*counted).astype(np.float32)[None, :, :, None]
    return call.from_rows(whole * ops.convert_to_tensor(1 / share))


def _window(call: Call) -> Pair:
    return int(call.option("filterHeight")), int(call.option("filterWidth"))


MAPS: Mapping[str, Callable[[Call], Held]] = {
    "RESIZE_NEAREST_NEIGHBOR": _resize_nearest,
    "RESIZE_BILINEAR": _resize_bilinear,
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "MAX_POOL_2D": _max_pool,
    "AVERAGE_POOL_2D": _average_pool,
}
