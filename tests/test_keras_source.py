"""Keras models brought to the float flatbuffer."""

from __future__ import annotations

import nets
import numpy as np
import pytest

from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.errors import ConversionError, SourceError
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


def test_a_sequential_model_is_loaded(tmp_path):
    import keras

    layers = [
        keras.Input((8,)),
        keras.layers.Dense(12, activation="tanh"),
        keras.layers.Reshape((2, 2, 3), name="image"),
    ]
    source = load(nets.saved(keras.Sequential(layers), tmp_path / "sequential.keras"))
    assert [(fact.name, fact.shape, fact.activation) for fact in source.outputs] == [("image", (1, 2, 2, 3), "tanh")]
    assert _largest_error(source) < 1e-6


def test_a_model_of_a_class_of_its_own_is_loaded_where_the_class_is_registered(tmp_path):
    import keras

    @keras.saving.register_keras_serializable("tests")
    class Generator(keras.Model):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.dense, self.shaped = keras.layers.Dense(12, activation="tanh"), keras.layers.Reshape((2, 2, 3))

        def call(self, latent, training=False):
            return self.shaped(self.dense(latent, training=training))

    model = Generator()
    model(np.zeros((1, 8), np.float32))
    source = load(nets.saved(model, tmp_path / "own.keras"))
    assert [(fact.name, fact.shape) for fact in source.inputs] == [("latent", (1, 8))]
    assert [(fact.shape, fact.activation) for fact in source.outputs] == [((1, 2, 2, 3), "tanh")]
    assert _largest_error(source) < 1e-6


def test_a_class_that_is_not_registered_is_refused_with_what_to_do(tmp_path):
    import zipfile

    import keras

    latent = keras.Input((8,), name="latent")
    path = nets.saved(keras.Model(latent, keras.layers.Dense(4, name="dense")(latent)), tmp_path / "own.keras")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = (
        members["config.json"].replace(b'"Dense"', b'"MyDense"').replace(b'"keras.layers"', b'"my.layers"')
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(SourceError, match=r"Keras cannot load .*the class '\w+'") as caught:
        load(path)
    assert "registered" in caught.value.remedy


def test_weights_that_are_no_numbers_are_named(tmp_path):
    import keras

    latent = keras.Input((8,), name="latent")
    model = keras.Model(latent, keras.layers.Dense(4, name="dense")(latent))
    model.layers[-1].bias.assign([0, 0, np.nan, 0])
    with pytest.raises(ConversionError, match="dense/bias"):
        load(nets.saved(model, tmp_path / "nan.keras"))


def _largest_error(source):
    rng = np.random.default_rng(2)
    sample = [rng.standard_normal(fact.shape).astype(fact.dtype) for fact in source.inputs]
    ((*expected,),) = source.reference([sample])
    found = Interpreter(source.flatbuffer).run(sample)
    return max(float(np.abs(a - b).max() / np.ptp(a)) for a, b in zip(expected, found, strict=True))
