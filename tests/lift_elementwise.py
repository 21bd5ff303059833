"""Cases of operators on one element at a time."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from lift_cases import MAPS, case, numbers, whole

from edge_aigc.converters.ir.build import _BINARY, _UNARY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lift_cases import Case

BROADCASTS = (
    ((1, 5, 6, 4), (1, 5, 6, 4)), ((1, 5, 6, 4), (1, 1, 1, 4)), ((1, 5, 6, 4), (1, 5, 1, 1)), ((1, 4), (3, 1)),
    ((1, 2, 4), (4,)), ((4,), (1, 2, 4)), ((3, 4), (3, 4)), ((2, 1, 4), (3, 1)), ((1, 4), ()),
    ((1, 4, 4, 4, 1), (1, 1, 1, 4, 1)), ((1, 4, 4, 3), (1, 1, 4, 1)),
)  # fmt: skip


def elementwise() -> Iterator[tuple[str, Case]]:
    for kind in _BINARY:
        low = 0.5 if kind in {"POW", "DIV", "FLOOR_DIV"} else None
        for a, c in BROADCASTS:
            yield f"{kind} {a} {c}", case([a, c], lambda b, x, y, k=kind: b.binary(k, x, y), low=low)
        for a, c in BROADCASTS[1:]:
            yield (
                f"{kind} {a} constant {c}",
                case([a], lambda b, x, k=kind, s=c: b.binary(k, x, np.abs(numbers(*s)) + np.float32(0.3)), low=low),
            )
    for kind, activation in product(("ADD", "SUB", "MUL", "DIV"), ("RELU", "RELU6", "RELU_N1_TO_1")):
        yield (
            f"{kind} {activation}",
            case(
                [(1, 40), (1, 40)],
                lambda b, x, y, k=kind, a=activation: b.binary(k, x, y, activation=a),
                low=-1.5 if kind != "DIV" else 0.5,
            ),
        )
    yield from comparisons()
    for kind in _UNARY:
        options = {"LEAKY_RELU": {"alpha": 0.2}, "GELU": {"approximate": False}}.get(kind, {})
        low = 0.1 if kind in {"SQRT", "RSQRT", "LOG"} else None
        for shape in ((1, 3, 8), (7,), ()):
            yield f"{kind} {shape}", case([shape], lambda b, x, k=kind, o=options: b.unary(k, x, **o), low=low)
    yield "LEAKY_RELU above one", case([(1, 30)], lambda b, x: b.unary("LEAKY_RELU", x, alpha=1.5))
    yield "GELU approximate", case([(1, 30)], lambda b, x: b.unary("GELU", x, approximate=True))
    for kind in ("CEIL", "SIGN"):
        yield kind, case([(1, 9)], lambda b, x, k=kind: b.node(k, [x], x.shape))
    yield (
        "ROUND halves",
        case([(1, 9)], lambda b, x: b.unary("ROUND", b.mul(b.unary("FLOOR", x), np.array(0.5, np.float32)))),
    )
    yield "ZEROS_LIKE", case([(1, 9)], lambda b, x: b.node("ZEROS_LIKE", [x], x.shape, option_class="ZerosLikeOptions"))
    yield "PRELU", case([MAPS], lambda b, x: b.node("PRELU", [x, np.abs(numbers(1, 1, 4))], x.shape))
    for shape, beta in (((1, 4, 6), 1.0), ((6,), 1.0), ((2, 6), 0.7)):
        yield (
            f"SOFTMAX {shape} {beta}",
            case([shape], lambda b, x, t=beta: b.node("SOFTMAX", [x], x.shape, option_class="SoftmaxOptions", beta=t)),
        )
    yield (
        "LOG_SOFTMAX",
        case([(1, 4, 6)], lambda b, x: b.node("LOG_SOFTMAX", [x], x.shape, option_class="LogSoftmaxOptions")),
    )
    yield "ADD_N", case([(1, 9)] * 3, lambda b, *xs: b.node("ADD_N", list(xs), xs[0].shape, option_class="AddNOptions"))
    yield "ATAN2", case([(1, 9)] * 2, lambda b, x, y: b.node("ATAN2", [x, y], x.shape))


def comparisons() -> Iterator[tuple[str, Case]]:
    whole_numbers = [((1, 4, 5), "INT32"), ((1, 4, 1), "INT32")]
    classes = {
        "EQUAL": "EqualOptions", "NOT_EQUAL": "NotEqualOptions", "LESS": "LessOptions", "GREATER": "GreaterOptions",
        "LESS_EQUAL": "LessEqualOptions", "GREATER_EQUAL": "GreaterEqualOptions",
    }  # fmt: skip
    for kind, options in classes.items():
        yield (
            kind,
            case(
                whole_numbers,
                lambda b, x, y, k=kind, o=options: b.node(k, [x, y], (1, 4, 5), option_class=o, dtype="BOOL"),
            ),
        )
    for kind, options in (("LOGICAL_AND", "LogicalAndOptions"), ("LOGICAL_OR", "LogicalOrOptions")):
        yield (
            kind,
            case([((1, 9), "BOOL")] * 2, lambda b, x, y, k=kind, o=options: b.node(k, [x, y], (1, 9), option_class=o)),
        )
    yield (
        "LOGICAL_NOT",
        case([((1, 9), "BOOL")], lambda b, x: b.node("LOGICAL_NOT", [x], x.shape, option_class="LogicalNotOptions")),
    )
    for kind, option, choice in (("SELECT_V2", "SelectV2Options", (1, 4, 1)), ("SELECT", "SelectOptions", (1, 4, 5))):
        yield (
            kind,
            case(
                [(choice, "BOOL"), (1, 4, 5), (1, 4, 5)],
                lambda b, c, x, y, k=kind, o=option: b.node(k, [c, x, y], x.shape, option_class=o, dtype="FLOAT32"),
            ),
        )
    yield (
        "SELECT by rows",
        case(
            [((3,), "BOOL"), (3, 5), (3, 5)],
            lambda b, c, x, y: b.node("SELECT", [c, x, y], x.shape, option_class="SelectOptions", dtype="FLOAT32"),
        ),
    )
    for kind in ("FLOOR_MOD", "FLOOR_DIV", "DIV"):
        option = {"FLOOR_MOD": "FloorModOptions", "FLOOR_DIV": "FloorDivOptions", "DIV": "DivOptions"}[kind]
        yield f"{kind} of whole numbers", case(
            [((1, 4, 5), "INT32")],
            lambda b, x, k=kind, o=option: b.node(
                k, [b.node("SUB", [x, whole(2)], x.shape, option_class="SubOptions"), whole([[2, 3, -2, 5, 7]])],
                x.shape, option_class=o,
            ),
        )  # fmt: skip
    for start, end in (("INT32", "FLOAT32"), ("FLOAT32", "INT32"), ("BOOL", "FLOAT32"), ("INT32", "INT64")):
        yield (
            f"CAST {start} {end}",
            case(
                [((1, 9), start)], lambda b, x, t=end: b.node("CAST", [x], x.shape, option_class="CastOptions", dtype=t)
            ),
        )
    yield "DEQUANTIZE", case(
        [(1, 4)],
        lambda b, x: b.add(
            x,
            b.node(
                "DEQUANTIZE", [numbers(1, 4).astype(np.float16)], (1, 4), option_class="DequantizeOptions",
                dtype="FLOAT32",
            ),
        ),
    )  # fmt: skip
