"""Texts: written by a loop, the same for the same seed, never without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from bundles import LETTERS, VOCABULARY, letters_bundle

import edge_aigc
from edge_aigc.errors import BundleError, InputError
from edge_aigc.loop import Reader, write
from edge_aigc.loop_spec import Loop
from edge_aigc.text_controls import TextOrder, text_order
from edge_aigc.vocabulary import parse_vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_aigc.generator import Generator
    from edge_aigc.loop import Array, Run
    from edge_aigc.spec import GeneratorSpec

CHARACTERS = parse_vocabulary(VOCABULARY, origin="vocabulary.json")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return edge_aigc.open(letters_bundle(tmp_path_factory.mktemp("letters")))


def order(**changes: object) -> TextOrder:
    return text_order(Loop(window=1, length=20, longest=40), changes)  # type: ignore[arg-type]


def spelling(*, window: bool = False) -> Run:
    """A model that has seen the alphabet: after each letter the next is near certain, after z the stop."""

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        tokens = inputs["tokens"].reshape(-1).astype(int)
        logits = np.zeros((1, len(tokens), 28), np.float32)
        for place, token in enumerate(tokens):
            logits[0, place, 2 if token == 0 else (token + 1 if token < 27 else 1)] = 50
        made: dict[str, Array] = {"logits": logits}
        if not window:
            made["gru_state0_next"] = inputs["gru_state0"] + 1
        return made

    return run


class TestGenerator:
    def test_the_same_seed_writes_the_same_text(self, letters: Generator):
        first, again, other = (letters.generate(seed=seed) for seed in (3, 3, 4))
        assert first.text == again.text
        assert first.text != other.text

    def test_a_text_begins_with_its_prompt(self, letters: Generator):
        sample = letters.generate(seed=1, prompt="spring", length=5)
        assert sample.text is not None
        assert sample.text.startswith("spring")
        assert len(sample.text) <= len("spring") + 5
        assert sample.encode() == sample.text.encode()

    def test_a_step_was_run_for_every_token_that_was_read(self, letters: Generator):
        sample = letters.generate(seed=1, prompt="abc", length=1)
        assert sample.steps == 4  # the start and the prompt

    def test_at_temperature_0_the_seed_changes_nothing(self, letters: Generator):
        texts = {letters.generate(seed=seed, temperature=0).text for seed in range(3)}
        assert len(texts) == 1

    def test_the_golden_vectors_are_steps_with_a_state(self, letters: Generator):
        assert letters.proof is not None
        assert letters.proof.vectors == 2

    @pytest.mark.parametrize(
        ("controls", "words"),
        [
            ({"prompt": "Äb1"}, "'Ä' \\(U\\+00C4\\), '1' \\(U\\+0031\\)"),
            ({"prompt": 7}, "not a text"),
            ({"prompt": "a" * 41}, "41 characters; this model takes at most 40"),
            ({"temperature": -1}, "from 0 to 100"),
            ({"temperature": "hot"}, "'hot', not a number"),
            ({"temperature": float("nan")}, "'nan', not a number"),
            ({"top_k": 1.5}, "not a whole number"),
            ({"top_p": 0}, "leaves no token"),
            ({"top_p": 1.01}, "from 0 to 1"),
            ({"length": 41}, "from 1 to 40"),
            ({"length": 0}, "from 1 to 40"),
            ({"length": True}, "not a whole number"),
            ({"gru_state0": 1}, "no control 'gru_state0'"),
            ({"tokens": 1}, "no control 'tokens'"),
            ({"promt": "a"}, "Did you mean 'prompt'"),
        ],
    )
    def test_a_wrong_control_is_refused_in_words(self, letters: Generator, controls: dict[str, object], words: str):
        with pytest.raises(InputError, match=words):
            letters.generate(seed=1, **controls)  # type: ignore[arg-type]

    def test_a_bundle_without_the_vocabulary_that_it_names_is_refused(self, tmp_path: Path):
        tokens = msgspec.structs.replace(LETTERS.inputs[0], vocabulary="words.json")
        spec = msgspec.structs.replace(LETTERS, inputs=(tokens, LETTERS.inputs[1]))
        with pytest.raises(BundleError, match=r"names the vocabulary 'words\.json' but does not hold it"):
            edge_aigc.open(letters_bundle(tmp_path, spec))

    def test_a_vocabulary_of_another_size_is_refused(self, tmp_path: Path):
        other = b'{"kind": "characters", "tokens": ["<stop>", "a"], "stop": 0}'
        with pytest.raises(BundleError, match="lists 2 tokens; the model gives scores for 28"):
            edge_aigc.open(letters_bundle(tmp_path, vocabulary=other))


GIVEN = {"tokens": np.zeros((1, 1), np.int32), "gru_state0": np.zeros((1, 8), np.float32)}


class TestEnds:
    def written(self, spec: GeneratorSpec = LETTERS, **changes: object) -> str:
        assert spec.loop is not None
        made = text_order(spec.loop, changes)  # type: ignore[arg-type]
        return write(spec, CHARACTERS, spelling(), GIVEN, made, seed=1).text

    def looped(self, **changes: object) -> GeneratorSpec:
        assert LETTERS.loop is not None
        return msgspec.structs.replace(LETTERS, loop=msgspec.structs.replace(LETTERS.loop, **changes))

    def test_with_the_stop_token(self):
        assert self.written(prompt="x") == "xyz"

    def test_after_its_length(self):
        assert self.written(length=3) == "abc"

    def test_before_the_words_that_stop_it(self):
        assert self.written(self.looped(stop=("jk", "gh"))) == "abcdef"

    def test_when_the_context_is_full(self):
        # The start and four letters are read; the score after the fifth token still gives one.
        assert self.written(self.looped(context=5)) == "abcde"

    def test_a_prompt_that_fills_the_context_is_refused(self):
        with pytest.raises(InputError, match="keeps 5 in mind"):
            self.written(self.looped(context=5), prompt="abcde")


class TestReader:
    def test_the_state_that_was_left_is_what_the_next_step_takes(self):
        reader = Reader(LETTERS, spelling(), GIVEN)
        taken = [reader.read(token).inputs["gru_state0"][0, 0] for token in (0, 2, 3)]
        assert taken == [0, 1, 2]

    def test_a_window_is_filled_from_the_left_and_then_slides(self):
        spec = window_spec(4, everywhere=True)
        reader = Reader(spec, spelling(window=True), {})
        windows = [reader.read(token).inputs["tokens"].tolist() for token in (0, 2, 3, 4, 5)]
        assert windows == [[[0, 0, 0, 0]], [[0, 2, 0, 0]], [[0, 2, 3, 0]], [[0, 2, 3, 4]], [[2, 3, 4, 5]]]

    def test_the_scores_are_those_after_the_last_token_read(self):
        spec = window_spec(4, everywhere=True)
        reader = Reader(spec, spelling(window=True), {})
        assert [int(np.argmax(reader.read(token).scores)) for token in (0, 2, 3, 4, 5)] == [2, 3, 4, 5, 6]

    def test_where_scores_come_at_the_end_alone_the_tokens_are_there(self):
        spec = window_spec(3, everywhere=False)
        reader = Reader(spec, lambda _: {"logits": np.zeros((1, 28), np.float32)}, {})
        windows = [reader.read(token).inputs["tokens"].tolist() for token in (0, 2, 3, 4)]
        assert windows == [[[0, 0, 0]], [[0, 0, 2]], [[0, 2, 3]], [[2, 3, 4]]]

    def test_scores_that_are_not_numbers_are_the_models_fault(self):
        broken = lambda inputs: {"logits": np.full((1, 1, 28), np.nan), "gru_state0_next": inputs["gru_state0"]}  # noqa: E731
        with pytest.raises(BundleError, match="28 of 28 scores"):
            write(LETTERS, CHARACTERS, broken, GIVEN, order(), seed=1)


def window_spec(window: int, *, everywhere: bool) -> GeneratorSpec:
    tokens = msgspec.structs.replace(LETTERS.inputs[0], shape=(1, window))
    shape = (1, window, 28) if everywhere else (1, 28)
    logits = msgspec.structs.replace(LETTERS.outputs[0], shape=shape)
    return msgspec.structs.replace(LETTERS, inputs=(tokens,), outputs=(logits,), loop=Loop(window=window))
