"""Operators that compute over an axis: means, sums, maxima, softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.prune.rules.known import numbers_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Node
    from edge_aigc.converters.prune.cutting import Cutting
    from edge_aigc.converters.prune.labels import Labels


def total(labels: Labels, node: Node) -> None:
    """MEAN and SUM: what is gone adds nothing."""
    for axis in _reduced(node):
        # Of a group norm rather a whole group goes than a place in each.
        labels.like(labels.sums(node, 0, axis), -1.0)
    _over(labels, node)


def fit_mean(cutting: Cutting, node: Node, new: Node) -> None:
    """Divide by as many places as there were: what is gone counts as zeros."""
    axes = _reduced(node)
    before, now = (np.prod([one.input(0).shape[axis] for axis in axes]) for one in (node, new))
    if before != now:
        cutting.scale(new, float(now / before))


def most(labels: Labels, node: Node) -> None:
    """REDUCE_MAX and the like: a zero counts, too."""
    for axis in _reduced(node):
        labels.freeze(labels.read(node, 0)[axis], f"{node.kind} is over all of it")
    _over(labels, node)


def _reduced(node: Node) -> list[int]:
    return sorted({axis % len(node.input(0).shape) for axis in numbers_of(node, 1)})


def _over(labels: Labels, node: Node) -> None:
    gone = set(_reduced(node))
    kept: list[Array | None] = [
        None if axis in gone else names
        for axis, names in enumerate(labels.read(node, 0))
        if axis not in gone or node.options.get("keepDims")
    ]
    labels.give(node.output, kept)


def softmax(labels: Labels, node: Node) -> None:
    """Also LOG_SOFTMAX: over the last axis, where a zero counts."""
    x = labels.read(node, 0)
    labels.freeze(x[-1], f"{node.kind} is over all of it")
    labels.give(node.output, x)


def l2_normalization(labels: Labels, node: Node) -> None:
    """Divided by the root of the sum of squares over the last axis: what is gone adds nothing."""
    labels.sums(node, 0, -1)
    labels.give(node.output, labels.read(node, 0))


def neighbours(labels: Labels, node: Node) -> None:
    """LOCAL_RESPONSE_NORMALIZATION: each channel is divided by what those beside it are."""
    x = labels.read(node, 0)
    labels.freeze(x[-1], f"{node.kind} is over neighbours along it")
    labels.give(node.output, x)


def sized(labels: Labels, node: Node) -> None:
    """SHAPE and RANK read how large a value is; FILL and RANGE make as many places as a number says."""
    tensors = [labels.read(node, place) for place in range(len(node.inputs))] + [labels.of(node.output)]
    for axis in (axis for axes in tensors for axis in axes):
        labels.freeze(axis, f"{node.kind} works with its size")


def cumulated(labels: Labels, node: Node) -> None:
    """CUMSUM: its axis is in order."""
    x = labels.read(node, 0)
    for axis in numbers_of(node, 1):
        labels.freeze(x[axis], f"{node.kind} goes along it")
    labels.give(node.output, x)


def chosen(labels: Labels, node: Node) -> None:
    """ARG_MAX and ARG_MIN: the number of a place."""
    x = labels.read(node, 0)
    (gone,) = (axis % len(x) for axis in numbers_of(node, 1))
    labels.freeze(x[gone], f"{node.kind} tells its places")
    labels.give(node.output, [axis for place, axis in enumerate(x) if place != gone])


def top(labels: Labels, node: Node) -> None:
    """TOPK_V2: the largest of the last axis."""
    x = labels.read(node, 0)
    labels.freeze(x[-1], f"{node.kind} tells its places")
    for output in node.outputs:
        labels.give(output, [*x[:-1], None])
        labels.freeze(labels.of(output)[-1], f"{node.kind} tells its places")
