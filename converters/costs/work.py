"""How much work a net is: multiplications, and a rough price of it all, the same on every machine.

A guide for what is worth asking a `CostMeter` about, and for choosing where none is at hand.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_aigc.converters.graph import operators

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_aigc.converters.graph import Operator, Tensor

_OF_A_PRODUCT: Mapping[str, float] = {"float": 1.0, "hybrid": 0.6, "narrow": 0.5}
"""Beside float32: counted, 0.82 and 0.28 for dynamic, 0.72 and 0.28 for int8 on Cortex-A72 and A76; between them."""
_OF_A_BUILT_IN_PRODUCT = 2.0
"""Of a product of two matrices in int8, which XNNPACK leaves to built-in kernels: one to two times float32's here."""
_OF_A_START = 2e4
"""Beside one multiplication: to start an operator takes half a microsecond here, 20,000 of this core's."""
_OF_A_NUMBER = 4.0
"""Beside one multiplication: loading, converting and storing a number is a few instructions."""
_OF_A_WEIGHT_BYTE = 1.5
"""Beside one multiplication: Cortex-A72 multiplies 6 G times a second in float32 and reads 4 GB; only of layers whose
weights are read for few pixels does it matter."""
LANES = 8
"""Output channels that an XNNPACK kernel makes at a time on NEON; those that are missing cost the same."""
_WEIGHTS_AT: Mapping[str, int] = dict.fromkeys(
    ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D", "CONV_3D_TRANSPOSE"), 1
)


def multiplications(flatbuffer: bytes) -> int:
    """Return those of convolutions and matrix products; a handful of additions a pixel count nothing."""
    return sum(map(work, operators(flatbuffer)))


def work(operator: Operator) -> int:
    """Return how many multiplications an operator does, with weights and between what is computed."""
    return products(operator) + _between(operator)


def price(flatbuffer: bytes) -> float:
    """Return a price in multiplications of float32: idle lanes of kernels, numbers moved and weights read included."""
    return sum(map(operator_price, operators(flatbuffer)))


def price_with_starts(nodes: Sequence[Operator]) -> float:
    """Return the price of some operators and of starting them: for forms that differ in how many they are."""
    return sum(map(operator_price, nodes)) + _OF_A_START * len(nodes)


def products(operator: Operator) -> int:
    """Return how many multiplications with a weight an operator does; 0 for what has no weights."""
    weights = _weights(operator)
    if weights is None:
        return 0
    size, made = math.prod(weights), operator.outputs[0].shape
    if operator.kind == "FULLY_CONNECTED":
        return size * math.prod(made) // weights[0]
    if operator.kind in {"TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"}:
        taken = operator.inputs[2]
        return 0 if taken is None else size * math.prod(taken.shape[:-1])
    return size * math.prod(made[:-1])


def _between(operator: Operator) -> int:
    """Return the multiplications of a product of two matrices."""
    if operator.kind != "BATCH_MATMUL" or operator.inputs[0] is None:
        return 0
    return math.prod(operator.outputs[0].shape) * operator.inputs[0].shape[-1]


def operator_price(operator: Operator, lanes: int = LANES) -> float:
    """Return the price of one operator.

    Args:
        operator: Of a graph.
        lanes: Output channels that the target's kernels make at a time.
    """
    return numbers_price(operator.outputs) + work_price(operator, lanes)


def numbers_price(tensors: Iterable[Tensor]) -> float:
    """Return the price of taking or making the numbers of some tensors."""
    return sum(math.prod(tensor.shape) * _width(tensor.dtype) for tensor in tensors) * _OF_A_NUMBER


def work_price(operator: Operator, lanes: int = LANES) -> float:
    """Return the price of an operator's multiplications, or of reading its weights where that takes longer.

    Args:
        operator: Of a graph.
        lanes: Output channels that the target's kernels make at a time.
    """
    done = work(operator)
    if not done:
        return 0.0
    weights = operator.inputs[_WEIGHTS_AT.get(operator.kind, 1)]
    channels = operator.outputs[0].shape[-1]
    idle = -(-channels // lanes) * lanes / channels
    dtype = "FLOAT32" if weights is None else weights.dtype
    arithmetic = _arithmetic(dtype, operator.outputs[0].dtype)
    of_a_product = _OF_A_PRODUCT[arithmetic]
    if operator.kind == "BATCH_MATMUL" and arithmetic == "narrow":
        of_a_product = _OF_A_BUILT_IN_PRODUCT
    read = 0.0 if weights is None else 4 * math.prod(weights.shape) * _width(dtype) * _OF_A_WEIGHT_BYTE
    return max(read, done * idle * of_a_product)


def _weights(operator: Operator) -> tuple[int, ...] | None:
    place = _WEIGHTS_AT.get(operator.kind)
    tensor = operator.inputs[place] if place is not None else None
    return None if tensor is None else tensor.shape


def _arithmetic(weights: str, output: str) -> str:
    if weights.startswith("FLOAT"):
        return "float"
    return "hybrid" if output == "FLOAT32" else "narrow"


def _width(dtype: str) -> float:
    return _WIDTHS.get(dtype, 1.0)


_WIDTHS: Mapping[str, float] = {"INT4": 0.125, "INT8": 0.25, "INT16": 0.5}
