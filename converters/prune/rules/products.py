"""Convolutions and products of matrices: channels are made by one axis of the weights and summed over by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.prune.rules.folding import refolded

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Node
    from edge_aigc.converters.prune.cutting import Cutting
    from edge_aigc.converters.prune.labels import Labels

_LAST = -1


def conv_2d(labels: Labels, node: Node) -> None:
    """Weights [o, kh, kw, i]; grouped where i is less than the input's channels."""
    x = labels.read(node, 0)
    if node.input(1).shape[3] == x[3].size:
        labels.join(labels.sums(node, 1, 3), x[3])
        _windowed(labels, node, x, labels.makes(node, 1, 0), bias_at=2)
        return
    made = labels.makes(node, 1, 0)
    groups, each = x[3].size // node.input(1).shape[3], node.input(1).shape[3]
    # All groups must stay equally large: one goes whole, or, where they are few, the same place in each.
    if groups >= each:
        first = labels.sums(node, 0, 3).reshape(groups, each)[:, 0]
        labels.join(x[3], np.repeat(first, each))
        labels.join(made, np.repeat(first, made.size // groups))
    else:
        labels.join(x[3], np.tile(labels.sums(node, 1, 3), groups))
        labels.join(made, np.tile(made[: made.size // groups], groups))
    _windowed(labels, node, x, made, bias_at=2)


def depthwise_conv_2d(labels: Labels, node: Node) -> None:
    """Weights [1, kh, kw, i m]: input channel c makes output channels c m to c m + m - 1."""
    x = labels.read(node, 0)
    count = node.output.shape[3]
    if x[3].size == 1:
        made = labels.makes(node, 1, 3)
    else:
        made = np.repeat(x[3], count // x[3].size)
        labels.join(labels.read(node, 1)[3], made)
    _windowed(labels, node, x, made, bias_at=2)


def fit_depthwise(cutting: Cutting, node: Node, new: Node) -> None:
    """Of one input channel all that it makes are one by one."""
    del cutting, node
    new.options["depthMultiplier"] = new.output.shape[3] // new.input(0).shape[3]


def transpose_conv(labels: Labels, node: Node) -> None:
    """Inputs: shape, weights [o, kh, kw, i], x, bias."""
    x = labels.read(node, 2)
    labels.join(labels.sums(node, 1, 3), x[3])
    _windowed(labels, node, x, labels.makes(node, 1, 0), bias_at=3)


def conv_3d(labels: Labels, node: Node) -> None:
    """Weights [kd, kh, kw, i, o]."""
    x = labels.read(node, 0)
    if node.input(1).shape[3] != x[4].size:
        labels.freeze(x[4], "CONV_3D in groups has no rule")
    else:
        labels.join(labels.sums(node, 1, 3), x[4])
    _windowed(labels, node, x, labels.makes(node, 1, 4), bias_at=2)


def conv_3d_transpose(labels: Labels, node: Node) -> None:
    """Inputs: shape, weights [kd, kh, kw, o, i], x, bias."""
    x = labels.read(node, 2)
    labels.join(labels.sums(node, 1, 4), x[4])
    _windowed(labels, node, x, labels.makes(node, 1, 3), bias_at=3)


def _windowed(labels: Labels, node: Node, x: list[Array], made: Array, *, bias_at: int) -> None:
    slides = f"{node.kind} slides along it"
    for axis in x[1:_LAST]:
        labels.freeze(axis, slides)
    labels.give(node.output, [x[0], *[None] * len(x[1:_LAST]), made])
    for axis in labels.of(node.output)[1:_LAST]:
        labels.freeze(axis, slides)
    if len(node.inputs) > bias_at and node.inputs[bias_at] is not None:
        labels.join(labels.read(node, bias_at)[0], made)


def fit_output_shape(cutting: Cutting, node: Node, new: Node) -> None:
    """Write the output's shape into the first input."""
    del node
    cutting.number(new, 0, new.output.shape)


def fully_connected(labels: Labels, node: Node) -> None:
    """Weights [o, i]; what is multiplied is rows of i."""
    x, (made, depth) = labels.read(node, 0), node.input(1).shape
    shape = node.input(0).shape
    rows = refolded(labels, x, shape, (int(np.prod(shape, dtype=np.int64)) // depth, depth), node.kind)
    labels.join(labels.sums(node, 1, 1), rows[1])
    channels = labels.makes(node, 1, 0)
    before = node.output.shape[:_LAST]
    leading = x[:_LAST] if before == shape[:_LAST] else refolded(labels, rows[:1], rows[0].shape, before, node.kind)
    labels.give(node.output, [*leading, channels])
    if len(node.inputs) > 2 and node.inputs[2] is not None:  # noqa: PLR2004 - the bias is the third
        labels.join(labels.read(node, 2)[_LAST], channels)
    assert made == channels.size


def batch_matmul(labels: Labels, node: Node) -> None:
    """[..., m, k] by [..., k, n]; ``adj`` swaps the last two axes of an operand first."""
    adj_x, adj_y = bool(node.options.get("adjX")), bool(node.options.get("adjY"))
    left, right = labels.read(node, 0), labels.read(node, 1)
    row, k_left = (-1, -2) if adj_x else (-2, -1)
    k_right, column = (-1, -2) if adj_y else (-2, -1)
    labels.join(labels.sums(node, 0, k_left), labels.sums(node, 1, k_right))
    for place, axis in ((0, row), (1, column)):
        if node.input(place).data is not None:
            labels.makes(node, place, axis)
    batch: list[Array | None] = []
    for axis, size in enumerate(node.output.shape[:-2]):
        back = axis - len(node.output.shape)
        sides = [side[back] for side in (left, right) if len(side) >= -back and side[back].size == size]
        if size > 1:
            labels.like(sides[0], 1.0)
            for other in sides[1:]:
                labels.join(sides[0], other)
        batch.append(sides[0])
    labels.give(node.output, [*batch, left[row], right[column]])
