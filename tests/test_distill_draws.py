"""What students are taught on: pictures that are drawn, pictures that are given, steps of texts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from bundles import DATA, LETTERS, VOCABULARY
from PIL import Image

from edge_aigc.converters import calibrate
from edge_aigc.converters.distill.draws import draw_of, text_of
from edge_aigc.converters.distill.lessons import FIRST_SEED, HELD_OUT_FIRST_SEED
from edge_aigc.converters.distill.memory import Memory
from edge_aigc.converters.distill.pictures import drawn_picture
from edge_aigc.converters.loops.rollouts import texts_of
from edge_aigc.interpreter import Interpreter
from edge_aigc.spec import GeneratorSpec, Normal, Output, Picture

SIDE = 24
UPSCALER = GeneratorSpec(
    name="upscaler",
    inputs=(Normal(name="noise", shape=(1, 4)), Picture(name="small", shape=(1, SIDE, SIDE, 3), range=(-1.0, 1.0))),
    outputs=(Output(name="large", media="image", shape=(1, 48, 48, 3), range=(-1.0, 1.0)),),
)
SOURCE = SimpleNamespace(inputs=[SimpleNamespace(name="small"), SimpleNamespace(name="noise")])
"""Its inputs stand in another order than the specification's."""


def plain(shade, size=(64, 64)):
    return Image.new("RGB", size, (shade, shade, shade))


def test_a_seed_draws_the_same_picture_every_time():
    one, again, other = (np.asarray(drawn_picture(seed, (96, 80))) for seed in (5, 5, 6))
    assert one.shape == (96, 80, 3)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one.astype(int) - other).mean() > 10


def test_drawn_pictures_have_the_contrasts_of_photographs():
    """Edges in every direction, fine and coarse: neighbours differ, and so do halves."""
    pictures = [np.asarray(drawn_picture(seed, (96, 96)), dtype=np.float64) for seed in range(6)]
    for axis in (0, 1):
        steps = np.concatenate([np.abs(np.diff(picture, axis=axis)).ravel() for picture in pictures])
        assert 2 < np.median(steps) + np.mean(steps) < 60
        assert np.percentile(steps, 99) > 60
    assert np.std([picture.mean() for picture in pictures]) > 5
    assert np.mean([picture.std(axis=(0, 1)).mean() for picture in pictures]) > 25


def test_samples_are_in_the_order_of_the_graph_and_hang_on_the_seed_alone():
    draw = draw_of(SOURCE, UPSCALER)
    together = draw(FIRST_SEED, 20)
    assert [values.shape for values in together[0]] == [(1, SIDE, SIDE, 3), (1, 4)]
    for place in (0, 7, 19):
        for alone, among in zip(draw(FIRST_SEED + place, 1)[0], together[place], strict=True):
            np.testing.assert_array_equal(alone, among)
    assert -1 <= min(sample[0].min() for sample in together) < max(sample[0].max() for sample in together) <= 1


def test_given_pictures_are_taught_beside_drawn_ones_and_at_several_sizes():
    ramp = Image.fromarray(np.tile(np.arange(128, dtype=np.uint8), (128, 1))).convert("RGB")
    samples = [sample[0][0, :, :, 0] for sample in draw_of(SOURCE, UPSCALER, pictures=[ramp])(FIRST_SEED, 64)]
    slopes = [np.diff(shown, axis=1) * 127.5 for shown in samples]
    even = [slope.mean() for slope in slopes if slope.std() < 0.7]
    assert 16 <= len(even) <= 56
    assert min(even) < 1.6
    assert max(even) > 2.4


def test_of_many_given_pictures_some_only_judge():
    draw = draw_of(SOURCE, UPSCALER, pictures=[plain(10 * number) for number in range(16)])

    def shades(first_seed):
        flat = [sample[0] for sample in draw(first_seed, 96) if np.ptp(sample[0]) == 0]
        return [round((float(shown.mean()) + 1) * 127.5) for shown in flat]

    taught, judging = set(shades(FIRST_SEED)), set(shades(HELD_OUT_FIRST_SEED))
    assert judging == {0, 80}
    assert len(shades(HELD_OUT_FIRST_SEED)) == 96  # none is drawn: these are what it will see
    assert not taught & judging
    assert len(taught) > 8


@pytest.mark.parametrize("pictures", [[], [plain(99)]])
def test_inputs_may_be_larger_than_any_drawn_picture(pictures):
    wide = (1, 300, 40, 3)
    spec = GeneratorSpec(
        name="wide",
        inputs=(Picture(name="small", shape=wide, range=(0.0, 1.0)),),
        outputs=UPSCALER.outputs,
    )
    given = [picture.resize((40, 300)) for picture in pictures]
    source = SimpleNamespace(inputs=[SimpleNamespace(name="small")])
    assert [sample[0].shape for sample in draw_of(source, spec, pictures=given)(FIRST_SEED, 2)] == [wide] * 2


@pytest.mark.parametrize("first", [FIRST_SEED, HELD_OUT_FIRST_SEED])
def test_texts_that_teach_and_texts_that_judge_are_never_those_that_calibrate_or_verify(first):
    known = {
        calibrate.GOLDEN_FIRST_SEED: 1 << 20,
        calibrate.VERIFY_FIRST_SEED: calibrate.VERIFY_SAMPLES,
        calibrate.CALIBRATE_FIRST_SEED: calibrate.CALIBRATE_SAMPLES,
    }
    most = 1 << 40
    (begins, _), (ends, _) = text_of(first), text_of(first + most)
    assert (begins, ends) == (first, first + most // 8)
    assert ends < HELD_OUT_FIRST_SEED or begins >= HELD_OUT_FIRST_SEED
    assert all(ends < start or start + count <= begins for start, count in known.items())


def test_the_steps_that_judge_are_of_other_texts_than_those_that_verify():
    source = SimpleNamespace(
        flatbuffer=(DATA / "letters.tflite").read_bytes(),
        inputs=[SimpleNamespace(name=tensor.name) for tensor in LETTERS.inputs],
        outputs=[SimpleNamespace(name=output.name) for output in LETTERS.outputs],
    )
    assets = {LETTERS.tokens.vocabulary: VOCABULARY}
    draw = draw_of(source, LETTERS, assets=assets)

    judging, teaching = draw(HELD_OUT_FIRST_SEED, 64), draw(FIRST_SEED, 64)
    shown = {tokens.tobytes() for tokens, _ in judging}
    assert len(shown) > 32
    assert {len(tokens) for tokens, _ in judging} == {LETTERS.loop.length}
    assert not any(state.any() for _, state in judging)
    assert {len(tokens) for tokens, _ in teaching} == {8}
    assert len({state.tobytes() for _, state in teaching}) > 32
    verifying = texts_of(source, LETTERS, assets, first_seed=calibrate.VERIFY_FIRST_SEED, count=8)
    # After ten letters: after one or two, texts may well be the same.
    begun = [np.array(text.tokens, np.int32).tobytes() for text in verifying[4:]]
    assert not any(text.startswith(other) for text in shown for other in begun)


def test_a_passage_goes_on_from_the_state_that_its_text_was_left_in():
    source = SimpleNamespace(
        flatbuffer=(DATA / "letters.tflite").read_bytes(),
        inputs=[SimpleNamespace(name=tensor.name) for tensor in LETTERS.inputs],
        outputs=[SimpleNamespace(name=output.name) for output in LETTERS.outputs],
    )
    draw = draw_of(source, LETTERS, assets={LETTERS.tokens.vocabulary: VOCABULARY})
    run = Interpreter(source.flatbuffer).run
    passages = draw(FIRST_SEED, 8)
    assert not passages[0][1].any()
    whole = draw(HELD_OUT_FIRST_SEED, 1)[0]
    memory = Memory(fed={1: 1}, steps=8, kept={})
    steps = [inputs for inputs, _ in memory.played(run, whole)]
    assert len(steps) == LETTERS.loop.length
    assert steps[0][1] is whole[1]
    np.testing.assert_array_equal(steps[10][1], run(steps[9])[1])
