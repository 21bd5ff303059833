"""A step graph that lost half of its state learns from passages that it reads with the state that it has."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from bundles import DATA, LETTERS, VOCABULARY
from distilling import weights_of

from edge_aigc.converters.distill import Course, distill
from edge_aigc.converters.distill.draws import draw_of, passage_steps
from edge_aigc.converters.distill.lessons import FIRST_SEED, Teacher, held_out
from edge_aigc.converters.distill.memory import Memory
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.prune.borders import Borders
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.interpreter import Interpreter
from tests.pruning import halves

SHORT = Course(steps=100, looks=5, batch=16, rate=5e-3)
TEACHER = read((DATA / "letters.tflite").read_bytes())
KEEP = halves(TEACHER)
BORDERS = Borders.of(TEACHER, channel_groups(TEACHER), KEEP)
MEMORY = Memory(fed={1: 1}, steps=passage_steps(LETTERS), kept={1: BORDERS.inputs[1]})
SOURCE = SimpleNamespace(
    flatbuffer=(DATA / "letters.tflite").read_bytes(),
    inputs=[SimpleNamespace(name=tensor.name) for tensor in LETTERS.inputs],
    outputs=[SimpleNamespace(name=output.name) for output in LETTERS.outputs],
)
DRAW = draw_of(SOURCE, LETTERS, assets={LETTERS.tokens.vocabulary: VOCABULARY})


def taught(course, tell=lambda _: None, checkpoint=None):
    return distill(
        TEACHER, cut(TEACHER, KEEP), DRAW, LETTERS.outputs, course, memory=MEMORY, checkpoint=checkpoint, tell=tell
    )


def test_half_a_state_learns_to_do_for_the_whole():
    whole, half = (value.shape for value in (TEACHER.inputs[1], cut(TEACHER, KEEP).inputs[1]))
    assert half == (1, whole[1] // 2)
    done = taught(replace(SHORT, steps=200))
    assert done.best.fidelity.value > done.curve[0].fidelity.value + 5
    assert done.best.fidelity.metric == "agreement_percent"
    assert done.graph.inputs[1].shape == done.graph.outputs[1].shape == half


def test_the_judge_reads_whole_texts_with_the_students_own_state():
    student = cut(TEACHER, KEEP)
    done = taught(replace(SHORT, steps=50, looks=1))
    lesson = held_out(Teacher(TEACHER, memory=MEMORY), DRAW, 32)
    run, same = Interpreter(write(student)).run, []
    for tokens, state, logits in zip(*lesson.inputs, lesson.outputs[0], strict=True):
        for token, expected in zip(tokens, logits, strict=True):
            found, state = run([token, state])  # noqa: PLW2901 - what it left is what it takes
            same.append(found.argmax() == expected.argmax())
    assert done.curve[0].fidelity.value == pytest.approx(100 * np.mean(same), abs=1e-3)


def test_lessons_hold_the_places_that_the_student_has():
    lesson = Teacher(TEACHER, memory=MEMORY).lesson(DRAW(FIRST_SEED, 4))
    tokens, state = lesson.inputs
    logits, left = lesson.outputs
    width = len(MEMORY.kept[1][1])
    assert tokens.shape == (4, 8, *TEACHER.inputs[0].shape)
    assert state.shape == (4, 1, width)
    assert logits.shape[:2] == left.shape[:2] == (4, 8)
    assert left.shape[2:] == (1, width)
    (_, whole), kept = DRAW(FIRST_SEED, 4)[3], MEMORY.kept[1][1]
    np.testing.assert_array_equal(state[3], whole[:, kept])


def test_a_run_that_was_broken_off_ends_with_the_same_weights(tmp_path):
    def broken(words):
        if "step 60 of" in words:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taught(SHORT, tell=broken, checkpoint=tmp_path / "state")
    said = []
    resumed = taught(SHORT, tell=said.append, checkpoint=tmp_path / "state")
    assert said[0].startswith("distilling: step 60 of")
    for ours, theirs in zip(weights_of(resumed.graph), weights_of(taught(SHORT).graph), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_it_learns_in_fake_int8_too():
    done = taught(replace(SHORT, fake="int8"))
    assert done.best.fidelity.value > done.curve[0].fidelity.value
