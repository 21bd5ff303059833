"""Every measure of fidelity: known answers, what it must not care about, and other people's implementations."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from scipy.spatial import cKDTree
from skimage.metrics import structural_similarity

from edge_aigc.converters.fidelity import compare
from edge_aigc.converters.fidelity.decibels import CAP_DB, snr
from edge_aigc.converters.fidelity.distribution import frechet, mean_distance, sliced_wasserstein
from edge_aigc.converters.fidelity.points import chamfer, chamfer_decibels
from edge_aigc.converters.fidelity.sound import log_mel_distance, mel_power
from edge_aigc.converters.fidelity.structure import ssim
from edge_aigc.converters.fidelity.text import expected_perplexity, perplexity, token_agreement
from edge_aigc.spec import Output

SOUND = Output(name="sound", shape=(1, 8000), media="audio", range=(-1.0, 1.0), sample_rate=16_000)
CLOUD = Output(name="cloud", shape=(1, 300, 3), media="points", range=(-1.0, 1.0))


def rng(seed=0):
    return np.random.default_rng(seed)


def tone(hertz, *, loud=0.5):
    return (loud * np.sin(2 * np.pi * hertz * np.arange(8000) / 16_000)).astype(np.float32)[None]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    height=st.integers(11, 40), width=st.integers(11, 40), channels=st.sampled_from([1, 3, 4]),
    low=st.sampled_from([-1.0, 0.0]), seed=st.integers(0, 99), noise=st.floats(0, 0.5),
)  # fmt: skip
def test_ssim_is_scikit_images(height, width, channels, low, seed, noise):
    draw = rng(seed)
    a = draw.uniform(low, 1, (1, height, width, channels))
    b = np.clip(a + noise * draw.standard_normal(a.shape), low, 1)
    output = Output(name="x", shape=a.shape, media="image", range=(low, 1.0))
    theirs = structural_similarity(
        a[0], b[0], data_range=1 - low, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b, output) == pytest.approx(theirs, abs=1e-10)


def test_ssim_of_a_small_picture_is_still_one_for_equal_and_less_for_others():
    a = rng().uniform(0, 1, (1, 4, 6, 3))
    output = Output(name="x", shape=a.shape, media="image", range=(0.0, 1.0))
    assert ssim(a, a, output) == 1.0
    assert ssim(a, 1 - a, output) < 0.5


def test_snr_knows_a_known_error():
    # An error of a tenth of the amplitude everywhere: 20 dB, however loud the sound is.
    for loud in (0.5, 0.01):
        pooled, each = snr([tone(440, loud=loud)], [tone(440, loud=loud * 1.1)], SOUND)
        assert pooled == pytest.approx(20.0, abs=0.01)
        assert each == [pytest.approx(20.0, abs=0.01)]


def test_noise_in_silence_has_no_signal_at_all():
    silence = np.zeros((1, 8000), np.float32)
    assert snr([silence], [tone(440)], SOUND)[0] == -np.inf
    assert snr([silence], [silence], SOUND)[0] == CAP_DB


def test_a_full_sine_has_the_power_of_one_in_its_band():
    power = mel_power(tone(1000, loud=1.0), SOUND)
    assert power.max() == pytest.approx(1.0, rel=0.5)
    strongest = set(power[0].argmax(axis=-1))
    assert len(strongest) == 1


def test_log_mel_distance_hears_pitch_and_loudness_but_no_phase():
    reference = tone(1000)
    assert log_mel_distance(reference, reference, SOUND) == 0
    phase = np.roll(reference, 4, axis=1)  # a quarter period: the difference is as strong as the sound
    assert snr([reference], [phase], SOUND)[0] < 0
    assert log_mel_distance(reference, phase, SOUND) < 0.5
    assert log_mel_distance(reference, tone(2000), SOUND) > 5
    halved = log_mel_distance(reference, reference / 2, SOUND)
    assert 0 < halved <= 20 * np.log10(2) + 1e-6


def test_a_louder_noise_is_farther_in_log_mel():
    reference, draw = tone(1000), rng()
    noise = draw.standard_normal(reference.shape)
    found = [log_mel_distance(reference, reference + level * noise, SOUND) for level in (0, 0.001, 0.01, 0.1)]
    assert found == sorted(found)
    assert found[0] == 0


def test_a_sound_shorter_than_a_window_is_heard_too():
    short = Output(name="sound", shape=(1, 10, 1), media="audio", range=(-1.0, 1.0), sample_rate=16_000)
    values = rng().uniform(-1, 1, (1, 10, 1))
    assert log_mel_distance(values, values * 0.5, short) > 0


def test_chamfer_is_scipys_and_does_not_care_about_order():
    a, b = rng(1).uniform(-1, 1, (1, 300, 3)), rng(2).uniform(-1, 1, (1, 257, 3))
    to_b, to_a = cKDTree(b[0]).query(a[0])[0], cKDTree(a[0]).query(b[0])[0]
    assert chamfer(a, b) == pytest.approx((np.mean(to_b**2) + np.mean(to_a**2)) / 2)
    assert chamfer(a, a[:, ::-1]) == 0
    assert chamfer_decibels([a], [a[:, ::-1]], CLOUD)[0] == CAP_DB


def test_a_hundredth_of_the_diagonal_is_40_decibels():
    a = np.zeros((1, 1, 3))
    b = a + np.array([0.01 * np.sqrt(12), 0, 0])  # the diagonal of a cube of side 2 is the root of 12
    assert chamfer_decibels([a], [b], CLOUD)[0] == pytest.approx(40.0)


def test_tokens_agree_where_the_likeliest_is_the_same():
    reference = np.eye(5)[None, [0, 1, 2, 3]]
    found = reference.copy()
    found[0, 1] = np.eye(5)[4]
    pooled, each = token_agreement([reference, reference], [reference, found])
    assert (pooled, each) == (87.5, [100.0, 75.0])
    found[0, 0] = np.nan
    assert token_agreement([reference], [found])[0] == 50.0


def test_uniform_logits_are_as_perplexed_as_there_are_tokens():
    tokens = [np.array([[1, 4, 2]])]
    assert perplexity([np.zeros((1, 3, 7))], tokens) == pytest.approx(7.0)
    assert expected_perplexity([np.zeros((1, 3, 7))], [np.full((1, 3, 7), 5.0)]) == pytest.approx(7.0)


def test_no_model_is_less_perplexed_by_a_text_than_its_own_author():
    for seed in range(20):
        reference, other = rng(seed).standard_normal((2, 1, 9, 11)) * 3
        own = expected_perplexity([reference], [reference])
        assert expected_perplexity([reference], [other]) > own >= 1


def test_frechet_is_the_textbooks():
    a, b = rng(1).standard_normal((300, 6)), rng(2).standard_normal((200, 6)) * 1.5 + 0.3
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = np.real(linalg.sqrtm(cov_a @ cov_b))
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_holds_with_fewer_samples_than_features():
    a = rng(1).standard_normal((20, 100))
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, a + 0.5) == pytest.approx(25.0)


def test_sliced_wasserstein_of_one_axis_is_scipys():
    a, b = rng(1).standard_normal((64, 1)), rng(2).standard_normal((64, 1)) * 2 + 1
    assert sliced_wasserstein(a, b) == pytest.approx(stats.wasserstein_distance(a[:, 0], b[:, 0]))
    assert sliced_wasserstein(a, a[::-1]) == 0


def test_mean_distance_counts_each_pair_once():
    rows = np.array([[0.0, 0], [3, 4], [0, 0]])
    assert mean_distance(rows) == pytest.approx((5 + 0 + 5) / 3)


@pytest.mark.parametrize(
    ("output", "metric", "least"),
    [
        (Output(name="x", shape=(1, 8, 8, 1), media="image", range=(0.0, 1.0)), "psnr_db", 30.0),
        (Output(name="x", shape=(1, 64), media="raw"), "psnr_db", 30.0),
        (SOUND, "snr_db", 20.0),
        (CLOUD, "chamfer_db", 40.0),
    ],
)
def test_each_medium_is_held_to_its_own_figure(output, metric, least):
    values = rng().uniform(0, 1, output.shape)
    result = compare([[values]], [[values]], (output,), minimum=None, first_sample=0, on_pictures=False)
    assert (result.metric, result.minimum, result.value) == (metric, least, CAP_DB)


def test_the_state_of_a_loop_is_nobodys_output():
    words = msgspec.structs.replace(SOUND, media="text", shape=(1, 1, 9), range=None, sample_rate=None)
    state = Output(name="state", shape=(1, 8), media="raw")
    logits = rng().standard_normal((1, 1, 9))
    result = compare(
        [[logits, np.ones((1, 8))]], [[logits, np.zeros((1, 8))]], (words, state),
        minimum=None, first_sample=0, on_pictures=False,
    )  # fmt: skip
    assert (result.output, result.value) == ("sound", 100.0)


def test_what_was_promised_holds_for_outputs_of_the_first_ones_kind():
    picture = Output(name="x", shape=(1, 8, 8, 1), media="image", range=(0.0, 1.0))
    values = rng().uniform(0, 1, picture.shape)
    result = compare(
        [[values, tone(440)]], [[values, tone(440, loud=0.55)]], (picture, SOUND),
        minimum=35, first_sample=0, on_pictures=False,
    )  # fmt: skip
    assert (result.output, result.minimum, result.unit) == ("sound", 20.0, "dB")
