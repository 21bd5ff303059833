"""Which constants of a graph are weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.ir import Array, Graph, Node, Value

_WEIGHTS_AT: Mapping[str, tuple[int, ...]] = {
    "CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2), "CONV_3D": (1, 2), "TRANSPOSE_CONV": (1, 2, 3),
    "CONV_3D_TRANSPOSE": (1, 2, 3),
    "FULLY_CONNECTED": (1, 2), "BATCH_MATMUL": (0, 1), "GATHER": (0,), "EMBEDDING_LOOKUP": (1,), "PRELU": (1,),
}  # fmt: skip
"""Where operators read kernels, biases, tables and slopes; learned maps that are convolved are weights as well."""
_SCALES_AT: Mapping[str, tuple[int, ...]] = {
    "ADD": (0, 1), "SUB": (0, 1), "MUL": (0, 1), "DIV": (0, 1),
}  # fmt: skip
"""Where operators read scales and shifts, if of more than one number: single ones are epsilons and fixed factors."""
_MOVED = (
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "CONCATENATION", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE",
    "TILE", "BROADCAST_TO", "PACK", "UNPACK", "PAD", "REVERSE_V2", "SQUARE", "NEG", "DEPTH_TO_SPACE", "MIRROR_PAD",
    "RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR", "SPACE_TO_DEPTH", "GATHER_ND", "SUM",
)  # fmt: skip
"""What may stand between a weight and where it is used, or reads learned maps."""
_ROOTS = ("RSQRT", "SQRT")
_LARGEST = 1e6
"""Above it a number is a mask (minus infinity before a softmax), not a weight."""


def trainable(graph: Graph) -> dict[str, Value]:
    """Return kernels, biases, tables, scales and shifts by name, in the order in which they are first read.

    Not: shapes, epsilons, single factors, masks, matrices of zeros and ones that only move numbers.
    A name that several constants have is numbered, as the file's names are.
    """
    counts: dict[str, int] = {}
    found: dict[str, Value] = {}
    seen: set[int] = set()
    for node in graph.nodes:
        for place, value in enumerate(node.inputs):
            if value is None or value.data is None or id(value) in seen or not _is_weight(graph, node, place):
                continue
            seen.add(id(value))
            found[_unique(value.name, counts)] = value
    return found


def _is_weight(graph: Graph, node: Node, place: int) -> bool:
    value = node.input(place)
    data = value.data
    if data is None or value.dtype != "FLOAT32" or data.size == 0 or np.abs(data).max() > _LARGEST:
        return False
    if not np.isfinite(data).all():
        return False
    if place in _WEIGHTS_AT.get(node.kind, ()):
        return not _only_moves(data)
    if data.size == 1:
        return False
    if place in _SCALES_AT.get(node.kind, ()):
        return not _below_root(graph, node) and not _only_moves(data)
    return place == 0 and node.kind in _MOVED and not _only_moves(data)


def _only_moves(data: Array) -> bool:
    """Return whether a matrix or kernel holds zeros and (minus) ones only, and both."""
    size = np.abs(data)
    moves = data.ndim > 1 and np.isin(size, (0.0, 1.0)).all() and 0 < np.count_nonzero(data) < data.size
    return bool(moves)


def _below_root(graph: Graph, node: Node) -> bool:
    """Return whether roots alone read what an operator makes: what it adds is an epsilon."""
    users = graph.users(node.output)
    return node.kind == "ADD" and bool(users) and all(user.kind in _ROOTS for user in users)


def _unique(name: str, counts: dict[str, int]) -> str:
    count = counts.get(name, 0)
    counts[name] = count + 1
    return name if count == 0 else _unique(f"{name}_{count}", counts)
