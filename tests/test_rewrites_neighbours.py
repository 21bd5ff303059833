"""Convolutions that make several pixels at a time: parity over shapes, strides, kernels, dilations and paddings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.neighbours import NeighbourConvolution
from tests.rewriting import assert_same, graph_of, normal

FORMS = [NeighbourConvolution(lanes=lanes, rows=rows) for lanes, rows in ((8, 1), (16, 1), (8, 2), (16, 2), (16, 4))]


@st.composite
def convolutions(draw):
    sizes = draw(st.sampled_from([(1, 19), (19, 1), (9, 13), (5, 6), (8, 8), (12, 7)]))
    stride = draw(st.sampled_from([(1, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 2)]))
    dilation = draw(st.sampled_from([(1, 1), (1, 2), (3, 1), (2, 2)])) if stride == (1, 1) else (1, 1)
    most = [min(5, 1 + (size - 1) // spread) for size, spread in zip(sizes, dilation, strict=True)]
    kernel = tuple(draw(st.integers(1, end)) for end in most)
    inside, outside = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    padding, biased = draw(st.sampled_from(["SAME", "VALID"])), draw(st.booleans())
    activation = draw(st.sampled_from(["NONE", "RELU", "RELU6"]))
    batch, seed = draw(st.sampled_from([1, 1, 2])), draw(st.integers(0, 99))

    def make(build, x):
        rng = np.random.default_rng(seed)
        return build.conv_2d(
            x,
            normal(rng, (outside, *kernel, inside)),
            normal(rng, (outside,)) if biased else None,
            stride=stride,
            dilation=dilation,
            padding=padding,
            activation=activation,
        )

    return graph_of((batch, *sizes, inside), make)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.lanes} lanes {form.rows} rows")
@settings(max_examples=200, derandomize=True, deadline=None)
@given(graph=convolutions())
def test_the_other_form_computes_the_same(form, graph):
    assert_same(form, graph)


def _changed(form, shape, kernel, outside):
    def make(build, x):
        return build.conv_2d(x, np.ones((outside, *kernel, shape[3]), np.float32), padding="SAME")

    graph = graph_of(shape, make)
    regions = form.regions(graph)
    if regions:
        form.apply(graph, regions[0])
    return [node.kind for node in graph.nodes], [node.output.shape for node in graph.nodes]


def test_the_last_layer_of_a_vocoder_fills_the_lanes_and_is_put_in_order_for_nothing():
    kinds, shapes = _changed(FORMS[1], (1, 1, 160, 8), (1, 7), 1)
    assert kinds == ["CONV_2D", "RESHAPE"]
    assert shapes[0] == (1, 1, 10, 16)


def test_the_last_layer_of_a_picture_gives_squares():
    kinds, shapes = _changed(FORMS[3], (1, 16, 16, 8), (3, 3), 3)
    assert kinds == ["CONV_2D", "DEPTH_TO_SPACE"]
    assert shapes[0] == (1, 8, 8, 12)


def test_convolutions_that_fill_the_lanes_or_have_no_window_are_left_alone():
    assert _changed(FORMS[0], (1, 16, 16, 8), (3, 3), 5)[0] == ["CONV_2D"]
    assert _changed(FORMS[1], (1, 16, 16, 8), (1, 1), 1)[0] == ["CONV_2D"]
