"""Operators that add up: reductions, norms, softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.sources.translate.elementwise import add, div, mul, number, sub, unary
from edge_aigc.converters.sources.translate.laid import Laid
from edge_aigc.converters.sources.translate.shapes import dropped, reshaped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.sources.translate.translation import Handler, Held, Operator, Translation

_REDUCE = {
    "ReduceMean": "MEAN",
    "ReduceSum": "SUM",
    "ReduceMax": "REDUCE_MAX",
    "ReduceMin": "REDUCE_MIN",
    "ReduceProd": "REDUCE_PROD",
}


def reduced(t: Translation, x: Laid, kind: str, axes: Sequence[int], *, keep: bool = True) -> Laid:
    """Return a reduction over axes; axes that go stay in memory with size 1, unnamed."""
    gone = {axis % x.rank for axis in axes}
    x = t.whole(x)
    made = t.build.reduce(kind, x.value, [x.place(axis) for axis in gone])
    result = Laid(made, x.layout, tuple(1 if axis in gone else size for axis, size in enumerate(x.shape)))
    return result if keep else dropped(result, sorted(gone))


def _reduce_of(kind: str) -> Handler:
    def translate(t: Translation, op: Operator) -> list[Held]:
        return [_reduced(t, op, op.tensor(0), _REDUCE[kind])]

    return translate


def _reduced(t: Translation, op: Operator, x: Laid, kind: str) -> Laid:
    given = op.attributes.get("axes")
    if given is None:
        given = op.optional(1)
    if given is None or not len(given):
        if op.attributes.get("noop_with_empty_axes", 0):
            return x
        given = range(x.rank)
    return reduced(t, x, kind, [int(axis) for axis in given], keep=bool(op.attributes.get("keepdims", 1)))


def _reduce_l2(t: Translation, op: Operator) -> list[Held]:
    return [unary(t, _reduced(t, op, mul(t, op.tensor(0), op.tensor(0)), "SUM"), "SQRT")]


def _reduce_sum_square(t: Translation, op: Operator) -> list[Held]:
    return [_reduced(t, op, mul(t, op.tensor(0), op.tensor(0)), "SUM")]


def _reduce_l1(t: Translation, op: Operator) -> list[Held]:
    return [_reduced(t, op, unary(t, op.tensor(0), "ABS", "AbsOptions"), "SUM")]


def _global_pool(kind: str) -> Handler:
    return lambda t, op: [reduced(t, op.tensor(0), kind, range(2, op.tensor(0).rank))]


def _softmax(t: Translation, op: Operator) -> list[Held]:
    return [_soft(t, op, "SOFTMAX", "SoftmaxOptions", beta=1.0)]


def _log_softmax(t: Translation, op: Operator) -> list[Held]:
    return [_soft(t, op, "LOG_SOFTMAX", "LogSoftmaxOptions")]


def _soft(t: Translation, op: Operator, kind: str, option_class: str, **options: float) -> Laid:
    x = op.tensor(0)
    axis = int(op.attributes.get("axis", -1 if op.version >= 13 else 1)) % x.rank  # noqa: PLR2004 - since opset 13
    if op.version < 13 and axis != x.rank - 1:  # noqa: PLR2004 - before, all axes from this one on counted as one
        flat = reshaped(t, x, (int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:]))))
        return reshaped(t, unary(t, t.with_last(flat, 1), kind, option_class, **options), x.shape)
    return unary(t, t.with_last(x, axis), kind, option_class, **options)


def _arg_of(kind: str) -> Handler:
    def translate(t: Translation, op: Operator) -> list[Held]:
        x = op.tensor(0)
        axis = int(op.attributes.get("axis", 0)) % x.rank
        x = t.with_last(x, axis)
        shape = x.value.shape[:-1]
        made = t.build.node(
            kind,
            [x.value, np.array(len(shape), np.int32)],
            shape,
            option_class="ArgMaxOptions" if kind == "ARG_MAX" else "ArgMinOptions",
            dtype="INT32",
            outputType=2,  # TensorType.INT32
        )
        kept = Laid(made, x.layout[:-1], tuple(1 if place == axis else n for place, n in enumerate(x.shape)))
        return [kept if op.attributes.get("keepdims", 1) else dropped(kept, [axis])]

    return translate


def _cumsum(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    axis = int(op.constant(1).reshape(())) % x.rank
    x = t.whole(x)
    options: dict[str, Any] = {name: bool(op.attributes.get(name, 0)) for name in ("exclusive", "reverse")}
    place = np.array(x.place(axis), np.int32)
    made = t.build.node("CUMSUM", [x.value, place], x.value.shape, option_class="CumsumOptions", **options)
    return [Laid(made, x.layout, x.shape)]


def normalized(t: Translation, x: Laid, axes: Sequence[int], epsilon: float) -> Laid:
    """Return (x - mean) / sqrt(variance + epsilon) over axes.

    Given:   a norm over some axes
    Result:  d = x - MEAN(x);  d * RSQRT(MEAN(d * d) + epsilon)
    """
    centred = sub(t, x, reduced(t, x, "MEAN", axes))
    spread = reduced(t, mul(t, centred, centred), "MEAN", axes)
    return mul(t, centred, unary(t, add(t, spread, number(epsilon)), "RSQRT"))


def _scaled(t: Translation, x: Laid, scale: Held | None, bias: Held | None, shape: Sequence[int]) -> Laid:
    """Return x * scale + bias, each first brought into a shape, left out where it changes nothing."""
    for held, apply, nothing in ((scale, mul, 1.0), (bias, add, 0.0)):
        if held is None or (isinstance(held, np.ndarray) and bool((held == nothing).all())):
            continue
        x = apply(t, x, held.reshape(shape) if isinstance(held, np.ndarray) else reshaped(t, held, shape))
    return x


def _by_channel(rank: int) -> tuple[int, ...]:
    return (-1, *[1] * (rank - 2))


def _batch_norm(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    scale, bias, mean, variance = (op.constant(place).astype(np.float64) for place in range(1, 5))
    if op.attributes.get("training_mode", 0):
        raise op.refusal("in training mode: export the model after `eval()`")
    factor = scale / np.sqrt(variance + op.attributes.get("epsilon", 1e-5))
    shape = _by_channel(x.rank)
    offset = bias - mean * factor
    return [_scaled(t, x, factor.astype(np.float32), offset.astype(np.float32), shape)]


def _instance_norm(t: Translation, op: Operator) -> list[Held]:
    x, epsilon = op.tensor(0), float(op.attributes.get("epsilon", 1e-5))
    origin = t.before.get(x)
    if origin is not None and x.rank == 3 and origin.rank > x.rank and origin.shape[1] % x.shape[1] == 0:  # noqa: PLR2004
        # Exporters write a group norm so: [n, c, h, w] to [n, groups, all the rest] and back.
        inner = grouped(t, origin, x.shape[1], epsilon)
        made = reshaped(t, inner, x.shape)
        t.before[made] = inner
    else:
        made = normalized(t, x, range(2, x.rank), epsilon)
    return [_scaled(t, made, op.given(1), op.given(2), _by_channel(x.rank))]


def _layer_norm(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    axis = int(op.attributes.get("axis", -1)) % x.rank
    made = normalized(t, x, range(axis, x.rank), float(op.attributes.get("epsilon", 1e-5)))
    return [_scaled(t, made, op.given(1), op.given(2), x.shape[axis:])]


def _rms_norm(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    axis = int(op.attributes.get("axis", -1)) % x.rank
    square = reduced(t, mul(t, x, x), "MEAN", range(axis, x.rank))
    epsilon = number(float(op.attributes.get("epsilon", 1e-5)))
    return [_scaled(t, mul(t, x, unary(t, add(t, square, epsilon), "RSQRT")), op.given(1), None, x.shape[axis:])]


def grouped(t: Translation, x: Laid, groups: int, epsilon: float) -> Laid:
    """Return a group norm without scale and bias."""
    split = reshaped(t, x, (x.shape[0], groups, x.shape[1] // groups, int(np.prod(x.shape[2:]))))
    return reshaped(t, normalized(t, split, (2, 3), epsilon), x.shape)


def _group_norm(t: Translation, op: Operator) -> list[Held]:
    x, groups = op.tensor(0), int(op.attributes["num_groups"])
    made = grouped(t, x, groups, float(op.attributes.get("epsilon", 1e-5)))
    scale, bias = op.constant(1), op.constant(2)
    if len(scale) == groups != x.shape[1]:  # opset 18 has one a group
        scale, bias = (np.repeat(values, x.shape[1] // groups) for values in (scale, bias))
    return [_scaled(t, made, scale, bias, _by_channel(x.rank))]


def _lp_norm(t: Translation, op: Operator) -> list[Held]:
    x, axis = op.tensor(0), int(op.attributes.get("axis", -1))
    if int(op.attributes.get("p", 2)) == 1:
        return [div(t, x, reduced(t, unary(t, x, "ABS", "AbsOptions"), "SUM", [axis]))]
    return [div(t, x, unary(t, reduced(t, mul(t, x, x), "SUM", [axis]), "SQRT"))]


OPERATORS: Mapping[str, Handler] = {
    **{kind: _reduce_of(kind) for kind in _REDUCE},
    "ReduceL1": _reduce_l1,
    "ReduceL2": _reduce_l2,
    "ReduceSumSquare": _reduce_sum_square,
    "GlobalAveragePool": _global_pool("MEAN"),
    "GlobalMaxPool": _global_pool("REDUCE_MAX"),
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "ArgMax": _arg_of("ARG_MAX"),
    "ArgMin": _arg_of("ARG_MIN"),
    "CumSum": _cumsum,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "GroupNormalization": _group_norm,
    "LpNormalization": _lp_norm,
}
