"""The zeros around what a convolution reads, whoever puts them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.ir.windows import dilation_of, padding_of, same_padding, stride_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir import Graph, Node


def with_pad(graph: Graph, node: Node) -> tuple[Node, ...]:
    """Return a convolution, and the pad before it if that puts zeros around pictures for nobody else."""
    pad = node.input(0).producer
    if pad is None or pad.kind != "PAD" or pad not in graph.nodes or graph.sole_user(pad.output) is not node:
        return (node,)
    where = pad.input(1).data
    if where is None or where[[0, 3]].any() or padding_of(node) == "SAME":
        return (node,)
    return node, pad


def zeros_of(node: Node, pad: Sequence[Node]) -> list[tuple[int, int]]:
    """Return the zeros around the rows and the columns: those of the pad, or of the convolution."""
    if pad:
        where = pad[0].input(1).data
        assert where is not None
        return [(int(before), int(after)) for before, after in where[1:3]]
    if padding_of(node) == "VALID":
        return [(0, 0), (0, 0)]
    sides = zip(node.input(0).shape[1:3], node.input(1).shape[1:3], stride_of(node), dilation_of(node), strict=True)
    return [same_padding(*side) for side in sides]
