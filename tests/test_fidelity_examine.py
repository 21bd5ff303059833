"""The chosen form, examined: damage moves the figures as it should, equality leaves them at rest."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import msgspec
import numpy as np
import pytest

from edge_aigc.converters.fidelity import compare, examine
from edge_aigc.converters.fidelity.examine import spread
from edge_aigc.converters.fidelity.features import features_of
from edge_aigc.manifest import Fidelity
from edge_aigc.spec import Output

PICTURE = Output(name="image", shape=(1, 24, 24, 3), media="image", range=(-1.0, 1.0))
COUNT = 48


def blobs(count=COUNT, *, modes=8, seed=0):
    """Pictures of one soft disc: its place and colour are the mode."""
    draw, grid = np.random.default_rng(seed), np.mgrid[:24, :24] / 24
    places, inks = draw.uniform(0.2, 0.8, (modes, 2)), draw.uniform(-1, 1, (modes, 3))
    made = []
    for index in range(count):
        centre = places[index % modes] + draw.normal(0, 0.03, 2)
        disc = np.exp(-30 * ((grid - centre[:, None, None]) ** 2).sum(0))[..., None]
        made.append((disc * inks[index % modes])[None].astype(np.float32))
    return made


def examined(reference, found, output=PICTURE):
    references, founds = ([[values] for values in side] for side in (reference, found))
    fidelity = compare(references, founds, (output,), minimum=None, first_sample=1000, on_pictures=False)
    return examine(fidelity, references, founds, (output,))


def test_equal_samples_are_at_no_distance():
    evidence = examined(blobs(), blobs())
    figures = evidence.fidelity.spread
    assert evidence.fidelity.ssim == 1.0
    assert figures.frechet == pytest.approx(0, abs=1e-6 * figures.frechet_of_seeds)
    assert figures.sliced_wasserstein == 0
    assert figures.frechet_of_seeds > 0
    assert figures.diversity == 1.0
    assert not figures.collapsed


@pytest.mark.parametrize("damage", ["noise", "blur", "levels"])
def test_more_damage_is_farther_away(damage):
    reference, draw = blobs(), np.random.default_rng(1)

    def damaged(values, level):
        if damage == "noise":
            return values + 0.4 * level * draw.standard_normal(values.shape)
        if damage == "blur":
            for _ in range(int(8 * level)):
                values = (values + np.roll(values, 1, 1) + np.roll(values, 1, 2)) / 3
            return values
        return np.rint(values * 8 * (1.1 - level)) / (8 * (1.1 - level))

    figures = [examined(reference, [damaged(values, level) for values in reference]) for level in (0.25, 0.5, 1.0)]
    distances = [evidence.fidelity.spread.frechet for evidence in figures]
    assert distances == sorted(distances)
    likeness = [evidence.fidelity.ssim for evidence in figures]
    assert likeness == sorted(likeness, reverse=True)


def test_a_generator_that_always_makes_the_same_has_collapsed():
    reference = blobs()
    figures = examined(reference, [reference[0]] * COUNT).fidelity.spread
    assert figures.collapsed
    assert figures.diversity == 0
    assert figures.frechet > figures.frechet_of_seeds


def test_two_samples_in_place_of_many_are_a_collapse_and_other_seeds_are_none():
    reference = blobs(modes=8)
    assert spread(reference, [reference[i % 8 // 4 * 4] for i in range(COUNT)], PICTURE).collapsed
    assert not spread(blobs(modes=8, count=2 * COUNT)[::2], blobs(modes=8, count=2 * COUNT)[1::2], PICTURE).collapsed


def test_the_worst_seed_is_kept_with_its_arrays():
    reference = blobs()
    found = [values + (0.5 if index == 20 else 0.01) for index, values in enumerate(reference)]
    evidence = examined(reference, found)
    assert evidence.fidelity.worst_sample == 1020
    assert evidence.worst.sample == 1020
    assert np.array_equal(evidence.worst.found, found[20])
    assert [pair.sample for pair in evidence.pairs] == [1000, 1001, 1002, 1003, 1004]


def test_few_samples_say_nothing_of_a_distribution():
    evidence = examined(blobs(4), blobs(4))
    assert evidence.fidelity.spread is None
    assert evidence.fidelity.ssim == 1.0


def test_not_a_number_has_no_distribution_and_still_a_worst_seed():
    found = [*blobs()[:-1], np.full((1, 24, 24, 3), np.nan)]
    evidence = examined(blobs(), found)
    assert evidence.fidelity.spread is None
    assert evidence.worst.sample == 1000 + COUNT - 1


@pytest.mark.parametrize(
    "output",
    [
        Output(name="x", shape=(1, 2048), media="audio", range=(-1.0, 1.0), sample_rate=8000),
        Output(name="x", shape=(1, 64, 3), media="points"),
        Output(name="x", shape=(1, 700), media="raw"),
        Output(name="x", shape=(1, 8, 8, 1), media="image", range=(0.0, 1.0)),
        Output(name="x", shape=(1, 150, 90, 4), media="image", range=(0.0, 1.0)),
    ],
)
def test_every_medium_has_features_that_damage_moves(output):
    draw = np.random.default_rng(3)
    reference = [draw.uniform(0, 0.5, output.shape) for _ in range(16)]
    name, rows = features_of(reference, output)
    assert name
    assert rows.shape[0] == 16
    little, much = (
        spread(reference, [v + d * draw.uniform(size=v.shape) for v in reference], output) for d in (0.1, 0.5)
    )
    assert 0 < little.frechet < much.frechet


def test_the_net_that_ships_is_small_and_still_the_one_that_was_measured():
    with files("edge_aigc.converters.fidelity").joinpath("features.npz").open("rb") as file:
        content = file.read()
    assert len(content) <= 300_000
    assert hashlib.sha256(content).hexdigest().startswith("83a20531d9fe9cd6")
    ramp = np.linspace(-1, 1, 24 * 24 * 3, dtype=np.float32).reshape(1, 24, 24, 3)
    _, rows = features_of([ramp], PICTURE)
    assert rows.shape == (1, 208)
    assert rows.sum() == pytest.approx(352.004, rel=1e-3)


def test_text_has_perplexities_and_shares_of_tokens():
    draw = np.random.default_rng(3)
    words = msgspec.structs.replace(PICTURE, media="text", shape=(1, 20, 9), range=None)
    reference = [draw.standard_normal((1, 20, 9)) * 4 for _ in range(16)]
    fidelity = examined(reference, [v + 0.5 * draw.standard_normal(v.shape) for v in reference], words).fidelity
    assert fidelity.unit == "%"
    assert 70 < fidelity.value < 100
    assert fidelity.perplexity > fidelity.source_perplexity
    assert fidelity.spread.features == "tokens-1"


def test_a_manifest_of_before_still_reads():
    fields = {"metric": "psnr_db", "value": 40.0, "samples": 64, "minimum": 30.0, "worst_value": 38.0}
    old = msgspec.json.encode(fields | {"worst_sample": 1, "on": "prior"})
    fidelity = msgspec.json.decode(old, type=Fidelity)
    assert (fidelity.unit, fidelity.spread, fidelity.ssim) == ("dB", None, None)
