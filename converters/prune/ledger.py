"""What a graph costs with fewer units, without cutting it: from the shapes that its operators would have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from edge_aigc.converters.costs.singles import split
from edge_aigc.converters.costs.work import operator_price, work
from edge_aigc.converters.graph import Operator, Tensor
from edge_aigc.converters.ir import write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.ir import Graph, Node, Value
    from edge_aigc.converters.prune.groups import Group
    from edge_aigc.cost import CostMeter

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
    rate: float
    """What a unit of its price costs on the target."""

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

    def __init__(self, graph: Graph, groups: Sequence[Group], rates: Sequence[float] | None = None) -> None:
        """Take down every operator.

        Args:
            graph: Whole; its values have names of their own.
            groups: Of it.
            rates: Of every node, what its `operator_price` of one costs on the target; None: the same everywhere.
        """
        axes: dict[str, list[_Axis]] = {}
        for group in groups:
            for member in group.members:
                held = _Axis(axis=member.axis, group=group.name, units=group.units, places=member.places.size)
                some = axes.setdefault(member.value_name, [])
                if held not in some:  # several nodes may read a constant
                    some.append(held)
        self._entries = [
            _entry(node, axes, rate) for node, rate in zip(graph.nodes, rates or [1.0] * len(graph.nodes), strict=True)
        ]
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
        return sum(entry.rate * operator_price(entry.with_fewer(counts)) for entry in self._entries)

    def saved(self, counts: Counts, name: str, fewer: int) -> float:
        """Return what it saves to keep fewer units of one group than `counts` says."""
        lower = {**counts, name: fewer}
        return sum(
            entry.rate * (operator_price(entry.with_fewer(counts)) - operator_price(entry.with_fewer(lower)))
            for entry in self._touched[name]
        )

    def neighbours(self, name: str) -> set[str]:
        """Return the groups whose savings change with one: those of the same operators, and itself."""
        tensors = [tensor for entry in self._touched[name] for tensor in (*entry.inputs, *entry.outputs)]
        return {name, *(axis.group for tensor in tensors for axis in tensor)}


def rates_on(graph: Graph, meter: CostMeter, *, threads: int = 1) -> list[float]:
    """Return what a unit of each node's price costs on a target: each operator measured alone, equal ones once.

    Args:
        graph: Whole.
        meter: Of the target.
        threads: There.

    Raises:
        BundleError: The runtime refuses an operator.
    """
    singles = split(write(graph))
    costs = meter.measure({single.key: single.flatbuffer for single in singles}, threads=threads)
    entry = min(cost.rank for cost in costs.values())
    prices = [operator_price(_entry(node, {}, 1.0).operator) for node in graph.nodes]
    rates = [0.0] * len(graph.nodes)
    for single in singles:
        price = sum(prices[position] for position in single.positions)
        for position in single.positions:
            # Every single pays for an invocation of its own; the cheapest is little else.
            rates[position] = max(costs[single.key].rank - entry, 0.0) / price if price else 0.0
    return rates


def _entry(node: Node, axes: Mapping[str, Sequence[_Axis]], rate: float) -> _Entry:
    def of(value: Value | None) -> tuple[_Axis, ...]:
        return () if value is None else tuple(axes.get(value.name, ()))

    return _Entry(
        operator=Operator(
            kind=node.kind,
            version=node.version,
            inputs=tuple(None if value is None else _tensor(value) for value in node.inputs),
            outputs=tuple(map(_tensor, node.outputs)),
        ),
        inputs=tuple(map(of, node.inputs)),
        outputs=tuple(map(of, node.outputs)),
        rate=rate,
    )


def _tensor(value: Value) -> Tensor:
    return Tensor(name=value.name, shape=value.shape, dtype=value.dtype, constant=value.constant, scales=0)


def _smaller(tensor: Tensor, axes: Sequence[_Axis], counts: Counts) -> Tensor:
    if not axes:
        return tensor
    shape = list(tensor.shape)
    for axis in axes:
        lost = axis.units - counts.get(axis.group, axis.units)
        shape[axis.axis] -= round(axis.places * lost / axis.units)
    return replace(tensor, shape=tuple(shape))
