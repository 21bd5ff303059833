"""What TFLite's kernels ask of an operator's numbers in int8 and int16: a row for each kind.

Sources: TFLite 8-bit quantization specification; the `Prepare` functions of the kernels (same scales, fixed outputs,
types); the table of versions in `compat.toml`. That rows are true is shown by running every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.quantizer.scales import Narrow


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one kind of operator is quantized."""

    role: Literal["weighs", "moves", "computes"]
    """``weighs``: constant weights, a bias. ``moves``: numbers pass through, so all have one scale. ``computes``:
    every operand and the output has its own."""
    operands: tuple[int, ...] | None = (0,)
    """Which inputs are activations (constants among them too); None: all."""
    weights: int = 1
    """Of those that weigh: where the weights stand; the bias is the input after activations and weights."""
    bias: int = 2
    axis: int = 0
    """Of the weights' channels."""
    int8: tuple[float, int] | None = None
    """Scale and zero point that the int8 kernel demands of its output."""
    int16: tuple[float, int] | None = None
    """The same of int16."""
    types: frozenset[Narrow] = frozenset({"INT8", "INT16"})
    """For which there are kernels in every release that we support."""
    symmetric: bool = False
    """Whether constant operands want zero point 0."""

    def fixed(self, dtype: Narrow) -> tuple[float, int] | None:
        """Return scale and zero point that the output must have, or None."""
        return self.int8 if dtype == "INT8" else self.int16


_ONLY_INT8: frozenset[Narrow] = frozenset({"INT8"})
_FULL_16 = (1 / 32768, 0)


def _moves(*operands: int, int16: bool = True) -> Kind:
    return Kind(role="moves", operands=operands or None, types=_types(int16=int16))


def _computes(*operands: int, int16: bool = True) -> Kind:
    return Kind(role="computes", operands=operands, types=_types(int16=int16))


def _types(*, int16: bool) -> frozenset[Narrow]:
    return frozenset({"INT8", "INT16"}) if int16 else _ONLY_INT8


KINDS: Mapping[str, Kind] = {
    "CONV_2D": Kind(role="weighs"),
    "DEPTHWISE_CONV_2D": Kind(role="weighs", axis=3),
    "FULLY_CONNECTED": Kind(role="weighs"),
    "TRANSPOSE_CONV": Kind(role="weighs", operands=(2,), bias=3),
    # Numbers pass through.
    "AVERAGE_POOL_2D": _moves(0),
    "BATCH_TO_SPACE_ND": _moves(0, int16=False),
    "BROADCAST_TO": _moves(0),
    "CONCATENATION": _moves(),
    "DEPTH_TO_SPACE": _moves(0, int16=False),
    "DYNAMIC_UPDATE_SLICE": _moves(0, 1, int16=False),
    "EXPAND_DIMS": _moves(0),
    "GATHER": _moves(0),
    "GATHER_ND": _moves(0),
    "MAXIMUM": _moves(0, 1),
    "MAX_POOL_2D": _moves(0),
    "MINIMUM": _moves(0, 1),
    "MIRROR_PAD": _moves(0),
    "PACK": _moves(),
    "PAD": _moves(0),
    "PADV2": _moves(0, 2),
    "REDUCE_MAX": _moves(0),
    "REDUCE_MIN": _moves(0),
    "RESHAPE": _moves(0),
    "RESIZE_BILINEAR": _moves(0),
    "RESIZE_NEAREST_NEIGHBOR": _moves(0),
    "REVERSE_V2": _moves(0),
    "SELECT": _moves(1, 2),
    "SELECT_V2": _moves(1, 2),
    "SLICE": _moves(0),
    "SPACE_TO_BATCH_ND": _moves(0, int16=False),
    "SPACE_TO_DEPTH": _moves(0, int16=False),
    "SPLIT": _moves(1),
    "SPLIT_V": _moves(0),
    "SQUEEZE": _moves(0),
    "STRIDED_SLICE": _moves(0),
    "TILE": _moves(0, int16=False),
    "TRANSPOSE": _moves(0),
    "UNPACK": _moves(0),
    # Each tensor has its own scale.
    "ABS": _computes(0),
    "ADD": _computes(0, 1),
    "BATCH_MATMUL": Kind(role="computes", operands=(0, 1), symmetric=True),
    "ELU": _computes(0, int16=False),
    "EXP": _computes(0),
    "GELU": _computes(0, int16=False),
    "HARD_SWISH": _computes(0, int16=False),
    "LEAKY_RELU": _computes(0),
    "MEAN": _computes(0),
    "MUL": _computes(0, 1),
    "PRELU": _computes(0, 1, int16=False),
    "RELU": _computes(0),
    "RELU6": _computes(0),
    "RELU_N1_TO_1": _computes(0, int16=False),
    "RSQRT": _computes(0),
    "SQUARED_DIFFERENCE": _computes(0, 1, int16=False),
    "SUB": _computes(0, 1),
    # tflite-runtime 2.14.0 refuses int16 with another scale at the output: reduce.cc:782.
    "SUM": _computes(0, int16=False),
    # The output's scale is the kernel's.
    "L2_NORMALIZATION": Kind(role="computes", int8=(1 / 128, 0), types=_ONLY_INT8),
    "LOGISTIC": Kind(role="computes", int8=(1 / 256, -128), int16=_FULL_16),
    "LOG_SOFTMAX": Kind(role="computes", int8=(16 / 256, 127), types=_ONLY_INT8),
    "SOFTMAX": Kind(role="computes", int8=(1 / 256, -128), int16=_FULL_16),
    "TANH": Kind(role="computes", int8=(1 / 128, 0), int16=_FULL_16),
}
"""By the schema's names. What is not here has no int8 kernel, or none that all releases compute right."""
