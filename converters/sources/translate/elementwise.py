"""Operators that work number by number: arithmetic with broadcasting, comparisons, casts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.sources.translate.laid import Array, Laid, Layout, complete, identity, sizes
from edge_aigc.converters.sources.translate.translation import Held, Operator, Translation, widened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.ir import Value
    from edge_aigc.converters.sources.translate.translation import Handler

_BINARY = {
    "Add": ("ADD", "AddOptions"),
    "Sub": ("SUB", "SubOptions"),
    "Mul": ("MUL", "MulOptions"),
    "Div": ("DIV", "DivOptions"),
    "Pow": ("POW", "PowOptions"),
    "Max": ("MAXIMUM", "MaximumMinimumOptions"),
    "Min": ("MINIMUM", "MaximumMinimumOptions"),
    "Sum": ("ADD", "AddOptions"),
    "Mod": ("FLOOR_MOD", "FloorModOptions"),
}
_COMPARE = {
    "Equal": ("EQUAL", "EqualOptions"),
    "Greater": ("GREATER", "GreaterOptions"),
    "GreaterOrEqual": ("GREATER_EQUAL", "GreaterEqualOptions"),
    "Less": ("LESS", "LessOptions"),
    "LessOrEqual": ("LESS_EQUAL", "LessEqualOptions"),
    "And": ("LOGICAL_AND", "LogicalAndOptions"),
    "Or": ("LOGICAL_OR", "LogicalOrOptions"),
}
_UNARY: Mapping[str, tuple[str, str | None]] = {
    "Relu": ("RELU", None),
    "Tanh": ("TANH", None),
    "Sigmoid": ("LOGISTIC", None),
    "Exp": ("EXP", "ExpOptions"),
    "Log": ("LOG", None),
    "Sqrt": ("SQRT", None),
    "Neg": ("NEG", "NegOptions"),
    "Abs": ("ABS", "AbsOptions"),
    "Sin": ("SIN", None),
    "Cos": ("COS", "CosOptions"),
    "Floor": ("FLOOR", None),
    "Ceil": ("CEIL", None),
    "Round": ("ROUND", None),
    "HardSwish": ("HARD_SWISH", "HardSwishOptions"),
}
_TYPES = {1: "FLOAT32", 10: "FLOAT32", 11: "FLOAT32", 16: "FLOAT32", 9: "BOOL", 6: "INT32", 7: "INT32", 3: "INT32"}
"""ONNX's numbers of types (`TensorProto.DataType`), as they are computed here."""
_SQUARE = 2.0


def apply(x: Laid, make: Callable[[Value], Value]) -> Laid:
    """Return what is made of a tensor number by number; its layout stays."""
    return Laid(make(x.value), x.layout, x.shape)


def unary(t: Translation, x: Laid, kind: str, option_class: str | None = None, **options: Any) -> Laid:
    """Return an operator of one tensor."""
    return apply(x, lambda value: t.build.node(kind, [value], value.shape, option_class=option_class, **options))


def together(t: Translation, held: Sequence[Held]) -> tuple[list[Value], Layout, tuple[int, ...]]:
    """Return operands that broadcast in one layout, that layout, and the shape that they make.

    The largest tensor decides the layout, and channels last before ONNX's own: fewest move.
    """
    shape = np.broadcast_shapes(*(tuple(entry.shape) for entry in held))
    rank = len(shape)
    tensors = [widened(entry, rank) for entry in held if isinstance(entry, Laid)]
    lead = max(tensors, key=lambda x: (math.prod(x.shape), x.order != sorted(x.order)))
    layout = lead.layout
    if any(size > 1 and axis not in layout for axis, size in enumerate(shape)):
        layout = complete(layout, shape)
    return [_operand(t, entry, layout, rank) for entry in held], layout, shape


def _operand(t: Translation, entry: Held, layout: Layout, rank: int) -> Value:
    if isinstance(entry, np.ndarray) and entry.size == 1:
        from edge_aigc.converters.ir import constant
        from edge_aigc.converters.sources.translate.translation import plain

        return constant(plain(entry.reshape(())))
    return t.to(entry, layout, rank)


def binary(t: Translation, a: Held, b: Held, kind: str, option_class: str | None, dtype: str | None = None) -> Laid:
    """Return an operator of two tensors or constants that broadcast."""
    values, layout, shape = together(t, [a, b])
    dtype = dtype or next(value.dtype for value in values if value.data is None)
    options: dict[str, Any] = {"fusedActivationFunction": 0} if kind in {"ADD", "SUB", "MUL", "DIV"} else {}
    made = t.build.node(kind, values, sizes(shape, layout), option_class=option_class, dtype=dtype, **options)
    return Laid(made, layout, shape)


def add(t: Translation, a: Held, b: Held) -> Laid:
    """Return ``a + b``."""
    return binary(t, a, b, *_BINARY["Add"])


def sub(t: Translation, a: Held, b: Held) -> Laid:
    """Return ``a - b``."""
    return binary(t, a, b, *_BINARY["Sub"])


def mul(t: Translation, a: Held, b: Held) -> Laid:
    """Return ``a * b``."""
    return binary(t, a, b, *_BINARY["Mul"])


def div(t: Translation, a: Held, b: Held) -> Laid:
    """Return ``a / b``."""
    return binary(t, a, b, *_BINARY["Div"])


def smaller(t: Translation, a: Held, b: Held) -> Laid:
    """Return the smaller of both."""
    return binary(t, a, b, *_BINARY["Min"])


def larger(t: Translation, a: Held, b: Held) -> Laid:
    """Return the larger of both."""
    return binary(t, a, b, *_BINARY["Max"])


def number(value: float) -> Array:
    """Return a number as a constant."""
    return np.array(value, np.float32)


def _binary_of(kind: str) -> Handler:
    def translate(t: Translation, op: Operator) -> list[Held]:
        if kind == "Pow" and isinstance(op.given(1), np.ndarray) and op.constant(1).size == 1:
            power = float(op.constant(1).reshape(()))
            if power == _SQUARE:
                return [mul(t, op.tensor(0), op.tensor(0))]
            if power == 0.5:  # noqa: PLR2004 - a root
                return [unary(t, op.tensor(0), "SQRT")]
        held = [entry for entry in op.inputs if entry is not None]
        result = held[0]
        for entry in held[1:]:
            result = binary(t, result, entry, *_BINARY[kind])
        return [result]

    return translate


def _compared(kind: str) -> Handler:
    def translate(t: Translation, op: Operator) -> list[Held]:
        a, b = op.inputs
        assert a is not None
        assert b is not None
        return [binary(t, a, b, *_COMPARE[kind], dtype="BOOL")]

    return translate


def _unary_of(kind: str) -> Handler:
    return lambda t, op: [unary(t, op.tensor(0), *_UNARY[kind])]


def _is_nan(t: Translation, op: Operator) -> list[Held]:
    """Return x != x, which holds for what is no number alone."""
    return [binary(t, op.tensor(0), op.tensor(0), "NOT_EQUAL", "NotEqualOptions", dtype="BOOL")]


def _not(t: Translation, op: Operator) -> list[Held]:
    return [unary(t, op.tensor(0), "LOGICAL_NOT", "LogicalNotOptions")]


def _identity(_: Translation, op: Operator) -> list[Held]:
    held = op.inputs[0]
    assert held is not None
    # A dropout has its mask as a second output, which nobody reads in a generator.
    return [held] * len(op.outputs)


def _reciprocal(t: Translation, op: Operator) -> list[Held]:
    return [div(t, number(1.0), op.tensor(0))]


def _tan(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    return [div(t, unary(t, x, "SIN"), unary(t, x, "COS", "CosOptions"))]


def _sign(t: Translation, op: Operator) -> list[Held]:
    return [unary(t, op.tensor(0), "SIGN")]


def _where(t: Translation, op: Operator) -> list[Held]:
    held = [entry for entry in op.inputs if entry is not None]
    values, layout, shape = together(t, held)
    dtype = next(value.dtype for value in values[1:])
    made = t.build.node("SELECT_V2", values, sizes(shape, layout), option_class="SelectV2Options", dtype=dtype)
    return [Laid(made, layout, shape)]


def _cast(t: Translation, op: Operator) -> list[Held]:
    x, wanted = op.tensor(0), _TYPES.get(int(op.attributes["to"]))
    if wanted is None:
        raise op.refusal(f"to the type number {op.attributes['to']}")
    if x.value.dtype == wanted:
        return [x]
    return [apply(x, lambda value: t.build.node("CAST", [value], value.shape, dtype=wanted))]


def _expand(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    shape = np.broadcast_shapes(x.shape, tuple(int(n) for n in op.constant(1)))
    if shape == x.shape:
        return [x]
    if math.prod(shape) == math.prod(x.shape):
        return [widened(x, len(shape))]
    wide = widened(x, len(shape))
    layout = (
        complete(wide.layout, shape) if any(axis not in wide.layout for axis in identity(len(shape))) else wide.layout
    )
    now, target = sizes(wide.shape, layout), sizes(shape, layout)
    times = np.array([there // here for here, there in zip(now, target, strict=True)], np.int32)
    return [Laid(t.build.node("TILE", [t.to(wide, layout), times], target, option_class="TileOptions"), layout, shape)]


OPERATORS: Mapping[str, Handler] = {
    **{kind: _binary_of(kind) for kind in _BINARY},
    **{kind: _compared(kind) for kind in _COMPARE},
    **{kind: _unary_of(kind) for kind in _UNARY},
    "Not": _not,
    "IsNaN": _is_nan,
    "Identity": _identity,
    "Dropout": _identity,
    "Reciprocal": _reciprocal,
    "Tan": _tan,
    "Sign": _sign,
    "Where": _where,
    "Cast": _cast,
    "CastLike": _identity,
    "Expand": _expand,
}
