"""Step graphs and windows of Keras models: they give what the whole model gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_aigc.converters.loops.keras import looped
from edge_aigc.converters.loops.wanted import Wanted
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.errors import ConversionError, SourceError
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_aigc.converters.sources.source import Source

STEPS = 24


def rnn(kind: str, units: int = 12, **options: Any) -> Any:
    from keras import layers

    return getattr(layers, kind)(units, return_sequences=True, **options)


def stacked_cells() -> Any:
    from keras import layers

    return layers.RNN([layers.GRUCell(12), layers.LSTMCell(8)], return_sequences=True)


def convolution(**options: Any) -> Any:
    from keras import layers

    return layers.Conv1D(12, 3, activation="relu", **options)


def nets() -> Any:
    import sequence_nets

    return sequence_nets


MODELS: dict[str, Callable[[], Any]] = {
    "GRU": lambda: nets().recurrent(rnn("GRU"), rnn("GRU")),
    "GRU, reset before": lambda: nets().recurrent(rnn("GRU", reset_after=False)),
    "LSTM": lambda: nets().recurrent(rnn("LSTM"), rnn("LSTM", use_bias=False)),
    "simple": lambda: nets().recurrent(rnn("SimpleRNN")),
    "stacked cells": lambda: nets().recurrent(stacked_cells()),
    "probabilities": lambda: nets().recurrent(rnn("GRU"), softmax=True),
    "causal convolution": lambda: nets().around(
        convolution(padding="causal"), convolution(padding="causal", dilation_rate=2)
    ),
    "learnt places, norms before": lambda: nets().transformer(learnt=True, before=True),
    "learnt places, norms after": lambda: nets().transformer(learnt=True, before=False),
    "sinusoidal places, norms before": lambda: nets().transformer(learnt=False, before=True),
    "sinusoidal places, norms after": lambda: nets().transformer(learnt=False, before=False),
    "grouped queries": lambda: nets().transformer(learnt=True, before=True, grouped=True),
    "of a fixed length": lambda: nets().transformer(learnt=True, before=True, time=STEPS),
    "told places": lambda: nets().told(),
    "places cut from a table": lambda: nets().told(nets().Cut, STEPS),
}


def loaded(model: Any, folder: Path, wanted: Wanted) -> Source:
    path = folder / "model.keras"
    model.save(path)
    return load_keras(path, adapt=lambda whole: looped(whole, wanted))


def some_tokens(count: int = STEPS) -> Any:
    return np.random.default_rng(3).integers(40, size=(1, count)).astype(np.int32)


def stepped(source: Source, tokens: Any) -> Any:
    """Return the logits of a step graph, token after token."""
    interpreter = Interpreter(source.flatbuffer)
    left = [np.zeros(fact.shape, fact.dtype) for fact in source.inputs[1:]]
    rows = []
    for token in tokens[0]:
        logits, *left = interpreter.run([np.full((1, 1), token, np.int32), *left])
        rows.append(logits.reshape(-1))
    return np.stack(rows)


QUICK = {"GRU", "LSTM", "learnt places, norms before", "sinusoidal places, norms after"}
"""One of each kind; TensorFlow takes some seconds to convert each."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.heavy) for name in MODELS]
)
def test_step_by_step_it_gives_what_the_whole_model_gives(name: str, tmp_path: Path):
    model = MODELS[name]()
    source = loaded(model, tmp_path, Wanted(context=STEPS))
    whole = np.asarray(model(some_tokens()))[0]
    if name == "probabilities":
        whole = np.log(whole)
    found = stepped(source, some_tokens())
    if name == "probabilities":
        found -= np.log(np.exp(found).sum(axis=-1, keepdims=True))
    assert np.abs(found - whole).max() <= 1e-5 * np.ptp(whole)
    assert [fact.name for fact in source.outputs[1:]] == [f"{fact.name}_next" for fact in source.inputs[1:]]


def test_one_that_gives_logits_after_the_last_token_alone_steps_as_well(tmp_path: Path):
    model = nets().recurrent(rnn("GRU"), last=True)
    source = loaded(model, tmp_path, Wanted())
    tokens = some_tokens()
    whole = [np.asarray(model(tokens[:, : count + 1]))[0] for count in range(STEPS)]
    assert np.abs(stepped(source, tokens) - np.stack(whole)).max() <= 1e-5 * np.ptp(whole)


def test_a_cache_that_is_full_forgets_the_oldest(tmp_path: Path):
    source = loaded(nets().transformer(learnt=False, before=True), tmp_path, Wanted(context=4))
    found = stepped(source, some_tokens())
    assert np.isfinite(found).all()
    assert {fact.shape[2] for fact in source.inputs if fact.name.endswith("_keys")} == {4}


def test_a_window_gives_what_the_whole_model_gives(tmp_path: Path):
    model = nets().transformer(learnt=True, before=True)
    source = loaded(model, tmp_path, Wanted(window=STEPS))
    (logits,) = Interpreter(source.flatbuffer).run([some_tokens()])
    whole = np.asarray(model(some_tokens()))
    assert np.abs(logits - whole).max() <= 1e-5 * np.ptp(whole)


def test_the_model_is_as_it_was_afterwards(tmp_path: Path):
    model = nets().transformer(learnt=True, before=True)
    before = np.asarray(model(some_tokens()))
    looped(model, Wanted(context=STEPS))
    assert np.array_equal(np.asarray(model(some_tokens())), before)
    del tmp_path


class TestRefusals:
    def refused(self, model: Any, words: str, kind: type[Exception] = ConversionError, **wanted: Any) -> None:
        with pytest.raises(kind, match=words):
            looped(model, Wanted(**wanted))

    def test_a_layer_that_reads_both_ways(self):
        from keras import layers

        self.refused(nets().around(layers.Bidirectional(rnn("GRU"))), "cannot be run by steps.*--window N")

    def test_a_layer_that_reads_backwards(self):
        self.refused(nets().around(rnn("GRU", go_backwards=True)), "reads backwards")

    def test_an_attention_that_looks_at_the_future(self):
        import keras
        from keras import layers

        tokens = keras.Input((None,), dtype="int32")
        x = layers.Embedding(40, 16)(tokens)
        x = layers.MultiHeadAttention(2, 8, name="eyes")(x, x)
        self.refused(keras.Model(tokens, layers.Dense(40)(x)), "'eyes' looks at the future.*use_causal_mask=True")

    def test_a_convolution_that_looks_at_the_future(self):
        self.refused(nets().around(convolution(padding="same")), 'padding="causal"')

    def test_a_past_that_nobody_knows_of_is_found_by_comparing(self):
        import keras
        from keras import layers, ops

        tokens = keras.Input((None,), dtype="int32")
        x = ops.cumsum(layers.Embedding(40, 16)(tokens), axis=1)
        self.refused(keras.Model(tokens, layers.Dense(40)(x)), "differ by .*--window N")

    def test_a_model_of_no_sequence(self):
        import keras
        from keras import layers

        latent = keras.Input((8, 8, 3))
        self.refused(keras.Model(latent, layers.Conv2D(3, 3)(latent)), "writes takes tokens", SourceError)

    def test_a_context_that_the_model_was_not_built_for(self):
        self.refused(nets().transformer(learnt=True, before=True, time=8), "built for 8", context=9)

    def test_a_window_that_the_model_was_not_built_for(self):
        self.refused(nets().transformer(learnt=True, before=True, time=8), "--window 8", window=9)
