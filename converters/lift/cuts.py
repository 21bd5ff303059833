"""Operators that cut parts out, put borders around, and write parts into others."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.lift.held import Call, Held, Tensor


def _slice(call: Call) -> Held:
    if not call.is_known(1):
        return _slice_anywhere(call)
    begin, size = (call.numbers(place).tolist() for place in (1, 2))
    shape = call.shape(0)
    return _taken(call, [range(b, n if s < 0 else b + s) for b, s, n in zip(begin, size, shape, strict=True)])


def _slice_anywhere(call: Call) -> Held:
    """Cut where each sample wants it: a product with zeros and ones along each axis that is cut."""
    x, starts = call.samples(0), ops.cast(call.samples(1), "int32")
    for axis, (size, length) in enumerate(zip(call.shape(0), call.node.output.shape, strict=True)):
        if size != length:
            places = starts[:, axis : axis + 1] + np.arange(length, dtype=np.int32)
            x = _picked(x, places, axis + 1)
    return call.from_samples(x)


def _picked(x: Tensor, places: Tensor, axis: int) -> Tensor:
    """Return what stands at some places of an axis of samples, other ones for each; zeros where there is nothing.

    A product with zeros and ones: gathers that differ by sample are slower, and so are their gradients.
    """
    turned = ops.moveaxis(x, axis, 1)
    size, *rest = turned.shape[1:]
    chosen = ops.cast(ops.equal(places[..., None], np.arange(size, dtype=np.int32)), x.dtype)
    moved = ops.matmul(chosen, ops.reshape(turned, (-1, size, prod(rest))))
    return ops.moveaxis(ops.reshape(moved, (-1, places.shape[1], *rest)), 1, axis)


def _strided_slice(call: Call) -> Held:
    begin, end, step = (call.numbers(place).tolist() for place in (1, 2, 3))
    ellipsis, new, shrunk = (int(call.option(f"{name}Mask")) for name in ("ellipsis", "newAxis", "shrinkAxis"))
    from_start, to_end = int(call.option("beginMask")), int(call.option("endMask"))
    shape = call.shape(0)
    ranges: list[range] = []
    for place, (first, last, stride) in enumerate(zip(begin, end, step, strict=True)):
        bit = 1 << place
        if bit & ellipsis:
            explicit = sum(1 for other in range(len(begin)) if not (1 << other) & (new | ellipsis))
            ranges += [range(size) for size in shape[len(ranges) : len(ranges) + len(shape) - explicit]]
        elif not bit & new:
            size = shape[len(ranges)]
            start = None if bit & from_start else first
            from_there = call.option("offset", default=False)  # TFLite, StridedSliceEndForAxis
            stop = last + slice(start, None, stride).indices(size)[0] if from_there else last
            whole = slice(start, None if bit & to_end else stop, stride)
            ranges.append(range(first % size, first % size + 1) if bit & shrunk else range(size)[whole])
    return _taken(call, ranges + [range(size) for size in shape[len(ranges) :]])


def _taken(call: Call, ranges: Sequence[range]) -> Held:
    """Return what stands at some places of each axis, in the output's shape."""
    whole_rows = bool(ranges) and ranges[0] == range(call.shape(0)[0])
    x, shift = (call.rows(0), 0) if whole_rows else (call.samples(0), 1)
    slices = [slice(None)] * shift
    backward = []
    for axis, places in enumerate(ranges):
        if places.step < 0:
            backward.append(axis + shift)
            places = places[::-1]  # noqa: PLW2901 - not every backend steps back
        full = axis + shift == 0 or places == range(call.shape(0)[axis])
        slices.append(slice(None) if full else slice(places.start, places.stop, places.step))
    x = x[tuple(slices)]
    if backward:
        x = ops.flip(x, backward)
    if not whole_rows:
        return call.from_samples(x)
    shape = call.node.output.shape
    return call.from_rows(ops.reshape(x, (-1, *shape[1:])) if call.sampled else x)


def _pad(call: Call) -> Held:
    value = float(call.numbers(2).reshape(())) if call.has(2) else 0.0
    return _padded(call, "constant", value)


def _mirror_pad(call: Call) -> Held:
    if int(call.option("mode")) == 0:
        return _padded(call, "reflect", None)
    # Not Keras's "symmetric", which PyTorch lacks.
    x = call.samples(0)
    for axis, amounts in enumerate(call.numbers(1).tolist()):
        if any(amounts):
            x = ops.take(x, np.pad(np.arange(call.shape(0)[axis]), amounts, "symmetric"), axis + 1)
    return call.from_samples(x)


def _padded(call: Call, mode: Literal["constant", "reflect"], value: float | None) -> Held:
    amounts = [(int(before), int(after)) for before, after in call.numbers(1)]
    if amounts[0] == (0, 0):
        return call.from_rows(ops.pad(call.rows(0), amounts, mode, constant_values=value))
    return call.from_samples(ops.pad(call.samples(0), [(0, 0), *amounts], mode, constant_values=value))


def _update(call: Call) -> Held:
    """Write a part into a tensor, at a place that each sample may choose."""
    x, part = (call.samples(place, repeated=True) for place in (0, 1))
    starts = call.samples(2)
    written = None
    for axis, (size, length) in enumerate(zip(call.shape(0), call.shape(1), strict=True)):
        if size == length:
            continue
        # As the kernel does: a start that leaves no room for the part is moved.
        start = ops.clip(starts[:, axis], 0, size - length)
        offsets = ops.arange(size, dtype="int32") - ops.reshape(ops.cast(start, "int32"), (-1, 1))
        part, inside = _moved(part, offsets, axis + 1, length)
        written = inside if written is None else ops.logical_and(written, inside)
    return call.from_samples(part if written is None else ops.where(written, part, x))


def _moved(part: Tensor, offsets: Tensor, axis: int, length: int) -> tuple[Tensor, Tensor]:
    """Return a part laid out along the whole of an axis, and where it is.

    Args:
        part: Samples.
        offsets: For each sample and each place of the axis, the place in the part that belongs there.
        axis: Of the samples.
        length: Of the part, there.
    """
    rank, size = len(part.shape), offsets.shape[1]
    wide = [-1 if place == 0 else size if place == axis else 1 for place in range(rank)]
    inside = ops.logical_and(ops.greater_equal(offsets, 0), ops.less(offsets, length))
    if length > 1:
        part = _picked(part, offsets, axis)
    return part, ops.reshape(inside, wide)


CUTS: Mapping[str, Callable[[Call], Held]] = {
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _mirror_pad,
    "DYNAMIC_UPDATE_SLICE": _update,
}
