"""What operators cost on a target, beside what they look like: found by asking its meter once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.costs.singles import split
from edge_aigc.converters.costs.work import LANES, operator_price
from edge_aigc.converters.graph import Operator, Tensor
from edge_aigc.converters.ir import Builder, Graph, Value, write

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Node
    from edge_aigc.cost import CostMeter

_TRIED_LANES = (32, 16)
"""Wider than NEON's 8: AVX-512 and AVX."""
_EQUAL = 0.93
"""Share of the cost of full lanes from which a kernel counts as making them all: one of 8 lanes that fills 36 channels
takes 5 / 6 of what 48 take, one of 16 lanes all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Of one graph on one target."""

    rates: tuple[float, ...] | None = None
    """Of every node, what a price of one costs; None: the same everywhere."""
    lanes: int = LANES
    """Output channels that kernels make at a time."""


def tariff_on(graph: Graph, meter: CostMeter, *, threads: int) -> Tariff:
    """Return what the operators of a graph cost on a target.

    Args:
        graph: Whole.
        meter: Of the target.
        threads: There.

    Raises:
        BundleError: The runtime refuses an operator.
    """
    singles = split(write(graph))
    alone = {single.key: single.flatbuffer for single in singles}
    widths = {f"{width} channels": _convolution(width) for width in _widths()}
    costs = {name: cost.rank for name, cost in meter.measure({**alone, **widths}, threads=threads).items()}
    lanes = _lanes({width: costs[f"{width} channels"] for width in _widths()})
    entry = min(costs[single.key] for single in singles)
    prices = [operator_price(operator_of(node), lanes) for node in graph.nodes]
    rates = [0.0] * len(graph.nodes)
    for single in singles:
        price = sum(prices[position] for position in single.positions)
        for position in single.positions:
            # Every single pays for an invocation of its own; the cheapest is little else.
            rates[position] = max(costs[single.key] - entry, 0.0) / price if price else 0.0
    return Tariff(rates=tuple(rates) if any(rates) else None, lanes=lanes)


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


def _widths() -> tuple[int, ...]:
    return tuple(sorted({width for lanes in _TRIED_LANES for width in (32 + 4, 32 + lanes)}))


def _lanes(costs: dict[int, float]) -> int:
    """Return the widest step in which costs rise."""
    for lanes in _TRIED_LANES:
        if costs[32 + 4] >= _EQUAL * costs[32 + lanes]:
            return lanes
    return LANES


def _convolution(width: int) -> bytes:
    """Return a 3x3 convolution of 64 channels on maps of 16x16."""
    x = Value(name="x", shape=(1, 16, 16, 64))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    graph.outputs = [Builder(graph).conv_2d(x, np.full((width, 3, 3, 64), 1 / 64, np.float32), padding="SAME")]
    return write(graph)
