"""Labels that are joined, in classes: disjoint sets over arrays of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array

LONE = "it is alone on its axis"
"""Told only where nothing else holds a place."""
_FREE, _LONE = np.iinfo(np.int32).max, np.iinfo(np.int32).max - 1


class Classes:
    """Labels 0, 1, 2, …; the smallest of a class is its root."""

    def __init__(self) -> None:
        """Begin with none."""
        self._count = 0
        self._root = np.zeros(0, np.int32)
        self._reason = np.zeros(0, np.int32)
        """Of a class, at its root: which reason holds it."""
        self._joins: list[tuple[Array, Array]] = []
        self._holds: list[tuple[Array, int]] = []
        self._reasons: list[str] = []

    @property
    def count(self) -> int:
        """Return how many labels there are."""
        return self._count

    def new(self, count: int) -> Array:
        """Return labels that are in classes of their own."""
        self._count += count
        return np.arange(self._count - count, self._count, dtype=np.int32)

    def join(self, a: Array, b: Array) -> None:
        """Put two arrays of labels into the same classes, one by one."""
        assert a.shape == b.shape, f"{a.size} places cannot be joined with {b.size}"
        if a is not b:
            self._joins.append((a, b))

    def freeze(self, labels: Array, reason: str) -> None:
        """Have classes stay; of several reasons the first that was given is told."""
        if reason == LONE:
            self._holds.append((labels, _LONE))
            return
        if reason not in self._reasons:
            self._reasons.append(reason)
        self._holds.append((labels, self._reasons.index(reason)))

    def roots(self, labels: Array) -> Array:
        """Return the class of each label."""
        self._settle()
        found: Array = self._root[labels]
        return found

    def free(self, labels: Array) -> Array:
        """Return of each label whether nothing holds it."""
        roots = self.roots(labels)
        found: Array = self._reason[roots] == _FREE
        return found

    def reason(self, label: int) -> str:
        """Return what holds a label; nothing if it is free."""
        self._settle()
        number = int(self._reason[self._root[label]])
        return "" if number == _FREE else LONE if number == _LONE else self._reasons[number]

    def _settle(self) -> None:
        grown = self._count - self._root.size
        if not (grown or self._joins or self._holds):
            return
        self._root = np.concatenate([self._root, np.arange(self._root.size, self._count, dtype=np.int32)])
        self._reason = np.concatenate([self._reason, np.full(grown, _FREE, np.int32)])
        if self._joins:
            ends = (np.concatenate([pair[side].reshape(-1) for pair in self._joins]) for side in (0, 1))
            self._root = united(self._root, *ends)
            np.minimum.at(self._reason, self._root, self._reason)
        for labels, reason in self._holds:
            np.minimum.at(self._reason, self._root[labels], np.int32(reason))
        self._joins.clear()
        self._holds.clear()


def united(root: Array, a: Array, b: Array) -> Array:
    """Return the roots after pairs are joined.

    The larger root of each pair is hooked to the smaller until all agree (Shiloach and Vishkin 1982).

    Args:
        root: Of each label; a root is its own. Is edited.
        a: Labels.
        b: Labels, one for each of the others.
    """
    while True:
        one, other = root[a], root[b]
        apart = one != other
        if not apart.any():
            return root
        a, b, one, other = a[apart], b[apart], one[apart], other[apart]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(further := root[root], root):
            root = further
