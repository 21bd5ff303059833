"""TFLite files whose runs depend on those before."""

from __future__ import annotations

import nets
import pytest

from edge_aigc.converters.sources.load import load
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
