"""Weights in half precision.

Given:   y = op(x, w)                              w a float32 constant
Result:  y = op(x, DEQUANTIZE(w16))                w16 = w rounded to float16

The interpreter dequantizes once, when it plans; XNNPACK takes the float16 weights as they are. With
`reduced_precision_support` in the metadata XNNPACK also computes in float16 where the processor can
(Armv8.2 FP16 and later).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_aigc.converters.graph import (
    Model,
    add_buffer,
    add_operator,
    add_tensor,
    constant_of,
    operator_code,
    parse,
    serialize,
    set_metadata,
)
from edge_aigc.errors import ConversionError

_SMALLEST = 16
"""Elements: below this the DEQUANTIZE operator takes more room in the file than the weights save."""
_DEQUANTIZE_FLOAT16 = 3
"""The version of DEQUANTIZE that takes float16: `op_version.cc` of TensorFlow Lite."""
_REDUCED_PRECISION = b"fp16accfp16"
"""float16 with accumulation in float16: `reduced_precision_metadata.h` of TensorFlow Lite."""


def to_float16(flatbuffer: bytes) -> bytes:
    """Return the float flatbuffer with its weights in float16.

    Raises:
        ConversionError: A weight is beyond the largest float16, 65,504.
    """
    model = parse(flatbuffer)
    emptied = {buffer for graph in model.subgraphs for buffer in _halve(model, graph)}
    # A loop's weights stand in its body and where it is called: their values go when nobody reads them any more.
    read = {
        graph.tensors[index].buffer
        for graph in model.subgraphs
        for index in (*(i for operator in graph.operators for i in operator.inputs if i >= 0), *graph.outputs)
    }
    for buffer in emptied - read:
        model.buffers[buffer].data = None
    set_metadata(model, "reduced_precision_support", _REDUCED_PRECISION)
    return serialize(model)


def _halve(model: Model, graph: Any) -> list[int]:
    """Halve the weights of one subgraph; return the buffers of their float32 values."""
    used = {int(index) for operator in graph.operators for index in operator.inputs}
    weights = [index for index in sorted(used) if index >= 0 and _is_weight(model, graph.tensors[index])]
    halved = {index: _dequantized(model, graph, index) for index in weights}
    for operator in graph.operators[len(halved) :]:
        operator.inputs = [halved.get(index, index) for index in operator.inputs]
    return [graph.tensors[index].buffer for index in weights]


def _is_weight(model: Model, tensor: Any) -> bool:
    values = constant_of(model, tensor)
    return values is not None and values.size >= _SMALLEST


def _dequantized(model: Model, graph: Any, index: int) -> int:
    """Make tensor ``index`` a float16 constant; return a new tensor with its dequantized values."""
    tensor = graph.tensors[index]
    values = constant_of(model, tensor)
    assert values is not None
    with np.errstate(over="ignore"):
        half = values.astype("<f2")
    if not np.isfinite(half).all():
        raise ConversionError(
            f"The weights {bytes(tensor.name).decode()!r} reach {np.abs(values).max():.4g}; float16 ends at 65,504.",
            remedy="Choose `--recipe float32` or `int8`.",
        )
    name = bytes(tensor.name or b"").decode()
    stored = add_tensor(graph, f"{name}/float16", values.shape, "FLOAT16", add_buffer(model, half.tobytes()))
    # The operators keep pointing at a float32 tensor, which is now computed instead of stored.
    computed = add_tensor(graph, f"{name}/dequantized", values.shape, "FLOAT32", 0)
    add_operator(graph, operator_code(model, "DEQUANTIZE", _DEQUANTIZE_FLOAT16), [stored], [computed], 0)
    return computed
