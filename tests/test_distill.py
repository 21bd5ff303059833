"""A cut generator learns from the whole one what the same seeds make, and can be interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import distilling
import numpy as np
import pytest
from disks import small_disk

from edge_aigc.converters.distill import Course, distill
from edge_aigc.converters.distill.checkpoint import load
from edge_aigc.converters.distill.rates import RATES
from edge_aigc.converters.distill.taps import taps_of
from edge_aigc.converters.ir import write
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.converters.prune.units import lost_places
from edge_aigc.errors import ConversionError, FileError

SHORT = Course(steps=60, looks=6, batch=16)


@pytest.mark.parametrize(
    ("teacher", "output", "gain"),
    [
        pytest.param(distilling.painter, distilling.PICTURE, 4.0, id="picture"),
        pytest.param(distilling.singer, distilling.SOUND, 3.0, id="sound"),
        pytest.param(distilling.writer, distilling.LOGITS, 10.0, id="text"),
        pytest.param(distilling.sculptor, distilling.POINTS, 3.0, id="points"),
    ],
)
def test_half_a_generator_learns_what_the_whole_one_makes(teacher, output, gain):
    done = distilling.taught(teacher(), output, Course(steps=200, looks=4, rate=5e-3, batch=32))
    assert done.best.fidelity.value >= done.curve[0].fidelity.value + gain
    assert done.best.fidelity.output == output.name


def test_what_is_good_already_learns_slowly():
    teacher = distilling.painter()
    whole = distill(teacher, teacher, distilling.draw, [distilling.PICTURE], SHORT, tell=print)
    half = distilling.taught(teacher, distilling.PICTURE, SHORT)
    assert RATES[-1] == whole.course.rate < half.course.rate == RATES[0]


def test_tensorflow_is_left_as_it_was():
    from tensorflow.python.framework import config

    distilling.taught(distilling.painter(), distilling.PICTURE, replace(SHORT, steps=50))
    assert not config.is_op_determinism_enabled()


def test_int8_that_misses_is_healed():
    """One channel forty times as wide as the others: its range leaves them few steps."""
    teacher = distilling.painter()
    first, last = (node for node in teacher.nodes if node.kind in {"CONV_2D", "TRANSPOSE_CONV"})
    for weights in (first.input(1).data, first.input(2).data):
        weights[3] *= 40
    last.input(1).data[..., 3] /= 40
    course = Course(steps=300, looks=6, batch=32, rate=2e-3, fake="int8")
    done = distill(teacher, teacher, distilling.draw, [distilling.PICTURE], course, tell=lambda _: None)
    assert done.best.fidelity.value > done.curve[0].fidelity.value + 0.5


def test_neither_graph_is_touched():
    teacher = distilling.painter()
    student, _ = distilling.halved(teacher)
    before = write(teacher), write(student)
    distill(teacher, student, distilling.draw, [distilling.PICTURE], SHORT, tell=lambda _: None)
    assert (write(teacher), write(student)) == before


def test_a_student_that_learns_nothing_stays_what_it_was_and_stops_early():
    teacher = distilling.painter()
    student, _ = distilling.halved(teacher)
    course = replace(SHORT, rate=50.0, steps=600, looks=60, patience=5)
    done = distill(teacher, student, distilling.draw, [distilling.PICTURE], course, tell=lambda _: None)
    assert done.best.step == 0
    assert len(done.curve) == 6
    for ours, theirs in zip(distilling.weights_of(done.graph), distilling.weights_of(student), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_inner_values_of_the_kept_channels_are_taught_too():
    teacher = distilling.painter()
    student, keep = distilling.halved(teacher)
    taps = taps_of(teacher, student, lost_places(channel_groups(teacher), keep))
    assert [tap.kept for tap in taps if tap.kept]
    course = replace(SHORT, steps=120, rate=5e-3, tap_weight=1.0)
    done = distill(teacher, student, distilling.draw, [distilling.PICTURE], course, taps=taps, tell=lambda _: None)
    assert done.best.fidelity.value > done.curve[0].fidelity.value + 2


def test_minutes_become_steps_that_repeat_the_weights():
    teacher = distilling.painter()
    timed = distilling.taught(teacher, distilling.PICTURE, replace(SHORT, steps=None, minutes=0.001))
    assert timed.course.minutes is None
    assert timed.course.looks == 4 < SHORT.looks
    again = distilling.taught(teacher, distilling.PICTURE, timed.course)
    assert again.curve == timed.curve
    assert write(again.graph) == write(timed.graph)


def test_a_run_that_was_killed_ends_with_the_same_weights(tmp_path):
    checkpoint, result = tmp_path / "state", tmp_path / "weights.npz"
    command = [sys.executable, str(Path(distilling.__file__)), str(checkpoint), str(result)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as killed:
        for line in killed.stdout:
            if "step 200 of" in line:
                killed.send_signal(signal.SIGKILL)
                break
        assert killed.wait() == -signal.SIGKILL
    assert not result.exists()
    resumed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "step 0 of" not in resumed.stdout
    whole = distilling.taught(distilling.painter(), distilling.PICTURE, distilling.KILLED)
    with np.load(result) as held:
        for name, ours in zip(held.files, distilling.weights_of(whole.graph), strict=True):
            np.testing.assert_array_equal(held[name], ours)


def test_a_finished_run_is_not_run_again(tmp_path):
    teacher, said = distilling.painter(), []
    first = distilling.taught(teacher, distilling.PICTURE, SHORT, checkpoint=tmp_path / "state")
    again = distilling.taught(teacher, distilling.PICTURE, SHORT, checkpoint=tmp_path / "state", tell=said.append)
    assert write(again.graph) == write(first.graph)
    assert again.curve == first.curve
    assert not said


@pytest.mark.parametrize("change", [{"seed": 1}, {"rate": 1e-3}, {"steps": 61}])
def test_a_checkpoint_of_another_run_is_refused(tmp_path, change):
    distilling.taught(distilling.painter(), distilling.PICTURE, SHORT, checkpoint=tmp_path / "state")
    with pytest.raises(FileError, match="another run, of 60 steps"):
        distilling.taught(
            distilling.painter(), distilling.PICTURE, replace(SHORT, **change), checkpoint=tmp_path / "state"
        )


def test_a_damaged_checkpoint_is_told_and_the_training_begins_anew(tmp_path):
    place, noted = tmp_path / "state", []
    place.write_bytes(os.urandom(1000))
    done = distilling.taught(
        distilling.painter(), distilling.PICTURE, SHORT, checkpoint=place, tell=noted.append, note=noted.append
    )
    assert (
        noted[0]
        == f"The training begins anew. {place} is no checkpoint that this release can go on from: it is damaged."
    )
    assert load(place).done == done.course.steps


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda words: words["figures"].pop("best"), "missing required field `best` - at `$.figures`"),
        (lambda words: words["figures"].pop("curve"), "missing required field `curve` - at `$.figures`"),
        (lambda words: words["figures"].update(best=99), "the best of 7 looks is number 99 - at `$.figures`"),
        (lambda words: words["figures"]["curve"][0].update(step="x"), "Expected `int`, got `str`"),
        (lambda words: words["counts"].pop("moments"), "it is damaged"),
        (lambda words: words.pop("done"), "missing required field `done`"),
    ],
)
def test_a_checkpoint_that_lacks_something_is_told_and_the_training_begins_anew(tmp_path, change, told):
    place, noted = tmp_path / "state", []
    first = distilling.taught(distilling.painter(), distilling.PICTURE, SHORT, checkpoint=place)
    with np.load(place) as held:
        arrays = dict(held)
    words = json.loads(arrays["words 1"].tobytes())
    change(words)
    arrays["words 1"] = np.frombuffer(json.dumps(words).encode(), np.uint8)
    with place.open("wb") as file:
        np.savez(file, **arrays)
    again = distilling.taught(distilling.painter(), distilling.PICTURE, SHORT, checkpoint=place, note=noted.append)
    assert again.curve == first.curve
    (words,) = noted
    assert words.startswith(f"The training begins anew. {place} is no checkpoint")
    assert told in words


def test_a_student_that_is_its_teacher_is_gone_on_with(tmp_path):
    place, said, same = tmp_path / "state", [], distilling.painter()
    for _ in range(2):
        said.append([])
        distill(same, same, distilling.draw, [distilling.PICTURE], SHORT, checkpoint=place, tell=said[-1].append)
    assert said[1] == []


def test_a_checkpoint_that_cannot_be_written_is_told_once_and_the_training_goes_on(tmp_path, monkeypatch):
    noted = []
    with small_disk(tmp_path / "small") as disk:
        monkeypatch.setenv("EDGE_AIGC_CACHE", str(disk))
        done = distilling.taught(
            distilling.painter(), distilling.PICTURE, SHORT, checkpoint=disk / "state", note=noted.append
        )
        assert not list(disk.iterdir())
    assert done.curve[-1].step == SHORT.steps
    (words,) = noted
    assert "is not kept" in words
    assert "No room for" in words
    assert "EDGE_AIGC_CACHE" in words


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("step 0 of", "nothing of the training is kept yet, so the same command begins it anew."),
        ("step 20 of", "the training is kept as it was after 10 of 60 steps, and the same command goes on with it."),
    ],
)
def test_an_interruption_tells_what_is_kept(tmp_path, at, told):
    noted = []

    def interrupted(words):
        if at in words:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distilling.taught(
            distilling.painter(),
            distilling.PICTURE,
            SHORT,
            checkpoint=tmp_path / "state",
            tell=interrupted,
            note=noted.append,
        )
    assert noted == [f"Interrupted: {told}"]


def test_a_teacher_that_makes_nonsense_is_refused():
    teacher = distilling.painter()
    teacher.nodes[0].input(1).data[0] = np.nan
    with pytest.raises(ConversionError, match="not finite"):
        distilling.taught(teacher, distilling.PICTURE, SHORT)


def test_every_look_tells_the_figure_and_what_is_left():
    said = []
    distilling.taught(distilling.singer(), distilling.SOUND, SHORT, tell=said.append)
    assert "dB paired SNR, log-mel" in said[0]
    assert said[1].startswith("distilling: step 10 of 60, ")
    assert said[1].endswith("s left")
