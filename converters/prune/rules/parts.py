"""Operators that join axes end to end and take parts of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir.graph import constant
from edge_aigc.converters.prune.rules.known import UnknownError, numbers_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Node
    from edge_aigc.converters.prune.cutting import Cutting
    from edge_aigc.converters.prune.labels import Labels


def concatenation(labels: Labels, node: Node) -> None:
    """End to end along one axis; the others go together."""
    inputs = [labels.read(node, place) for place in range(len(node.inputs))]
    along = int(node.options["axis"]) % len(node.output.shape)
    axes: list[Array | None] = []
    for axis in range(len(node.output.shape)):
        if axis == along:
            axes.append(np.concatenate([side[axis] for side in inputs]))
            continue
        for other in inputs[1:]:
            labels.join(inputs[0][axis], other[axis])
        axes.append(inputs[0][axis])
    labels.give(node.output, axes)


def split(labels: Labels, node: Node) -> None:
    """Inputs: axis, x."""
    (axis,) = numbers_of(node, 0)
    _split(labels, node, 1, axis)


def split_v(labels: Labels, node: Node) -> None:
    """Inputs: x, sizes, axis."""
    (axis,) = numbers_of(node, 2)
    _split(labels, node, 0, axis)


def _split(labels: Labels, node: Node, place: int, axis: int) -> None:
    x = labels.read(node, place)
    axis %= len(x)
    begin = 0
    for output in node.outputs:
        end = begin + output.shape[axis]
        labels.give(output, [part[begin:end] if at == axis else part for at, part in enumerate(x)])
        begin = end


def fit_split(cutting: Cutting, node: Node, new: Node) -> None:
    """Parts that are no longer equal need their sizes told: SPLIT_V."""
    del cutting
    (axis,) = numbers_of(node, 0)
    sizes = [output.shape[axis] for output in new.outputs]
    if len(set(sizes)) == 1:
        return
    new.kind, new.option_class, new.options = "SPLIT_V", "SplitVOptions", {"numSplits": len(sizes)}
    at, x = new.inputs
    new.inputs = [x, constant(np.array(sizes, np.int32), "sizes"), at]


def fit_split_v(cutting: Cutting, node: Node, new: Node) -> None:
    """Write the parts' sizes."""
    (axis,) = numbers_of(node, 2)
    cutting.number(new, 1, [output.shape[axis] for output in new.outputs])


def slice_(labels: Labels, node: Node) -> None:
    """Inputs: x, begin, size."""
    x, begins = labels.read(node, 0), numbers_of(node, 1)
    sizes = node.output.shape
    labels.give(node.output, [axis[b : b + n] for axis, b, n in zip(x, begins, sizes, strict=True)])


def fit_slice(cutting: Cutting, node: Node, new: Node) -> None:
    """Write where it begins now, and the sizes."""
    begins = [cutting.place(node, 0, axis, begin) for axis, begin in enumerate(numbers_of(node, 1))]
    cutting.number(new, 1, begins)
    cutting.number(new, 2, new.output.shape)


def strided_slice(labels: Labels, node: Node) -> None:
    """Inputs: x, begin, end, strides; bits of masks tell where these do not count."""
    x, axes = labels.read(node, 0), []
    for axis, (taken, dropped) in zip(x, _ranges(node), strict=True):
        if dropped or (taken.step != 1 and len(taken) < axis.size):
            labels.freeze(axis, f"{node.kind} takes single places of it")
        if not dropped:
            axes.append(axis[np.arange(axis.size)[_slice(taken)]])
    labels.give(node.output, axes)


def fit_strided_slice(cutting: Cutting, node: Node, new: Node) -> None:
    """Write where it begins and ends now."""
    begins, ends, strides = (numbers_of(node, place) for place in (1, 2, 3))
    for axis, (taken, dropped) in enumerate(_ranges(node)):
        if not dropped and taken.step == 1:
            begins[axis], ends[axis] = (cutting.place(node, 0, axis, at) for at in (taken.start, taken.stop))
            if node.options.get("offset"):
                ends[axis] -= begins[axis]
            for mask in ("beginMask", "endMask"):
                new.options[mask] = int(new.options.get(mask, 0)) & ~(1 << axis)
    for place, told in enumerate((begins, ends, strides), start=1):
        cutting.number(new, place, told)


def _slice(taken: range) -> slice:
    return slice(taken.start, taken.stop if taken.stop >= 0 else None, taken.step)


def _ranges(node: Node) -> list[tuple[range, bool]]:
    """Return the places that are taken of each axis, and whether the axis is dropped.

    With the option `offset` ends are told from where an axis begins: TFLite's `StridedSliceEndForAxis`.
    """
    options = node.options
    begins, ends, strides = (numbers_of(node, place) for place in (1, 2, 3))
    shape = node.input(0).shape
    if options.get("ellipsisMask") or options.get("newAxisMask") or len(begins) != len(shape):
        raise UnknownError(f"{node.kind} with new or omitted axes has no rule")
    found = []
    for axis, size in enumerate(shape):
        bit = 1 << axis
        if int(options.get("shrinkAxisMask", 0)) & bit:
            found.append((range(begins[axis] % size, begins[axis] % size + 1), True))
            continue
        begin = None if int(options.get("beginMask", 0)) & bit else begins[axis]
        end = None if int(options.get("endMask", 0)) & bit else ends[axis]
        if end is not None and options.get("offset"):
            end += slice(begin, None, strides[axis]).indices(size)[0]
        found.append((range(*slice(begin, end, strides[axis]).indices(size)), False))
    return found


def pack(labels: Labels, node: Node) -> None:
    """Put values beside each other along a new axis, whose places stay."""
    inputs = [labels.read(node, place) for place in range(len(node.inputs))]
    for other in inputs[1:]:
        for mine, theirs in zip(inputs[0], other, strict=True):
            labels.join(mine, theirs)
    along = int(node.options["axis"]) % len(node.output.shape)
    new = labels.axis(len(inputs))
    labels.freeze(new, f"{node.kind} puts whole values beside each other")
    labels.give(node.output, [*inputs[0][:along], new, *inputs[0][along:]])


def unpack(labels: Labels, node: Node) -> None:
    """The inverse."""
    x = list(labels.read(node, 0))
    along = int(node.options["axis"]) % len(x)
    labels.freeze(x.pop(along), f"{node.kind} takes single places of it")
    for output in node.outputs:
        labels.give(output, x)


def pad(labels: Labels, node: Node) -> None:
    """PAD and PADV2: inputs: x, amounts before and after."""
    x, amounts = labels.read(node, 0), np.reshape(numbers_of(node, 1), (-1, 2))
    axes: list[Array | None] = [
        np.concatenate([labels.new(before), axis, labels.new(after)]) if before or after else axis
        for axis, (before, after) in zip(x, amounts.tolist(), strict=True)
    ]
    labels.give(node.output, axes)


def fit_pad(cutting: Cutting, node: Node, new: Node) -> None:
    """Write how much is left of what was added."""
    amounts = []
    for axis, (before, _) in enumerate(np.reshape(numbers_of(node, 1), (-1, 2)).tolist()):
        left = cutting.made_place(node, axis, before)
        amounts.append((left, new.output.shape[axis] - new.input(0).shape[axis] - left))
    cutting.number(new, 1, amounts)


def mirror_pad(labels: Labels, node: Node) -> None:
    """What is mirrored stays."""
    x, amounts = labels.read(node, 0), np.reshape(numbers_of(node, 1), (-1, 2))
    padded = [any(pair) for pair in amounts.tolist()]
    labels.give(node.output, [None if grown else axis for axis, grown in zip(x, padded, strict=True)])
    for axis, made, grown in zip(x, labels.of(node.output), padded, strict=True):
        if grown:
            labels.freeze(axis, f"{node.kind} mirrors it")
            labels.freeze(made, f"{node.kind} mirrors it")
