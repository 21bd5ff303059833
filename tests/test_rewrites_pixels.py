"""Outputs as 8-bit pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.ir import write
from edge_aigc.converters.rewrites.pixels import end_in_pixels
from edge_aigc.interpreter import Interpreter
from tests.normalizing import kinds
from tests.rewriting import graph_of, normal, outputs_of


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    activation=st.sampled_from(["TANH", "LOGISTIC", "RELU", None]),
    limits=st.sampled_from([(-1, 1), (0, 1), (0, 255), (-3, 2), (0.5, 1.5)]),
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
    end_in_pixels(graph, 0, limits)
    interpreter = Interpreter(write(graph))
    assert interpreter.outputs[0].dtype == np.uint8
    found = interpreter.run([normal(np.random.default_rng(0), (1, 4, 5, 3))])[0] * 255
    assert np.abs(found - expected).max() < 1.01


def test_a_tanh_costs_one_operator_more_than_before():
    weights = np.ones((3, 2, 2, 3), np.float32)
    graph = graph_of((1, 4, 5, 3), lambda build, x: build.unary("TANH", build.conv_2d(x, weights)))
    end_in_pixels(graph, 0, (-1, 1))
    assert kinds(graph) == ["CONV_2D", "LOGISTIC", "QUANTIZE"]
