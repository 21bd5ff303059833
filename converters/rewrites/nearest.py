"""Nearest upsampling: known however it is spelled, and written in operators that the target runs fast.

Given:   y = reshape(tile(reshape(x), …)), y = gather(transpose(x), …), …: Keras, PyTorch, by hand
Result:  y = resize_nearest(x)

and where that is not faster otherwise:

Given:   y = resize_nearest(x)
Result:  y = reshape(concat(reshape(concat(x, x)), …)), or
         y = reshape(mul(reshape(x), ones))

XNNPACK has no RESIZE_NEAREST_NEIGHBOR; it has concatenations, which copy, and products, which repeat their operand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.rewrites.movement import moves, origins, repeats

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node


def know_nearest(graph: Graph) -> bool:
    """Write chains of operators that together repeat pixels as one nearest upsampling."""
    found = False
    # The furthest end first: what lies on its way is gone when its turn comes.
    for node in reversed(list(graph.nodes)):
        # Runtimes resize few types; what is no picture gains nothing.
        if node in graph.nodes and moves(node) and node.output.dtype == "FLOAT32":
            found = _know(graph, node) or found
    return found


class ConcatenatedNearest:
    """Repeat along a row, then the rows: two concatenations and nothing to interleave."""

    name = "nearest upsampling to concatenations"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return every nearest upsampling by whole factors."""
        return [(node,) for node in graph.nodes if repeats(node)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        (node,) = region
        build, x = Builder(graph, node), node.input(0)
        batch, high, wide, depth = node.output.shape
        down, right = _factors(node)
        if right > 1:
            x = build.concatenate([x] * right, 3)
        if down > 1:
            x = build.concatenate([build.reshape(x, (batch * high // down, 1, wide * depth))] * down, 1)
        graph.replace(node.output, build.reshape(x, node.output.shape))
        graph.remove_dead()


class MultipliedNearest:
    """One product with ones, which are repeated both ways: a single pass over the output."""

    name = "nearest upsampling to a product"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return every nearest upsampling of floats by whole factors."""
        return [(node,) for node in graph.nodes if repeats(node) and node.output.dtype == "FLOAT32"]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        (node,) = region
        build, x = Builder(graph, node), node.input(0)
        batch, high, wide, depth = x.shape
        down, right = _factors(node)
        apart = build.reshape(x, (batch * high, 1, wide, 1, depth))
        made = build.mul(apart, np.ones((1, down, 1, right, 1), np.float32))
        graph.replace(node.output, build.reshape(made, node.output.shape))
        graph.remove_dead()


def _factors(node: Node) -> tuple[int, int]:
    down, right = (big // small for big, small in zip(node.output.shape[1:3], node.input(0).shape[1:3], strict=True))
    return down, right


def _know(graph: Graph, end: Node) -> bool:
    for way, source, places in origins(end):
        if sum(node.kind != "RESHAPE" for node in way) == 1 and any(map(repeats, way)):
            return False
        small = _repeated(places)
        if small is None:
            continue
        build = Builder(graph, end)
        x = source if source.shape == small else build.reshape(source, small)
        batch, high, wide, depth = _pixels(places).shape
        y = build.resize("RESIZE_NEAREST_NEIGHBOR", x, (high, wide))
        assert y.shape == (batch, high, wide, depth)
        graph.replace(end.output, y if y.shape == end.output.shape else build.reshape(y, end.output.shape))
        graph.remove_dead()
        return True
    return False


def _pixels(places: Array) -> Array:
    """Return it with four axes: a row of pixels is a picture one high."""
    return places if places.ndim == 4 else places.reshape(places.shape[0], 1, *places.shape[1:])  # noqa: PLR2004


def _repeated(places: Array) -> tuple[int, int, int, int] | None:
    """Return the shape of the picture whose nearest upsampling the map is; None if it is not one."""
    if places.ndim not in (3, 4):
        return None
    pixels = _pixels(places)
    batch, high, wide, depth = pixels.shape
    down, right = _run(pixels[0, :, 0, 0]), _run(pixels[0, 0, :, 0])
    if down * right == 1 or high % down or wide % right:
        return None
    small = (batch, high // down, wide // right, depth)
    plain = np.arange(int(np.prod(small))).reshape(small)
    return small if np.array_equal(pixels, plain.repeat(down, axis=1).repeat(right, axis=2)) else None


def _run(line: Array) -> int:
    """Return how many elements at the start are equal."""
    other = np.flatnonzero(line != line[0])
    return int(other[0]) if other.size else len(line)
