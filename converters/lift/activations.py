"""Activations: of their own, and fused into other operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import ops

from edge_aigc.converters.ir.windows import activation_of
from edge_aigc.converters.lift.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.ir import Node
    from edge_aigc.converters.lift.held import Call, Held, Tensor

_FUSED: Mapping[str, Callable[[Tensor], Tensor]] = {
    "NONE": lambda x: x,
    "RELU": ops.relu,
    "RELU6": ops.relu6,
    "RELU_N1_TO_1": lambda x: ops.clip(x, -1.0, 1.0),
    "TANH": ops.tanh,
}


def fused(node: Node, tensor: Tensor) -> Tensor:
    """Return a tensor after the activation that is fused into its operator.

    Raises:
        ConversionError: No kernel computes that activation.
    """
    name = activation_of(node)
    if name not in _FUSED:
        raise refused(node, f"the activation {name} is fused into it")
    return _FUSED[name](tensor)


def _relu_0_to_1(x: Tensor) -> Tensor:
    return ops.clip(x, 0.0, 1.0)


def _hard_swish(x: Tensor) -> Tensor:
    return x * ops.relu6(x + 3.0) * (1.0 / 6.0)


def _rowwise(function: Callable[[Tensor], Tensor]) -> Callable[[Call], Held]:
    return lambda call: call.from_rows(function(call.rows(0)))


def _gelu(call: Call) -> Held:
    return call.from_rows(ops.gelu(call.rows(0), approximate=bool(call.option("approximate", default=False))))


def _leaky(call: Call) -> Held:
    return call.from_rows(ops.leaky_relu(call.rows(0), negative_slope=float(call.option("alpha"))))


def _prelu(call: Call) -> Held:
    (x, slope), give = call.together(0, 1)
    return give(ops.maximum(x, 0.0) + slope * ops.minimum(x, 0.0))


def _softmax(call: Call) -> Held:
    x, axis, give = call.along(0, -1)
    beta = float(call.option("beta", 1.0))
    return give(ops.softmax(x if beta == 1.0 else x * beta, axis=axis))


def _log_softmax(call: Call) -> Held:
    x, axis, give = call.along(0, -1)
    return give(ops.log_softmax(x, axis=axis))


ACTIVATIONS: Mapping[str, Callable[[Call], Held]] = {
    "RELU": _rowwise(ops.relu),
    "RELU6": _rowwise(ops.relu6),
    "RELU_N1_TO_1": _rowwise(_FUSED["RELU_N1_TO_1"]),
    "RELU_0_TO_1": _rowwise(_relu_0_to_1),
    "TANH": _rowwise(ops.tanh),
    "LOGISTIC": _rowwise(ops.sigmoid),
    "ELU": _rowwise(ops.elu),
    "HARD_SWISH": _rowwise(_hard_swish),
    "GELU": _gelu,
    "LEAKY_RELU": _leaky,
    "PRELU": _prelu,
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": _log_softmax,
}
