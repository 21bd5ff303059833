"""Operators that take parts, put parts together, or add a border."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.ir import constant
from edge_aigc.converters.sources.translate.laid import Array, Laid, complete, identity, sizes
from edge_aigc.converters.sources.translate.shapes import reshaped
from edge_aigc.converters.sources.translate.translation import Held, Operator, Translation, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.sources.translate.translation import Handler

_SCATTER = "ScatterNdOptions"
_MODES = frozenset({"constant", "reflect", "edge", "wrap"})


def _concat(t: Translation, op: Operator) -> list[Held]:
    held = [entry for entry in op.inputs if entry is not None and 0 not in entry.shape]
    rank = len(held[0].shape)
    axis = int(op.attributes["axis"]) % rank
    tensors = [entry for entry in held if isinstance(entry, Laid)]
    lead = max(tensors, key=lambda x: (int(np.prod(x.shape)), x.order != sorted(x.order)))
    layout = complete(lead.layout, lead.shape)
    place = layout.index(axis)
    shape = list(held[0].shape)
    shape[axis] = sum(int(entry.shape[axis]) for entry in held)
    # A branch that is only moved is moved before: kernels of concatenation take any axis.
    made = t.build.concatenate([t.to(entry, layout) for entry in held], place)
    return [Laid(made, layout, tuple(shape))]


def cut(t: Translation, x: Laid, axis: int, begin: int, size: int) -> Laid:
    """Return a part of a tensor along one axis."""
    if size == x.shape[axis]:
        return x
    x = t.whole(x)
    place = x.place(axis)
    starts, lengths = [0] * len(x.value.shape), list(x.value.shape)
    starts[place], lengths[place] = begin, size
    shape = tuple(size if index == axis else length for index, length in enumerate(x.shape))
    return Laid(t.build.slice(x.value, starts, lengths), x.layout, shape)


def picked(t: Translation, x: Laid, axis: int, indices: Array) -> Laid:
    """Return a tensor with chosen places along an axis, in any order."""
    indices = indices.reshape(-1)
    steps = np.unique(np.diff(indices))
    if len(indices) == 1 or list(steps) == [1]:
        return cut(t, x, axis, int(indices[0]), len(indices))
    x = t.whole(x)
    place = x.place(axis)
    shape = tuple(len(indices) if index == axis else length for index, length in enumerate(x.shape))
    where = sizes(shape, x.layout)
    if len(steps) == 1 and steps[0] > 1:
        starts, ends, strides = [0] * len(where), list(x.value.shape), [1] * len(where)
        starts[place], ends[place], strides[place] = int(indices[0]), int(indices[-1]) + 1, int(steps[0])
        return Laid(t.build.strided_slice(x.value, starts, ends, strides), x.layout, shape)
    made = t.build.node("GATHER", [x.value, plain(indices)], where, option_class="GatherOptions", axis=place)
    return Laid(made, x.layout, shape)


def _slice(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    if "starts" in op.attributes:
        starts, ends = op.attributes["starts"], op.attributes["ends"]
        axes, steps = op.attributes.get("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = list(op.constant(1)), list(op.constant(2))
        axes = range(len(starts)) if op.given(3) is None else list(op.constant(3))
        steps = [1] * len(starts) if op.given(4) is None else list(op.constant(4))
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = int(axis) % x.rank
        indices = np.arange(x.shape[place])[int(start) : _end(int(end), x.shape[place]) : int(step)]
        if not len(indices):
            raise op.refusal("to nothing")
        x = picked(t, x, place, indices)
    return [x]


def _end(end: int, size: int) -> int | None:
    """Return an end as Python's slices take it: far below the beginning means through it."""
    return None if end < -size else end


def _split(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    axis = int(op.attributes.get("axis", 0)) % x.rank
    lengths = op.attributes.get("split")
    if lengths is None:
        lengths = op.optional(1)
    if lengths is None:
        count = int(op.attributes.get("num_outputs", len(op.outputs)))
        each = -(-x.shape[axis] // count)
        lengths = [min(each, x.shape[axis] - each * index) for index in range(count)]
    begins = np.cumsum([0, *[int(length) for length in lengths]])
    return [cut(t, x, axis, int(begin), int(length)) for begin, length in zip(begins[:-1], lengths, strict=True)]


def _gather(t: Translation, op: Operator) -> list[Held]:
    table, indices = op.given(0), op.given(1)
    assert table is not None
    assert indices is not None
    axis = int(op.attributes.get("axis", 0)) % len(table.shape)
    if isinstance(table, Laid) and isinstance(indices, np.ndarray):
        places = np.where(indices < 0, indices + table.shape[axis], indices)
        found = picked(t, table, axis, places)
        if indices.ndim == 1:
            return [found]
        return [reshaped(t, found, (*table.shape[:axis], *indices.shape, *table.shape[axis + 1 :]))]
    source, where = t.plainly(table), t.plainly(indices)
    shape = (*source.shape[:axis], *where.shape, *source.shape[axis + 1 :])
    made = t.build.node("GATHER", [source.value, where.value], shape, option_class="GatherOptions", axis=axis)
    return [Laid(made, identity(len(shape)), shape)]


def _scatter(t: Translation, op: Operator) -> list[Held]:
    """Return a tensor with rows written over: where they go, and they themselves, each scattered into nothing."""
    data, where, rows = (op.given(place) for place in range(3))
    if _word(op.attributes.get("reduction", "none")) != "none" or data is None or where is None or rows is None:
        raise op.refusal("while it sums")
    base, places, updates = t.plainly(data), t.plainly(where), t.plainly(rows)
    shape = np.array(base.shape, np.int32)
    ones = constant(np.ones(updates.shape, np.float32))
    written, hit = (
        t.build.node("SCATTER_ND", [places.value, values, shape], base.shape, dtype="FLOAT32", option_class=_SCATTER)
        for values in (updates.value, ones)
    )
    kept = t.build.mul(base.value, t.build.sub(np.array(1, np.float32), hit))
    return [Laid(t.build.add(kept, written), identity(base.rank), base.shape)]


def _pad(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    mode = _word(op.attributes.get("mode", "constant"))
    pads = op.attributes.get("pads")
    pads = [int(n) for n in (op.constant(1) if pads is None else pads)]
    axes = range(x.rank) if op.given(3) is None else [int(axis) % x.rank for axis in op.constant(3)]
    half = len(pads) // 2
    amounts = {axis: (pads[place], pads[place + half]) for place, axis in enumerate(axes)}
    for axis, (before, after) in list(amounts.items()):
        if min(before, after) < 0:  # a negative pad cuts
            size = x.shape[axis] + min(before, 0) + min(after, 0)
            x = cut(t, x, axis, max(-before, 0), size)
            amounts[axis] = max(before, 0), max(after, 0)
    if not any(map(any, amounts.values())):
        return [x]
    if mode not in _MODES:
        raise op.refusal(f"in the mode {mode!r}")
    if mode in {"edge", "wrap"}:
        return [_repeated(t, x, amounts, mode)]
    fill = 0.0
    if mode == "constant":
        given = op.optional(2)
        fill = float(op.attributes.get("value", 0.0)) if given is None else float(given.reshape(()))
    x = t.whole(x)
    pairs = [(0, 0) if axis is None else amounts.get(axis, (0, 0)) for axis in x.layout]
    made = t.build.mirror_pad(x.value, pairs) if mode == "reflect" else t.build.pad(x.value, pairs, fill)
    shape = tuple(size + sum(amounts.get(axis, (0, 0))) for axis, size in enumerate(x.shape))
    return [Laid(made, x.layout, shape)]


def _repeated(t: Translation, x: Laid, amounts: Mapping[int, tuple[int, int]], mode: str) -> Laid:
    for axis, (before, after) in amounts.items():
        if before or after:
            indices = np.pad(np.arange(x.shape[axis]), (before, after), mode="edge" if mode == "edge" else "wrap")
            x = picked(t, x, axis, indices)
    return x


def _tile(t: Translation, op: Operator) -> list[Held]:
    x = t.whole(op.tensor(0))
    times = [int(n) for n in op.constant(1)]
    shape = tuple(size * n for size, n in zip(x.shape, times, strict=True))
    if shape == x.shape:
        return [x]
    counts = np.array([1 if axis is None else times[axis] for axis in x.layout], np.int32)
    return [
        Laid(
            t.build.node("TILE", [x.value, counts], sizes(shape, x.layout), option_class="TileOptions"), x.layout, shape
        )
    ]


def _word(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


OPERATORS: Mapping[str, Handler] = {
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "ScatterND": _scatter,
    "Pad": _pad,
    "Tile": _tile,
}
