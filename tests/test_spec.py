"""Specifications: what is refused, and with which words."""

from __future__ import annotations

import msgspec
import pytest

from edge_aigc.errors import SpecError
from edge_aigc.spec import Choice, GeneratorSpec, parse_spec, parse_toml

DIGITS = """
name = "digits"
family = "gan"
[[inputs]]
name = "latent"
prior = "normal"
shape = [1, 64]
[[inputs]]
name = "digit"
prior = "choice"
shape = [1, 10]
classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
encoding = "onehot"
[[outputs]]
name = "image"
media = "image"
shape = [1, 28, 28, 1]
layout = "HWC"
range = [-1.0, 1.0]
"""


def test_a_specification_survives_json():
    spec = parse_spec(DIGITS.encode(), origin="digits.toml")
    assert isinstance(spec.inputs[1], Choice)
    assert msgspec.json.decode(msgspec.json.encode(spec), type=GeneratorSpec) == spec


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('prior = "normal"', 'prior = "gaussian"', "gaussian"),
        ("shape = [1, 64]", "shape = [1, 0]", ">= 1"),
        ("shape = [1, 10]", "shape = [1, 9]", "10 classes"),
        ('name = "latent"', 'name = "digit"', "two inputs are named 'digit'"),
        ('name = "digits"', 'name = "a/b"', "matching regex"),
        ('name = "digits"', 'name = "#"', "matching regex"),
        ('name = "latent"', 'name = "seed"', "cannot be named 'seed'"),
        ("range = [-1.0, 1.0]", "range = [1.0, -1.0]", "empty"),
        ("range = [-1.0, 1.0]", "range = [nan, 1.0]", "not finite"),
        ("range = [-1.0, 1.0]", "", "needs a range"),
        ("shape = [1, 28, 28, 1]", "shape = [1, 28, 28, 2]", "1 | 3 | 4"),
        ('family = "gan"', 'family = "gan"\nfoo = 1', "unknown field `foo`"),
        ('media = "image"', 'media = "smell"', "smell"),
        ('"0", "1"', '"0", "0"', "twice"),
    ],
)
def test_a_wrong_field_is_named(old, new, words):
    text = DIGITS.replace(old, new)
    assert text != DIGITS
    with pytest.raises(SpecError) as caught:
        parse_spec(text.encode(), origin="digits.toml")
    assert words in caught.value.message
    assert "digits.toml" in caught.value.message


def test_what_is_not_toml_is_said_to_be():
    with pytest.raises(SpecError, match="not valid TOML"):
        parse_toml(b"name = ", origin="x.toml")
    with pytest.raises(SpecError, match="not valid TOML"):
        parse_toml(b"\xff\xfe", origin="x.toml")
