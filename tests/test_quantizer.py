"""The quantizer's parts: scales, groups of tensors that share one, what is written, and what stays float."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewriting import graph_of, normal

from edge_aigc.converters.compat import LAST_TFLITE, Wheel, incompatibilities
from edge_aigc.converters.costs.work import price, products
from edge_aigc.converters.graph import inputs_and_outputs, listed_operators, operators, parse
from edge_aigc.converters.ir import write
from edge_aigc.converters.quantizer import scales
from edge_aigc.converters.quantizer.calibration import Calibration
from edge_aigc.converters.quantizer.observe import Observed, cut
from edge_aigc.converters.recipes import NAMED, Recipe, Rule
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import Interpreter

INT8 = Recipe(name="test", types="int8")
reals = st.floats(-1e6, 1e6, width=32)


def samples_of(flatbuffer, count=6, seed=0):
    rng = np.random.default_rng(seed)
    return [[normal(rng, info.shape) for info in Interpreter(flatbuffer).inputs] for _ in range(count)]


def quantized(flatbuffer, recipe=INT8):
    return Calibration(flatbuffer, samples_of(flatbuffer)).quantized(recipe).flatbuffer


def kinds_of(flatbuffer):
    return [operator.kind for operator in operators(flatbuffer)]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(reals, reals, st.sampled_from(["INT8", "INT16"]), st.floats(0, 1))
def test_zero_is_exact_and_what_is_in_range_is_off_by_half_a_step(one, other, dtype, share):
    low, high = min(one, other), max(one, other)
    params = scales.of_range(low, high, dtype)
    assert scales.reals(scales.rounded(np.zeros(1), params), params) == 0
    value = np.array([low + share * (high - low)])
    error = np.abs(scales.reals(scales.rounded(value, params), params) - value)
    # The zero point is a whole number, so that an end of the range may be cut by up to half a step more.
    assert error <= 1.01 * params.scale + 1e-30


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 1 << 30), st.sampled_from(["INT4", "INT8"]), st.integers(0, 2))
def test_weights_keep_a_scale_for_each_channel(seed, dtype, axis):
    rng = np.random.default_rng(seed)
    weights = normal(rng, (3, 4, 5)) * np.float32(10.0 ** rng.integers(-4, 4))
    params = scales.of_weights(weights, axis, dtype)
    assert len(params.scales) == weights.shape[axis]
    assert params.zero == 0
    steps = np.abs(scales.reals(scales.rounded(weights, params), params) - weights)
    along = [-1 if place == axis else 1 for place in range(3)]
    assert (steps <= 0.5001 * np.reshape(params.scales, along)).all()


def test_a_bias_that_does_not_fit_widens_the_scale_of_its_channel_only():
    weights = scales.of_weights(np.array([[0.0], [1.0]], np.float32), 0, "INT8")
    wider = scales.room_for_bias(weights, np.array([3.0, 3.0], np.float32), 0.01, 0.01)
    assert wider.scales[1] == weights.scales[1]
    number = scales.rounded(np.array([3.0, 3.0]), scales.of_bias(wider, 0.01, "INT32"))
    assert (np.abs(number) <= 2**30 + 1000).all()


def test_numbers_of_four_bits_are_packed_two_in_a_byte():
    assert scales.packed(np.array([1, -1, 7]), "INT4") == bytes([0xF1, 0x07])


def test_rare_outliers_are_cut_off_and_dense_values_are_not():
    rng = np.random.default_rng(0)
    dense = rng.uniform(-1, 1, 10_000).astype(np.float32)
    low, high = cut(Observed(low=-1, high=1, values=dense), steps=255)
    assert (low, high) == (-1, 1)
    outlier = np.append(normal(rng, (10_000,)) * np.float32(0.01), np.float32(1))
    assert cut(Observed(low=float(outlier.min()), high=1, values=outlier), steps=15)[1] < 0.9


def generator(b, x):
    """A rewritten generator: transposed convolutions as convolution and depth to space."""
    rng = np.random.default_rng(3)
    for depth, out in ((4, 16), (4, 12)):
        x = b.conv_2d(b.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), normal(rng, (out, 2, 2, depth)), normal(rng, (out,)))
        x = b.depth_to_space(x, 2)
        x = b.slice(x, (0, 1, 1, 0), (1, x.shape[1] - 2, x.shape[2] - 2, x.shape[3]))
        x = b.unary("LEAKY_RELU", x, alpha=0.2) if out == 16 else b.unary("TANH", x)
    return x


def test_a_rewritten_net_is_int8_from_its_input_to_its_output():
    net = write(graph_of((1, 4, 4, 4), generator))
    form = quantized(net)
    assert kinds_of(form) == ["QUANTIZE", *kinds_of(net), "DEQUANTIZE"]
    assert all(operator.outputs[0].dtype == "INT8" for operator in operators(form)[:-1])


def test_what_moves_numbers_shares_one_scale_and_fixed_scales_are_kept():
    def make(b, x):
        wide = b.conv_2d(x, np.ones((2, 1, 1, 2), np.float32) * 5, np.zeros(2, np.float32))
        return b.concatenate([b.unary("TANH", wide), wide], 3)

    net = write(graph_of((1, 3, 3, 2), make))
    form = quantized(net)
    # TANH gives out 1/128 whatever happens; the concatenation needs more, so one conversion stands between.
    assert kinds_of(form) == ["QUANTIZE", "CONV_2D", "TANH", "QUANTIZE", "CONCATENATION", "DEQUANTIZE"]
    for inputs in samples_of(net):
        assert np.abs(Interpreter(form).run(inputs)[0] - Interpreter(net).run(inputs)[0]).max() < 0.3


def test_a_region_without_weights_stays_float():
    net = write(graph_of((1, 4, 4, 4), lambda b, x: b.unary("TANH", b.mul(x, x))))
    assert kinds_of(quantized(net)) == ["MUL", "TANH"]


@pytest.mark.parametrize("masked", [-1e4, -1e9, -np.inf])
def test_scores_keep_their_precision_beside_a_mask(masked):
    mask = np.where(np.arange(8) < 5, 0, masked).astype(np.float32)

    def make(b, x):
        scores = b.fully_connected(x, normal(np.random.default_rng(1), (8, 8)), None)
        return b.node("SOFTMAX", [b.add(scores, mask)], scores.shape, option_class="SoftmaxOptions", beta=1.0)

    net = write(graph_of((1, 8), make))
    form = quantized(net)
    assert "DEQUANTIZE" not in kinds_of(form)[:-1]
    for inputs in samples_of(net):
        expected, found = Interpreter(net).run(inputs)[0], Interpreter(form).run(inputs)[0]
        assert np.abs(expected - found).max() < 0.05
        assert (found[..., 5:] == 0).all()


def test_an_operator_without_a_narrow_kernel_is_an_island_of_float():
    def make(b, x):
        x = b.conv_2d(x, np.ones((4, 1, 1, 4), np.float32), np.zeros(4, np.float32))
        return b.conv_2d(b.unary("SIN", x), np.ones((4, 1, 1, 4), np.float32), np.zeros(4, np.float32))

    form = quantized(write(graph_of((1, 4, 4, 4), make)))
    assert kinds_of(form) == ["QUANTIZE", "CONV_2D", "DEQUANTIZE", "SIN", "QUANTIZE", "CONV_2D", "DEQUANTIZE"]


def test_a_rule_decides_for_the_operators_that_it_names():
    net = write(graph_of((1, 4, 4, 4), generator))
    rule = Rule(types="dynamic", kinds=frozenset({"CONV_2D"}), pattern=r"^conv_2d$")
    form = quantized(net, Recipe(name="test", types="int8", rules=(rule,)))
    weights = [operator.inputs[1].dtype for operator in operators(form) if operator.kind == "CONV_2D"]
    outputs = [operator.outputs[0].dtype for operator in operators(form) if operator.kind == "CONV_2D"]
    assert weights == ["INT8", "INT8"]
    assert outputs == ["FLOAT32", "INT8"]


@pytest.mark.parametrize("types", ["int8", "int16x8", "dynamic"])
def test_for_older_kernels_nothing_is_made_that_the_last_tflite_runtime_does_not_run(types):
    def make(b, x):
        scores = b.batch_matmul(x, b.unary("RSQRT", b.mul(x, x)), adj_y=True)
        return b.fully_connected(scores, normal(np.random.default_rng(1), (3, 4)), None)

    net = write(graph_of((1, 4, 4), make))
    wheel = Wheel(runtime="tflite", release=LAST_TFLITE)
    older = quantized(net, Recipe(name="test", types=types, older_kernels=True))
    assert not incompatibilities(older, wheel)
    assert quantized(net, Recipe(name="test", types=types)) != older


@pytest.mark.parametrize("borders", [None, "INT8"])
def test_inputs_and_outputs_keep_their_names(borders):
    net = write(graph_of((1, 4, 4, 4), generator))
    form = quantized(net, Recipe(name="test", types="int8", borders=borders))
    (taken,), (made,) = inputs_and_outputs(form)
    (taken_before,), (made_before,) = inputs_and_outputs(net)
    assert (taken.name, made.name) == (taken_before.name, made_before.name)
    assert {taken.dtype, made.dtype} == {borders or "FLOAT32"}
    (signature,) = parse(form).signatureDefs
    assert [parse(form).subgraphs[0].tensors[entry.tensorIndex].name.decode() for entry in signature.outputs] == [
        made.name
    ]


def test_nothing_is_listed_or_stored_that_is_not_used():
    net = write(graph_of((1, 4, 4, 4), generator))
    form = parse(quantized(net))
    used = {operator.opcodeIndex for operator in form.subgraphs[0].operators}
    assert used == set(range(len(listed_operators(form))))
    held = {entry.buffer for entry in (*form.subgraphs[0].tensors, *(form.metadata or ()))}
    assert held | {0} == set(range(len(form.buffers)))


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_recipe_gives_the_same_bytes_again(name):
    net = write(graph_of((1, 4, 4, 4), generator))
    assert quantized(net, NAMED[name]) == quantized(net, NAMED[name])


def test_values_that_are_no_numbers_are_refused_by_name():
    net = write(graph_of((1, 4, 4, 4), generator))
    samples = samples_of(net)
    samples[2][0][:] = np.nan
    with pytest.raises(ConversionError, match="'pad' is not finite"):
        Calibration(net, samples).quantized(INT8)


def test_without_samples_int8_is_refused():
    net = write(graph_of((1, 4, 4, 4), generator))
    with pytest.raises(ConversionError, match="no inputs to calibrate"):
        Calibration(net, []).quantized(INT8)


def test_the_price_of_a_form_falls_with_its_types():
    net = write(graph_of((1, 4, 4, 4), generator))
    prices = [price(net), price(quantized(net, NAMED["dynamic"])), price(quantized(net, INT8))]
    assert prices == sorted(prices, reverse=True)
    assert sum(map(products, operators(net))) == 5 * 5 * 16 * 4 * 4 + 9 * 9 * 12 * 4 * 4
