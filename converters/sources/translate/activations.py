"""Activations: the flatbuffer's own, or written out in arithmetic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.sources.translate.elementwise import add, div, larger, mul, number, smaller, sub, unary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.sources.translate.laid import Laid
    from edge_aigc.converters.sources.translate.translation import Handler, Held, Operator, Translation

_CLIPS = {(0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1", (0.0, math.inf): "RELU"}


def _leaky_relu(t: Translation, op: Operator) -> list[Held]:
    return [unary(t, op.tensor(0), "LEAKY_RELU", "LeakyReluOptions", alpha=op.attributes.get("alpha", 0.01))]


def _prelu(t: Translation, op: Operator) -> list[Held]:
    x, slope = op.tensor(0), op.constant(1)
    if slope.size == 1:
        alpha = float(slope.reshape(()))
        return [unary(t, x, "LEAKY_RELU", "LeakyReluOptions", alpha=alpha)]
    negative = mul(t, smaller(t, x, number(0.0)), slope)
    return [add(t, unary(t, x, "RELU"), negative)]


def _elu(t: Translation, op: Operator) -> list[Held]:
    alpha = float(op.attributes.get("alpha", 1.0))
    if alpha == 1:
        return [unary(t, op.tensor(0), "ELU")]
    return [_scaled_elu(t, op.tensor(0), alpha, 1.0)]


def _selu(t: Translation, op: Operator) -> list[Held]:
    # The defaults are the operator's own: ONNX, Selu.
    alpha, gamma = (
        op.attributes.get("alpha", 1.67326319217681884765625),
        op.attributes.get("gamma", 1.05070102214813232),
    )
    return [_scaled_elu(t, op.tensor(0), float(alpha), float(gamma))]


def _scaled_elu(t: Translation, x: Laid, alpha: float, gamma: float) -> Laid:
    """Return gamma (max(x, 0) + alpha (exp(min(x, 0)) - 1)), the second part through ELU."""
    below = unary(t, smaller(t, x, number(0.0)), "ELU")
    both = add(t, unary(t, x, "RELU"), mul(t, below, number(alpha)))
    return both if gamma == 1 else mul(t, both, number(gamma))


def _celu(t: Translation, op: Operator) -> list[Held]:
    x, alpha = op.tensor(0), float(op.attributes.get("alpha", 1.0))
    below = unary(t, mul(t, smaller(t, x, number(0.0)), number(1 / alpha)), "ELU")
    return [add(t, unary(t, x, "RELU"), mul(t, below, number(alpha)))]


def _gelu(t: Translation, op: Operator) -> list[Held]:
    approximate = _word(op.attributes.get("approximate", "none")) == "tanh"
    return [unary(t, op.tensor(0), "GELU", "GeluOptions", approximate=approximate)]


def _erf(t: Translation, op: Operator) -> list[Held]:
    """Return erf to 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26."""
    x = op.tensor(0)
    size = unary(t, x, "ABS", "AbsOptions")
    k = div(t, number(1.0), add(t, mul(t, size, number(0.3275911)), number(1.0)))
    total: Held = number(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        total = add(t, mul(t, total, k), number(factor))
    bell = unary(t, unary(t, mul(t, x, x), "NEG", "NegOptions"), "EXP", "ExpOptions")
    positive = sub(t, number(1.0), mul(t, mul(t, total, k), bell))
    return [mul(t, positive, unary(t, x, "SIGN"))]


def _softplus_of(t: Translation, x: Laid) -> Laid:
    """Return max(x, 0) + log(1 + exp(-|x|)), which does not overflow."""
    small = unary(t, unary(t, unary(t, x, "ABS", "AbsOptions"), "NEG", "NegOptions"), "EXP", "ExpOptions")
    return add(t, unary(t, x, "RELU"), unary(t, add(t, small, number(1.0)), "LOG"))


def _softplus(t: Translation, op: Operator) -> list[Held]:
    return [_softplus_of(t, op.tensor(0))]


def _mish(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    return [mul(t, x, unary(t, _softplus_of(t, x), "TANH"))]


def _swish(t: Translation, op: Operator) -> list[Held]:
    x, alpha = op.tensor(0), float(op.attributes.get("alpha", 1.0))
    inner = x if alpha == 1 else mul(t, x, number(alpha))
    return [mul(t, x, unary(t, inner, "LOGISTIC"))]


def _softsign(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    return [div(t, x, add(t, unary(t, x, "ABS", "AbsOptions"), number(1.0)))]


def _hard_sigmoid(t: Translation, op: Operator) -> list[Held]:
    alpha, beta = op.attributes.get("alpha", 0.2), op.attributes.get("beta", 0.5)
    return [clipped(t, add(t, mul(t, op.tensor(0), number(alpha)), number(beta)), 0.0, 1.0)]


def clipped(t: Translation, x: Laid, low: float, high: float) -> Laid:
    """Return a tensor held between two numbers."""
    if (low, high) in _CLIPS:
        return unary(t, x, _CLIPS[low, high])
    if high < math.inf:
        x = smaller(t, x, number(high))
    if low == 0:
        return unary(t, x, "RELU")
    return x if low == -math.inf else larger(t, x, number(low))


def _clip(t: Translation, op: Operator) -> list[Held]:
    low, high = op.attributes.get("min", -math.inf), op.attributes.get("max", math.inf)
    if op.optional(1) is not None:
        low = float(op.constant(1).reshape(()))
    if op.optional(2) is not None:
        high = float(op.constant(2).reshape(()))
    # Exporters write the largest float for "no limit".
    most = float(np.finfo(np.float32).max)
    low, high = (-math.inf if low <= -most else low), (math.inf if high >= most else high)
    return [clipped(t, op.tensor(0), low, high)]


def _word(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


OPERATORS: Mapping[str, Handler] = {
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Elu": _elu,
    "Selu": _selu,
    "Celu": _celu,
    "Gelu": _gelu,
    "Erf": _erf,
    "Softplus": _softplus,
    "Mish": _mish,
    "Swish": _swish,
    "Softsign": _softsign,
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
}
