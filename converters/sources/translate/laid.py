"""Tensors whose axes lie in memory in another order than ONNX names them.

ONNX thinks (batch, channels, rows, columns); the flatbuffer's kernels want channels last. A `Laid`
remembers which ONNX axis each axis in memory holds, so that a transposition is a change of names
until an operator cares, and most are never made. Axes of size 1 may be missing from memory or lie
there without a name (None): taking them away and putting them in costs nothing either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir import Value

Array: TypeAlias = NDArray[Any]
Layout: TypeAlias = tuple[int | None, ...]
"""For each axis in memory the ONNX axis that it holds; None: one of size 1 that ONNX does not have."""

CHANNELS_LAST: dict[int, Layout] = {
    2: (0, 1),
    # Sound: rows of one, so that the kernels of pictures run it.
    3: (0, None, 2, 1),
    4: (0, 2, 3, 1),
    5: (0, 2, 3, 4, 1),
}
"""By rank, how windows want their input."""


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A tensor of the flatbuffer's graph, and how it holds the ONNX one."""

    value: Value
    layout: Layout
    shape: tuple[int, ...]
    """As ONNX sees it."""

    @property
    def rank(self) -> int:
        """Return the number of axes that ONNX sees."""
        return len(self.shape)

    def place(self, axis: int) -> int:
        """Return where in memory an ONNX axis lies; it must lie there."""
        return self.layout.index(axis % self.rank)

    @property
    def order(self) -> list[int]:
        """Return the ONNX axes longer than 1 in the order of memory."""
        return [axis for axis in self.layout if axis is not None and self.shape[axis] > 1]


def identity(rank: int) -> Layout:
    """Return the layout that is ONNX's own."""
    return tuple(range(rank))


def sizes(shape: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """Return the shape in memory."""
    return tuple(1 if axis is None else int(shape[axis]) for axis in layout)


def laid_array(data: Array, layout: Layout, rank: int) -> Array:
    """Return a constant in a layout of a tensor of some rank, to which it broadcasts; missing axes must be 1."""
    data = data.reshape((1,) * (rank - data.ndim) + data.shape)
    named = [axis for axis in layout if axis is not None]
    rest = [axis for axis in range(rank) if axis not in named]
    assert all(data.shape[axis] == 1 for axis in rest), "an axis that is not in memory"
    return np.ascontiguousarray(data.transpose([*rest, *named]).reshape(sizes(data.shape, layout)))


def moved(layout: Layout, perm: Sequence[int]) -> Layout:
    """Return the layout of the same memory after an ONNX transposition."""
    new = {old: place for place, old in enumerate(perm)}
    return tuple(None if axis is None else new[axis] for axis in layout)


def complete(layout: Layout, shape: Sequence[int]) -> Layout:
    """Return a layout with every axis in it, the missing ones where they make the most usual order."""
    rank = len(shape)
    named = [axis for axis in layout if axis is not None]
    missing = [axis for axis in range(rank) if axis not in named]
    if not missing:
        return layout
    long = [axis for axis in named if shape[axis] > 1]
    for usual in (identity(rank), CHANNELS_LAST.get(rank, ())):
        if long and [axis for axis in usual if axis in long] == long:
            return usual
    return (*missing, *named)


def regrouped(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]] | None:
    """Return which axes longer than 1 a reshape makes of which; None where the sizes do not agree.

    Args:
        old: The shape before.
        new: The shape after.
    """
    before = [axis for axis, size in enumerate(old) if size > 1]
    after = [axis for axis, size in enumerate(new) if size > 1]
    groups: list[tuple[list[int], list[int]]] = []
    while before or after:
        taken: list[int] = []
        made: list[int] = []
        left = right = 1
        while not taken or left != right:
            if (left <= right and before) or not after:
                if not before:
                    return None
                taken.append(before.pop(0))
                left *= old[taken[-1]]
            else:
                made.append(after.pop(0))
                right *= new[made[-1]]
        groups.append((taken, made))
    return groups
