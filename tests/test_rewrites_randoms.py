"""Random numbers become inputs with a prior."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.ir import Builder, Graph, Value, write
from edge_aigc.converters.rewrites.randoms import Lifted, lift_random
from edge_aigc.converters.sources.load import load
from edge_aigc.interpreter import Interpreter
from tests.rewriting import normal


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    draws=st.lists(st.sampled_from(["RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"]), min_size=1, max_size=3),
    name=st.sampled_from(["x", "noise", "noise_2"]),
    seed=st.integers(0, 999),
)
def test_what_was_drawn_comes_from_inputs(shape, draws, name, seed):
    x = Value(name=name, shape=tuple(shape))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=[name], output_names=["y"])
    build, y = Builder(graph), x
    for kind in draws:
        drawn = build.node(
            kind, [np.array(shape, np.int32)], shape, option_class="RandomOptions", dtype="FLOAT32", seed=1, seed2=2
        )
        y = build.add(y, drawn)
    graph.outputs = [y]
    lifted = lift_random(graph)
    assert [entry.prior for entry in lifted] == ["normal" if "NORMAL" in kind else "uniform" for kind in draws]
    assert len(set(graph.input_names)) == len(graph.input_names)
    rng = np.random.default_rng(seed)
    values = [normal(rng, tuple(shape)) for _ in graph.inputs]
    assert np.allclose(Interpreter(write(graph)).run(values)[0], sum(values), atol=1e-5)
    assert not any(node.kind.startswith("RANDOM") for node in graph.nodes)


def test_tensorflows_own_operators_are_known_and_others_stay():
    graph = Graph(inputs=[], outputs=[], nodes=[], input_names=[], output_names=["y"])
    build = Builder(graph)
    shape = np.int32([1, 3])
    drawn = build.node("FlexRandomStandardNormal", [shape], (1, 3), dtype="FLOAT32")
    other = build.node("FlexTruncatedNormal", [shape], (1, 3), dtype="FLOAT32")
    graph.outputs = [build.add(drawn, other)]
    assert lift_random(graph) == [Lifted(name="noise", shape=(1, 3), prior="normal")]
    assert [node.kind for node in graph.nodes] == ["FlexTruncatedNormal", "ADD"]


def test_a_tflite_file_that_draws_its_noise_takes_it_from_an_input(tmp_path):
    x = Value(name="x", shape=(1, 3))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    build = Builder(graph)
    size = build.node("SHAPE", [x], (2,), option_class="ShapeOptions", outType=2, dtype="INT32")
    drawn = build.node("RANDOM_STANDARD_NORMAL", [size], (1, 3), option_class="RandomOptions", dtype="FLOAT32")
    graph.outputs = [build.add(x, drawn)]
    path = tmp_path / "noisy.tflite"
    path.write_bytes(write(graph))
    source = load(path)
    assert [(fact.name, fact.prior) for fact in source.inputs] == [("x", None), ("noise", "normal")]
    ones = np.ones((1, 3), np.float32)
    assert np.array_equal(source.reference([[ones, 2 * ones]])[0][0], 3 * ones)


@pytest.fixture(scope="module")
def sampler(tmp_path_factory):
    """A model that draws noise for itself: a Keras file."""
    import keras

    @keras.saving.register_keras_serializable("tests")
    class Noisy(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seed_generator = keras.random.SeedGenerator(1)

        def call(self, x):
            shape = keras.ops.shape(x)
            drawn = keras.random.normal(shape, mean=1.0, stddev=0.5, seed=self.seed_generator)
            return x + drawn * keras.random.uniform((1, 4), minval=2.0, maxval=3.0, seed=self.seed_generator)

    x = keras.Input((4,), name="latent")
    path = tmp_path_factory.mktemp("noisy") / "noisy.keras"
    keras.Model(x, keras.layers.Dense(3, activation="tanh", name="image")(Noisy()(x))).save(path)
    return path


def test_a_keras_model_that_draws_its_noise_takes_it_from_inputs(sampler):
    source = load(sampler)
    assert [(fact.name, fact.shape, fact.prior) for fact in source.inputs] == [
        ("latent", (1, 4), None),
        ("noise", (1, 4), "normal"),
        ("noise_2", (1, 4), "uniform"),
    ]
    rng = np.random.default_rng(0)
    samples = [[normal(rng, fact.shape) for fact in source.inputs] for _ in range(3)]
    interpreter = Interpreter(source.flatbuffer)
    found = [interpreter.run(sample)[0] for sample in samples]
    expected = [outputs[0] for outputs in source.reference(samples)]
    assert np.allclose(found, expected, atol=1e-6)
    assert not np.allclose(found[0], found[1])
