"""The report's drawing of cost against fidelity."""

from __future__ import annotations

import dataclasses
import functools
import math
import re

import msgspec
import numpy as np
import pytest
from reports import draft

from edge_aigc.converters.report import Telling, render
from edge_aigc.converters.report.plots import pareto, ticks
from edge_aigc.devices.timing import TimedHere


def test_the_plot_puts_the_cheaper_left_and_the_more_faithful_up(tmp_path):
    plot = pareto(draft(tmp_path).manifest)
    first, second, third = plot.dots
    assert third.chosen
    assert third.x < first.x < second.x
    assert first.y < second.y
    assert len(plot.front.split()) == 3  # two dots and the corner between them
    assert len(plot.across) >= 3


def test_numbers_in_the_plot_never_cover_each_other(tmp_path):
    manifest = draft(tmp_path).manifest
    crowd = tuple(
        msgspec.structs.replace(manifest.candidates[0], latency_ms=0.4 + 0.001 * i, fidelity=60.0) for i in range(7)
    )
    dots = pareto(msgspec.structs.replace(manifest, candidates=crowd)).dots
    labels = [dot.label for dot in dots]
    assert all(math.dist(a, b) >= 13 for i, a in enumerate(labels) for b in labels[:i])
    assert all(math.dist(label, (dot.x, dot.y)) >= 13 for label in labels for dot in dots)


def test_a_mark_lies_where_its_candidate_does_whoever_else_is_there(tmp_path):
    manifest = draft(tmp_path).manifest
    crowd = tuple(
        msgspec.structs.replace(manifest.candidates[0], latency_ms=0.4, fidelity=60.0 - i / 10) for i in range(7)
    )
    dots = pareto(msgspec.structs.replace(manifest, candidates=crowd)).dots
    steps = np.diff([dot.y for dot in dots])
    assert len({dot.x for dot in dots}) == 1
    assert np.allclose(steps, steps.mean(), atol=0.11)  # drawn to a tenth
    made = draft(tmp_path)
    crowded = dataclasses.replace(made, manifest=msgspec.structs.replace(made.manifest, candidates=crowd))
    measure = functools.partial(TimedHere().measure, threads=1)
    page = render([crowded], Telling(measure_for={"rpi4": measure}, command=("edge-aigc",), tell=str))
    drawn = [(float(x), float(y)) for x, y in re.findall(r'class="mark" cx="([\d.]+)" cy="([\d.]+)"', page)]
    assert sorted(drawn) == sorted((dot.x, dot.y) for dot in dots)


def test_one_candidate_needs_no_plot(tmp_path):
    manifest = draft(tmp_path).manifest
    assert pareto(msgspec.structs.replace(manifest, candidates=manifest.candidates[:1])) is None


@pytest.mark.parametrize(("low", "high"), [(0.11, 0.13), (0.8, 6), (3, 4000), (1e-4, 1e5)])
def test_ticks_lie_inside_and_are_two_at_least(low, high):
    found = ticks(low, high)
    assert len(found) >= 2
    assert all(low * 0.9 <= tick <= high * 1.1 for tick in found)
