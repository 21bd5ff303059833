"""Axes that are folded together and apart again: RESHAPE, and what reads rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir import Array
    from edge_aigc.converters.prune.labels import Axes, Labels


def refolded(labels: Labels, axes: Sequence[Array], old: Sequence[int], new: Sequence[int], kind: str) -> Axes:
    """Return the labels of the same elements in another shape.

    Both shapes are taken apart into the coarsest axes that both are folded from, as far as there are such.

    Args:
        labels: Is edited.
        axes: Labels in the old shape.
        old: Shape.
        new: Shape of as many elements.
        kind: Of the operator, for reasons.
    """
    before = [(axis, size) for axis, size in zip(axes, old, strict=True) if size > 1]
    after = [(labels.axis(size), size) for size in new if size > 1]
    for some, others in _blocks(before, after):
        _related(labels, some, others, kind)
    waiting = iter([axis for axis, _ in after])
    return [next(waiting) if size > 1 else labels.axis(1) for size in new]


def _blocks(
    before: Sequence[tuple[Array, int]], after: Sequence[tuple[Array, int]]
) -> list[tuple[list[Array], list[Array]]]:
    """Return the shortest runs of axes on both sides that hold as many elements."""
    blocks: list[tuple[list[Array], list[Array]]] = []
    left, right = list(before), list(after)
    while left and right:
        some, others = [left.pop(0)], [right.pop(0)]
        while (mine := math.prod(n for _, n in some)) != (theirs := math.prod(n for _, n in others)):
            if mine < theirs:
                some.append(left.pop(0))
            else:
                others.append(right.pop(0))
        blocks.append(([axis for axis, _ in some], [axis for axis, _ in others]))
    return blocks


def _related(labels: Labels, some: Sequence[Array], others: Sequence[Array], kind: str) -> None:
    if len(some) == len(others) == 1:
        labels.join(some[0], others[0])
        return
    parts = _common(some, others)
    if parts is None:
        sizes = " by ".join(str(axis.size) for axis in some), " by ".join(str(axis.size) for axis in others)
        for axis in (*some, *others):
            labels.freeze(axis, f"{kind} folds {sizes[0]} places into {sizes[1]}")
        return
    ends = {math.prod(parts[:count]): count for count in range(len(parts) + 1)}
    owned: dict[int, Array] = {}
    for side in (some, others):
        done = 1
        for axis in side:
            first = ends[done]
            done *= axis.size
            _folded(labels, axis, parts[first : ends[done]], first, owned, f"{kind} folds it with others")


def _folded(
    labels: Labels, axis: Array, sizes: Sequence[int], first: int, owned: dict[int, Array], reason: str
) -> None:
    """Relate an axis to the parts that it is folded from."""
    if len(sizes) == 1:
        if first in owned:
            labels.join(owned[first], axis)
        owned.setdefault(first, axis)
        return
    for place, size in enumerate(sizes, start=first):
        owned.setdefault(place, labels.new(size))
    labels.fold(axis, [owned[first + place] for place in range(len(sizes))], reason)


def _common(some: Sequence[Array], others: Sequence[Array]) -> list[int] | None:
    """Return the sizes of the coarsest axes that both sides are folded from; None if there are none."""
    cuts = {math.prod(axis.size for axis in side[:end]) for side in (some, others) for end in range(1, len(side) + 1)}
    sizes, before = [], 1
    for cut in sorted(cuts):
        if cut % before:
            return None
        sizes.append(cut // before)
        before = cut
    return sizes
