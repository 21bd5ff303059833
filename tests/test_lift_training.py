"""Lifted nets train: gradients, weights written back, taps, replaced weights, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from lift_cases import GENERATOR, numbers, whole
from lift_nets import draws, graph_of, small
from rewriting import graph_of as one_input

from edge_aigc.converters.ir import Builder, Graph, Value, write
from edge_aigc.converters.lift import lift
from edge_aigc.errors import ConversionError, InputError
from edge_aigc.interpreter import Interpreter
from tests.lifting import assert_near, batch


def _loss(lifted, x, target, weights=None):
    return tf.reduce_mean((lifted([x], weights=weights)[0][0] - target) ** 2)


def test_gradients_are_those_of_finite_differences():
    lifted = lift(GENERATOR)
    x, target = numbers(3, 5), numbers(3, 8, 8, 3)
    names = list(lifted.weights)
    assert len(names) == 7
    with tf.GradientTape() as tape:
        loss = _loss(lifted, x, target)
    gradients = tape.gradient(loss, [lifted.weights[name].value for name in names])
    dice, step = np.random.default_rng(1), 1e-2
    for name, gradient in zip(names, gradients, strict=True):
        weight = np.asarray(lifted.weights[name])
        way = dice.choice([-1.0, 1.0], weight.shape).astype(np.float32) * step / np.sqrt(weight.size)
        there, back = (float(_loss(lifted, x, target, {name: weight + sign * way})) for sign in (1, -1))
        expected = float(np.sum(np.asarray(gradient) * way))
        assert (there - back) / 2 == pytest.approx(expected, rel=2e-2, abs=2e-6)


def test_the_loss_falls_under_a_compiled_step_and_what_is_written_computes_it():
    import keras

    lifted, optimizer = lift(GENERATOR), keras.optimizers.Adam(0.01)
    x, target = numbers(4, 5), np.tanh(numbers(4, 8, 8, 3))
    variables = list(lifted.weights.values())

    @tf.function(autograph=False)
    def step(x, target):
        with tf.GradientTape() as tape:
            loss = _loss(lifted, x, target)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return loss

    losses = [float(step(x, target)) for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]
    written = Interpreter(write(lifted.write()))
    expected = np.concatenate([np.array(written.run([row[None]])[0]) for row in x])
    assert_near(lifted([x])[0][0], expected)
    assert not np.allclose(expected, Interpreter(write(GENERATOR)).run([x[:1]])[0])


@pytest.mark.parametrize("name", ["cyclegan-128", "stylegan2-64", "transformer-step", "vqvae-128"])
def test_every_weight_of_a_net_has_a_gradient(name, monkeypatch):
    net = small(name, monkeypatch)
    graph = graph_of(net)
    lifted = lift(graph)
    variables = [variable.value for variable in lifted.weights.values()]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(lifted(batch(draws(net, graph)))[0][0] ** 2)
    for weight, gradient in zip(lifted.weights, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, weight
        assert np.isfinite(np.asarray(tf.convert_to_tensor(gradient))).all(), weight


def test_an_open_batch_is_compiled_once():
    lifted = lift(GENERATOR)
    traces = []

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, 5), tf.float32)])
    def run(x):
        traces.append(x)
        return lifted([x])[0][0]

    for count in (1, 2, 5):
        x = numbers(count, 5)
        assert_near(run(x), np.asarray(lifted([x])[0][0]))
    assert len(traces) == 1


@pytest.mark.parametrize("name", ["cyclegan-128", "transformer-step"])
def test_whole_nets_take_an_open_batch(name, monkeypatch):
    net = small(name, monkeypatch)
    graph = graph_of(net)
    lifted, x = lift(graph), batch(draws(net, graph))
    signature = [tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in x]
    run = tf.function(lambda *parts: lifted(parts)[0][0], autograph=False, input_signature=signature)
    assert_near(run(*x), np.asarray(lifted(x)[0][0]))


def test_shapes_epsilons_factors_and_masks_are_no_weights():
    mask = np.where(np.tri(4) > 0, 0, -1e9).astype(np.float32)

    def make(build, x):
        y = build.mul(x, np.array(0.2, np.float32))
        y = build.unary("RSQRT", build.add(build.unary("SQUARE", y), np.full((1, 1, 4), 1e-5, np.float32)))
        y = build.batch_matmul(build.add(y, mask), np.eye(4, dtype=np.float32))
        return build.unary("TANH", build.mul(y, numbers(4)))

    graph = one_input((1, 4, 4), make)
    assert [value.shape for value in map(lift(graph).weights.get, lift(graph).weights)] == [(4,)]


def test_untouched_weights_are_written_as_they_were():
    assert write(lift(GENERATOR).write()) == write(GENERATOR)


def test_taps_are_the_values_of_that_name():
    lifted = lift(GENERATOR)
    x = numbers(3, 5)
    (picture,), (dense, given) = lifted([x], taps=["fully_connected", "x0"])
    assert dense.shape == (3, 96)
    assert_near(given, x)
    assert picture.shape == (3, 8, 8, 3)
    assert_near(lifted([x], taps=["leaky_relu"])[1][0], np.asarray(tf.nn.leaky_relu(tf.reshape(dense, (3, 4, 4, 6)))))
    with pytest.raises(InputError, match="No value of this net is called 'nothing'"):
        lifted([x], taps=["nothing"])


def test_other_weights_may_take_the_place_of_the_variables():
    lifted = lift(GENERATOR)
    x = numbers(2, 5)
    zeros = {name: np.zeros(variable.shape, np.float32) for name, variable in lifted.weights.items()}
    assert not np.any(np.asarray(lifted([x], weights=zeros)[0][0]))
    assert np.any(np.asarray(lifted([x])[0][0]))
    with pytest.raises(InputError, match="typo: this net has no weights of that name"):
        lifted([x], weights={"typo": zeros})


def test_every_inner_value_goes_through_what_is_asked():
    seen = []

    def through(value, tensor):
        seen.append(value.name)
        return tf.round(tensor) if value.name == "tanh" else tensor

    (picture,), _ = lift(GENERATOR)([numbers(2, 5)], through=through)
    assert set(np.unique(picture)) <= {-1.0, 0.0, 1.0}
    assert seen[0] == "x0"
    assert len(seen) == 1 + len(GENERATOR.nodes)


def test_what_cannot_be_lifted_is_named_with_its_place():
    def make(build, x):
        return build.unary("TANH", build.node("RFFT2D", [x, whole(1, 4)], (1, 1, 3), name="spectrum"))

    with pytest.raises(ConversionError, match="RFFT2D, which makes 'spectrum', cannot be trained") as caught:
        lift(one_input((1, 1, 4), make))
    assert "`--distill-minutes 0`" in caught.value.remedy


def test_places_that_only_the_inputs_decide_are_refused_by_name():
    x, places = Value(name="x", shape=(1, 4)), Value(name="places", shape=(2,), dtype="INT32")
    graph = Graph(inputs=[x, places], outputs=[], nodes=[], input_names=["x", "places"], output_names=["y"])
    graph.outputs = [Builder(graph).node("TILE", [x, places], (1, 8), name="tiled", option_class="TileOptions")]
    with pytest.raises(ConversionError, match=r"TILE, which makes 'tiled'.*'places'\) changes with the inputs"):
        lift(graph)([numbers(2, 4), np.ones(4, np.int32)])


def test_inputs_of_another_shape_are_refused_with_both():
    with pytest.raises(InputError, match=r"Input 'x0' is \[1, 5\] a sample and was given \[2, 6\]"):
        lift(GENERATOR)([numbers(2, 6)])
    with pytest.raises(InputError, match="has 1 inputs and was given 2"):
        lift(GENERATOR)([numbers(2, 5), numbers(2, 5)])
