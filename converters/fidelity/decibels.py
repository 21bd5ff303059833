"""Errors in decibels: of pictures and plain numbers against their range, of sounds against themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

CAP_DB = 100.0
"""Equal outputs have no finite ratio: contract 1."""


def psnr(reference: Sequence[Array], found: Sequence[Array], output: Output) -> tuple[float, list[float]]:
    """Return the peak signal-to-noise ratio, decibels: pooled over all samples, and of each.

    Both sides are clipped to the output's range first; the peak is the range's width (without a range,
    the span of the reference). NaN anywhere gives minus infinity. At most 100 dB.

    Args:
        reference: One array a sample.
        found: As many, of the same shapes.
        output: States the range.
    """
    if output.range is None:
        stack = np.concatenate([values.ravel() for values in reference])
        peak = float(np.ptp(stack)) or 1.0
    else:
        peak = output.range[1] - output.range[0]
    errors = [_mean_square(a - b) for a, b in _clipped(reference, found, output)]
    return decibels(peak**2, float(np.mean(errors))), [decibels(peak**2, error) for error in errors]


def snr(reference: Sequence[Array], found: Sequence[Array], output: Output) -> tuple[float, list[float]]:
    """Return the signal-to-noise ratio, decibels: pooled over all samples, and of each.

    The signal is the reference, so that a quiet sound is held to a quiet error. Clipped, capped and NaN as `psnr`.

    Args:
        reference: One array a sample.
        found: As many, of the same shapes.
        output: States the range.
    """
    pairs = list(_clipped(reference, found, output))
    signals = [_mean_square(a) for a, _ in pairs]
    errors = [_mean_square(a - b) for a, b in pairs]
    each = [decibels(signal, error) for signal, error in zip(signals, errors, strict=True)]
    return decibels(float(np.mean(signals)), float(np.mean(errors))), each


def decibels(signal: float, error: float) -> float:
    """Return the ratio of two mean squares in decibels: at most 100, minus infinity where one is not finite."""
    if not (np.isfinite(error) and np.isfinite(signal)):
        return -np.inf
    if error == 0:
        return CAP_DB
    if signal == 0:
        return -np.inf
    return min(CAP_DB, 10 * float(np.log10(signal / error)))


def _clipped(reference: Sequence[Array], found: Sequence[Array], output: Output) -> Sequence[tuple[Array, Array]]:
    limits = (-np.inf, np.inf) if output.range is None else output.range
    return [
        (np.clip(a.astype(np.float64), *limits), np.clip(b.astype(np.float64), *limits))
        for a, b in zip(reference, found, strict=True)
    ]


def _mean_square(values: Array) -> float:
    return float(np.mean(values**2))
