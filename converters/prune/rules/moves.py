"""Operators that move elements: reshaped, transposed, taken from channels to places and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.prune.rules.folding import refolded
from edge_aigc.converters.prune.rules.known import numbers_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Node
    from edge_aigc.converters.prune.cutting import Cutting
    from edge_aigc.converters.prune.labels import Labels


def reshape(labels: Labels, node: Node) -> None:
    """Also SQUEEZE and EXPAND_DIMS: the shapes tell all."""
    x = labels.read(node, 0)
    labels.give(node.output, refolded(labels, x, node.input(0).shape, node.output.shape, node.kind))


def fit_reshape(cutting: Cutting, node: Node, new: Node) -> None:
    """Write the new shape where the operator reads it."""
    if len(node.inputs) > 1:
        cutting.number(new, 1, new.output.shape)
    if "newShape" in new.options:
        new.options["newShape"] = list(new.output.shape)


def transpose(labels: Labels, node: Node) -> None:
    """Axis i of the output is axis ``order[i]`` of the input."""
    x = labels.read(node, 0)
    labels.give(node.output, [x[axis] for axis in numbers_of(node, 1)])


def reverse(labels: Labels, node: Node) -> None:
    """Some axes from behind."""
    x = labels.read(node, 0)
    gone = {axis % len(x) for axis in numbers_of(node, 1)}
    labels.give(node.output, [axis[::-1] if place in gone else axis for place, axis in enumerate(x)])


def depth_to_space(labels: Labels, node: Node) -> None:
    """Channel (i block + j) c + k goes to channel k of another place: all copies of k go together."""
    x = labels.read(node, 0)
    labels.give(node.output, [x[0], None, None, None])
    out = labels.of(node.output)
    labels.join(x[3], np.tile(out[3], x[3].size // out[3].size))
    _stay(labels, node)


def space_to_depth(labels: Labels, node: Node) -> None:
    """The inverse."""
    x = labels.read(node, 0)
    labels.give(node.output, [x[0], None, None, np.tile(x[3], node.output.shape[3] // x[3].size)])
    _stay(labels, node)


def places(labels: Labels, node: Node) -> None:
    """What works on the places of a map, each channel alone: pools, resizing."""
    x = labels.read(node, 0)
    labels.give(node.output, [x[0], *[None] * (len(x) - 2), x[-1]])
    _stay(labels, node)


def batches(labels: Labels, node: Node) -> None:
    """BATCH_TO_SPACE_ND and SPACE_TO_BATCH_ND: the batch and as many places as there are blocks are moved about."""
    x = labels.read(node, 0)
    moved = 1 + len(numbers_of(node, 1))
    labels.give(node.output, [*[None] * moved, *x[moved:]])
    for axis in (*x[:moved], *labels.of(node.output)[:moved]):
        labels.freeze(axis, f"{node.kind} moves it about")


def _stay(labels: Labels, node: Node) -> None:
    for axis in (*labels.read(node, 0)[1:-1], *labels.of(node.output)[1:-1]):
        labels.freeze(axis, f"{node.kind} moves along it")
