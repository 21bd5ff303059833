"""Two alternatives in one step: parity, and that both are done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.catalogue import FOLLOWED
from edge_aigc.converters.rewrites.transposed_convolution import SplitTransposedConvolution
from tests.rewriting import assert_same, graph_of, normal


@st.composite
def nets(draw):
    high, wide = draw(st.sampled_from([(1, 9), (1, 12), (6, 5), (6, 6), (7, 4)]))
    stride = (1, draw(st.sampled_from([2, 4]))) if high == 1 else (2, 2)
    kernel = (1, draw(st.integers(4, 13))) if high == 1 else (draw(st.integers(2, 5)), draw(st.integers(2, 5)))
    transposed, biased, seed = draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 99))
    size = (high * stride[0], wide * stride[1])
    activation = draw(st.sampled_from(["NONE", "RELU"]))

    def make(build, x):
        rng = np.random.default_rng(seed)
        weights, bias = normal(rng, (9, *kernel, 8)), normal(rng, (9,)) if biased else None
        if transposed:
            return build.transpose_conv(x, weights, bias, size, stride=stride, padding="SAME", activation=activation)
        y = build.resize("RESIZE_NEAREST_NEIGHBOR", x, size)
        return build.conv_2d(y, weights, bias, padding="SAME", activation=activation)

    return graph_of((1, high, wide, 8), make)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(graph=nets(), form=st.sampled_from(FOLLOWED))
def test_two_steps_at_once_compute_the_same(graph, form):
    # Winograd's: products of sums lose a digit.
    assert_same(form, graph, tolerance=1e-4)


@pytest.mark.parametrize("form", FOLLOWED, ids=lambda form: form.name)
def test_the_second_step_is_done(form):
    def make(build, x):
        weights = np.ones((16, 4, 4, 16), np.float32)
        if "nearest" in form.name:
            y = build.resize("RESIZE_NEAREST_NEIGHBOR", x, (24, 24))
            return build.conv_2d(y, weights[:, :3, :3], padding="SAME")
        return build.transpose_conv(x, weights, None, (24, 24), stride=(2, 2), padding="SAME")

    graph = graph_of((1, 12, 12, 16), make)
    once = graph.copy()
    form.apply(graph, form.regions(graph)[0])
    if "transposed" in form.name:
        split = SplitTransposedConvolution()
        split.apply(once, split.regions(once)[0])
        assert len(graph.nodes) > len(once.nodes)
    assert sum(node.kind == "DEPTHWISE_CONV_2D" for node in graph.nodes) >= 1
