"""A token picked from scores.

The noise of a text comes from the seed alone: one 64-bit word a token, from a stream of its own, keyed as
`edge_aigc.priors` keys the inputs. Probabilities need `exp`, whose last bit differs between processors: the
same seed gives the same text on one machine, and nearly always elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_aigc.errors import BundleError
from edge_aigc.priors import random_words

if TYPE_CHECKING:
    from edge_aigc.priors import Words
    from edge_aigc.text_controls import TextOrder

Scores = NDArray[Any]
Places = NDArray[np.intp]

_FIRST_LOOK = 512
"""Tokens among which the share of top-p is looked for at first."""


def noise(seed: int, tokens: str, count: int) -> Words:
    """Return a word for each of ``count`` tokens.

    Args:
        seed: Unsigned 64-bit.
        tokens: Name of the input that takes the tokens.
        count: Of the tokens.
    """
    return random_words(seed, f"{tokens}/sampling", count)


def pick(scores: Scores, word: int, order: TextOrder, barred: frozenset[int]) -> int:
    """Return the number of the next token.

    The upper 53 bits of the word, as a share of the whole probability, say how far to go through the tokens in
    order of their number.

    Tokens as likely as the last one that top-k or top-p leaves stay with it.

    Args:
        scores: Logits, shape ``(tokens,)``.
        word: Of `noise`.
        order: Temperature, top-k and top-p.
        barred: Tokens that are never picked.

    Raises:
        BundleError: A score is not a number: the model is broken.
    """
    logits = scores.astype(np.float64)
    if np.isnan(logits).any():
        raise BundleError(
            f"The model gave {int(np.isnan(logits).sum()):,} of {logits.size:,} scores that are not numbers.",
            remedy="Convert it again, with another recipe if it was not float32.",
        )
    logits[list(barred)] = -np.inf
    if order.temperature == 0:
        return int(np.argmax(logits))
    weights = np.exp((logits - logits.max()) / order.temperature)
    kept = _kept(weights, order)
    passed = np.cumsum(weights if kept is None else weights[kept])
    share = (word >> (64 - 53)) * 2.0**-53
    # The first whose sum exceeds the share; rounding can leave none.
    place = min(int(np.searchsorted(passed, share * passed[-1], side="right")), len(passed) - 1)
    return place if kept is None else int(kept[place])


def _kept(weights: Scores, order: TextOrder) -> Places | None:
    """Return the tokens that top-k and top-p leave, in order of their number; None: all."""
    most = min(order.top_k or len(weights), len(weights))
    if order.top_p == 1 and most == len(weights):
        return None
    if order.top_p == 1:
        return np.flatnonzero(weights >= np.partition(weights, -most)[-most])
    whole = float(_heaviest(weights, most).sum() if order.top_k else weights.sum())
    # Of most texts a few tokens have nearly all the probability, and sorting all takes longer than a small model.
    for look in (min(most, _FIRST_LOOK), most):
        heaviest = _heaviest(weights, look)
        passed = np.cumsum(heaviest)
        if passed[-1] >= order.top_p * whole:
            break
    # The token that reaches the share stays.
    last = min(int(np.searchsorted(passed, order.top_p * whole)), look - 1)
    return np.flatnonzero(weights >= heaviest[last])


def _heaviest(weights: Scores, count: int) -> Scores:
    """Return the largest weights, falling."""
    part = weights if count == len(weights) else np.partition(weights, -count)[-count:]
    falling: Scores = np.sort(part)[::-1]
    return falling
