"""How many places a model knows: the rows of the tables that a step looks its position up in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.ir import read

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_aigc.converters.ir import Value


def places_known(flatbuffer: bytes, states: Collection[str]) -> int | None:
    """Return the fewest rows of a constant table that is read at an integer state; None where there is no such table.

    Args:
        flatbuffer: A step graph.
        states: Names of its state inputs.
    """
    graph = read(flatbuffer)
    inputs = dict(zip(graph.input_names, graph.inputs, strict=True))
    counters = {id(inputs[name]) for name in states if name in inputs and inputs[name].dtype.startswith("INT")}
    rows = [
        node.input(0).shape[int(node.options.get("axis", 0))]
        for node in graph.nodes
        if node.kind == "GATHER" and node.input(0).constant and _from(node.input(1)) <= counters
    ]
    return min(rows, default=None)


def _from(value: Value) -> set[int]:
    """Return the inputs of the graph that a value is computed from; itself where it is one, 0 where there is none."""
    found: set[int] = set()
    waiting, seen = [value], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or one.constant:
            continue
        seen.add(id(one))
        if one.producer is None:
            found.add(id(one))
        else:
            waiting.extend(other for other in one.producer.inputs if other is not None)
    return found or {0}
