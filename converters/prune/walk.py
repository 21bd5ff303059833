"""A graph run a stretch at a time: what a layer reads, for all samples, before the layer itself is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.ir import write
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir import Array, Graph, Node, Value


class Walk:
    """Goes through a graph once, in the order of execution; keeps only what nodes ahead still read."""

    def __init__(self, graph: Graph, samples: Sequence[Sequence[Array]]) -> None:
        """Stand before the first node.

        Args:
            graph: The weights of nodes that were not run yet may still change.
            samples: Inputs, in the graph's order.
        """
        self._graph = graph
        self._ahead = list(graph.nodes)
        self._known: dict[int, list[Array]] = {
            id(value): [inputs[place] for inputs in samples] for place, value in enumerate(graph.inputs)
        }
        self._samples = len(samples)

    def reach(self, value: Value) -> list[Array]:
        """Run what it takes to know a value and return it, one array a sample.

        Args:
            value: Still read by a node ahead, or not made yet.
        """
        if value.data is not None:
            return [value.data] * self._samples
        if id(value) not in self._known:
            self._run(self._makers(value), value)
        return self._known[id(value)]

    def _makers(self, value: Value) -> list[Node]:
        """Return the nodes ahead that a value needs."""
        ahead = {id(node) for node in self._ahead}
        wanted: set[int] = set()
        waiting = [value]
        while waiting:
            maker = waiting.pop().producer
            if maker is not None and id(maker) in ahead and id(maker) not in wanted:
                wanted.add(id(maker))
                waiting += [entry for entry in maker.inputs if entry is not None]
        return [node for node in self._ahead if id(node) in wanted]

    def _run(self, nodes: list[Node], wanted: Value) -> None:
        taken, given = self._graph.border(nodes)
        stretch = self._graph.extract(nodes)
        if wanted not in given:
            given = [*given, wanted]
            stretch.outputs.append(_twin(stretch, nodes, wanted))
            stretch.output_names.append("wanted")
        interpreter = Interpreter(write(stretch))
        for value in given:
            self._known[id(value)] = []
        for sample in range(self._samples):
            inputs = [self._known[id(value)][sample] for value in taken]
            for value, found in zip(given, interpreter.run(inputs), strict=True):
                self._known[id(value)].append(found)
        done = {id(node) for node in nodes}
        self._ahead = [node for node in self._ahead if id(node) not in done]
        self._forget(wanted)

    def _forget(self, wanted: Value) -> None:
        """Drop what nobody ahead reads."""
        read = {id(value) for node in self._ahead for value in node.inputs if value is not None}
        read |= {id(value) for value in (wanted, *self._graph.outputs)}
        self._known = {key: found for key, found in self._known.items() if key in read}


def _twin(stretch: Graph, nodes: Sequence[Node], value: Value) -> Value:
    """Return the copy of a value in a graph that was extracted."""
    for node, copy in zip(nodes, stretch.nodes, strict=True):
        for place, made in enumerate(node.outputs):
            if made is value:
                return copy.outputs[place]
    raise AssertionError(f"{value} is made by none of the nodes")
