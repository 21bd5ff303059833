"""Operators that look up places by their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.prune.rules.known import UnknownError, numbers_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Node
    from edge_aigc.converters.prune.cutting import Cutting
    from edge_aigc.converters.prune.labels import Labels


def gather(labels: Labels, node: Node) -> None:
    """Inputs: x, places; of one axis, which the axes of the places stand for."""
    x, places = labels.read(node, 0), node.input(1)
    along = int(node.options.get("axis", 0)) % len(x)
    if node.options.get("batchDims"):
        raise UnknownError(f"{node.kind} within batches has no rule")
    if _shuffles(node):
        labels.give(node.output, [*x[:along], x[along][numbers_of(node, 1)], *x[along + 1 :]])
        return
    labels.freeze(x[along], f"{node.kind} looks its places up")
    chosen: list[Array | None] = [None] * len(places.shape) if places.data is not None else [*labels.read(node, 1)]
    labels.give(node.output, [*x[:along], *chosen, *x[along + 1 :]])
    if node.input(0).data is not None:
        for axis in range(len(x)):
            if axis != along:
                labels.makes(node, 0, axis)


def fit_gather(cutting: Cutting, node: Node, new: Node) -> None:
    """Write where the chosen places are now."""
    if not _shuffles(node):
        return
    along = int(node.options.get("axis", 0)) % len(node.input(0).shape)
    left = cutting.left_of(node.output)[along]
    numbers = np.array(numbers_of(node, 1))[left]
    cutting.number(new, 1, [cutting.place(node, 0, along, int(number)) for number in numbers])


def _shuffles(node: Node) -> bool:
    """Return whether known places are taken of a computed value."""
    places = node.input(1)
    return node.input(0).data is None and places.data is not None and len(places.shape) == 1


def gather_nd(labels: Labels, node: Node) -> None:
    """Inputs: x, places of its first axes, numbers of one along their last axis."""
    x, places = labels.read(node, 0), node.input(1)
    count = places.shape[-1]
    for axis in x[:count]:
        labels.freeze(axis, f"{node.kind} looks its places up")
    chosen: list[Array | None] = [None] * (len(places.shape) - 1)
    if places.data is None:
        read = labels.read(node, 1)
        labels.freeze(read[-1], f"{node.kind} looks places up by it")
        chosen = [*read[:-1]]
    labels.give(node.output, [*chosen, *x[count:]])


def embedding_lookup(labels: Labels, node: Node) -> None:
    """Inputs: places, table."""
    table = labels.read(node, 1)
    labels.freeze(table[0], f"{node.kind} looks its places up")
    labels.give(node.output, [None, *table[1:]])
    if node.input(1).data is not None:
        for axis in range(1, len(table)):
            labels.makes(node, 1, axis)


def update_slice(labels: Labels, node: Node) -> None:
    """DYNAMIC_UPDATE_SLICE: inputs: x, what is written into it, where; an axis that is written whole goes with it."""
    x, written = labels.read(node, 0), labels.read(node, 1)
    for mine, theirs in zip(x, written, strict=True):
        if mine.size == theirs.size:
            labels.join(mine, theirs)
        else:
            labels.freeze(mine, f"{node.kind} writes parts of it")
            labels.freeze(theirs, f"{node.kind} writes it into another")
    labels.give(node.output, x)


def scatter_nd(labels: Labels, node: Node) -> None:
    """Inputs: places of the first axes, what is put there, shape; the other axes go with what is put."""
    numbers_of(node, 2)
    put, count = labels.read(node, 1), node.input(0).shape[-1]
    leading = len(node.input(0).shape) - 1
    labels.give(node.output, [*[None] * count, *put[leading:]])
    for axis in (*put[:leading], *labels.of(node.output)[:count]):
        labels.freeze(axis, f"{node.kind} looks its places up")
    if node.input(0).data is None:
        for axis in labels.read(node, 0):
            labels.freeze(axis, f"{node.kind} looks places up by it")


def fit_scatter_nd(cutting: Cutting, node: Node, new: Node) -> None:
    """Write the output's shape."""
    del node
    cutting.number(new, 2, new.output.shape)


def one_hot(labels: Labels, node: Node) -> None:
    """Inputs: numbers, how many there are, on, off; a new axis tells which of them it is."""
    numbers, at = list(labels.read(node, 0)), int(node.options.get("axis", -1))
    rank = len(node.output.shape)
    new = labels.axis(node.output.shape[at])
    labels.freeze(new, f"{node.kind} tells numbers by its places")
    at %= rank
    labels.give(node.output, [*numbers[:at], new, *numbers[at:]])
