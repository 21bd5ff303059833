"""Text: whether two models choose the same next tokens, and how surprised one is by what the other would write.

All functions take the logits of both models *on the same tokens before*: let the source write, show the other form
each step of it, and keep what both would say next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Array: TypeAlias = NDArray[Any]


def token_agreement(reference: Sequence[Array], found: Sequence[Array]) -> tuple[float, list[float]]:
    """Return how many steps both models take the same most likely token, percent: of all steps, and of each sample.

    Args:
        reference: One array of logits a sample, shape (..., steps, vocabulary).
        found: As many, of the same shapes; a step whose logits are not finite agrees with nothing.
    """
    same = [
        ((np.argmax(a, axis=-1) == np.argmax(b, axis=-1)) & np.isfinite(b).all(axis=-1)).ravel()
        for a, b in zip(reference, found, strict=True)
    ]
    return 100.0 * float(np.mean(np.concatenate(same))), [100.0 * float(np.mean(steps)) for steps in same]


def perplexity(logits: Sequence[Array], tokens: Sequence[Array]) -> float:
    """Return the perplexity of a model on given text: e to the mean negative log likelihood of each next token.

    Args:
        logits: One array a sample, shape (..., steps, vocabulary).
        tokens: The token that followed each step, shape (..., steps).
    """
    surprise = [
        -np.take_along_axis(_log_shares(values), np.asarray(follows)[..., None].astype(np.int64), axis=-1).ravel()
        for values, follows in zip(logits, tokens, strict=True)
    ]
    return float(np.exp(np.mean(np.concatenate(surprise))))


def expected_perplexity(reference: Sequence[Array], found: Sequence[Array]) -> float:
    """Return the perplexity of a model on what the reference writes at temperature 1, expected, not sampled.

    The reference against itself gives the least that any model can have; the ratio of the two is e to the mean
    Kullback-Leibler divergence.

    Args:
        reference: One array of logits a sample, shape (..., steps, vocabulary).
        found: As many, of the same shapes.
    """
    surprise = [
        -np.sum(np.exp(_log_shares(a)) * _log_shares(b), axis=-1).ravel() for a, b in zip(reference, found, strict=True)
    ]
    return float(np.exp(np.mean(np.concatenate(surprise))))


def _log_shares(logits: Array) -> Array:
    """Return the logarithm of softmax along the last axis."""
    shifted = logits.astype(np.float64) - np.max(logits, axis=-1, keepdims=True)
    shares: Array = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return shares
