from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.ir import Builder, Graph, Value
from edge_aigc.converters.rewrites.identities import remove_identities
from edge_aigc.converters.rewrites.modulated import static_weights
from edge_aigc.converters.rewrites.rewrite import normalize
from tests.rewriting import graph_of, normal, outputs_of


@st.composite
def modulations(draw):
    """A modulated convolution as StyleGAN2 has them."""
    return {
        "size": (draw(st.integers(1, 5)), draw(st.integers(1, 5))),
        "channels": (draw(st.integers(2, 6)), draw(st.integers(2, 6))),
        "kernel": draw(st.sampled_from([(1, 1), (3, 3), (1, 3), (2, 2)])),
        "transposed": draw(st.booleans()),
        "demodulated": draw(st.booleans()),
        "torch": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "activation": draw(st.sampled_from([0, 1])),
    }


def _graph(case):
    rng = np.random.default_rng(5)
    taken, _ = case["channels"]
    x = Value(name="x", shape=(1, *case["size"], taken))
    style = Value(name="style", shape=(1, taken))
    graph = Graph(inputs=[x, style], outputs=[], nodes=[], input_names=["x", "style"], output_names=["y"])
    build = Builder(graph)
    graph.outputs = [_convolved(build, case, x, _weights(build, case, style, rng), rng)]
    return graph


def _weights(build, case, style, rng):
    """Keras keeps height, width, inputs, outputs; PyTorch outputs, inputs, height, width."""
    taken, made = case["channels"]
    if case["torch"]:
        shape, scales, others, order = (made, taken, *case["kernel"]), (1, taken, 1, 1), (1, 2, 3), (0, 2, 3, 1)
    else:
        shape, scales, others, order = (*case["kernel"], taken, made), (1, 1, taken, 1), (0, 1, 2), (3, 0, 1, 2)
    weights = build.mul(build.reshape(style, scales), normal(rng, shape))
    if case["demodulated"]:
        power = build.add(build.reduce("SUM", build.unary("SQUARE", weights), others), np.float32(1e-3))
        weights = build.mul(weights, build.unary("RSQRT", power))
    return build.transpose(weights, order)


def _convolved(build, case, x, weights, rng):
    bias = normal(rng, (case["channels"][1],)) * np.float32(case["bias"])
    options = {"strideH": 1, "strideW": 1, "padding": 0, "fusedActivationFunction": case["activation"]}
    shape = (1, *case["size"], case["channels"][1])
    if case["transposed"]:
        place = np.array(shape, np.int32)
        return build.node(
            "TRANSPOSE_CONV", [place, weights, x, bias], shape,
            option_class="TransposeConvOptions", dtype="FLOAT32", **options,
        )  # fmt: skip
    options |= {"dilationHFactor": 1, "dilationWFactor": 1}
    return build.node("CONV_2D", [x, weights, bias], shape, option_class="Conv2DOptions", **options)


@settings(max_examples=250, derandomize=True, deadline=None)
@given(case=modulations())
def test_a_modulated_convolution_has_static_weights_and_computes_the_same(case):
    graph = _graph(case)
    expected = outputs_of(graph)[0]
    assert normalize(graph, (static_weights, remove_identities))
    found = outputs_of(graph)[0]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    (node,) = (node for node in graph.nodes if node.kind in {"CONV_2D", "TRANSPOSE_CONV"})
    assert node.input(1).data is not None
    assert not any(node.kind == "SUM" for node in graph.nodes)


@pytest.mark.parametrize("shape", [(3, 3, 4, 5), (3, 3, 1, 5)])
def test_weights_scaled_along_their_window_are_left_alone(shape):
    def make(build, x):
        weights = build.mul(build.reshape(x, (3, 1, 1, 1)), np.ones(shape, np.float32))
        maps = np.ones((1, 5, 5, shape[2]), np.float32)
        options = {"strideH": 1, "strideW": 1, "padding": 0, "dilationHFactor": 1, "dilationWFactor": 1}
        inputs = [maps, build.transpose(weights, (3, 0, 1, 2)), np.zeros(5, np.float32)]
        return build.node("CONV_2D", inputs, (1, 5, 5, 5), option_class="Conv2DOptions", **options)

    assert not static_weights(graph_of((1, 3), make))


def test_a_sum_over_other_axes_than_the_scaled_one_is_left_alone():
    def make(build, x):
        weights = build.mul(build.reshape(x, (1, 1, 4, 1)), np.ones((3, 3, 4, 5), np.float32))
        return build.reduce("SUM", build.unary("SQUARE", weights), (0, 1, 3))

    assert not static_weights(graph_of((1, 4), make))
