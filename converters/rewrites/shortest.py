"""Chains of RESHAPE and TRANSPOSE in their shortest form.

Given:   y = RESHAPE(TRANSPOSE(RESHAPE(x))), and longer
Result:  y = RESHAPE(x), TRANSPOSE(x), or RESHAPE, TRANSPOSE, RESHAPE at most

Where a dense layer's weights can be stored in another order, they are: its rows for `view(-1, C, H, W)` after it,
its columns for a map flattened before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder, constant
from edge_aigc.converters.rewrites.match import UNARY, floats, inverse, order_of, swap

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node, Value


def shorten_movements(graph: Graph) -> bool:
    """Replace chains of RESHAPE and TRANSPOSE by shorter ones."""
    changed = False
    for node in list(graph.nodes):
        if node.kind == "FULLY_CONNECTED":
            changed |= _into_columns(graph, node)
        elif moves(node) and node in graph.nodes:
            changed |= _shorten(graph, node)
    graph.remove_dead()
    return changed


def moves(node: Node | None) -> bool:
    """Return whether a node only moves elements, in a way that is known."""
    if node is None or not node.inputs or node.input(0).data is not None:
        return False
    return node.kind == "RESHAPE" or order_of(node) is not None


def chain_to(value: Value) -> list[Node]:
    """Return the nodes that only move elements up to a value, the last first."""
    chain: list[Node] = []
    node = value.producer
    while node is not None and moves(node):
        chain.append(node)
        node = node.input(0).producer
    return chain


def places(chain: list[Node]) -> Array:
    """Return for each element of what a chain makes its place in what the chain reads.

    Args:
        chain: Nodes that only move, the last first.
    """
    start = chain[-1].input(0)
    index = np.arange(start.size).reshape(start.shape)
    for node in reversed(chain):
        order = order_of(node)
        index = index.reshape(node.output.shape) if order is None else index.transpose(order)
    return index


def steps(index: Array) -> list[int] | None:
    """Return the distance in the source of neighbours along each axis, or None where it is not one number.

    An axis of size 1 has distance 0.
    """
    found = [0 if n == 1 else int(index.take(1, axis).flat[0] - index.flat[0]) for axis, n in enumerate(index.shape)]
    total = np.zeros((1,) * index.ndim, np.int64)
    for axis, step in enumerate(found):
        along = [1] * index.ndim
        along[axis] = -1
        total = total + (np.arange(index.shape[axis]) * step).reshape(along)
    return found if bool(np.array_equal(total, index)) else None


def _factors(index: Array) -> list[tuple[int, int]] | None:
    """Return the fewest (size, distance) that describe a movement, the outermost first, or None if none do.

    None do where a RESHAPE cuts across what a TRANSPOSE before it brought together.
    """
    flat = index.reshape(-1)
    found: list[tuple[int, int]] = []
    while len(flat) > 1:
        step = int(flat[1] - flat[0])
        wrong = np.flatnonzero(flat != np.arange(len(flat)) * step)
        most = int(wrong[0]) if len(wrong) else len(flat)
        sizes = (n for n in range(most, 1, -1) if len(flat) % n == 0 and _repeats(flat, n, step))
        if (size := next(sizes, None)) is None:
            return None
        found.append((size, step))
        flat = flat[::size]
    return found[::-1]


def _repeats(flat: Array, size: int, step: int) -> bool:
    """Return whether places lie in runs of one size and distance."""
    return bool(np.all(flat.reshape(-1, size) == flat[::size, None] + np.arange(size) * step))


def _shorten(graph: Graph, node: Node) -> bool:
    chain = chain_to(node.output)
    if not any(order_of(entry) for entry in chain):
        return False
    lone = 1
    while lone < len(chain) and graph.sole_user(chain[lone].output) is chain[lone - 1]:
        lone += 1
    chain = chain[:lone]
    index, source = places(chain), chain[-1].input(0)
    if _into_rows(graph, chain, index):
        return True
    if len(chain) == 1:
        return False
    wanted = shortest(index, source.shape)
    transposes = sum(order_of(entry) is not None for entry in chain)
    if wanted is None or (sum(kind == "TRANSPOSE" for kind, _ in wanted), len(wanted)) >= (transposes, len(chain)):
        return False
    build, value = Builder(graph, before=node), source
    for kind, numbers in wanted:
        value = build.reshape(value, numbers) if kind == "RESHAPE" else build.transpose(value, numbers)
    return swap(graph, node.output, value)


def shortest(index: Array, start: tuple[int, ...]) -> list[tuple[str, list[int]]] | None:
    """Return the RESHAPE and TRANSPOSE that make a movement, from what has the shape `start`; None: not so few do."""
    factors = _factors(index)
    if factors is None:
        return None
    order = [int(place) for place in np.argsort([-step for _, step in factors], kind="stable")]
    sizes = [factors[place][0] for place in order]
    wanted: list[tuple[str, list[int]]] = []
    if order != sorted(order):
        wanted = [("RESHAPE", sizes), ("TRANSPOSE", list(inverse(order)))]
        wanted = wanted[1:] if start == tuple(sizes) else wanted
    if tuple(size for size, _ in factors) != index.shape or not wanted:
        wanted.append(("RESHAPE", list(index.shape)))
    return wanted


def _into_rows(graph: Graph, chain: list[Node], index: Array) -> bool:
    """Store a dense layer's rows in the order in which a chain wants them."""
    source = chain[-1].input(0)
    if source.shape[-1:] != (source.size,) or len(index.reshape(-1)) != source.size:
        return False
    if graph.sole_user(source) is not chain[-1] or not permute_channels(graph, source, index.reshape(-1)):
        return False
    return swap(graph, chain[0].output, Builder(graph, before=chain[0]).reshape(source, chain[0].output.shape))


def _into_columns(graph: Graph, node: Node) -> bool:
    """Store a dense layer's columns in the order in which a map before it lies."""
    x, weights = node.input(0), floats(node.inputs[1])
    chain = chain_to(x)
    if weights is None or x.size != weights.shape[1] or not any(order_of(entry) for entry in chain):
        return False
    columns = np.empty_like(weights)
    columns[:, places(chain).reshape(-1)] = weights
    node.inputs[:2] = [
        Builder(graph, before=node).reshape(chain[-1].input(0), x.shape),
        constant(columns, node.input(1).name),
    ]
    return True


def permute_channels(graph: Graph, value: Value, order: Array) -> bool:
    """Have the weights that make a value store their output channels in another order, if only weights decide it.

    Args:
        graph: Is edited.
        value: Its last axis are the channels; through operators that treat every element alike they come from weights.
        order: The new channel i is the old channel ``order[i]``.
    """
    home = value.producer
    while home is not None and home.kind in UNARY:
        value = home.input(0)
        if graph.sole_user(value) is not home:
            return False
        home = value.producer
    if home is None or home.kind not in {"CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"}:
        return False
    if floats(home.inputs[1]) is None or home.input(1).shape[0] != len(order):
        return False
    at = 3 if home.kind == "TRANSPOSE_CONV" else 2
    bias = home.inputs[at] if len(home.inputs) > at else None
    if bias is not None and floats(bias) is None:
        return False
    home.inputs[1] = constant(home.input(1).data[order], home.input(1).name)  # type: ignore[index]
    if bias is not None:
        home.inputs[at] = constant(floats(bias)[order], bias.name)  # type: ignore[index]
    return True
