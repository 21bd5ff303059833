"""Operators on one element at a time: arithmetic, comparisons, choices, types."""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING

from keras import ops

from edge_aigc.converters.ir.graph import NUMPY_TYPES
from edge_aigc.converters.lift.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.lift.held import Call, Held, Tensor

_KERAS_TYPES = {
    "FLOAT32": "float32", "FLOAT16": "float16", "INT8": "int8", "UINT8": "uint8", "INT16": "int16", "UINT16": "uint16",
    "INT32": "int32", "UINT32": "uint32", "INT64": "int64", "BOOL": "bool",
}  # fmt: skip
assert set(_KERAS_TYPES) <= set(NUMPY_TYPES)


def keras_type(dtype: str) -> str | None:
    """Return Keras's name of one of the schema's types; None for what it lacks."""
    return _KERAS_TYPES.get(dtype)


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[[Call], Held]:
    return lambda call: call.from_rows(function(call.rows(0)))


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Call], Held]:
    def run(call: Call) -> Held:
        (a, b), give = call.together(0, 1)
        return give(function(a, b))

    return run


def _squared_difference(a: Tensor, b: Tensor) -> Tensor:
    return ops.square(a - b)


def _divide(call: Call) -> Held:
    (a, b), give = call.together(0, 1)
    if call.node.output.dtype.startswith("FLOAT"):
        return give(a / b)
    # C's division of whole numbers: towards zero.
    quotient = ops.floor_divide(ops.abs(a), ops.abs(b))
    return give(quotient * ops.sign(a) * ops.sign(b))


def _add_n(call: Call) -> Held:
    terms, give = call.together(*range(len(call.held)))
    return give(reduce(operator.add, terms))


def _select(call: Call) -> Held:
    """Choose; SELECT's condition may also be a vector, one for each entry of the first axis."""
    condition, shape = call.at(0), call.node.output.shape
    if call.node.kind == "SELECT_V2" or len(condition.shape) != 1 or len(shape) == 1:
        (which, a, b), give = call.together(0, 1, 2)
        return give(ops.where(which, a, b))
    which = ops.reshape(condition.samples(), (-1, condition.shape[0], *[1] * (len(shape) - 1)))
    return call.from_samples(ops.where(which, call.samples(1), call.samples(2)))


def _cast(call: Call) -> Held:
    dtype = keras_type(call.node.output.dtype)
    if dtype is None:
        raise refused(call.node, f"it makes {call.node.output.dtype}, which Keras lacks")
    return call.from_rows(ops.cast(call.rows(0), dtype))


def _dequantize(call: Call) -> Held:
    if call.node.input(0).dtype != "FLOAT16":
        raise refused(
            call.node,
            f"it reads {call.node.input(0).dtype}, and only float graphs have gradients",
            remedy="Start from the model before it was quantized.",
        )
    return call.from_rows(ops.cast(call.rows(0), "float32"))


ELEMENTWISE: Mapping[str, Callable[[Call], Held]] = {
    # The backend's own +: `ops.add` of Keras 3.15 takes [1, 8, 8, 8, 1] + [1, 1, 1, 8, 1] for a bias of axis 1.
    "ADD": _binary(operator.add),
    "SUB": _binary(operator.sub),
    "MUL": _binary(operator.mul),
    "DIV": _divide,
    "MAXIMUM": _binary(ops.maximum),
    "MINIMUM": _binary(ops.minimum),
    "POW": _binary(ops.power),
    "SQUARED_DIFFERENCE": _binary(_squared_difference),
    "FLOOR_DIV": _binary(ops.floor_divide),
    "FLOOR_MOD": _binary(ops.mod),
    "ATAN2": _binary(ops.arctan2),
    "ADD_N": _add_n,
    "EQUAL": _binary(ops.equal),
    "NOT_EQUAL": _binary(ops.not_equal),
    "LESS": _binary(ops.less),
    "LESS_EQUAL": _binary(ops.less_equal),
    "GREATER": _binary(ops.greater),
    "GREATER_EQUAL": _binary(ops.greater_equal),
    "LOGICAL_AND": _binary(ops.logical_and),
    "LOGICAL_OR": _binary(ops.logical_or),
    "LOGICAL_NOT": _unary(ops.logical_not),
    "SELECT": _select,
    "SELECT_V2": _select,
    "ABS": _unary(ops.abs),
    "NEG": _unary(ops.negative),
    "SQUARE": _unary(ops.square),
    "SQRT": _unary(ops.sqrt),
    "RSQRT": _unary(ops.rsqrt),
    "EXP": _unary(ops.exp),
    "LOG": _unary(ops.log),
    "SIN": _unary(ops.sin),
    "COS": _unary(ops.cos),
    "FLOOR": _unary(ops.floor),
    "CEIL": _unary(ops.ceil),
    "ROUND": _unary(ops.round),
    "SIGN": _unary(ops.sign),
    "ZEROS_LIKE": _unary(ops.zeros_like),
    "CAST": _cast,
    "DEQUANTIZE": _dequantize,
}
