"""What distilling is made of: losses, schedules, lessons, fake rounding, places that are left."""

from __future__ import annotations

import math

import distilling
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from edge_aigc.converters.distill.fake import Rounding
from edge_aigc.converters.distill.lessons import FIRST_SEED, HELD_OUT_FIRST_SEED, Lessons, Teacher, held_out
from edge_aigc.converters.distill.losses import loss_of, softened
from edge_aigc.converters.distill.schedule import Average, Schedule, look_every, looks_in, steps_in
from edge_aigc.converters.distill.taps import taps_of
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.lift import lift
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.converters.prune.units import lost_places
from edge_aigc.converters.quantizer.calibration import Calibration
from edge_aigc.converters.recipes import NAMED
from edge_aigc.interpreter import Interpreter
from edge_aigc.spec import Output

RAW = Output(name="raw", media="raw", shape=(1, 7))
STEREO = Output(name="sound", media="audio", shape=(1, 512, 2), range=(-1.0, 1.0), sample_rate=8000)
ALL = [distilling.PICTURE, distilling.SOUND, STEREO, distilling.LOGITS, distilling.POINTS, RAW]


def batch(output, seed, *, wide=0.5):
    shape = (3, *output.shape[1:])
    return (wide * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("output", ALL, ids=lambda output: f"{output.media}{len(output.shape)}")
@settings(max_examples=20, derandomize=True, deadline=None)
@given(seed=st.integers(0, 1000), error=st.floats(0.01, 0.2))
def test_a_loss_is_least_where_both_are_equal_and_grows_with_the_error(output, seed, error):
    loss = loss_of(output, primary=output)
    teacher, noise = batch(output, seed), batch(output, seed + 1)
    equal, near, far = (float(loss(teacher, teacher + factor * error * noise)) for factor in (0.0, 1.0, 4.0))
    assert equal < 1e-3
    assert equal < near < far


def test_a_picture_beyond_the_range_is_as_good_as_one_at_its_end():
    loss = loss_of(distilling.PICTURE, primary=distilling.PICTURE)
    teacher = np.full((1, 16, 16, 1), 1.3, np.float32)
    assert float(loss(teacher, np.full_like(teacher, 7.0))) == 0
    assert float(loss(teacher, np.full_like(teacher, 0.9))) == pytest.approx(2 * 0.05 + 2 * 0.05 / 3, rel=1e-4)


def test_structure_counts_beside_pixels():
    loss = loss_of(distilling.PICTURE, primary=distilling.PICTURE)
    teacher = np.zeros((1, 16, 16, 1), np.float32)
    flat, striped = np.full_like(teacher, 0.1), np.full_like(teacher, 0.1)
    striped[:, ::2] = -0.1
    assert float(loss(teacher, flat)) != pytest.approx(float(loss(teacher, striped)), rel=0.1)


def test_logits_are_taught_up_to_what_softmax_leaves_out():
    teacher = batch(distilling.LOGITS, 3, wide=3.0)
    assert float(softened(teacher, teacher + 5.0)) == pytest.approx(0, abs=1e-5)


def test_what_a_loop_feeds_back_counts_less_than_its_logits():
    state = Output(name="state", media="raw", shape=(1, 7))
    as_state, alone = (loss_of(state, primary=primary) for primary in (distilling.LOGITS, state))
    teacher, student = batch(state, 1), batch(state, 2)
    assert float(as_state(teacher, student)) < float(alone(teacher, student)) / 5


def test_the_rate_rises_then_falls_to_almost_nothing():
    rates = [Schedule(steps=1000, highest=0.01).rate(step) for step in range(1000)]
    top = rates.index(max(rates))
    assert 0 < rates[0] < 0.001
    assert max(rates) == pytest.approx(0.01)
    assert rates == [*sorted(rates[:top]), *sorted(rates[top:], reverse=True)]
    assert rates[-1] < 0.0002


def test_an_average_settles_where_the_weights_circle():
    random = np.random.default_rng(0)
    average = Average([np.full(100, 9.0, np.float32)], 10_000)
    for _ in range(1000):
        average.look([random.standard_normal(100).astype(np.float32)])
    assert np.abs(average.weights[0]).max() < 0.5


def test_time_that_is_too_short_still_makes_some_steps():
    assert steps_in(10, 0.5) == 1200
    assert steps_in(10, 0.5, overhead_s=300) == 600
    assert steps_in(0.001, 10) == 50


def test_looks_that_take_long_are_fewer_but_some():
    assert looks_in(100, 0.5, most=40) == 40
    assert looks_in(100, 10, most=40) == 10
    assert looks_in(100, 60, most=40) == looks_in(-5, 60, most=40) == 4
    assert looks_in(100, 60, most=2) == 2


@settings(max_examples=200, derandomize=True, deadline=None)
@given(steps=st.integers(1, 5000), looks=st.integers(1, 60))
def test_a_student_is_never_judged_more_often_than_was_said(steps, looks):
    every = look_every(steps, looks)
    assert 1 <= sum(done % every == 0 or done == steps for done in range(1, steps + 1)) <= looks
    assert every == 1 or steps / (every - 1) > looks


def test_the_batch_of_a_step_does_not_hang_on_the_steps_before():
    teacher = Teacher(distilling.painter())
    one, other = (Lessons(teacher, distilling.draw, batch=16, seed=4) for _ in range(2))
    later = one.steps_of_block + 3
    for step in (0, 5, later):
        one.of_step(step)
    for a, b in zip(one.of_step(later).inputs, other.of_step(later).inputs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_pass_shows_every_sample_once_in_an_order_of_its_own():
    lessons = Lessons(Teacher(distilling.painter()), distilling.draw, batch=16, seed=4)
    turns = [
        np.concatenate(
            [lessons.of_step(turn * lessons.samples // 16 + step).inputs[0] for step in range(lessons.samples // 16)]
        )
        for turn in range(2)
    ]
    assert not np.array_equal(*turns)
    np.testing.assert_array_equal(*(np.sort(turn, axis=0) for turn in turns))


def test_what_judges_is_never_taught():
    seen = []

    def spy(first_seed, count):
        seen.append(range(first_seed, first_seed + count))
        return distilling.draw(first_seed, count)

    teacher = Teacher(distilling.painter())
    Lessons(teacher, spy, batch=16, seed=0).of_step(100_000)
    held_out(teacher, spy, 8)
    assert FIRST_SEED <= seen[0].start < seen[0].stop < HELD_OUT_FIRST_SEED == seen[1].start


def test_a_tap_compares_the_channels_that_are_left():
    teacher = distilling.painter()
    student, keep = distilling.halved(teacher)
    taps = taps_of(teacher, student, lost_places(channel_groups(teacher), keep))
    (lesson,) = [Teacher(teacher, taps).lesson(distilling.draw(0, 2))]
    shapes = {value.name: value.shape for node in student.nodes for value in node.outputs}
    for tap, values in zip(taps, lesson.tapped, strict=True):
        assert values.shape[1:] == shapes[tap.name]


def test_fake_rounding_computes_what_the_int8_model_computes():
    graph = read(write(distilling.painter()))
    samples = distilling.draw(0, 16)
    rounding, lifted = Rounding(graph, samples), lift(graph)
    inputs = [np.concatenate([sample[0] for sample in samples])]
    (faked,), _ = lifted(inputs, (), rounding.weights(lifted.weights), through=rounding.through)
    (floats,), _ = lifted(inputs)
    real = Interpreter(Calibration(write(graph), samples).quantized(NAMED["int8"]).flatbuffer)
    made = np.concatenate([real.run(sample)[0] for sample in samples])
    off, rounded = (np.sqrt(np.mean((np.asarray(values) - made) ** 2)) for values in (faked, floats))
    assert off < rounded / 3


def test_gradients_go_through_the_rounding():
    import tensorflow as tf

    graph = read(write(distilling.painter()))
    rounding, lifted = Rounding(graph, distilling.draw(0, 4)), lift(graph)
    with tf.GradientTape() as tape:
        (made,), _ = lifted(distilling.draw(7, 1)[0], (), rounding.weights(lifted.weights), through=rounding.through)
        loss = tf.reduce_mean(made)
    for gradient in tape.gradient(loss, [variable.value for variable in lifted.weights.values()]):
        assert float(ops.max(ops.abs(gradient))) > 0


def test_ranges_follow_the_weights():
    graph = read(write(distilling.painter()))
    rounding = Rounding(graph, distilling.draw(0, 4))
    before = ops.convert_to_numpy(rounding.numbers)
    graph.nodes[0].input(1).data = 3 * graph.nodes[0].input(1).data
    rounding.follow(graph)
    assert np.abs(np.log(ops.convert_to_numpy(rounding.numbers)[:, 0] / before[:, 0])).max() > math.log(2)
