"""How many multiplications hang on some channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_aigc.converters.costs.work import work
from edge_aigc.converters.graph import Operator, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_aigc.converters.ir import Graph, Node, Value
    from edge_aigc.converters.prune.labels import Key


class Worked:
    """The operators of a graph that multiply."""

    def __init__(self, graph: Graph) -> None:
        """Find them."""
        self._touching: dict[Key, list[Node]] = {}
        for node in graph.nodes:
            if work(_operator(node, {})):
                for key in _keys(node):
                    self._touching.setdefault(key, []).append(node)

    def without(self, gone: Mapping[tuple[Key, int], int]) -> int:
        """Return how many multiplications fall away with places of axes.

        Args:
            gone: By tensor and axis how many places.
        """
        nodes = {id(node): node for key, _ in gone for node in self._touching.get(key, ())}
        return sum(work(_operator(node, {})) - _left(node, gone) for node in nodes.values())


def _keys(node: Node) -> Iterable[Key]:
    for place, value in enumerate(node.inputs):
        if value is not None:
            yield id(value) if value.data is None else (id(node), place)
    yield from (id(output) for output in node.outputs)


def _left(node: Node, gone: Mapping[tuple[Key, int], int]) -> int:
    operator = _operator(node, gone)
    tensors = [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor is not None]
    return 0 if any(math.prod(tensor.shape) == 0 for tensor in tensors) else work(operator)


def _operator(node: Node, gone: Mapping[tuple[Key, int], int]) -> Operator:
    inputs = tuple(
        None if value is None else _tensor(value, id(value) if value.data is None else (id(node), place), gone)
        for place, value in enumerate(node.inputs)
    )
    outputs = tuple(_tensor(value, id(value), gone) for value in node.outputs)
    return Operator(kind=node.kind, version=node.version, inputs=inputs, outputs=outputs)


def _tensor(value: Value, key: Key, gone: Mapping[tuple[Key, int], int]) -> Tensor:
    shape = tuple(size - gone.get((key, axis), 0) for axis, size in enumerate(value.shape))
    return Tensor(name=value.name, shape=shape, dtype=value.dtype, constant=value.constant, scales=0)
