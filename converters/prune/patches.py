"""What an operator with weights multiplies by them: one row of its input for each place of its output.

    output place p, channel o  =  sum over taps t and channels i of  input[place(p, t), i] · weights[o, t, i]

CONV_2D, TRANSPOSE_CONV and FULLY_CONNECTED differ only in `place`: a transposed convolution reads, at each place of
its output, those taps whose stride divides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_aigc.converters.ir.windows import dilation_of, padding_of, same_padding, stride_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Node, Value

REFITTED = frozenset({"CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
"""Operators whose outputs are linear in constant weights that all of their places share."""
_WEIGHTS = 1
_INPUT = {"TRANSPOSE_CONV": 2}
_BIAS = {"TRANSPOSE_CONV": 3}

Reads: TypeAlias = "tuple[Array, Array]"
"""Of one axis, for each output place and tap: the input's place, and whether there is one."""


def input_of(node: Node) -> Value:
    """Return the value that a node multiplies by its weights."""
    return node.input(_INPUT.get(node.kind, 0))


def weights_of(node: Node) -> Value:
    """Return a node's weights: ``[outputs, *taps, inputs]``."""
    return node.input(_WEIGHTS)


def bias_of(node: Node) -> Value | None:
    """Return a node's bias, if it has one."""
    at = _BIAS.get(node.kind, 2)
    return node.inputs[at] if at < len(node.inputs) else None


def refitted(node: Node) -> bool:
    """Return whether a node's weights can be refitted: constants in float32, and so is its bias; not in groups."""
    if node.kind not in REFITTED or _in_groups(node):
        return False
    bias = bias_of(node)
    return all(value.constant and value.dtype == "FLOAT32" for value in (weights_of(node), bias) if value is not None)


def _in_groups(node: Node) -> bool:
    return node.kind == "CONV_2D" and weights_of(node).shape[-1] != input_of(node).shape[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """The rows of one operator."""

    down: Reads
    right: Reads
    width: int
    """Of the input."""
    depth: int
    """Channels of the input."""

    @classmethod
    def of(cls, node: Node) -> Patches:
        """Return the rows that a node multiplies by its weights."""
        weights = weights_of(node)
        if node.kind == "FULLY_CONNECTED":
            rows = input_of(node).size // weights.shape[1]
            return cls(down=plainly(rows), right=plainly(1), width=1, depth=weights.shape[1])
        width, depth = input_of(node).shape[2:]
        return cls(down=_reads(node, axis=1), right=_reads(node, axis=2), width=width, depth=depth)

    @property
    def columns(self) -> int:
        """Numbers in a row."""
        return int(self.down[0].shape[1] * self.right[0].shape[1] * self.depth)

    @property
    def places(self) -> int:
        """Rows of one sample."""
        return len(self.down[0]) * len(self.right[0])

    def rows(self, values: Array, places: Array) -> Array:
        """Return some rows of one sample.

        Args:
            values: The input, a batch of 1.
            places: Indices below `places`: row by row of the output map.

        Returns:
            Shape ``[len(places), columns]``: the taps from above to below and from left to right, then the channels.
        """
        high, wide = np.divmod(places, len(self.right[0]))
        (above, there), (left, here) = self.down, self.right
        maps = values.reshape(-1, self.width, self.depth)
        found: Array = maps[above[high][:, :, None], left[wide][:, None, :]]
        known = there[high][:, :, None] & here[wide][:, None, :]
        found[~known] = 0.0
        return found.reshape(len(places), -1)


def plainly(count: int) -> Reads:
    """Return how an axis of a matrix is read: every place by itself."""
    return np.arange(count)[:, None], np.ones((count, 1), bool)


def _reads(node: Node, *, axis: int) -> Reads:
    """Return which places of the input each output place of a window operator reads, along height or width."""
    taken, made = input_of(node).shape[axis], node.output.shape[axis]
    kernel, stride = weights_of(node).shape[axis], stride_of(node)[axis - 1]
    places, taps = np.arange(made)[:, None], np.arange(kernel)[None, :]
    if node.kind == "TRANSPOSE_CONV":
        # TFLite, ComputePaddingHeightWidth of the convolution that this one is the gradient of.
        before = same_padding(made, kernel, stride)[0] if padding_of(node) == "SAME" else 0
        read, left = np.divmod(places + before - taps, stride)
        there = (left == 0) & (read >= 0) & (read < taken)
    else:
        dilation = dilation_of(node)[axis - 1]
        before = same_padding(taken, kernel, stride, dilation)[0] if padding_of(node) == "SAME" else 0
        read = places * stride + taps * dilation - before
        there = (read >= 0) & (read < taken)
    return np.where(there, read, 0), there
