"""A graph whose units can be turned down from outside: what tells how much each one matters.

Given:   v = conv(x, w)                  channels of a group begin here
Result:  v = conv(x, w) · gate           gate: one more input of the graph, ones, a number a channel

The gradient at a gate is the sum of activation times gradient over all places of its channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder, Value
from edge_aigc.converters.prune.units import makers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir import Array, Graph
    from edge_aigc.converters.prune.groups import Group, Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One more input of a gated graph."""

    group: str
    shape: tuple[int, ...]
    """A batch of 1, and one number a channel."""
    units: Array
    """Of each channel: the unit that it belongs to; -1 if to none."""


def gated(graph: Graph, groups: Sequence[Group]) -> tuple[Graph, tuple[Gate, ...]]:
    """Return a copy of a graph with gates after its own inputs, wherever channels of the groups begin or come in."""
    copy = graph.copy()
    taken = {value.name: value for value in copy.inputs}
    gates: list[Gate] = []
    for group in groups:
        begins = [(node.output, member) for node, member in makers(copy, group)]
        begins += [(taken[member.value_name], member) for member in group.members if member.value_name in taken]
        for made, member in begins:
            if member.axis == 0 or made.dtype != "FLOAT32":
                continue  # the batch's own axis: no gate can tell samples apart there
            shape = tuple(size if axis == member.axis else 1 for axis, size in enumerate(made.shape))
            gate = Value(name=f"gate {len(gates)}", shape=shape)
            _gate(copy, made, gate)
            copy.inputs.append(gate)
            copy.input_names.append(gate.name)
            gates.append(Gate(group=group.name, shape=shape, units=_units(member, made.shape[member.axis])))
    return copy, tuple(gates)


def _gate(graph: Graph, made: Value, gate: Value) -> None:
    """Have all that reads a value, an input or one that a node makes, read its product with a gate."""
    node = made.producer
    if node is None:
        readers = graph.users(made)
        product = Builder(graph, before=graph.nodes[0]).mul(made, gate)
        for reader in readers:
            reader.inputs = [product if value is made else value for value in reader.inputs]
        return
    old = Value(name=f"{made.name}/ungated", shape=made.shape, dtype=made.dtype, producer=node)
    node.outputs[0] = old
    at = graph.nodes.index(node) + 1
    before = graph.nodes[at] if at < len(graph.nodes) else None
    _take_over(Builder(graph, before=before).mul(old, gate), made)


def _take_over(made: Value, wanted: Value) -> None:
    """Have the node that makes one value make another instead."""
    node = made.producer
    assert node is not None
    node.outputs[0], wanted.producer = wanted, node


def _units(member: Member, size: int) -> Array:
    units = np.full(size, -1)
    for unit, places in enumerate(member.places):
        units[places] = unit
    return units
