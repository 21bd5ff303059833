"""The seed contract: bits pinned for ever, on every processor and every NumPy."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from edge_aigc.errors import InputError
from edge_aigc.priors import draw, random_words, standard_normal
from edge_aigc.spec import Choice, Constant, GeneratorSpec, Noise, Normal, Output, Picture, Uniform

SPEC = GeneratorSpec(
    name="everything",
    inputs=(
        Normal(name="latent", shape=(1, 4000)),
        Normal(name="shifted", shape=(1, 3), mean=2.0, std=0.5),
        Noise(name="noise", shape=(1, 8, 8, 2)),
        Uniform(name="unit", shape=(1, 1000), low=-3.0, high=5.0),
        Choice(name="digit", shape=(1, 10), classes=tuple("0123456789")),
        Choice(name="word", shape=(1,), classes=("a", "b", "c"), encoding="index", dtype="int32"),
        Constant(name="strength", shape=(1, 1), value=0.25),
    ),
    outputs=(Output(name="out", shape=(1, 4), media="raw"),),
)
PINNED = {
    "latent": "5e4e03d74bc2c7b34996aeb2307840ddb00538ad88b034618eee6e0cfe018ed9",
    "shifted": "0577c06e09442bc354e49435c45fd49d2c691c30f697b223e8e5ec3461cf3e76",
    "noise": "da75e52cfa686f2ca3d92c50b09a19f6a7a778fe0b13b275cb61ddec335f538d",
    "unit": "1ba86548c438eeb983bb50cd1a91ea0dc787eaaf010eb96ffbf1335e535769ae",
    "digit": "6a8c392226f28f49b6a907d5cd0573d5e119960f2b0e56fbc168689710711d5c",
    "word": "c3e42245ffdff31c980d63b232de1414ca2461a08c6efccca2af96737ef4d068",
    "strength": "e84929294347438b570aa54ca50eea91a5562304ae8d1a8104ab8ff0dc745db0",
}
"""SHA-256 over the little-endian bytes of seeds 0, 7 and 2^64 - 1. A change breaks every seed ever noted down."""


def digests() -> dict[str, str]:
    hashes = {tensor.name: hashlib.sha256() for tensor in SPEC.inputs}
    for seed in (0, 7, 2**64 - 1):
        for name, values in draw(SPEC, seed=seed).items():
            hashes[name].update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return {name: digest.hexdigest() for name, digest in hashes.items()}


def test_the_bits_of_every_prior_are_pinned():
    assert digests() == PINNED


def test_the_first_words_of_a_stream_are_pinned():
    assert [hex(int(word)) for word in random_words(7, "latent", 3)] == [
        "0x3044a345215543fc",
        "0x9a49a99fb3c12968",
        "0xcb5f1473cb28feed",
    ]


def test_shapes_and_types_are_those_of_the_specification():
    drawn = draw(SPEC, seed=1)
    for tensor in SPEC.inputs:
        assert drawn[tensor.name].shape == tensor.shape
        assert drawn[tensor.name].dtype == tensor.dtype


def test_normal_values_are_normal():
    values = standard_normal(random_words(3, "x", 200_000))
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    # Shares within one, two and three standard deviations: 0.6827, 0.9545, 0.9973.
    for width, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert abs((np.abs(values) < width).mean() - share) < 0.005


def test_normal_values_match_the_inverse_distribution_function():
    # Quantiles to 16 digits: Wichura 1988, table of test values, and symmetry.
    p = np.array([0.25, 0.001, 1e-10])
    words = (p * 2.0**52).astype(np.uint64) << np.uint64(12)
    expected = np.array([-0.6744897501960817, -3.090232306167813, -6.361340902404056])
    assert standard_normal(words) == pytest.approx(expected, abs=1e-5)


def test_extreme_words_give_finite_values():
    values = standard_normal(np.array([0, 2**64 - 1], dtype=np.uint64))
    assert np.isfinite(values).all()
    assert values[0] == -values[1]


def test_uniform_values_fill_their_range():
    values = draw(SPEC, seed=5)["unit"]
    assert values.min() >= -3.0
    assert values.max() < 5.0
    assert abs(values.mean() - 1.0) < 0.3


def test_every_class_is_drawn_about_equally_often():
    counts = np.zeros(10)
    for seed in range(2000):
        counts += draw(SPEC, seed=seed)["digit"][0]
    assert counts.sum() == 2000
    assert (np.abs(counts - 200) < 60).all()  # 4.5 standard deviations


def test_a_control_changes_its_own_input_and_no_other():
    free, set_ = draw(SPEC, seed=9), draw(SPEC, seed=9, controls={"digit": 3, "strength": 0.75})
    assert set_["digit"][0, 3] == 1
    assert set_["strength"][0, 0] == np.float32(0.75)
    for name in ("latent", "noise", "unit", "word"):
        assert np.array_equal(free[name], set_[name])


def test_inputs_of_one_seed_are_independent_streams():
    assert not np.array_equal(random_words(1, "a", 8), random_words(1, "b", 8))
    assert not np.array_equal(random_words(1, "a", 8), random_words(2, "a", 8))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "7"])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InputError, match="2\\^64"):
        draw(SPEC, seed=seed)


def test_a_missing_picture_is_named():
    spec = GeneratorSpec(
        name="p",
        inputs=(Picture(name="photo", shape=(1, 4, 4, 3), range=(0.0, 1.0)),),
        outputs=(Output(name="out", shape=(1, 4), media="raw"),),
    )
    with pytest.raises(InputError, match="photo"):
        draw(spec, seed=0)
