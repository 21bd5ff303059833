"""A graph with labels on all its axes, by the rules of its operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.prune.labels import Labels
from edge_aigc.converters.prune.rules.known import UnknownError
from edge_aigc.converters.prune.rules.table import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.ir import Graph, Node, Value

NEXT = "_next"
"""An output of this name more feeds the input of the name without it, where no specification says otherwise."""


def labelled(graph: Graph, states: Mapping[str, str] | None = None) -> Labels:
    """Return the labels of a graph; inputs and outputs stay as they are.

    Args:
        graph: Is not touched.
        states: By the name of an input the output that feeds it at the next step; None: found by their names.
    """
    labels = Labels()
    for value, reason in _borders(graph, states):
        for axis in labels.of(value) if value.data is None else ():
            labels.freeze(axis, reason)
    for node in graph.nodes:
        _label(labels, node)
    return labels


def _borders(graph: Graph, states: Mapping[str, str] | None) -> list[tuple[Value, str]]:
    if states is None:
        states = {name: name + NEXT for name in graph.input_names if name + NEXT in graph.output_names}
    kept = {**{name: name for name in states}, **{left: name for name, left in states.items()}}
    return [
        (value, f"the state {kept[name]!r} is kept whole" if name in kept else f"{name!r} is an {side} of the graph")
        for side, values, names in (
            ("input", graph.inputs, graph.input_names),
            ("output", graph.outputs, graph.output_names),
        )
        for value, name in zip(values, names, strict=True)
    ]


def _label(labels: Labels, node: Node) -> None:
    rule = None if node.is_custom else RULES.get(node.kind)
    if rule is None:
        _hold(labels, node, f"{node.kind} has no rule")
        return
    try:
        rule(labels, node)
    except UnknownError as exc:
        _hold(labels, node, str(exc))


def _hold(labels: Labels, node: Node, reason: str) -> None:
    """Have everything stay that a node touches."""
    for place, value in enumerate(node.inputs):
        for axis in labels.read(node, place) if value is not None else ():
            labels.freeze(axis, reason)
    for output in node.outputs:
        for axis in labels.of(output):
            labels.freeze(axis, reason)
