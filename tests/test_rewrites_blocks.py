"""Convolutions over blocks of pixels: parity over windows, strides, paddings and odd sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.blocks import BlockConvolution
from edge_aigc.converters.rewrites.winograd import Winograd
from tests.rewriting import assert_same, graph_of, normal

FORM = BlockConvolution()


@st.composite
def convolutions(draw):
    stride = draw(st.sampled_from([1, 2, 2]))
    kernel = draw(st.tuples(*2 * [st.integers(5, 7) if stride == 1 else st.integers(3, 5)]))
    high, wide = (draw(st.integers(taps, 13)) for taps in kernel)
    around = draw(st.sampled_from(["SAME", "VALID", "PAD"]))
    pads = [(0, 0), *(draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in kernel), (0, 0)]
    inside = draw(st.integers(1, 4) if stride == 1 else st.integers(8, 9))
    biased, activation = draw(st.booleans()), draw(st.sampled_from(["NONE", "RELU", "RELU6"]))
    batch, seed = draw(st.sampled_from([1, 1, 2])), draw(st.integers(0, 99))

    def make(build, x):
        rng = np.random.default_rng(seed)
        weights = normal(rng, (8, *kernel, inside))
        bias = normal(rng, (8,)) if biased else None
        x = build.pad(x, pads) if around == "PAD" else x
        padding = "SAME" if around == "SAME" else "VALID"
        return build.conv_2d(x, weights, bias, stride=(stride, stride), padding=padding, activation=activation)

    return graph_of((batch, high, wide, inside), make)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(graph=convolutions())
def test_blocks_compute_the_same(graph):
    assert len(FORM.regions(graph)) == 1
    assert_same(FORM, graph)


def _graph(kernel, depth, **options):
    weights = normal(np.random.default_rng(0), (*kernel, depth))
    return graph_of((1, 12, 12, depth), lambda build, x: build.conv_2d(x, weights, **options))


def test_a_strided_convolution_becomes_one_that_winograd_knows():
    graph = _graph((8, 4, 4), 8, stride=(2, 2), padding="SAME")
    (region,) = FORM.regions(graph)
    FORM.apply(graph, region)
    assert [node.kind for node in graph.nodes] == ["PAD", "SPACE_TO_DEPTH", "CONV_2D"]
    assert graph.nodes[2].input(1).shape == (8, 2, 2, 32)
    assert Winograd(2, 2).regions(graph)


@pytest.mark.parametrize(
    ("kernel", "depth", "options"),
    [
        ((8, 3, 3), 3, {}),
        ((8, 7, 7), 8, {}),
        ((3, 4, 4), 8, {"stride": (2, 2)}),
        ((8, 4, 4), 3, {"stride": (2, 2)}),
        ((8, 2, 2), 8, {"stride": (2, 2)}),
        ((8, 4, 4), 8, {"stride": (2, 1)}),
        ((8, 5, 5), 3, {"dilation": (2, 2)}),
    ],
)
def test_other_convolutions_are_left_alone(kernel, depth, options):
    assert FORM.regions(_graph(kernel, depth, **options)) == []
