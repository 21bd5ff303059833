"""Fuse activations into the operator before them.

Given:   y = RELU(CONV_2D(x))
Result:  y = CONV_2D with RELU fused (x)

Also MAXIMUM(x, 0) to RELU and MINIMUM(RELU(x), 6) to RELU6. TRANSPOSE_CONV is left alone: with an activation
it is version 4, which the Edge TPU's compiler and runtimes before 2.13 refuse, and XNNPACK fuses there by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_edge_litert import schema_py_generated as schema

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.rewrites.match import one_number, plain, sole_maker, split_operands, swap

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Node, Value

_FUSED = ("RELU", "RELU6", "RELU_N1_TO_1")
_INTO = (
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "DIV", "AVERAGE_POOL_2D", "MAX_POOL_2D",
)  # fmt: skip


def fuse_activations(graph: Graph) -> bool:
    """Fuse every RELU, RELU6 and RELU_N1_TO_1 that can be."""
    changed = _name_bounds(graph)
    for node in list(graph.nodes):
        first = sole_maker(graph, node.input(0), *_INTO) if node.kind in _FUSED else None
        if first is None or not plain(first) or first.output.dtype != "FLOAT32":
            continue
        first.options["fusedActivationFunction"] = int(getattr(schema.ActivationFunctionType, node.kind))
        first.output.name = node.output.name
        changed |= swap(graph, node.output, first.output)
    graph.remove_dead()
    return changed


def _name_bounds(graph: Graph) -> bool:
    """Call MAXIMUM(x, 0) and the like by their names."""
    changed = False
    for node in list(graph.nodes):
        named = _bound(graph, node) if node.kind in {"MAXIMUM", "MINIMUM"} else None
        if named is not None:
            changed |= swap(graph, node.output, named)
    return changed


def _bound(graph: Graph, node: Node) -> Value | None:
    parts = split_operands(node)
    if parts is None or parts[0].shape != node.output.shape:
        return None
    x, number = parts[0], one_number(parts[1])
    if node.kind == "MAXIMUM" and number == 0:
        return Builder(graph, before=node).unary("RELU", x)
    relu = sole_maker(graph, x, "RELU")
    if node.kind == "MINIMUM" and number == 6 and relu is not None:  # noqa: PLR2004 - the 6 of RELU6
        return Builder(graph, before=node).unary("RELU6", relu.input(0))
    return None
