"""What a flatbuffer costs at a desk: a price for each operator by its type, for choosing among forms of one net.

A rough guide, the same on every machine: where the target is at hand or can be counted, a `CostMeter` decides.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_aigc.converters.graph import operators

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.graph import Operator

_OF_A_PRODUCT: Mapping[str, float] = {"float": 1.0, "hybrid": 0.6, "narrow": 0.5}
"""Instructions a multiplication beside float32: ../shared/facts counts 0.82 and 0.28 for dynamic, 0.72 and 0.28 for
int8 on Cortex-A72 and A76; a value between."""
_OF_A_NUMBER = 4.0
"""Beside one multiplication: loading, converting and storing a number is a few instructions."""
_WEIGHTS_AT: Mapping[str, int] = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}


def work(flatbuffer: bytes) -> float:
    """Return a price in multiplications of float32."""
    return sum(map(_price, operators(flatbuffer)))


def _price(operator: Operator) -> float:
    moved = sum(math.prod(tensor.shape) * _width(tensor.dtype) for tensor in operator.outputs) * _OF_A_NUMBER
    place = _WEIGHTS_AT.get(operator.kind)
    weights = operator.inputs[place] if place is not None else None
    if weights is None:
        return moved
    return moved + products(operator) * _OF_A_PRODUCT[_arithmetic(weights.dtype, operator.outputs[0].dtype)]


def products(operator: Operator) -> int:
    """Return how many multiplications with a weight an operator does; 0 for what has no weights."""
    place = _WEIGHTS_AT.get(operator.kind)
    weights = operator.inputs[place] if place is not None else None
    if weights is None:
        return 0
    size, made = math.prod(weights.shape), operator.outputs[0].shape
    if operator.kind == "FULLY_CONNECTED":
        return size * math.prod(made[:-1])
    if operator.kind == "TRANSPOSE_CONV":
        taken = operator.inputs[2]
        return 0 if taken is None else size * math.prod(taken.shape[1:3])
    return size * math.prod(made[1:3])


def _arithmetic(weights: str, output: str) -> str:
    if weights.startswith("FLOAT"):
        return "float"
    return "hybrid" if output == "FLOAT32" else "narrow"


def _width(dtype: str) -> float:
    return 0.25 if dtype == "INT8" else 0.5 if dtype == "INT16" else 1.0
