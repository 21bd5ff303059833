"""Clouds of points: how far each lies from the nearest of the other cloud, in whatever order they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.fidelity.decibels import decibels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

_ROWS = 256
"""Points compared at a time: 256 x 16,384 x 3 numbers are 100 MB."""


def chamfer(reference: Array, found: Array) -> float:
    """Return the Chamfer distance: the mean squared distance to the other cloud's nearest point, both ways, halved.

    Args:
        reference: Shape (1, points, axes).
        found: Shape (1, points, axes).
    """
    a, b = reference[0].astype(np.float64), found[0].astype(np.float64)
    return float((np.mean(_nearest(a, b)) + np.mean(_nearest(b, a))) / 2)


def chamfer_decibels(reference: Sequence[Array], found: Sequence[Array], output: Output) -> tuple[float, list[float]]:
    """Return the Chamfer distance in decibels below the squared diagonal: pooled over all samples, and of each.

    The diagonal is that of the output's range (without a range, of the box around the reference). More is better,
    at most 100 dB; 40 dB are a hundredth of the diagonal.

    Args:
        reference: One cloud a sample, shape (1, points, axes).
        found: As many.
        output: States the range.
    """
    axes = reference[0].shape[-1]
    if output.range is None:
        stack = np.concatenate([values.reshape(-1, axes) for values in reference])
        diagonal = float(np.sum(np.ptp(stack, axis=0).astype(np.float64) ** 2)) or 1.0
    else:
        diagonal = axes * (output.range[1] - output.range[0]) ** 2
        reference, found = ([np.clip(values, *output.range) for values in side] for side in (reference, found))
    errors = [chamfer(a, b) for a, b in zip(reference, found, strict=True)]
    return decibels(diagonal, float(np.mean(errors))), [decibels(diagonal, error) for error in errors]


def _nearest(points: Array, others: Array) -> Array:
    """Return the squared distance of each point to the nearest other."""
    parts = [
        np.min(np.sum((points[start : start + _ROWS, None] - others) ** 2, axis=-1), axis=-1)
        for start in range(0, len(points), _ROWS)
    ]
    nearest: Array = np.concatenate(parts)
    return nearest
