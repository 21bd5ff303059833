"""Random numbers of SavedModels: inputs with a prior, whoever draws them."""

from __future__ import annotations

import numpy as np

from edge_aigc.converters.sources.load import load
from edge_aigc.interpreter import Interpreter


def _largest_error(source):
    rng = np.random.default_rng(2)
    sample = [rng.standard_normal(fact.shape).astype(fact.dtype) for fact in source.inputs]
    ((expected,),) = source.reference([sample])
    (found,) = Interpreter(source.flatbuffer).run(sample)
    return float(np.abs(expected - found).max() / np.ptp(expected))


def test_random_numbers_of_a_saved_model_become_inputs_with_a_prior(tmp_path):
    import tensorflow as tf

    class Painter(tf.Module):
        """Noise in each of its maps, drawn in every way that TensorFlow has."""

        def __init__(self):
            super().__init__()
            dice = np.random.default_rng(3)
            self.dense = tf.Variable(dice.standard_normal((16, 128)).astype(np.float32))
            self.kernel = tf.Variable(dice.standard_normal((3, 3, 8, 3)).astype(np.float32) / 8)
            self.generator = tf.random.Generator.from_seed(3)

        @tf.function(input_signature=[tf.TensorSpec((None, 16), tf.float32, name="latent")])
        def __call__(self, latent):
            x = tf.reshape(latent @ self.dense, (-1, 4, 4, 8))
            x += tf.random.normal(tf.shape(x), stddev=0.5)  # of a size that the batch decides
            x = tf.nn.conv2d(x, self.kernel, 1, "SAME") * tf.random.uniform((1, 4, 4, 1), -1, 1)
            x += tf.random.stateless_normal((1, 4, 4, 3), seed=(1, 2)) + self.generator.normal((3,))
            return {"image": tf.tanh(x)}

    folder = tmp_path / "painter"
    painter = Painter()
    tf.saved_model.save(painter, str(folder), signatures=painter.__call__)
    source = load(folder)
    latent, *drawn = source.inputs
    assert (latent.name, latent.prior) == ("latent", None)
    assert sorted((fact.shape, fact.prior) for fact in drawn) == [
        ((1, 4, 4, 1), "uniform"), ((1, 4, 4, 3), "normal"), ((1, 4, 4, 8), "normal"), ((3,), "normal"),
    ]  # fmt: skip
    assert _largest_error(source) < 1e-5


def test_random_layers_of_a_saved_keras_model_become_inputs(tmp_path):
    import keras

    @keras.saving.register_keras_serializable()
    class Noise(keras.layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.seeds = keras.random.SeedGenerator(4)

        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)

    layers = keras.layers
    latent = layers.Input((16,), name="latent")
    x = layers.Reshape((4, 4, 4))(Noise()(layers.Dense(64)(latent)))
    model = keras.Model(latent, layers.Conv2D(3, 3, padding="same", activation="sigmoid")(x))
    model.export(tmp_path / "noisy", verbose=False)
    source = load(tmp_path / "noisy")
    assert [(fact.name, fact.shape, fact.prior) for fact in source.inputs] == [
        ("latent", (1, 16), None), ("noise", (1, 64), "normal"),
    ]  # fmt: skip
    assert _largest_error(source) < 1e-5
