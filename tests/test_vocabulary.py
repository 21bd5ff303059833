"""Vocabularies: text to tokens and back, and what is no vocabulary."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.errors import BundleError, InputError
from edge_aigc.vocabulary import parse_vocabulary

VERSE = {"kind": "characters", "tokens": ["<start>", "<stop>", "\n", "春", "。"], "start": 0, "stop": 1}


def parsed(**changes: object):
    return parse_vocabulary(json.dumps({**VERSE, **changes}).encode(), origin="vocabulary.json")


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(alphabet="\n春。"))
def test_a_text_comes_back_from_its_tokens(text: str):
    vocabulary = parsed()
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_tokens_without_text_leave_nothing():
    assert parsed().decode([0, 3, 1]) == "春"


def test_the_name_of_a_token_without_text_is_not_its_text():
    with pytest.raises(InputError, match="'<'"):
        parsed().encode("<stop>")


def test_unknown_characters_are_named_once_each_and_not_all():
    with pytest.raises(InputError) as error:
        parsed().encode("aabcdefgh" + "春")
    assert "'a' (U+0061)" in error.value.message
    assert "and 3 more" in error.value.message
    assert "the 3 that it knows" in error.value.remedy


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "words"}, "words"),
        ({"tokens": ["a"]}, "length >= 2"),
        ({"tokens": ["<start>", "<stop>", "ab"]}, "'ab' is not one character"),
        ({"tokens": ["<start>", "<stop>", "a", "a"]}, "twice"),
        ({"stop": 5}, "stop is token 5, and there are 5"),
        ({"merges": []}, "unknown field"),
        ({"start": -1}, ">= 0"),
    ],
)
def test_what_is_no_vocabulary_is_refused(changes: dict[str, object], words: str):
    with pytest.raises(BundleError, match=words):
        parsed(**changes)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b"{}"])
def test_bytes_that_are_none_are_refused(content: bytes):
    with pytest.raises(BundleError, match="is not a vocabulary"):
        parse_vocabulary(content, origin="vocabulary.json")


def test_a_vocabulary_of_another_size_is_refused():
    with pytest.raises(BundleError, match="lists 5 tokens; the model gives scores for 6"):
        parse_vocabulary(json.dumps(VERSE).encode(), origin="vocabulary.json", size=6)
