"""Controls: labels, indices and numbers."""

from __future__ import annotations

import pytest

from edge_aigc.controls import check_controls, missing_pictures, nth_seed, pick_seed
from edge_aigc.errors import InputError
from edge_aigc.spec import Choice, Constant, GeneratorSpec, Normal, Output, Picture

SPEC = GeneratorSpec(
    name="pets",
    inputs=(
        Normal(name="latent", shape=(1, 4)),
        Choice(name="animal", shape=(1, 3), classes=("cat", "dog", "7")),
        Constant(name="strength", shape=(1, 1), value=0.5),
        Choice(name="digit", shape=(1, 10), classes=tuple("0123456789")),
        Picture(name="photo", shape=(1, 4, 4, 3), range=(0.0, 1.0)),
    ),
    outputs=(Output(name="out", shape=(1, 4), media="raw"),),
)


def test_a_string_is_a_label_and_an_integer_an_index():
    assert check_controls(SPEC, {"animal": "7"}) == {"animal": 2}
    assert check_controls(SPEC, {"animal": 1}) == {"animal": 1}
    assert check_controls(SPEC, {"strength": 2}) == {"strength": 2}
    assert check_controls(SPEC, {"strength": "0.25"}) == {"strength": 0.25}


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        ({"animal": "dig"}, "Did you mean 'dog'?"),
        ({"animal": "zebra"}, "'cat', 'dog', '7'"),
        ({"digit": "12"}, "no class '12'. Its classes go from '0' to '9'; the nearest is '9'."),
        ({"digit": "-3"}, "the nearest is '0'"),
        ({"digit": "nan"}, "Choose one of '0', '1'"),
        ({"digit": "three"}, "Choose one of '0', '1'"),
        ({"animal": 3}, "0 to 2"),
        ({"animal": -1}, "0 to 2"),
        ({"animal": 1.0}, "0 to 2"),
        ({"animal": True}, "0 to 2"),
        ({"strength": "much"}, "not a finite number"),
        ({"strength": float("nan")}, "not a finite number"),
        ({"animol": "cat"}, "Did you mean 'animal'?"),
        ({"latent": 1}, "no control 'latent'"),
        ({"photo": "x"}, "--input photo=FILE"),
    ],
)
def test_a_wrong_control_is_refused_with_what_would_do(controls, words):
    with pytest.raises(InputError) as caught:
        check_controls(SPEC, controls)
    assert words in str(caught.value)


def test_a_picture_that_was_not_given_is_asked_for():
    error = missing_pictures(SPEC, set())
    assert error is not None
    assert "4x4" in error.message
    assert missing_pictures(SPEC, {"photo"}) is None


def test_seeds_wrap_around_and_fresh_ones_fit_a_double():
    assert nth_seed(2**64 - 1, 2) == 1
    assert all(pick_seed() < 2**53 for _ in range(100))
