"""Compute now what no input changes.

Given:   y = f(constants), or the shape of a value
Result:  y is a constant

TFLite's own kernels compute it, so the meaning is theirs. What would swell the file stays: a constant
is stored only if it is small or not much larger than what it was made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Graph, constant, write
from edge_aigc.converters.ir.graph import NUMPY_TYPES
from edge_aigc.converters.rewrites.match import swap
from edge_aigc.errors import BundleError
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Node, Value

_ALWAYS_BYTES = 16 << 10
"""A constant up to this size is stored whatever it was made of."""
_GROWTH = 4
"""Above it, how many times the bytes of what made it it may take: int8 and float16 weights become float32."""
_NOT_PURE = (
    "RANDOM", "MULTINOMIAL", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL", "WHILE", "IF", "HASHTABLE",
    "STABLEHLO_WHILE", "STABLEHLO_RNG", "STABLEHLO_COMPOSITE",
)  # fmt: skip
"""Beginnings of the names of operators whose output their inputs do not settle, or that run other subgraphs."""


def fold_constants(graph: Graph) -> bool:
    """Replace what constants alone decide by constants."""
    changed = _fold_shapes(graph)
    settled = _settled(graph)
    for value in _frontier(graph, settled):
        region = _ancestors(value, settled)
        data = _computed(region, value)
        if data is None or not _fits(data, region):
            continue
        folded = constant(data, value.name)
        folded.dtype = value.dtype
        changed |= swap(graph, value, folded)
    return changed


def _fold_shapes(graph: Graph) -> bool:
    changed = False
    for node in graph.nodes:
        if node.kind in {"SHAPE", "RANK"}:
            shape = node.input(0).shape
            what = np.array(shape if node.kind == "SHAPE" else len(shape), NUMPY_TYPES[node.output.dtype])
            changed |= swap(graph, node.output, constant(what, node.output.name))
    return changed


def _settled(graph: Graph) -> set[int]:
    """Return the nodes whose inputs are constants or made by such nodes."""
    found: set[int] = set()
    for node in graph.nodes:
        pure = not node.is_custom and not node.kind.startswith(_NOT_PURE)
        if pure and all(_is_settled(value, found) for value in node.inputs):
            found.add(id(node))
    return found


def _is_settled(value: Value | None, settled: set[int]) -> bool:
    return value is None or value.data is not None or (value.producer is not None and id(value.producer) in settled)


def _frontier(graph: Graph, settled: set[int]) -> list[Value]:
    """Return what settled nodes make and others read."""
    found = [
        value
        for node in graph.nodes
        if id(node) not in settled
        for value in node.inputs
        if value is not None and value.producer is not None and id(value.producer) in settled
    ]
    return list({id(value): value for value in found}.values())


def _ancestors(value: Value, settled: set[int]) -> list[Node]:
    """Return the nodes that make a value, in an order in which they run."""
    ordered: dict[int, Node] = {}

    def visit(node: Node) -> None:
        if id(node) in ordered or id(node) not in settled:
            return
        for entry in node.inputs:
            if entry is not None and entry.producer is not None:
                visit(entry.producer)
        ordered[id(node)] = node

    assert value.producer is not None
    visit(value.producer)
    return list(ordered.values())


def _computed(region: list[Node], value: Value) -> Array | None:
    if value.dtype not in NUMPY_TYPES or value.quantization is not None:
        return None
    micro = Graph(inputs=[], outputs=[value], nodes=region, input_names=[], output_names=["folded"])
    try:
        data = Interpreter(write(micro)).run([])[0]
    except BundleError:  # not here: it may run where a delegate knows it
        return None
    return np.array(data) if data.shape == value.shape else None


def _fits(data: Array, region: list[Node]) -> bool:
    used = {id(value): value for node in region for value in node.inputs if value is not None}
    stored = sum(value.data.nbytes for value in used.values() if value.data is not None)
    return data.nbytes <= max(_ALWAYS_BYTES, _GROWTH * stored)
