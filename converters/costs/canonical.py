"""What a small model costs, apart from what it says: names, weights and ranges in one standard form.

Given:   a model as a converter wrote it
Result:  a model with the same kernels, shapes, types and options, whose bytes are the same whatever it was
         trained to say

So the cost of an operator is counted once, not once for each set of weights. What can decide which kernel
runs stays as it is: shapes, axes and paddings, scalars, sparsity, the equality of scales, and scales that
an operator prescribes. XNNPACK's and TFLite's kernels take the same path whatever the values are.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from edge_aigc.converters.graph import Model, kind_of, type_of

_VALUE = 1 / 64
"""Of float weights: a normal number, exact in float16."""
_BYTES_OF_WEIGHTS = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT8": "i1", "UINT8": "u1", "INT16": "<i2"}
_BIASES = {"INT32": "<i4", "INT64": "<i8"}
_VALUES_MATTER = frozenset({"POW", "PADV2", "GATHER", "GATHER_ND", "TILE", "SELECT", "SELECT_V2", "MIRROR_PAD", "FILL"})
"""Kinds whose constants are more than weights to their kernels."""
_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL", "CONV_3D"})
_FREE_SCALES = _WEIGHTED | frozenset(
    {"ADD", "SUB", "MUL", "LEAKY_RELU", "PRELU", "RELU", "RELU6", "QUANTIZE", "DEQUANTIZE", "CONCATENATION", "PAD"}
    | {"RESHAPE", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR", "TRANSPOSE"}
    | {"SLICE", "STRIDED_SLICE", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "TANH", "LOGISTIC", "SPLIT", "SQUEEZE"}
)
"""Kinds of which every kernel takes any scale; of others the scales stay."""
_PRESCRIBED = frozenset({1 / 128, 1 / 256, 1 / 32768})
"""Outputs of TANH, LOGISTIC and SOFTMAX: TFLite 8-bit quantization specification."""
_EXTREME = 2.0**10
"""Beyond this ratio XNNPACK may refuse a pair of scales (2^-16 to 2^8 of a product, for one): they stay."""


def standardize(model: Model) -> None:
    """Bring a parsed model of few operators into the standard form, in place.

    Args:
        model: Its tensors and buffers are shared with no other model; what they point to may be.
    """
    _drop_words(model)
    for graph in model.subgraphs:
        kinds = {kind_of(model, entry) for entry in graph.operators}
        if not kinds & _VALUES_MATTER:
            _fill_weights(model, graph, kinds)
        if kinds <= _FREE_SCALES:
            _level_scales(model, graph)
            _level_biases(model, graph)


def _drop_words(model: Model) -> None:
    for graph in model.subgraphs:
        graph.name = None
        for tensor in graph.tensors:
            tensor.name, tensor.shapeSignature = b"", None
            if tensor.quantization is not None and not _scales(tensor) and tensor.quantization.details is None:
                tensor.quantization = None
            if tensor.quantization is not None:
                tensor.quantization = copy.copy(tensor.quantization)
                tensor.quantization.min = tensor.quantization.max = None


def _fill_weights(model: Model, graph: Any, kinds: set[str]) -> None:
    for tensor in graph.tensors:
        content = model.buffers[tensor.buffer].data
        if content is None or len(content) == 0 or tensor.sparsity is not None:
            continue
        kind = type_of(tensor)
        size = int(np.prod(tensor.shape)) if tensor.shape is not None else 1
        if kind in _BIASES and _scales(tensor):
            model.buffers[tensor.buffer].data = bytes(len(content))
        elif kind in _BYTES_OF_WEIGHTS and (size > 1 or kinds & _WEIGHTED):
            value = _VALUE if kind.startswith("FLOAT") else 1
            model.buffers[tensor.buffer].data = np.full(size, value, dtype=_BYTES_OF_WEIGHTS[kind]).tobytes()
        elif kind in {"INT4", "INT2"}:
            model.buffers[tensor.buffer].data = b"\x11" * len(content)


def _level_scales(model: Model, graph: Any) -> None:
    """Give tensors standard scales, and activations standard zero points: the same where they were the same."""
    quantized = [tensor for tensor in graph.tensors if len(_scales(tensor)) == 1 and type_of(tensor) != "INT32"]
    scales = [_scales(tensor)[0] for tensor in quantized]
    points = [_zero_point(tensor) for tensor in quantized]
    if not scales or max(scales) / min(scales) > _EXTREME:
        return
    scale_rank, point_rank = (list(dict.fromkeys(values)) for values in (scales, points))
    for tensor, scale, point in zip(quantized, scales, points, strict=True):
        prescribed = scale in _PRESCRIBED
        content = model.buffers[tensor.buffer].data
        # Zero points of weights and of int16 are zero: TFLite 8-bit quantization specification.
        fixed = prescribed or type_of(tensor) == "INT16" or (content is not None and len(content) > 0)
        tensor.quantization.scale = [scale if prescribed else (16 - scale_rank.index(scale) % 8) / 256]
        tensor.quantization.zeroPoint = [point if fixed else 1 + point_rank.index(point)]
    for tensor in graph.tensors:
        if len(_scales(tensor)) > 1:
            tensor.quantization.scale = [1 / 256] * len(_scales(tensor))


def _level_biases(model: Model, graph: Any) -> None:
    """Make the scales of biases what TFLite demands: the input's by the weights'."""
    for entry in graph.operators:
        tensors = [graph.tensors[index] if index >= 0 else None for index in entry.inputs]
        quantized = [tensor for tensor in tensors if tensor is not None and _scales(tensor)]
        biases = [tensor for tensor in quantized if type_of(tensor) in _BIASES]
        factors = [tensor for tensor in quantized if type_of(tensor) not in _BIASES]
        if kind_of(model, entry) not in _WEIGHTED or not biases or len(factors) != 2:  # noqa: PLR2004 - input, weights
            continue
        product = np.multiply(_scales(factors[0]), _scales(factors[1]), dtype=np.float32)
        count = len(_scales(biases[0]))
        biases[0].quantization.scale = np.broadcast_to(product, (max(count, product.size),)).tolist()


def _zero_point(tensor: Any) -> int:
    points = tensor.quantization.zeroPoint
    return int(points[0]) if points is not None and len(points) else 0


def _scales(tensor: Any) -> tuple[float, ...]:
    quantization = tensor.quantization
    return () if quantization is None or quantization.scale is None else tuple(map(float, quantization.scale))
