"""Scales, zero points and rounding, by TFLite's 8-bit quantization specification.

Every function is pure; float64 inside, so that the same floats give the same integers everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

Array: TypeAlias = NDArray[Any]
Narrow: TypeAlias = Literal["INT8", "INT16"]

_LIMITS: Mapping[str, tuple[int, int]] = {"INT4": (-8, 7), "INT8": (-128, 127), "INT16": (-32768, 32767)}
_WIDEST: Mapping[str, int] = {"INT4": 7, "INT8": 127, "INT16": 32767}
"""Of symmetric numbers: weights are -127..127 in 8 bits (TFLite 8-bit quantization specification)."""
_SMALLEST_SCALE = 2.0**-60
"""Of what is zero everywhere; its numbers are zero in any scale. Small enough to hold any bias beside it."""
_LARGEST_BIAS = 2.0**30
"""In steps: half of int32, so that sums on top of it do not overflow."""
_ABOVE = 1.01
"""Room for the rounding of scales to float32."""
_SMALLEST_RATIO = 2.0**-31
"""XNNPACK refuses a requantization below 2^-32 (xnn_define_convolution_2d), the reference kernels round it to zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """How numbers of one type stand for reals: real = scale * (number - zero)."""

    dtype: str
    """The schema's name."""
    scales: tuple[float, ...]
    """One, or one for each channel."""
    zero: int = 0
    axis: int = 0
    """The channels'."""

    @property
    def scale(self) -> float:
        """The only one."""
        return self.scales[0]

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest real."""
        low, high = _LIMITS[self.dtype]
        return (low - self.zero) * self.scale, (high - self.zero) * self.scale


def of_range(low: float, high: float, dtype: Narrow) -> Params:
    """Return the parameters for reals between two numbers; zero is always among them, exactly.

    Args:
        low: Finite.
        high: At least `low`.
        dtype: INT16 is symmetric around zero.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return Params(dtype=dtype, scales=(1.0,))
    if dtype == "INT16":
        return Params(dtype=dtype, scales=(_float32(max(max(-low, high) / _WIDEST[dtype], _SMALLEST_SCALE)),))
    least, largest = _LIMITS[dtype]
    scale = max((high - low) / (largest - least), _SMALLEST_SCALE)
    zero = int(np.clip(np.rint(least - low / scale), least, largest))
    return Params(dtype=dtype, scales=(_float32(scale),), zero=zero)


def least_scale(kind: str, operands: float, dtype: Narrow) -> float:
    """Return how small an operator's output scale may be: below it the kernel ends the process.

    What nearly cancels has so small a range; its steps are lost beside those of the operands anyway.

    Args:
        kind: The schema's name.
        operands: The largest of their scales.
        dtype: Of all of them.
    """
    # `QuantizeMultiplierSmallerThanOneExp` aborts at 1: 2 m / (2^shift s) for sums, with a shift of 20 and 15, and
    # (2 m)^2 / (2^14 s) for squared differences (add.cc, sub.cc, squared_difference.cc of TensorFlow Lite).
    if kind in {"ADD", "SUB"}:
        return _ABOVE * operands / (2**19 if dtype == "INT8" else 2**14)
    return _ABOVE * operands**2 / 2**12 if kind == "SQUARED_DIFFERENCE" else 0.0


def of_weights(weights: Array, axis: int | None, dtype: str) -> Params:
    """Return symmetric parameters for constants.

    Args:
        weights: float32.
        axis: Of the channels; None takes one scale for all.
        dtype: INT4, INT8 or INT16.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis) if axis is not None else None
    largest = np.atleast_1d(np.abs(weights).max(axis=others, initial=0.0)).astype(np.float64)
    scales = np.maximum(largest / _WIDEST[dtype], _SMALLEST_SCALE)
    return Params(dtype=dtype, scales=tuple(map(_float32, scales)), axis=axis or 0)


def room_for_bias(weights: Params, bias: Array | None, input_scale: float, output_scale: float) -> Params:
    """Return the weights' parameters with scales large enough that biases fit and nothing vanishes.

    Args:
        weights: One scale, or one for each channel.
        bias: float32, one for each channel.
        input_scale: Of the activations.
        output_scale: Of what is made.
    """
    scales = np.asarray(weights.scales, dtype=np.float64)
    least = np.full(scales.shape, _SMALLEST_RATIO * output_scale / input_scale)
    if bias is not None:
        needed = np.abs(bias.astype(np.float64)) / (_LARGEST_BIAS * input_scale)
        least = np.maximum(least, needed if scales.size > 1 else needed.max(initial=0.0))
    grown = np.maximum(scales, least)
    return Params(dtype=weights.dtype, scales=tuple(map(_float32, grown)), zero=weights.zero, axis=weights.axis)


def of_bias(weights: Params, input_scale: float, dtype: str) -> Params:
    """Return a bias's parameters: the products' of input and weights."""
    scales = tuple(_float32(float(np.float32(scale) * np.float32(input_scale))) for scale in weights.scales)
    return Params(dtype=dtype, scales=scales)


def rounded(values: Array, params: Params) -> Array:
    """Return reals as numbers of a type: nearest, halves away from zero, as the kernels round; int64 before packing."""
    steps = values.astype(np.float64) / _along(params, values.ndim) + params.zero
    nearest = np.trunc(steps + np.copysign(0.5, steps))
    if params.dtype in _LIMITS:
        nearest = np.clip(nearest, *_LIMITS[params.dtype])
    return nearest.astype(np.int64)


def reals(numbers: Array, params: Params) -> Array:
    """Return what numbers stand for, float64."""
    real: Array = (numbers.astype(np.float64) - params.zero) * _along(params, numbers.ndim)
    return real


def packed(numbers: Array, dtype: str) -> bytes:
    """Return numbers as a flatbuffer holds them; of 4 bits two in a byte, the first in the lower half."""
    if dtype != "INT4":
        return numbers.astype(np.dtype(dtype.lower()).newbyteorder("<")).tobytes()
    flat = numbers.ravel().astype(np.uint8) & 0xF
    flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
    return (flat[::2] | flat[1::2] << 4).astype(np.uint8).tobytes()


def _along(params: Params, rank: int) -> Array:
    scales = np.asarray(params.scales, dtype=np.float64)
    if scales.size == 1:
        return scales.reshape(())
    return scales.reshape([-1 if axis == params.axis else 1 for axis in range(rank)])


def _float32(value: float) -> float:
    return float(np.float32(value))
