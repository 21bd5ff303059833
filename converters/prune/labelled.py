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
    """Return the labels of a graph; inputs and outputs stay as they are, but for states.

    A place of a state is one with the place of the output that feeds it at the next step: what is zero there once is
    zero at every step. A loop begins its states with one number everywhere, so that they may be of any width.

    Args:
        graph: Is not touched.
        states: By the name of an input the output that feeds it at the next step; None: found by their names.
    """
    labels = Labels()
    pairs = states_of(graph, states)
    for value, reason in _borders(graph, pairs):
        for axis in labels.of(value) if value.data is None else ():
            labels.freeze(axis, reason)
    for name, (taken, left) in pairs.items():
        _fed(labels, name, taken, left)
    for node in graph.nodes:
        _label(labels, node)
    return labels


def states_of(graph: Graph, states: Mapping[str, str] | None = None) -> dict[str, tuple[Value, Value]]:
    """Return by a state's name the input that takes it and the output that feeds that at the next step.

    Args:
        graph: Of one step.
        states: As in `labelled`.
    """
    inputs = dict(zip(graph.input_names, graph.inputs, strict=True))
    outputs = dict(zip(graph.output_names, graph.outputs, strict=True))
    if states is None:
        states = {name: name + NEXT for name in inputs if name + NEXT in outputs}
    return {name: (inputs[name], outputs[left]) for name, left in states.items()}


def feeding_of(graph: Graph, states: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the names of the outputs that feed states.

    Args:
        graph: Of one step.
        states: As in `labelled`.
    """
    lefts = [left for _, left in states_of(graph, states).values()]
    return frozenset(name for name, value in zip(graph.output_names, graph.outputs, strict=True) if value in lefts)


def _borders(graph: Graph, states: Mapping[str, tuple[Value, Value]]) -> list[tuple[Value, str]]:
    """Return the inputs and outputs that stay as they are, and why."""
    lefts = [left for _, left in states.values()]
    return [
        *(
            (value, f"{name!r} is an input of the graph")
            for name, value in zip(graph.input_names, graph.inputs, strict=True)
            if name not in states
        ),
        *(
            (value, f"{name!r} is an output of the graph")
            for name, value in zip(graph.output_names, graph.outputs, strict=True)
            if value not in lefts
        ),
    ]


def _fed(labels: Labels, name: str, taken: Value, left: Value) -> None:
    """Have a state's places go with those of what feeds it."""
    if left.data is not None or taken.shape != left.shape:
        for axis in (*labels.of(taken), *(labels.of(left) if left.data is None else ())):
            labels.freeze(axis, f"the state {name!r} is fed by what is of another shape")
        return
    for mine, theirs in zip(labels.of(taken), labels.of(left), strict=True):
        labels.join(mine, theirs)


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
