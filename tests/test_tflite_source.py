"""TFLite files whose runs depend on those before."""

from __future__ import annotations

import nets
import pytest

from edge_aigc.converters.graph import operators
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.targets.xnnpack import Xnnpack
from edge_aigc.errors import SourceError


def test_a_tflite_file_that_counts_its_runs_is_refused(tmp_path):
    import tensorflow as tf

    class Sums(tf.Module):
        def __init__(self):
            super().__init__()
            self.total = tf.Variable(tf.zeros((1, 4)))

        @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
        def __call__(self, x):
            self.total.assign_add(x)
            return self.total * 2.0

    model = Sums()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([model.__call__.get_concrete_function()], model)
    converter.experimental_enable_resource_variables = True
    (tmp_path / "sums.tflite").write_bytes(converter.convert())
    with pytest.raises(SourceError, match="keeps a state between runs"):
        load(tmp_path / "sums.tflite")


def test_a_tflite_file_with_a_variable_tensor_is_refused(tmp_path):
    from edge_aigc.converters.graph import parse, serialize

    model = parse(load(nets.gan(tmp_path)).flatbuffer)
    model.subgraphs[0].tensors[0].isVariable = True
    (tmp_path / "kept.tflite").write_bytes(serialize(model))
    with pytest.raises(SourceError, match="a variable tensor"):
        load(tmp_path / "kept.tflite")


def test_a_tflite_file_with_an_open_batch_is_made_for_one_sample(tmp_path):
    import keras
    import numpy as np
    import tensorflow as tf

    layers = keras.layers
    keras.utils.set_random_seed(5)
    latent = x = layers.Input((12,), name="latent")
    x = layers.Reshape((4, 4, 8))(layers.Dense(4 * 4 * 8)(x))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Conv2DTranspose(8, 4, 2, "same")(x)))
    model = keras.Model(latent, layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh")(x))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    assert {"SHAPE", "PACK"} <= {entry.kind for entry in operators(content)}  # what the open batch leaves there
    (tmp_path / "open.tflite").write_bytes(content)
    source = load(tmp_path / "open.tflite")
    assert {entry.kind for entry in operators(source.flatbuffer)}.isdisjoint({"SHAPE", "STRIDED_SLICE", "PACK"})
    seen = np.random.default_rng(1).standard_normal((1, 12)).astype(np.float32)
    assert np.abs(source.reference([[seen]])[0][0] - model(seen).numpy()).max() < 1e-6
    Xnnpack().check(source.flatbuffer)
