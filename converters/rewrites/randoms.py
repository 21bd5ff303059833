"""Lift random numbers in the graph to inputs, so that a seed decides them.

Given:   y = f(x, RANDOM_STANDARD_NORMAL(shape))
Result:  y = f(x, noise), noise an input whose prior is normal

Known are TFLite's own operators and TensorFlow's, carried as custom (Flex) ones. What is random otherwise stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from edge_aigc.converters.ir import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.ir import Graph, Node

Prior: TypeAlias = Literal["normal", "uniform"]

_PRIORS: Mapping[str, Prior] = {
    "RANDOM_STANDARD_NORMAL": "normal",
    "RANDOM_UNIFORM": "uniform",
    "FlexRandomStandardNormal": "normal",
    "FlexRandomUniform": "uniform",
    "FlexStatelessRandomNormal": "normal",
    "FlexStatelessRandomNormalV2": "normal",
    "FlexStatelessRandomUniform": "uniform",
    "FlexStatelessRandomUniformV2": "uniform",
}
"""Operators whose first input is the shape that they fill: standard normal, or uniform in [0, 1)."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """One input that random numbers became."""

    name: str
    shape: tuple[int, ...]
    prior: Prior


def draws(graph: Graph) -> bool:
    """Return whether a graph has random numbers that can be lifted."""
    return any(node.kind in _PRIORS for node in graph.nodes)


def lift_random(graph: Graph) -> list[Lifted]:
    """Make inputs of the random numbers of a graph, after those that it has.

    Args:
        graph: Is edited. Shapes must be constants: fold them first.

    Returns:
        The inputs that were added, in order.
    """
    lifted: list[Lifted] = []
    for node in list(graph.nodes):
        prior = _PRIORS.get(node.kind)
        shape = None if prior is None else _shape(node)
        if prior is None or shape is None:
            continue
        name = _free_name(graph, len(lifted))
        noise = Value(name=name, shape=shape, dtype=node.output.dtype)
        graph.replace(node.output, noise)
        graph.inputs.append(noise)
        graph.input_names.append(name)
        lifted.append(Lifted(name=name, shape=shape, prior=prior))
    graph.remove_dead()
    return lifted


def _shape(node: Node) -> tuple[int, ...] | None:
    first = node.inputs[0]
    if first is None or first.data is None or node.output.dtype != "FLOAT32":
        return None
    return tuple(int(size) for size in np.reshape(first.data, -1))


def _free_name(graph: Graph, number: int) -> str:
    name = "noise" if number == 0 else f"noise_{number + 1}"
    taken = {_NOT_IN_NAMES.sub("_", other) for other in (*graph.input_names, *graph.output_names)}
    while name in taken:
        name += "_"
    return name
