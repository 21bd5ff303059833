"""Paired comparison: what PSNR says, and of whom."""

from __future__ import annotations

import numpy as np
import pytest

from edge_aigc.converters.fidelity import CAP_DB, compare, psnr
from edge_aigc.spec import Output

PICTURE = Output(name="image", shape=(1, 4, 4, 1), media="image", range=(-1.0, 1.0))
NUMBERS = Output(name="numbers", shape=(1, 4), media="raw")


def samples(*offsets):
    base = np.linspace(-1, 1, 16).reshape(1, 4, 4, 1)
    return [base + offset for offset in offsets]


def test_a_known_error_gives_a_known_figure():
    # Peak 2, error 0.02 everywhere: 20 log10(2 / 0.02) = 40 dB. Half range so that nothing is clipped.
    reference = [values * 0.5 for values in samples(0)]
    pooled, each = psnr(reference, [values + 0.02 for values in reference], PICTURE)
    assert pooled == pytest.approx(40.0)
    assert each == [pytest.approx(40.0)]


def test_equal_outputs_reach_the_cap():
    assert psnr(samples(0), samples(0), PICTURE)[0] == CAP_DB


def test_what_lies_beyond_the_range_does_not_count():
    assert psnr([np.full((1, 4, 4, 1), 1.0)], [np.full((1, 4, 4, 1), 9.0)], PICTURE)[0] == CAP_DB


def test_nan_is_worse_than_everything():
    assert psnr(samples(0), samples(np.nan), PICTURE)[0] == -np.inf


def test_without_a_range_the_peak_is_the_span_of_the_reference():
    reference, found = [np.array([[0.0, 10.0]])], [np.array([[0.1, 10.1]])]
    assert psnr(reference, found, NUMBERS)[0] == pytest.approx(40.0)


def test_the_worst_seed_is_kept():
    reference = [[values * 0.5] for values in samples(0, 0, 0)]
    found = [[values[0] + offset] for values, offset in zip(reference, (0.01, 0.1, 0.02), strict=True)]
    result = compare(reference, found, (PICTURE,), minimum=30.0, first_sample=100, on_pictures=False)
    assert result.worst_sample == 101
    assert result.worst_value < result.value
    assert result.worst_value == pytest.approx(26.02, abs=0.01)


def test_of_several_outputs_the_one_that_fares_worst_counts():
    good, bad = np.zeros((1, 4, 4, 1)), np.full((1, 4, 4, 1), 0.2)
    result = compare([[good, good]], [[good, bad]], (PICTURE, PICTURE), minimum=30, first_sample=0, on_pictures=True)
    assert result.value == pytest.approx(20.0)
