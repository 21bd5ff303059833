"""What operators cost on a target, and how that falls with their channels: found by asking it once.

Every operator is priced as it will run there, in its cheapest form: a 3x3 convolution of 64 channels that becomes
Winograd's takes 0.46 of the direct kernel's time, one of 32 channels 0.69 (x86-64 with AVX-512), so that channels
that look dear may save little. Forms differ in how their cost rises, too: a kernel's with the products of inputs and
outputs, a transformation's with their sum. So each is priced at several widths, and both rates are fitted.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_aigc.converters.costs.singles import split
from edge_aigc.converters.costs.work import LANES, numbers_price, work, work_price
from edge_aigc.converters.graph import Operator, Tensor
from edge_aigc.converters.ir import Builder, Graph, Value, write
from edge_aigc.converters.places import joined, place_key
from edge_aigc.converters.prune.cut import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.ir import Array, Node
    from edge_aigc.converters.prune.groups import Group

Priced: TypeAlias = "Callable[[Mapping[str, Graph]], dict[str, float]]"
"""Small nets by name to what each costs on the target, in its cheapest form."""
Regions: TypeAlias = "Callable[[Graph], Sequence[tuple[Node, ...]]]"
"""The operators of a graph that may be put another way together; they do not overlap."""

_WIDTHS = (1.0, 0.5, 0.25)
"""Of the channels of every group, in full lanes: two rates want two points, and one more evens out the clock."""
_RAGGED = 0.6
"""And once with lanes that are idle: of 64 channels 38 are left, where kernels make 40 or 48."""
_TRIED_LANES = (32, 16)
"""Wider than NEON's 8: AVX-512 and AVX."""
_EQUAL = 0.93
"""Share of the cost of full lanes from which a kernel counts as making them all: one of 8 lanes that fills 36 channels
takes 5 / 6 of what 48 take, one of 16 lanes all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whoever tells what small nets cost, and which operators it puts another way."""

    priced: Priced
    regions: Regions


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What an operator costs for each unit of the two prices that make up its work."""

    numbers: float
    """Taken and made."""
    work: float
    idle: float = 1.0
    """Share of the idle lanes of kernels that costs: a direct convolution's do, a transformation's hardly."""

    def of(self, operator: Operator, lanes: int) -> float:
        """Return what an operator costs."""
        numbers, done = _prices(operator)
        return (self.numbers * numbers + self.work * done) * (1 + self.idle * _idle(operator, lanes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Of one graph on one target."""

    rates: tuple[Rate, ...] | None = None
    """Of every node; None: the same everywhere."""
    lanes: int = LANES
    """Output channels that kernels make at a time."""


def tariff_on(graph: Graph, groups: Sequence[Group], target: Target) -> Tariff:
    """Return what the operators of a graph cost on a target.

    Args:
        graph: Whole; its values have names of their own.
        groups: Those of its channels that can be cut.
        target: Asked twice.

    Raises:
        BundleError: The runtime refuses an operator.
    """
    entry, lanes = _of_any_net(target.priced)
    blocks = _blocks(graph, target.regions)
    names = [[graph.nodes[position].output.name for position in block] for block in blocks]
    narrow = [_narrow(graph, groups, share, lanes) for share in _WIDTHS]
    parts = [_parts(some, names) for some in (*narrow, _narrow(graph, groups, _RAGGED, 1))]
    keys = [[place_key(part) for part in some] for some in parts]
    costs = target.priced(dict(zip(itertools.chain(*keys), itertools.chain(*parts), strict=True)))
    rates = [Rate(numbers=0.0, work=0.0)] * len(graph.nodes)
    for index, block in enumerate(blocks):
        found = [max(costs[some[index]] - entry, 0.0) for some in keys]
        rate = _fitted([some[index] for some in parts], found, lanes)
        for position in block:
            rates[position] = rate
    return Tariff(rates=tuple(rates) if any(rate.numbers or rate.work for rate in rates) else None, lanes=lanes)


def operator_of(node: Node) -> Operator:
    """Return a node as costs see it."""
    return Operator(
        kind=node.kind,
        version=node.version,
        inputs=tuple(None if value is None else _tensor(value) for value in node.inputs),
        outputs=tuple(map(_tensor, node.outputs)),
    )


def _tensor(value: Value) -> Tensor:
    return Tensor(name=value.name, shape=value.shape, dtype=value.dtype, constant=value.constant, scales=0)


def _prices(operator: Operator) -> tuple[float, float]:
    """Return the prices of the numbers that an operator takes and makes, and of its work."""
    taken = [tensor for tensor in operator.inputs if tensor is not None and not tensor.constant]
    return numbers_price((*taken, *operator.outputs)), work_price(operator, lanes=1)


def _idle(operator: Operator, lanes: int) -> float:
    """Return the channels that an operator's kernel computes for nothing, as a share of those that it is asked for."""
    if not work(operator):
        return 0.0
    channels = operator.outputs[0].shape[-1]
    return -channels % lanes / channels


def _blocks(graph: Graph, regions: Regions) -> list[tuple[int, ...]]:
    """Return the positions of the nodes that are priced together: those put another way, and those that run as one."""
    order = {id(node): position for position, node in enumerate(graph.nodes)}
    fused = [tuple(graph.nodes[position] for position in single.positions) for single in split(write(graph))]
    blocks = [tuple(order[id(node)] for node in nodes) for nodes in joined([*regions(graph), *fused], order)]
    alone = set(order.values()).difference(*blocks)
    return [*blocks, *((position,) for position in sorted(alone))]


def _narrow(graph: Graph, groups: Sequence[Group], share: float, lanes: int) -> Graph:
    """Return a graph with a share of the units of every group, full lanes where there are as many."""
    keep = {}
    for group in groups:
        kept = max(1, round(share * group.units))
        if lanes < kept < group.units:
            kept = round(kept / lanes) * lanes
        keep[group.name] = np.arange(group.units) < kept
    return cut(graph, keep)


def _parts(narrow: Graph, names: Sequence[Sequence[str]]) -> list[Graph]:
    """Return the blocks of a graph as small nets; each is told by what its nodes make."""
    makers = {node.output.name: node for node in narrow.nodes}
    return [narrow.extract([makers[name] for name in block]) for block in names]


def _fitted(parts: Sequence[Graph], costs: Sequence[float], lanes: int) -> Rate:
    """Return the rates that come nearest to the costs of a block at each of the widths, as shares of them."""
    prices = [np.sum([_prices(operator_of(node)) for node in part.nodes], axis=0) for part in parts]
    full = [price / cost for price, cost in zip(prices[:-1], costs[:-1], strict=True) if cost > 0]
    numbers, done = _not_below_zero(np.stack(full)) if full else (0.0, 0.0)
    smooth = float(prices[-1] @ (numbers, done))
    spare = max(_idle(operator_of(node), lanes) for node in parts[-1].nodes)
    idle = max(costs[-1] / smooth - 1, 0.0) / spare if smooth and spare else 0.0
    return Rate(numbers=numbers, work=done, idle=min(idle, 1.0))


def _not_below_zero(rows: Array) -> tuple[float, float]:
    """Return the two numbers that bring the sums of products with every row nearest to one; neither is below zero."""
    first, second = np.linalg.lstsq(rows, np.ones(len(rows)), rcond=None)[0]
    if min(first, second) >= 0:
        return float(first), float(second)
    # With one of them at zero the other is a mean; the better of the two is the optimum.
    alone = [column.sum() / max(column @ column, np.finfo(float).tiny) for column in rows.T]
    errors = [np.square(column * number - 1).sum() for column, number in zip(rows.T, alone, strict=True)]
    return (float(alone[0]), 0.0) if errors[0] < errors[1] else (0.0, float(alone[1]))


def _of_any_net(priced: Priced) -> tuple[float, int]:
    """Return what an invocation costs that does next to nothing, and the widest step in which costs rise."""
    widths = sorted({width for lanes in _TRIED_LANES for width in (32 + 4, 32 + lanes)})
    costs = priced({"nothing": _nothing(), **{f"{width} channels": _convolution(width) for width in widths}})
    wide = (lanes for lanes in _TRIED_LANES if costs[f"{32 + 4} channels"] >= _EQUAL * costs[f"{32 + lanes} channels"])
    return costs["nothing"], next(wide, LANES)


def _nothing() -> Graph:
    x = Value(name="x", shape=(1, 1))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    graph.outputs = [Builder(graph).unary("RELU", x)]
    return graph


def _convolution(width: int) -> Graph:
    """Return a convolution that has one form: 1x1, of 256 channels on maps of 16x16."""
    x = Value(name="x", shape=(1, 16, 16, 256))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    graph.outputs = [Builder(graph).conv_2d(x, np.full((width, 1, 1, 256), 1 / 256, np.float32), padding="SAME")]
    return graph
