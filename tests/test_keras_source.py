"""Keras models brought to the float flatbuffer."""

from __future__ import annotations

import nets
import numpy as np
import pytest

from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.errors import SourceError
from edge_aigc.interpreter import Interpreter


def test_outputs_keep_their_names_and_their_values(tmp_path):
    source = load(nets.two_outputs(tmp_path))
    values = Interpreter(source.flatbuffer).run([np.ones((1, 4), np.float32)])
    means = {fact.name: float(output.mean()) for fact, output in zip(source.outputs, values, strict=True)}
    assert means == {"zeros": 0.0, "ones": 1.0}
    ((*reference,),) = source.reference([[np.ones((1, 4), np.float32)]])
    for fact, output in zip(source.outputs, reference, strict=True):
        assert float(output.mean()) == means[fact.name]


def test_what_a_model_reveals_is_told(tmp_path):
    source = load(nets.gan(tmp_path))
    assert [(fact.name, fact.shape) for fact in source.inputs] == [("latent", (1, 8)), ("kind", (1, 3))]
    assert [(fact.name, fact.shape, fact.activation) for fact in source.outputs] == [("image", (1, 8, 8, 1), "tanh")]
    assert source.framework.startswith("keras 3")


def test_an_open_size_is_filled_with_what_the_user_states(tmp_path):
    model = nets.upscaler(tmp_path)
    source = load(model, Wish(input_size=(6, 10)))
    assert source.inputs[0].shape == (1, 6, 10, 3)
    assert source.outputs[0].shape == (1, 12, 20, 3)
    assert source.inputs[0].open_size
    with pytest.raises(SourceError, match="any"):
        load(model)


def test_a_fixed_batch_other_than_1_is_refused(tmp_path):
    import keras

    latent = keras.Input(batch_shape=(4, 8), name="latent")
    model = keras.Model(latent, keras.layers.Dense(4)(latent))
    with pytest.raises(SourceError, match="fixed batch of 4"):
        load(nets.saved(model, tmp_path / "four.keras"))


def test_a_model_that_brings_code_is_refused(tmp_path):
    import keras

    latent = keras.Input((8,), name="latent")
    model = keras.Model(latent, keras.layers.Lambda(lambda x: x * 2)(latent))
    with pytest.raises(SourceError, match="Keras cannot load"):
        load(nets.saved(model, tmp_path / "lambda.keras"))
