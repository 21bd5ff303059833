"""Which places of which axes can only go together: a label a place, and what joins labels.

Every axis of every value carries an array of labels, one a place. The rules of the operators join those that must go
together (an ADD's place by place), and freeze those that must stay (what a window slides along). What is joined in the
end is one *class*, told by its *root*.

An axis that a RESHAPE folds from several has no label of its own a place: what goes must be a whole slice of one of
them. Which one *carries* the folded axis is decided last: the only one that is not frozen, else the one that is liked
best (heads of an attention, whole groups of a group norm), else one that joins nothing else, else the last (channels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_aigc.converters.prune.classes import LONE, Classes, united

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_aigc.converters.ir import Array, Node, Value

Axes: TypeAlias = "list[Array]"
"""Of one tensor: the labels of each axis."""
Key: TypeAlias = "int | tuple[int, int]"
"""Of a computed value its id; of a constant the id of the node that reads it, and at which place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tensor that has labels: a computed value, or one reading of a constant, which others may read, too."""

    value: Value
    reader: Node | None
    """Of a constant."""
    axes: Axes


def alike(value: Value, axis: int) -> bool:
    """Return whether all places along an axis of a constant hold the same."""
    assert value.data is not None, f"{value} is not constant"
    return value.size == 0 or bool((value.data == value.data.take([0], axis)).all())


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An axis that a node makes anew, or sums over."""

    node: Node
    key: Key
    axis: int
    labels: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fold:
    """An axis that is folded from others, the last of them the fastest."""

    whole: Array
    parts: Sequence[Array]
    reason: str

    def places(self, part: int) -> Array:
        """Return of each place of the whole which of a part it is."""
        return np.unravel_index(np.arange(self.whole.size), [one.size for one in self.parts])[part]


class Labels:
    """The labels of a graph; rules edit them.

    Attributes:
        entries: All tensors that have labels, by key, in the order of the graph.
        made: Axes whose places are channels that weights make.
        taken: Axes that an operator sums over.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.entries: dict[Key, Entry] = {}
        self.made: list[Mark] = []
        self.taken: list[Mark] = []
        self._classes = Classes()
        self._folds: list[_Fold] = []
        self._readings: dict[int, Axes] = {}
        """The first of each constant."""
        self._liked: list[tuple[Array, float]] = []

    def new(self, count: int) -> Array:
        """Return labels that nothing joins yet."""
        return self._classes.new(count)

    def axis(self, size: int) -> Array:
        """Return the labels of a new axis; the only place of one stays."""
        labels = self.new(size)
        if size == 1:
            self._classes.freeze(labels, LONE)
        return labels

    def of(self, value: Value) -> Axes:
        """Return the labels of a computed value."""
        return self._entry(id(value), value, None).axes

    def read(self, node: Node, place: int) -> Axes:
        """Return the labels of what a node reads at a place."""
        value = node.input(place)
        return self.of(value) if value.data is None else self._entry((id(node), place), value, node).axes

    def _entry(self, key: Key, value: Value, reader: Node | None) -> Entry:
        if key not in self.entries:
            axes = [self.axis(size) for size in value.shape]
            self.entries[key] = Entry(value=value, reader=reader, axes=axes)
            if reader is not None and value.dtype == "FLOAT32":
                self._share(value, axes)
        return self.entries[key]

    def _share(self, value: Value, axes: Axes) -> None:
        """Have a constant's places go for all that read it: it stays one.

        Where all places of an axis are alike, as zeros are that a converter wrote once for many layers, only their
        number matters, and each reader has its own.
        """
        first = self._readings.setdefault(id(value), axes)
        for place, (mine, theirs) in enumerate(zip(axes, first, strict=True)):
            if mine is not theirs and not alike(value, place):
                self.join(mine, theirs)

    def give(self, value: Value, axes: Sequence[Array | None]) -> None:
        """Say which labels a computed value has, axis by axis; None: new ones."""
        assert [None if a is None else a.size for a in axes] == [
            None if a is None else n for a, n in zip(axes, value.shape, strict=True)
        ], f"{value} has no such axes"
        if id(value) in self.entries:
            for mine, theirs in zip(self.of(value), axes, strict=True):
                if theirs is not None:
                    self.join(mine, theirs)
            return
        given = [self.axis(size) if axis is None else axis for axis, size in zip(axes, value.shape, strict=True)]
        self.entries[id(value)] = Entry(value=value, reader=None, axes=given)

    def join(self, a: Array, b: Array) -> None:
        """Have two axes of one size go together, place by place."""
        self._classes.join(a, b)

    def freeze(self, labels: Array, reason: str) -> None:
        """Have places stay, and say why."""
        self._classes.freeze(labels, reason)

    def fold(self, whole: Array, parts: Sequence[Array], reason: str) -> None:
        """Say that an axis is folded from others, the last of them the fastest."""
        self._folds.append(_Fold(whole=whole, parts=parts, reason=reason))

    def like(self, labels: Array, much: float) -> None:
        """Say how good a unit of pruning an axis is, against others that one axis is folded from; 0 unless said."""
        self._liked.append((labels, much))

    def makes(self, node: Node, place: int, axis: int) -> Array:
        """Mark an axis of the weights that a node reads as the channels that it makes; return its labels."""
        return self._mark(self.made, node, place, axis)

    def sums(self, node: Node, place: int, axis: int) -> Array:
        """Mark an axis that a node reads and sums over; return its labels."""
        return self._mark(self.taken, node, place, axis)

    def _mark(self, marks: list[Mark], node: Node, place: int, axis: int) -> Array:
        value = node.input(place)
        labels = self.read(node, place)[axis]
        key: Key = id(value) if value.data is None else (id(node), place)
        marks.append(Mark(node=node, key=key, axis=axis % len(value.shape), labels=labels))
        return labels

    def settle(self) -> Classes:
        """Decide what carries each folded axis and return the classes."""
        waiting = list(self._folds)
        while waiting:
            settled = list(self._plain(waiting)) or [(waiting[0], self._best(waiting[0]))]
            for fold, carrier in settled:
                self._carry(fold, carrier)
            done = {id(fold) for fold, _ in settled}
            waiting = [fold for fold in waiting if id(fold) not in done]
        self._folds.clear()
        return self._classes

    def _plain(self, folds: Sequence[_Fold]) -> Iterator[tuple[_Fold, int]]:
        """Return the folds that leave no choice, and what carries them."""
        for fold in folds:
            free = [place for place, part in enumerate(fold.parts) if self._classes.free(part).any()]
            if len(free) < 2 or not self._classes.free(fold.whole).any():  # noqa: PLR2004 - a choice is between two
                yield fold, free[-1] if free else len(fold.parts) - 1

    def _best(self, fold: _Fold) -> int:
        free = [place for place, part in enumerate(fold.parts) if self._classes.free(part).any()]
        return max(free, key=lambda place: (self._liking(fold.parts[place]), self._keeps(fold, place), place))

    def _keeps(self, fold: _Fold, carrier: int) -> bool:
        """Return whether all of a part would still be apart if it carried the whole."""
        pairs = np.concatenate([self._classes.roots(fold.whole), self._classes.roots(fold.parts[carrier])])
        _, numbers = np.unique(pairs, return_inverse=True)
        whole, part = numbers[: fold.whole.size], numbers[fold.whole.size :]
        joined = united(np.arange(numbers.max() + 1), whole, part[fold.places(carrier)])
        return np.unique(joined[part]).size == part.size

    def _liking(self, labels: Array) -> float:
        roots = set(self._classes.roots(labels).tolist())
        return sum(much for other, much in self._liked if not roots.isdisjoint(self._classes.roots(other).tolist()))

    def _carry(self, fold: _Fold, carrier: int) -> None:
        self.join(fold.whole, fold.parts[carrier][fold.places(carrier)])
        for place, part in enumerate(fold.parts):
            if place != carrier:
                self.freeze(part, fold.reason)
