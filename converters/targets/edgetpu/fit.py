"""Take activations out of transposed convolutions, whose version the compiler then knows.

Given:   y = TRANSPOSE_CONV version 4 (x), with ReLU fused in
Result:  t = TRANSPOSE_CONV version 3 (x); y = RELU(t)

Exact: `t` has the scale and zero point of `y`, so ReLU is the clamp that was fused. TensorFlow 2.13 and later fuse;
`edgetpu_compiler` 16 refuses a whole model over it ("Didn't find op for builtin opcode 'TRANSPOSE_CONV' version
'4'", google-coral/edgetpu issue 845).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from edge_aigc.converters.graph import add_operator, kind_of, operator_code, parse, serialize
from edge_aigc.converters.targets.edgetpu.table import supported

if TYPE_CHECKING:
    from collections.abc import Mapping

_KIND = "TRANSPOSE_CONV"
_NO_ACTIVATION = 0
_ACTIVATIONS: Mapping[int, str] = {1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}  # ActivationFunctionType of the schema
_INT8_VERSION: Mapping[str, int] = {"RELU": 2, "RELU_N1_TO_1": 1, "RELU6": 2}  # op_version.cc


def fit(flatbuffer: bytes) -> bytes:
    """Return the flatbuffer as the compiler reads it; the very same bytes where there is nothing to do."""
    model = parse(flatbuffer)
    newest = supported()[_KIND].version
    graph = model.subgraphs[0]
    newer = [entry for entry in graph.operators if _version(model, entry) > newest]
    if not newer:
        return flatbuffer
    plain = operator_code(model, _KIND, newest)
    for entry in newer:
        activation = _ACTIVATIONS.get(entry.builtinOptions.fusedActivationFunction)
        if activation is not None:
            _take_out(model, graph, entry, activation)
        if entry.builtinOptions.fusedActivationFunction == _NO_ACTIVATION:
            entry.opcodeIndex = plain
    return serialize(model)


def _version(model: Any, entry: Any) -> int:
    return model.operatorCodes[entry.opcodeIndex].version if kind_of(model, entry) == _KIND else 0


def _take_out(model: Any, graph: Any, entry: Any, activation: str) -> None:
    output = int(entry.outputs[0])
    before = copy.copy(graph.tensors[output])
    before.name = bytes(before.name) + b"/plain"
    before.buffer = 0  # of every model: the empty one
    graph.tensors.append(before)
    entry.outputs = [len(graph.tensors) - 1]
    entry.builtinOptions.fusedActivationFunction = _NO_ACTIVATION
    code = operator_code(model, activation, _INT8_VERSION[activation])
    add_operator(graph, code, [len(graph.tensors) - 1], [output], graph.operators.index(entry) + 1)
