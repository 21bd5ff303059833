"""Layers with weights as a repair sees them: what they make before their activations, and weights to be put in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Node, Value
from edge_aigc.converters.ir.windows import activation_of
from edge_aigc.converters.prune.patches import bias_of, refitted, weights_of
from edge_aigc.converters.prune.ridge import Line, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_aigc.converters.ir import Array, Graph
    from edge_aigc.converters.prune.patches import Patches
    from edge_aigc.converters.prune.ridge import Parts

_ROWS_A_COLUMN = 6
"""Rows for each number to fit."""
_LEAST_ROWS = 4096
_PART_BYTES = 64 << 20
"""Of rows that are in memory at once."""
_HELD_OUT_EVERY = 8
_FREE = frozenset({"RELU", "RELU6"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A node with weights, its activation taken off."""

    name: str
    """Of what it makes after the activation."""
    node: Node
    free: bool
    """Whether what it makes below zero is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """A graph whose layers show what they make before their activations."""

    graph: Graph
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, graph: Graph) -> Bare:
        """Return a copy of a graph without the activations of its layers; operators of their own follow."""
        bare = graph.copy()
        layers = []
        for node in list(bare.nodes):
            if not refitted(node):
                continue
            made, activation = node.output, activation_of(node)
            layers.append(Layer(name=made.name, node=node, free=activation in _FREE))
            if activation != "NONE":
                linear = Value(name=f"{made.name}/linear", shape=made.shape, dtype=made.dtype, producer=node)
                node.outputs, node.options["fusedActivationFunction"] = [linear], 0
                at = bare.nodes.index(node) + 1
                bare.nodes.insert(at, Node(kind=activation, inputs=[linear], outputs=[made]))
        return cls(graph=bare, layers=tuple(layers))


def apart(bare: Bare) -> tuple[list[list[Layer]], list[Layer]]:
    """Return the layers that read the same weights, or weights that something else reads, too; and all others."""
    by_weights: dict[int, list[Layer]] = {}
    for layer in bare.layers:
        by_weights.setdefault(id(weights_of(layer.node)), []).append(layer)
    shared = [family for family in by_weights.values() if readings(bare.graph, family[0]) > 1]
    return shared, [layer for layer in bare.layers if readings(bare.graph, layer) == 1]


def readings(graph: Graph, layer: Layer) -> int:
    """Return how often a graph reads the weights of a layer."""
    weights = weights_of(layer.node)
    return sum(value is weights for node in graph.nodes for value in node.inputs)


def line_of(node: Node) -> Line:
    """Return what a layer computes of a row."""
    weights, bias = weights_of(node), bias_of(node)
    return Line(weights=data_of(weights).reshape(weights.shape[0], -1), bias=None if bias is None else data_of(bias))


def data_of(value: Value) -> Array:
    """Return the numbers of a constant."""
    assert value.data is not None, f"{value} is not constant"
    return value.data


def hand(nodes: Sequence[Node], line: Line) -> None:
    """Give layers that share their weights new ones, and a bias of their own if the line has one."""
    given = [(weights_of(nodes[0]), line.weights), (bias_of(nodes[0]), line.bias)]
    for old, fresh in given:
        if old is None or fresh is None:
            continue
        new = Value(name=old.name, shape=old.shape, data=fresh.reshape(old.shape))
        for node in nodes:
            node.inputs = [new if value is old else value for value in node.inputs]


def drawn(patches: Patches, now: Sequence[Array], wanted: Sequence[Array], *, share: float = 1.0) -> Parts:
    """Return the rows of a layer at places that are drawn evenly from all samples, and what is wanted there.

    Args:
        patches: The rows that there are.
        now: What the layer reads, sample by sample; every eighth is held out.
        wanted: What it shall make: rows of channels.
        share: Of the rows that its weights call for.
    """
    dice = np.random.default_rng(0)
    rows = share * max(_LEAST_ROWS, _ROWS_A_COLUMN * patches.columns)
    each = min(patches.places, int(-(-rows // len(now))))
    places = [np.sort(dice.choice(patches.places, each, replace=False)) for _ in now]
    most = max(1, _PART_BYTES // (4 * patches.columns * each))
    apart = min(_HELD_OUT_EVERY, len(now))
    held_out = list(range(apart - 1, len(now), apart))
    fitted = [number for number in range(len(now)) if number not in held_out]

    def parts() -> Iterator[Part]:
        for numbers in (held_out, fitted):
            for begin in range(0, len(numbers), most):
                some = numbers[begin : begin + most]
                yield Part(
                    rows=np.concatenate([patches.rows(now[number], places[number]) for number in some]),
                    targets=np.concatenate([wanted[number][places[number]] for number in some]),
                    held_out=numbers is held_out,
                )

    return parts
