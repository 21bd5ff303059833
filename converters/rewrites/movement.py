"""Where each element of a value comes from, through operators that only move, drop or repeat elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edge_aigc.converters.ir import Array, Node, Value

_MOST_ELEMENTS = 1 << 24
"""Of a value whose map is drawn up: 128 MB of indices."""


def origins(end: Node) -> Iterator[tuple[tuple[Node, ...], Value, Array]]:
    """Follow a value back through movement: the longest way first.

    Args:
        end: The last operator.

    Yields:
        The operators of the way in the order in which they run, what the first of them reads, and for every
        element of `end`'s output the index of the element there that it is a copy of.
    """
    chain: list[Node] = []
    node: Node | None = end
    while node is not None and _source(node) is not None:
        chain.append(node)
        node = node.input(_source(node) or 0).producer
    for length in range(len(chain), 0, -1):
        way = tuple(chain[length - 1 :: -1])
        source = way[0].input(_source(way[0]) or 0)
        if max(source.size, *(one.output.size for one in way)) > _MOST_ELEMENTS:
            continue
        places = np.arange(source.size).reshape(source.shape)
        for one in way:
            places = _MOVES[one.kind](one, places)
        yield way, source, places


def moves(node: Node) -> bool:
    """Return whether an operator only moves, drops or repeats elements of one value."""
    return _source(node) is not None


def moved(node: Node, places: Array) -> Array:
    """Return an array of an operator's input's shape, moved as the operator moves its elements."""
    return _MOVES[node.kind](node, places)


def _source(node: Node) -> int | None:
    """Return which input is moved; None if the operator does more than that, or not always the same."""
    if node.kind not in _MOVES:
        return None
    first, *rest = node.inputs
    if first is None or first.constant:
        return None
    if node.kind == "CONCATENATION":
        return 0 if all(value is first for value in rest) and not node.options.get("fusedActivationFunction") else None
    if (node.kind == "RESIZE_NEAREST_NEIGHBOR" and not repeats(node)) or node.options.get("batchDims"):
        return None
    return 0 if all(value is not None and value.constant for value in rest) else None


def repeats(node: Node) -> bool:
    """Return whether a node is a nearest upsampling by whole factors, which both ways of rounding repeat."""
    if node.kind != "RESIZE_NEAREST_NEIGHBOR" or node.options.get("alignCorners"):
        return False
    sizes = list(zip(node.output.shape[1:3], node.input(0).shape[1:3], strict=True))
    return all(big % small == 0 for big, small in sizes) and any(big > small for big, small in sizes)


def _reshaped(node: Node, places: Array) -> Array:
    return places.reshape(node.output.shape)


def _transposed(node: Node, places: Array) -> Array:
    return places.transpose(_constant(node, 1))


def _tiled(node: Node, places: Array) -> Array:
    return np.tile(places, _constant(node, 1))


def _broadcast(node: Node, places: Array) -> Array:
    return np.broadcast_to(places, node.output.shape)


def _concatenated(node: Node, places: Array) -> Array:
    return np.concatenate([places] * len(node.inputs), axis=int(node.options["axis"]))


def _gathered(node: Node, places: Array) -> Array:
    return np.take(places, _constant(node, 1), axis=int(node.options["axis"]))


def _gathered_nd(node: Node, places: Array) -> Array:
    found: Array = places[tuple(np.moveaxis(_constant(node, 1), -1, 0))]
    return found


def _resized(node: Node, places: Array) -> Array:
    down, right = (big // small for big, small in zip(node.output.shape[1:3], places.shape[1:3], strict=True))
    return places.repeat(down, axis=1).repeat(right, axis=2)


def _from_depth(node: Node, places: Array) -> Array:
    block = int(node.options["blockSize"])
    batch, high, wide, depth = places.shape
    split = places.reshape(batch, high, wide, block, block, depth // block**2)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(node.output.shape)


def _to_depth(node: Node, places: Array) -> Array:
    block = int(node.options["blockSize"])
    batch, high, wide, depth = places.shape
    split = places.reshape(batch, high // block, block, wide // block, block, depth)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(node.output.shape)


def _constant(node: Node, place: int) -> Array:
    data = node.input(place).data
    assert data is not None
    return data


_MOVES: Mapping[str, Callable[[Node, Array], Array]] = {
    "RESHAPE": _reshaped,
    "EXPAND_DIMS": _reshaped,
    "SQUEEZE": _reshaped,
    "TRANSPOSE": _transposed,
    "TILE": _tiled,
    "BROADCAST_TO": _broadcast,
    "CONCATENATION": _concatenated,
    "GATHER": _gathered,
    "GATHER_ND": _gathered_nd,
    "RESIZE_NEAREST_NEIGHBOR": _resized,
    "DEPTH_TO_SPACE": _from_depth,
    "SPACE_TO_DEPTH": _to_depth,
}
