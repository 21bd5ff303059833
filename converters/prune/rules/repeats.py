"""Operators that repeat values: TILE, BROADCAST_TO."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.prune.rules.known import numbers_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Node
    from edge_aigc.converters.prune.cutting import Cutting
    from edge_aigc.converters.prune.labels import Labels


def tile(labels: Labels, node: Node) -> None:
    """All copies of a place go together; those of an axis of one place are one by one."""
    axes: list[Array | None] = [
        np.tile(axis, times) if axis.size > 1 else None
        for axis, times in zip(labels.read(node, 0), numbers_of(node, 1), strict=True)
    ]
    labels.give(node.output, axes)


def fit_tile(cutting: Cutting, node: Node, new: Node) -> None:
    """Write how often each axis is repeated now."""
    del node
    cutting.number(new, 1, np.floor_divide(new.output.shape, new.input(0).shape).tolist())


def broadcast_to(labels: Labels, node: Node) -> None:
    """Axes of one place are repeated."""
    x, rank = labels.read(node, 0), len(node.output.shape)
    numbers_of(node, 1)
    aligned = [None] * (rank - len(x)) + list(x)
    labels.give(
        node.output,
        [
            axis if axis is not None and axis.size == size else None
            for axis, size in zip(aligned, node.output.shape, strict=True)
        ],
    )


def fit_broadcast_to(cutting: Cutting, node: Node, new: Node) -> None:
    """Write the output's shape."""
    del node
    cutting.number(new, 1, new.output.shape)
