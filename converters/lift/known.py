"""The numbers that no input of a graph decides: shapes, axes, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Graph, Node, Value, constant, write
from edge_aigc.converters.ir.graph import NUMPY_TYPES
from edge_aigc.errors import BundleError
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array


class Known:
    """Computes and remembers them; TFLite's own kernels compute, so the meaning is theirs."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._found: dict[int, Array | None] = {}

    def of(self, value: Value) -> Array | None:
        """Return a value's numbers; None if an input of the graph decides them."""
        if value.data is not None:
            return value.data
        if id(value) not in self._found:
            self._found[id(value)] = self._computed(value)
        return self._found[id(value)]

    def _computed(self, value: Value) -> Array | None:
        node = value.producer
        if node is None or value.dtype not in NUMPY_TYPES:
            return None
        if node.kind in {"SHAPE", "RANK"}:
            shape = node.input(0).shape
            return np.array(shape if node.kind == "SHAPE" else len(shape), NUMPY_TYPES[value.dtype])
        inputs = [None if entry is None else self.of(entry) for entry in node.inputs]
        if any(found is None and entry is not None for found, entry in zip(inputs, node.inputs, strict=True)):
            return None
        return _run(node, inputs, node.outputs.index(value))


def _run(node: Node, inputs: list[Array | None], place: int) -> Array | None:
    outputs = [Value(name=made.name, shape=made.shape, dtype=made.dtype) for made in node.outputs]
    alone = Node(
        kind=node.kind,
        inputs=[None if numbers is None else constant(numbers) for numbers in inputs],
        outputs=outputs,
        options=dict(node.options),
        option_class=node.option_class,
        version=node.version,
        custom=node.custom,
        is_custom=node.is_custom,
        more=node.more,
    )
    graph = Graph(inputs=[], outputs=[outputs[place]], nodes=[alone], input_names=[], output_names=["known"])
    try:
        return np.array(Interpreter(write(graph)).run([])[0])
    except BundleError:
        return None
