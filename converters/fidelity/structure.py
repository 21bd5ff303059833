"""SSIM: how alike the structure of two pictures is, window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

_SIGMA, _RADIUS = 1.5, 5
"""An 11x11 Gaussian window."""
_K1, _K2 = 0.01, 0.03
"""All four: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", 2004, section III.C."""


def ssim(reference: Array, found: Array, output: Output) -> float:
    """Return the mean structural similarity of two pictures: 1 where they are equal.

    Population covariances under an 11x11 Gaussian window that lies wholly inside, each channel on its own, the
    mean over all; a picture with a side under 11 takes the widest odd window that fits. Clipped to the range first.

    Args:
        reference: Shape (1, height, width, channels).
        found: The same shape.
        output: States the range.
    """
    assert output.range is not None  # the specification demands it of images
    low, high = output.range
    a, b = (np.clip(values[0].astype(np.float64), low, high) for values in (reference, found))
    weights = _window(min(a.shape[:2]))
    steady, lively = (_K1 * (high - low)) ** 2, (_K2 * (high - low)) ** 2
    mean_a, mean_b = _weighed(a, weights), _weighed(b, weights)
    spread = _weighed(a * a, weights) - mean_a**2 + _weighed(b * b, weights) - mean_b**2
    joint = _weighed(a * b, weights) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + steady) / (mean_a**2 + mean_b**2 + steady)
    return float(np.mean(luminance * (2 * joint + lively) / (spread + lively)))


def _window(side: int) -> Array:
    radius = min(_RADIUS, (side - 1) // 2)
    weights: Array = np.exp(-0.5 * (np.arange(-radius, radius + 1) / _SIGMA) ** 2)
    weights /= weights.sum()
    return weights


def _weighed(values: Array, weights: Array) -> Array:
    """Return the weighted means of all windows that lie inside, along height and then width."""
    for axis in (0, 1):
        count = values.shape[axis] - len(weights) + 1
        parts = (np.take(values, range(i, i + count), axis) * weight for i, weight in enumerate(weights))
        values = sum(parts, start=np.zeros(()))
    return values
