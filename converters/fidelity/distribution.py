"""Distances between two sets of samples, and how much the samples of one set differ among themselves."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_DIRECTIONS = 256
_DIRECTIONS_SEED = 0
"""The same directions always: two runs give one figure."""


def frechet(a: Array, b: Array) -> float:
    """Return the Fréchet distance between normal distributions fitted to two sets of features.

    ``|mean a - mean b|² + tr(C_a + C_b - 2 (C_a C_b)^½)``, Heusel et al., arXiv:1706.08500, equation 6. The root's
    trace is the nuclear norm of ``A Bᵀ`` of the centred rows, exact with fewer samples than features too.

    Args:
        a: Shape (samples, features).
        b: Shape (samples, features).
    """
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    rows_a, rows_b = ((rows - mean) / np.sqrt(len(rows) - 1) for rows, mean in ((a, mean_a), (b, mean_b)))
    shared = np.linalg.svd(rows_a @ rows_b.T, compute_uv=False).sum()
    apart = np.sum(rows_a**2) + np.sum(rows_b**2) - 2 * shared
    return float(np.sum((mean_a - mean_b) ** 2) + max(0.0, apart))


def sliced_wasserstein(a: Array, b: Array) -> float:
    """Return the sliced 1-Wasserstein distance: along 256 fixed directions, how far mass has to be moved.

    Args:
        a: Shape (samples, features).
        b: Shape (samples, features).
    """
    directions = np.random.default_rng(_DIRECTIONS_SEED).standard_normal((a.shape[1], _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    levels = (np.arange(min(len(a), len(b))) + 0.5) / min(len(a), len(b))
    along_a, along_b = (np.quantile(rows @ directions, levels, axis=0, method="hazen") for rows in (a, b))
    return float(np.mean(np.abs(along_a - along_b)))


def mean_distance(rows: Array) -> float:
    """Return the mean Euclidean distance between two different samples of a set.

    Args:
        rows: Shape (samples, features), at least two samples.
    """
    # Row by row: the shorter formula over squares cancels where samples are nearly equal, which is what is asked.
    apart = sum(float(np.linalg.norm(rows - row, axis=1).sum()) for row in rows)
    return apart / (len(rows) * (len(rows) - 1))
