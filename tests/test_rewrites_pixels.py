"""Outputs brought to what pixels can stand for, and made pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.ir import write
from edge_aigc.converters.pixels import Pixels, with_pixels
from edge_aigc.converters.quantize import quantize
from edge_aigc.converters.rewrites.pixels import fit_to_pixels, zero_of
from edge_aigc.interpreter import Interpreter
from tests.normalizing import kinds
from tests.rewriting import graph_of, normal, outputs_of


def pixels_of(graph, limits, recipe="float32", samples=(), *, int8_borders=False):
    fitted = fit_to_pixels(graph, 0, limits)
    flatbuffer = quantize(write(graph), recipe, calibration=list(samples), int8_borders=int8_borders)
    return with_pixels(flatbuffer, [Pixels(name="y", place=0, stated=limits, limits=fitted)])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    activation=st.sampled_from(["TANH", "LOGISTIC", "RELU", None]),
    limits=st.sampled_from([(-1, 1), (0, 1), (0, 255), (-3, 2), (0.5, 1.5), (-128, 127)]),
    home=st.sampled_from(["conv", "transposed", "input"]),
    seed=st.integers(0, 999),
)
def test_pixels_are_at_most_one_level_off(activation, limits, home, seed):
    rng = np.random.default_rng(seed)

    def make(build, x):
        weights = normal(rng, (3, 2, 2, 3))
        y = x
        if home == "conv":
            y = build.conv_2d(x, weights, normal(rng, (3,)), padding="SAME")
        elif home == "transposed":
            y = build.transpose_conv(x, weights, normal(rng, (3,)), (8, 10), stride=(2, 2), padding="SAME")
        return build.unary(activation, y) if activation else build.mul(y, np.float32(2))

    graph = graph_of((1, 4, 5, 3), make)
    low, high = limits
    expected = np.rint((np.clip(outputs_of(graph)[0], low, high).astype(np.float64) - low) / (high - low) * 255)
    interpreter = Interpreter(pixels_of(graph, limits))
    assert interpreter.outputs[0].dtype == np.uint8
    found = interpreter.run([normal(np.random.default_rng(0), (1, 4, 5, 3))])[0]
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_a_tanh_costs_no_more_operators_than_before():
    weights = np.ones((3, 2, 2, 3), np.float32)
    graph = graph_of((1, 4, 5, 3), lambda build, x: build.unary("TANH", build.conv_2d(x, weights)))
    assert fit_to_pixels(graph, 0, (-1, 1)) == (0, 1)
    assert kinds(graph) == ["CONV_2D", "LOGISTIC"]


def test_a_range_that_pixels_stand_for_is_left_as_it_is():
    graph = graph_of((1, 4, 5, 3), lambda build, x: build.unary("LOGISTIC", x))
    before = write(graph)
    assert fit_to_pixels(graph, 0, (0, 1)) == (0, 1)
    assert write(graph) == before


@pytest.mark.parametrize(
    ("limits", "zero"),
    [((0, 1), 0), ((0, 255), 0), ((-128, 127), 128), ((-1, 0), 255), ((-1, 1), None), ((1, 2), None), ((-2, -1), None)],
)
def test_zero_has_a_pixel_only_where_it_is_a_whole_number_of_steps(limits, zero):
    assert zero_of(limits) == zero


@pytest.mark.parametrize("recipe", ["float16", "dynamic", "int8", "int16x8", "mixed"])
@pytest.mark.parametrize("activation", ["TANH", "LOGISTIC"])
def test_every_recipe_makes_the_pixels_of_its_own_floats(recipe, activation):
    rng = np.random.default_rng(3)
    weights = normal(rng, (16, 3, 3, 3)) / 4
    last = normal(rng, (3, 3, 3, 16)) / 4

    def make(build, x):
        return build.unary(activation, build.conv_2d(build.conv_2d(x, weights), last))

    limits = (-1, 1) if activation == "TANH" else (0, 1)
    samples = [[normal(np.random.default_rng(seed), (1, 12, 12, 3))] for seed in range(8)]
    graph = graph_of((1, 12, 12, 3), make)
    exact = Interpreter(write(graph)).run(samples[0])[0]
    found = Interpreter(pixels_of(graph, limits, recipe, samples)).run(samples[0])[0]
    share = (exact.astype(np.float64) - limits[0]) / (limits[1] - limits[0])
    assert np.sqrt(np.mean((found / 255 - share) ** 2)) < 0.02


def test_whole_numbers_become_pixels_without_floats_between():
    rng = np.random.default_rng(4)
    weights = normal(rng, (3, 3, 3, 3)) / 4
    graph = graph_of((1, 12, 12, 3), lambda build, x: build.unary("TANH", build.conv_2d(x, weights)))
    samples = [[normal(np.random.default_rng(seed), (1, 12, 12, 3))] for seed in range(8)]
    exact = np.rint((outputs_of(graph)[0] + 1) / 2 * 255)
    flatbuffer = pixels_of(graph, (-1, 1), "int8", samples, int8_borders=True)
    interpreter = Interpreter(flatbuffer)
    assert (interpreter.inputs[0].dtype, interpreter.outputs[0].dtype) == (np.int8, np.uint8)
    found = interpreter.run([normal(np.random.default_rng(0), (1, 12, 12, 3))])[0]
    assert np.abs(found.astype(int) - exact).max() <= 6
