"""What a graph costs with fewer units, without cutting it: from the shapes that its operators would have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from edge_aigc.converters.costs.work import operator_price, work
from edge_aigc.converters.prune.tariff import Rate, Tariff, operator_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.graph import Operator, Tensor
    from edge_aigc.converters.ir import Graph, Node, Value
    from edge_aigc.converters.prune.groups import Group, Reader

Counts: TypeAlias = "Mapping[str, int]"
"""Name of a group to how many of its units are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """Of one tensor: what a group's units take of it."""

    axis: int
    group: str
    units: int
    places: int
    """Of all units together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One operator."""

    operator: Operator
    inputs: tuple[tuple[_Axis, ...], ...]
    outputs: tuple[tuple[_Axis, ...], ...]
    rate: Rate | None
    """What it costs on the target; None: its price."""

    def with_fewer(self, counts: Counts) -> Operator:
        """Return the operator as it would be."""
        return replace(
            self.operator,
            inputs=tuple(
                None if tensor is None else _smaller(tensor, axes, counts)
                for tensor, axes in zip(self.operator.inputs, self.inputs, strict=True)
            ),
            outputs=tuple(
                _smaller(tensor, axes, counts) for tensor, axes in zip(self.operator.outputs, self.outputs, strict=True)
            ),
        )


class Ledger:
    """Multiplications and costs of a graph for any number of units that are kept of each group."""

    def __init__(self, graph: Graph, groups: Sequence[Group], tariff: Tariff | None = None) -> None:
        """Take down every operator.

        Args:
            graph: Whole; its values have names of their own.
            groups: Of it.
            tariff: Of it on the target; None: costs are told by multiplications and numbers moved.
        """
        axes: dict[str | Reader, list[_Axis]] = {}
        for group in groups:
            for member in group.members:
                held = _Axis(axis=member.axis, group=group.name, units=group.units, places=member.places.size)
                axes.setdefault(member.reader or member.value_name, []).append(held)
        tariff = tariff or Tariff()
        self._lanes = tariff.lanes
        rates = tariff.rates or [None] * len(graph.nodes)
        self._entries = [_entry(node, axes, rate) for node, rate in zip(graph.nodes, rates, strict=True)]
        self._touched: dict[str, list[_Entry]] = {group.name: [] for group in groups}
        for entry in self._entries:
            for name in {axis.group for tensor in (*entry.inputs, *entry.outputs) for axis in tensor}:
                self._touched[name].append(entry)
        self.full: dict[str, int] = {group.name: group.units for group in groups}

    def multiplications(self, counts: Counts) -> int:
        """Return those of the whole graph."""
        return sum(work(entry.with_fewer(counts)) for entry in self._entries)

    def cost(self, counts: Counts) -> float:
        """Return what the whole graph costs, in the unit of the rates."""
        return sum(self._cost(entry, counts) for entry in self._entries)

    def saved(self, counts: Counts, name: str, kept: int) -> float:
        """Return what it saves to keep another number of units of one group than `counts` says; below zero: costs."""
        other = {**counts, name: kept}
        return sum(self._cost(entry, counts) - self._cost(entry, other) for entry in self._touched[name])

    def multiplications_saved(self, counts: Counts, name: str, kept: int) -> int:
        """Return the same in multiplications."""
        other = {**counts, name: kept}
        return sum(work(entry.with_fewer(counts)) - work(entry.with_fewer(other)) for entry in self._touched[name])

    def coarsest(self, counts: Counts) -> tuple[str, float]:
        """Return the group of which one unit more or less makes most, and which share of all multiplications.

        Args:
            counts: What is kept of every group.
        """
        whole = self.multiplications(self.full)
        shares = {name: self._of_one(counts, name) / whole for name in self.full}
        name = max(shares, key=lambda one: (shares[one], one))
        return name, shares[name]

    def _of_one(self, counts: Counts, name: str) -> int:
        kept = counts[name]
        others = [other for other in (kept - 1, kept + 1) if 1 <= other <= self.full[name]]
        return max((abs(self.multiplications_saved(counts, name, other)) for other in others), default=0)

    def neighbours(self, name: str) -> set[str]:
        """Return the groups whose savings change with one: those of the same operators, and itself."""
        tensors = [tensor for entry in self._touched[name] for tensor in (*entry.inputs, *entry.outputs)]
        return {name, *(axis.group for tensor in tensors for axis in tensor)}

    def _cost(self, entry: _Entry, counts: Counts) -> float:
        operator = entry.with_fewer(counts)
        if entry.rate is None:
            return operator_price(operator, self._lanes)
        return entry.rate.of(operator, self._lanes)


def _entry(node: Node, axes: Mapping[str | Reader, Sequence[_Axis]], rate: Rate | None) -> _Entry:
    def read(place: int, value: Value | None) -> tuple[_Axis, ...]:
        if value is None:
            return ()
        return tuple(axes.get((node.output.name, place) if value.constant else value.name, ()))

    return _Entry(
        operator=operator_of(node),
        inputs=tuple(read(place, value) for place, value in enumerate(node.inputs)),
        outputs=tuple(tuple(axes.get(value.name, ())) for value in node.outputs),
        rate=rate,
    )


def _smaller(tensor: Tensor, axes: Sequence[_Axis], counts: Counts) -> Tensor:
    if not axes:
        return tensor
    shape = list(tensor.shape)
    for axis in axes:
        lost = axis.units - counts.get(axis.group, axis.units)
        shape[axis.axis] -= round(axis.places * lost / axis.units)
    return replace(tensor, shape=tuple(shape))
