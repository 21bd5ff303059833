"""Tokens picked from scores: the shares that were asked for, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.sampling import noise, pick
from edge_aigc.text_controls import TextOrder

SCORES = np.log(np.array([0.5, 0.25, 0.15, 0.1]))


def order(**changes: object) -> TextOrder:
    fields: dict[str, object] = {"prompt": "", "temperature": 1.0, "top_k": 0, "top_p": 1.0, "length": 1}
    return TextOrder(**(fields | changes))  # type: ignore[arg-type]


def shares(made: TextOrder, barred: frozenset[int] = frozenset(), count: int = 4000) -> np.ndarray:
    words = noise(7, "tokens", count)
    picked = [pick(SCORES, int(word), made, barred) for word in words]
    return np.bincount(picked, minlength=4) / count


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0.5, 0.25, 0.15, 0.1]),
        ({"temperature": 0.5}, [0.725, 0.181, 0.065, 0.029]),
        ({"temperature": 0.0}, [1, 0, 0, 0]),
        ({"top_k": 2}, [2 / 3, 1 / 3, 0, 0]),
        ({"top_p": 0.76}, [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0]),
        ({"top_p": 0.1}, [1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.8}, [2 / 3, 1 / 3, 0, 0]),
        ({"top_k": 99}, [0.5, 0.25, 0.15, 0.1]),
    ],
)
def test_tokens_are_as_frequent_as_they_are_likely(changes: dict[str, object], expected: list[float]):
    # Of 4,000 the share of a half has a standard deviation of 0.008.
    assert np.allclose(shares(order(**changes)), expected, atol=0.03)


def test_a_barred_token_is_never_picked_and_the_others_share():
    assert np.allclose(shares(order(), frozenset((0,))), [0, 0.5, 0.3, 0.2], atol=0.03)
    assert shares(order(temperature=0.0), frozenset((0,)))[1] == 1


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=200),
    st.integers(0, 2**64 - 1),
    st.integers(0, 250),
    st.floats(0.01, 1.0),
)
def test_what_is_picked_is_among_the_likeliest_that_were_asked_for(
    scores: list[float], word: int, top_k: int, top_p: float
):
    logits = np.array(scores)
    picked = pick(logits, word, order(top_k=top_k, top_p=top_p), frozenset())
    weights = np.exp(logits - logits.max())
    heavier = weights[weights > weights[picked]]
    if top_k:
        assert len(heavier) < top_k
    assert heavier.sum() <= top_p * weights.sum() * (1 + 1e-9)


@pytest.mark.parametrize("word", [0, 2**64 - 1])
def test_the_ends_of_the_noise_pick_tokens_that_have_a_weight(word: int):
    scores = np.array([-np.inf, 0.0, 1.0, -np.inf])
    assert pick(scores, word, order(), frozenset()) in {1, 2}


def test_the_noise_of_a_seed_stays_what_it_is():
    # Pinned: the same seed must write the same text in years.
    assert [int(word) >> 48 for word in noise(3, "tokens", 4)] == [50751, 53106, 46435, 60061]
    assert np.array_equal(noise(3, "tokens", 4), noise(3, "tokens", 9)[:4])
