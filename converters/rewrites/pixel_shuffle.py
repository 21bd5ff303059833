"""Know DEPTH_TO_SPACE and SPACE_TO_DEPTH however they are spelled.

Given:   y = reshape(transpose(reshape(…(conv(x, w, b))))): PyTorch's pixel_shuffle, or a block by hand
Result:  y = depth_to_space(conv(x, w', b'))

Given:   y = conv(reshape(transpose(reshape(x))), w, b): pixel_unshuffle
Result:  y = conv(space_to_depth(x), w', b)

PyTorch counts the channel before the place in the block, flatbuffers after it: the convolution that makes or takes
the channels gives or reads them in the other order. Where there is none, or others read the same, nothing is done.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder, constant
from edge_aigc.converters.rewrites.movement import moves, origins

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node, Value

_BLOCKS = range(2, 9)
_KEEPS_CHANNELS = frozenset({"RELU", "RELU6", "LEAKY_RELU", "TANH", "LOGISTIC", "ELU", "GELU", "HARD_SWISH", "ABS"})
"""Elementwise: they do not mind the order of channels."""


def know_pixel_shuffle(graph: Graph) -> bool:
    """Write chains of operators that together move channels into blocks of pixels, or back, as one operator."""
    found = False
    for node in reversed(list(graph.nodes)):
        # Runtimes run the operators for few types; what is no picture gains nothing.
        if node in graph.nodes and moves(node) and node.output.dtype == "FLOAT32":
            found = _know(graph, node) or found
    return found


def _know(graph: Graph, end: Node) -> bool:
    for way, source, places in origins(end):
        if len(way) == 1 or len(source.shape) != 4 or places.ndim != 4 or source.size != places.size:  # noqa: PLR2004
            continue
        made = _shuffled(graph, end, way, source, places) or _unshuffled(graph, end, source, places)
        if made is not None:
            graph.replace(end.output, made)
            graph.remove_dead()
            return True
    return False


def _shuffled(graph: Graph, end: Node, way: tuple[Node, ...], source: Value, places: Array) -> Value | None:
    block = _block(source.shape, places.shape)
    if block is None:
        return None
    small = np.arange(source.size).reshape(source.shape)
    order = places[0, :block, :block].ravel()
    if order.max() >= source.shape[3] or not np.array_equal(places, _to_space(small[..., order], block)):
        return None
    if not np.array_equal(order, np.arange(len(order))) and not _give_in_order(graph, way, source, order):
        return None
    return Builder(graph, end).depth_to_space(source, block)


def _unshuffled(graph: Graph, end: Node, source: Value, places: Array) -> Value | None:
    block = _block(places.shape, source.shape)
    if block is None:
        return None
    deep = _to_depth(np.arange(source.size).reshape(source.shape), block)
    place_of = {int(index): place for place, index in enumerate(deep[0, 0, 0])}
    order = np.array([place_of.get(int(index), -1) for index in places[0, 0, 0]])
    if order.min() < 0 or not np.array_equal(places, deep[..., order]):
        return None
    if not np.array_equal(order, np.arange(len(order))) and not _take_in_order(graph, end, order):
        return None
    return Builder(graph, end).space_to_depth(source, block)


def _block(deep: tuple[int, ...], wide: tuple[int, ...]) -> int | None:
    """Return the side of the block that leads from many channels to many pixels; None if no block does."""
    for block in _BLOCKS:
        if (deep[0], deep[1] * block, deep[2] * block, deep[3]) == (*wide[:3], wide[3] * block**2):
            return block
    return None


def _give_in_order(graph: Graph, way: tuple[Node, ...], source: Value, order: Array) -> bool:
    """Have the convolution before a chain give its channels in another order; return whether there is one."""
    if not all(graph.sole_user(one.output) is other for one, other in itertools.pairwise(way)):
        return False  # who reads what lies on the way counts on the old order
    node: Node | None = source.producer
    reader = way[0]
    while node is not None and graph.sole_user(node.output) is reader and node.kind in _KEEPS_CHANNELS:
        reader, node = node, node.input(0).producer
    if node is None or node.kind not in ("CONV_2D", "TRANSPOSE_CONV") or graph.sole_user(node.output) is not reader:
        return False
    bias = 2 if node.kind == "CONV_2D" else 3
    ordered = {place: _ordered(node, place, order, axis=0) for place in (1, bias) if _given(node, place)}
    if None in ordered.values():
        return False
    for place, value in ordered.items():
        node.inputs[place] = value
    return True


def _take_in_order(graph: Graph, end: Node, order: Array) -> bool:
    """Have the convolution after a chain read its channels in another order; return whether there is one."""
    node = graph.sole_user(end.output)
    if node is None or node.kind != "CONV_2D" or node.input(1).shape[3] != len(order):
        return False
    value = _ordered(node, 1, np.argsort(order), axis=3)
    if value is not None:
        node.inputs[1] = value
    return value is not None


def _given(node: Node, place: int) -> bool:
    return place < len(node.inputs) and node.inputs[place] is not None


def _ordered(node: Node, place: int, order: Array, *, axis: int) -> Value | None:
    old = node.input(place)
    return None if old.data is None else constant(np.take(old.data, order, axis=axis), old.name)


def _to_space(deep: Array, block: int) -> Array:
    batch, high, wide, depth = deep.shape
    apart = deep.reshape(batch, high, wide, block, block, depth // block**2).transpose(0, 1, 3, 2, 4, 5)
    return apart.reshape(batch, high * block, wide * block, depth // block**2)


def _to_depth(wide: Array, block: int) -> Array:
    batch, high, across, depth = wide.shape
    apart = wide.reshape(batch, high // block, block, across // block, block, depth).transpose(0, 1, 3, 2, 4, 5)
    return apart.reshape(batch, high // block, across // block, depth * block**2)
