"""ONNX graphs: operators expanded, operators that ONNX lacks found, names made the same every time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Model: TypeAlias = Any
"""`onnx.ModelProto`."""

_Chain: TypeAlias = "tuple[tuple[str | float, ...], ...]"
"""ONNX operators one after the other: each its name and operands."""

_X = "x"
"""As an operand: the input of the operator that is written out."""
_PREVIOUS = "previous"
"""As an operand: what the step before made."""
_GELU: Mapping[int, _Chain] = {
    # By `approximate`. TFLite's activations.h: x/2 (1 + erf(x/sqrt 2)), and its approximation with tanh.
    0: (
        ("Div", _X, math.sqrt(2)),
        ("Erf", _PREVIOUS),
        ("Add", _PREVIOUS, 1.0),
        ("Mul", _PREVIOUS, _X),
        ("Mul", _PREVIOUS, 0.5),
    ),
    1: (
        ("Pow", _X, 3.0),
        ("Mul", _PREVIOUS, 0.044715),
        ("Add", _PREVIOUS, _X),
        ("Mul", _PREVIOUS, math.sqrt(2 / math.pi)),
        ("Tanh", _PREVIOUS),
        ("Add", _PREVIOUS, 1.0),
        ("Mul", _PREVIOUS, _X),
        ("Mul", _PREVIOUS, 0.5),
    ),
}
_CHAINS: Mapping[str, _Chain] = {
    # ONNX has HardSwish from opset 14 on, TensorRT 8 lacks Reciprocal (operators.md), nobody has the third.
    "Reciprocal": (("Div", 1.0, _X),),
    "HardSwish": (
        ("Add", _X, 3.0),
        ("Clip", _PREVIOUS, 0.0, 6.0),
        ("Mul", _PREVIOUS, _X),
        ("Div", _PREVIOUS, 6.0),
    ),
    "TFL_RELU_N1_TO_1": (("Clip", _X, -1.0, 1.0),),
}
_LITE_PREFIX = "TFL_"
"""tf2onnx's name for a TFLite operator that it has not translated."""


def expanded(model: Model) -> Model:
    """Return the model with operators that tf2onnx leaves alone written out in others.

    Given:   y = TFL_GELU(x)
    Result:  y = 0.5 * x * (1 + Erf(x / sqrt 2))
    """
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    nodes = list(result.graph.node)
    del result.graph.node[:]
    for number, node in enumerate(nodes):
        chain = _chain_for(node)
        if chain is None:
            result.graph.node.append(node)
        else:
            _write_out(result.graph, node, chain, prefix=f"/expanded{number}")
    return result


def unexpressed(model: Model, opset: int) -> list[str]:
    """Return the operators that the opset does not have, by their TFLite name where they have one."""
    found = {
        node.op_type.removeprefix(_LITE_PREFIX): None for node in _nodes(model.graph) if not _is_known(node, opset)
    }
    return list(found)


def canonical(model: Model) -> Model:
    """Return the model with inner names numbered in the order of use, and what nobody uses left out.

    tf2onnx counts through the life of a process, so that its names differ from call to call.
    """
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    for name in _names(graph):
        names.setdefault(name, f"/{len(names)}")
    _rename(graph, names)
    kept = sorted((value for value in graph.initializer if value.name), key=_number)
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(kept)
    graph.doc_string = ""
    graph.name = "generator"
    used = {node.domain for node in _nodes(graph)}
    versions = [entry for entry in result.opset_import if entry.domain in used]
    del result.opset_import[:]
    result.opset_import.extend(versions)
    return result


def _is_known(node: Any, opset: int) -> bool:
    import onnx

    try:
        onnx.defs.get_schema(node.op_type, opset, node.domain)
    except onnx.defs.SchemaError:
        return False
    return True


def _chain_for(node: Any) -> _Chain | None:
    if node.op_type == "TFL_GELU":
        approximate = next((attribute.i for attribute in node.attribute if attribute.name == "approximate"), 0)
        return _GELU[int(bool(approximate))]
    return _CHAINS.get(node.op_type)


def _write_out(graph: Any, node: Any, chain: _Chain, *, prefix: str) -> None:
    from onnx import helper, numpy_helper

    previous = node.input[0]
    for step, (kind, *operands) in enumerate(chain):
        inputs = []
        for place, operand in enumerate(operands):
            if isinstance(operand, float):
                name = f"{prefix}/{step}/{place}"
                graph.initializer.append(numpy_helper.from_array(np.float32(operand), name))
                inputs.append(name)
            else:
                inputs.append(node.input[0] if operand is _X else previous)
        previous = node.output[0] if step == len(chain) - 1 else f"{prefix}/{step}"
        graph.node.append(helper.make_node(kind, inputs, [previous]))


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield every node, those of branches and loops after the node that has them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _names(graph: Any) -> Iterator[str]:
    """Yield what nodes take and give, and what inner graphs define, in the order of the nodes."""
    for node in graph.node:
        yield from (name for name in (*node.input, *node.output) if name)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from (value.name for value in (*inner.input, *inner.initializer))
                yield from _names(inner)
                yield from (value.name for value in inner.output)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for number, node in enumerate(graph.node):
        node.name = f"{number}.{node.op_type}"
        node.doc_string = ""
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.output:
                    _rename(inner, names)
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.get(value.name, "")


def _number(value: Any) -> tuple[int, str]:
    return len(value.name), value.name
