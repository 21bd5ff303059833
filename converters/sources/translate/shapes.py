"""Operators that give numbers another shape: reshapes, transpositions, depth to space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.ir import constant
from edge_aigc.converters.sources.translate.laid import Array, Laid, complete, moved, regrouped, sizes
from edge_aigc.converters.sources.translate.translation import Held, Operator, Translation, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.sources.translate.translation import Handler


def reshaped(t: Translation, x: Laid, shape: Sequence[int]) -> Laid:
    """Return a tensor in another shape, as ONNX reshapes, moving memory only where there is no other way."""
    shape = tuple(int(size) for size in shape)
    groups = regrouped(x.shape, shape)
    assert groups is not None, f"{list(x.shape)} cannot become {list(shape)}"
    order = x.order
    # An axis that stays itself may lie anywhere; axes that merge or split must follow one another.
    places = [[order.index(axis) for axis in taken] for taken, _ in groups]
    if not all(place == list(range(place[0], place[0] + len(place))) for place in places if place):
        order = _followed(order, groups, rank=len(shape))
        x = t.like(x, tuple(order))
    by_first = {taken[0]: made for taken, made in groups if taken}
    layout = complete(tuple(axis for old in order if old in by_first for axis in by_first[old]), shape)
    return Laid(t.reshape(x.value, sizes(shape, layout)), layout, shape)


def _followed(order: Sequence[int], groups: Sequence[tuple[list[int], list[int]]], *, rank: int) -> list[int]:
    """Return an order of memory in which the axes of each group follow one another.

    Pictures whose channels are last keep them last; else ONNX's own order.
    """
    last = rank == 4 and list(order) != sorted(order)  # noqa: PLR2004 - a picture
    by_place = sorted(groups, key=lambda group: (last and group[1][:1] == [1], group[1]))
    return [axis for taken, _ in by_place for axis in taken]


def _reshape(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    given = op.constant(1) if op.given(1) is not None else np.array(op.attributes["shape"])
    wanted = [int(size) for size in given]
    if not op.attributes.get("allowzero", 0):
        wanted = [x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    if -1 in wanted:
        rest = int(np.prod([size for size in wanted if size != -1]))
        wanted[wanted.index(-1)] = int(np.prod(x.shape)) // rest
    if int(np.prod(wanted)) != int(np.prod(x.shape)):
        raise op.refusal(f"from {list(x.shape)} to {wanted}")
    origin = t.before.get(x)
    if origin is not None and origin.shape == tuple(wanted):
        return [origin]
    result = reshaped(t, x, wanted)
    t.before[result] = x
    return [result]


def _flatten(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    axis = int(op.attributes.get("axis", 1)) % (x.rank + 1)
    return [reshaped(t, x, (int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:]))))]


def _axes(op: Operator, rank: int) -> list[int]:
    given = op.attributes.get("axes")
    if given is None:
        given = op.optional(1)
    return sorted(int(axis) % rank for axis in given) if given is not None else []


def _squeeze(_: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    gone = _axes(op, x.rank) or [axis for axis, size in enumerate(x.shape) if size == 1]
    return [dropped(x, gone)]


def dropped(x: Laid, gone: Sequence[int]) -> Laid:
    """Return a tensor without some axes of size 1; memory stays as it is."""
    kept = [axis for axis in range(x.rank) if axis not in gone]
    layout = tuple(kept.index(axis) if axis in kept else None for axis in x.layout)
    return Laid(x.value, layout, tuple(x.shape[axis] for axis in kept))


def _unsqueeze(_: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    given = op.attributes.get("axes")
    axes = given if given is not None else op.constant(1)
    rank = x.rank + len(axes)
    new = {int(axis) % rank for axis in axes}
    old = [axis for axis in range(rank) if axis not in new]
    shape = [1] * rank
    for place, axis in enumerate(old):
        shape[axis] = x.shape[place]
    return [Laid(x.value, tuple(None if axis is None else old[axis] for axis in x.layout), tuple(shape))]


def _transpose(_: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    perm = [int(axis) for axis in op.attributes.get("perm", range(x.rank)[::-1])]
    return [Laid(x.value, moved(x.layout, perm), tuple(x.shape[axis] for axis in perm))]


def _depth_to_space(t: Translation, op: Operator) -> list[Held]:
    x, block = t.channels_last(op.tensor(0)), int(op.attributes["blocksize"])
    value, depth = x.value, x.shape[1] // block**2
    if _word(op.attributes.get("mode", "DCR")) == "CRD" and depth > 1:
        # ONNX's CRD has the channel before the offsets, the flatbuffer after.
        order = np.arange(x.shape[1]).reshape(depth, block * block).T.reshape(-1)
        value = _channels(t, x, order, fresh=op.fresh)
    made = t.build.depth_to_space(value, block)
    return [Laid(made, x.layout, (x.shape[0], depth, x.shape[2] * block, x.shape[3] * block))]


def _channels(t: Translation, x: Laid, order: Array, *, fresh: bool) -> Any:
    """Return channels in another order: where a convolution makes them and nothing else reads them, in its weights."""
    maker = x.value.producer
    if fresh and maker is not None and maker.kind == "CONV_2D" and maker.input(1).data is not None:
        weights, bias = maker.input(1).data, maker.input(2).data
        assert weights is not None
        assert bias is not None
        maker.inputs[1:3] = [constant(weights[order]), constant(bias[order])]
        return x.value
    return t.build.node("GATHER", [x.value, plain(order)], x.value.shape, option_class="GatherOptions", axis=3)


def _space_to_depth(t: Translation, op: Operator) -> list[Held]:
    x, block = t.channels_last(op.tensor(0)), int(op.attributes["blocksize"])
    made = t.build.space_to_depth(x.value, block)
    return [Laid(made, x.layout, (x.shape[0], x.shape[1] * block**2, x.shape[2] // block, x.shape[3] // block))]


def _shape(_: Translation, op: Operator) -> list[Held]:
    held = op.inputs[0]
    assert held is not None
    begin, end = int(op.attributes.get("start", 0)), op.attributes.get("end")
    return [np.array(held.shape[begin : None if end is None else int(end)], np.int64)]


def _size(_: Translation, op: Operator) -> list[Held]:
    held = op.inputs[0]
    assert held is not None
    return [np.array(int(np.prod(held.shape)), np.int64)]


def _word(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


OPERATORS: Mapping[str, Handler] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Shape": _shape,
    "Size": _size,
}
