"""Remove operators that change nothing, and write the rest in the few words that runtimes are quick at.

Given:   y = RESHAPE(RESHAPE(x)), TRANSPOSE of axes of size 1, x + 0, x · 1, a slice of everything, …
Result:  y = RESHAPE(x), RESHAPE(x), x, x, x

EXPAND_DIMS, SQUEEZE and PACK become RESHAPE and CONCATENATION: XNNPACK runs those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from edge_aigc.converters.ir import Builder, Graph, Node, Value
from edge_aigc.converters.rewrites.match import floats, known, maker, one_number, plain, swap

Rule: TypeAlias = Callable[[Graph, Node], Value | None]
"""What a node's output can be replaced by, or None; what it builds goes before the node."""

_RESHAPES = frozenset({"RESHAPE", "EXPAND_DIMS", "SQUEEZE"})
_NEUTRAL: Mapping[str, float] = {"ADD": 0.0, "SUB": 0.0, "MUL": 1.0, "DIV": 1.0, "POW": 1.0}
_POWERS: Mapping[float, str] = {2.0: "SQUARE", 0.5: "SQRT", -0.5: "RSQRT"}


def remove_identities(graph: Graph) -> bool:
    """Remove or merge what changes nothing but the shape, or nothing at all."""
    changed = False
    for node in list(graph.nodes):
        for rule in _RULES.get(node.kind, ()):
            better = rule(graph, node)
            if better is not None and swap(graph, node.output, better):
                changed = True
                break
    graph.remove_dead()
    return changed


def _unchanged(_graph: Graph, node: Node) -> Value | None:
    x = node.input(0)
    same = node.output.shape == x.shape and node.output.dtype == x.dtype and x.data is None
    return x if same else None


def _reshaped(graph: Graph, node: Node) -> Value | None:
    """Return a RESHAPE of what stands before all reshapes, if it is not that already."""
    x = node.input(0)
    if x.data is not None:
        return None
    first = maker(x, *_RESHAPES)
    if node.kind == "RESHAPE" and first is None:
        return None
    start = x if first is None else first.input(0)
    if start.shape == node.output.shape:
        return start
    return Builder(graph, before=node).reshape(start, node.output.shape)


def _order_kept(graph: Graph, node: Node) -> Value | None:
    """Return a RESHAPE where a TRANSPOSE moves axes of size 1 only."""
    x = node.input(0)
    if node.inputs[1] is None or node.input(1).data is None:
        return None
    moved = [int(axis) for axis in known(node.input(1)) if x.shape[int(axis)] != 1]
    if moved != sorted(moved):
        return None
    return Builder(graph, before=node).reshape(x, node.output.shape)


def _transposed_once(graph: Graph, node: Node) -> Value | None:
    """Return one TRANSPOSE for two."""
    first = maker(node.input(0), "TRANSPOSE")
    if first is None or node.input(1).data is None or first.input(1).data is None:
        return None
    order = [int(known(first.input(1))[axis]) for axis in known(node.input(1))]
    if order == list(range(len(order))):
        return first.input(0)
    return Builder(graph, before=node).transpose(first.input(0), order)


def _turned_back(graph: Graph, node: Node) -> Value | None:
    """Return x for a REVERSE_V2 of a REVERSE_V2, and TRANSPOSE(x) where one stands between."""
    between = maker(node.input(0), "TRANSPOSE")
    first = maker(node.input(0) if between is None else between.input(0), "REVERSE_V2")
    settings = [node.input(1), *([] if first is None else [first.input(1)]), *([between.input(1)] if between else [])]
    if first is None or any(value.data is None for value in settings):
        return None
    rank = len(node.output.shape)
    order = list(range(rank)) if between is None else [int(axis) for axis in known(between.input(1))]
    turned = {order[int(axis) % rank] for axis in known(node.input(1)).reshape(-1)}
    if turned != {int(axis) % rank for axis in known(first.input(1)).reshape(-1)}:
        return None
    x = first.input(0)
    return x if between is None else Builder(graph, before=node).transpose(x, order)


def _neutral(_graph: Graph, node: Node) -> Value | None:
    """Return x for x + 0, x - 0, x · 1, x / 1, x ** 1, constants of any shape."""
    if not plain(node):
        return None
    places = (1,) if node.kind in {"SUB", "DIV", "POW"} else (0, 1)
    for place in places:
        number, x = floats(node.input(place)), node.input(1 - place)
        if number is None or x.data is not None or x.shape != node.output.shape:
            continue
        if bool(np.all(number == _NEUTRAL[node.kind])):
            return x
    return None


def _power(graph: Graph, node: Node) -> Value | None:
    kind = _POWERS.get(one_number(floats(node.input(1))) or 0.0)
    x = node.input(0)
    if kind is None or x.shape != node.output.shape:
        return None
    return Builder(graph, before=node).unary(kind, x)


def _whole(_graph: Graph, node: Node) -> Value | None:
    """Return x for a STRIDED_SLICE of everything, forwards."""
    x = node.input(0)
    steps = node.input(3).data
    forwards = steps is not None and bool(np.all(steps == 1))
    return x if forwards and x.shape == node.output.shape and x.data is None else None


def _one_part(_graph: Graph, node: Node) -> Value | None:
    return node.input(0) if len(node.inputs) == 1 and plain(node) and node.input(0).data is None else None


def _packed(graph: Graph, node: Node) -> Value | None:
    """Return a CONCATENATION for a PACK."""
    if any(value is None for value in node.inputs):
        return None
    axis = int(node.options["axis"]) % len(node.output.shape)
    build = Builder(graph, before=node)
    shape = [*node.output.shape[:axis], 1, *node.output.shape[axis + 1 :]]
    parts = [build.reshape(node.input(place), shape) for place in range(len(node.inputs))]
    return parts[0] if len(parts) == 1 else build.concatenate(parts, axis)


def _mean_of_one(graph: Graph, node: Node) -> Value | None:
    """Return a RESHAPE for a reduction over axes of size 1."""
    x = node.input(0)
    if x.size != node.output.size or x.data is not None:
        return None
    return Builder(graph, before=node).reshape(x, node.output.shape)


def _unneeded_spread(graph: Graph, node: Node) -> Value | None:
    """Return x where all who read a broadcast x would broadcast it themselves."""
    x = node.input(0)
    if x.data is None and x.shape == node.output.shape:
        return x
    users = graph.users(node.output)
    if not users or node.output in graph.outputs or not all(_spreads(user, node.output, x) for user in users):
        return None
    return x


def _spreads(user: Node, wide: Value, x: Value) -> bool:
    if user.kind not in _BROADCASTING or len(user.inputs) != 2:  # noqa: PLR2004 - binary
        return False
    shapes = [x.shape if value is wide else value.shape for value in user.inputs if value is not None]
    try:
        return np.broadcast_shapes(*shapes) == user.output.shape
    except ValueError:  # what is repeated is longer than one: no operator repeats that by itself
        return False


_BROADCASTING = frozenset(
    {"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "POW", "LESS", "GREATER", "EQUAL"}
)
_RULES: Mapping[str, tuple[Rule, ...]] = {
    "RESHAPE": (_unchanged, _reshaped),
    "EXPAND_DIMS": (_reshaped,),
    "SQUEEZE": (_reshaped,),
    "TRANSPOSE": (_order_kept, _transposed_once),
    "REVERSE_V2": (_turned_back,),
    "ADD": (_neutral,),
    "SUB": (_neutral,),
    "MUL": (_neutral,),
    "DIV": (_neutral,),
    "POW": (_neutral, _power),
    "SLICE": (_unchanged,),
    "STRIDED_SLICE": (_whole,),
    "PAD": (_unchanged,),
    "PADV2": (_unchanged,),
    "MIRROR_PAD": (_unchanged,),
    "CAST": (_unchanged,),
    "TILE": (_unneeded_spread,),
    "BROADCAST_TO": (_unneeded_spread,),
    "CONCATENATION": (_one_part,),
    "PACK": (_packed,),
    "MEAN": (_mean_of_one,),
    "SUM": (_mean_of_one,),
    "REDUCE_MAX": (_mean_of_one,),
    "REDUCE_MIN": (_mean_of_one,),
    "RESIZE_NEAREST_NEIGHBOR": (_unchanged,),
    "RESIZE_BILINEAR": (_unchanged,),
}
