"""What sees one pixel at a time, before pixels are multiplied."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.pointwise_first import PointwiseBeforeResize, elementwise_first
from tests.rewriting import assert_same, graph_of, normal, outputs_of

FORM = PointwiseBeforeResize()


@st.composite
def resizes(draw):
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    size = (shape[1] * draw(st.integers(1, 3)) + draw(st.integers(0, 1)), shape[2] * draw(st.integers(2, 3)))
    centres = draw(st.sampled_from([{}, {"align_corners": True}, {"half_pixel": True}]))
    return shape, size, centres


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    resize=resizes(),
    kind=st.sampled_from(["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"]),
    outside=st.integers(1, 5),
    activation=st.sampled_from(["NONE", "RELU", "RELU6"]),
    biased=st.booleans(),
)
def test_a_pointwise_convolution_before_computes_the_same(resize, kind, outside, activation, biased):
    shape, size, centres = resize

    def make(build, x):
        rng = np.random.default_rng(outside)
        bias = normal(rng, (outside,)) if biased else None
        y = build.resize(kind, x, size, **centres)
        return build.conv_2d(y, normal(rng, (outside, 1, 1, shape[3])), bias, activation=activation)

    graph = graph_of(shape, make)
    assert len(FORM.regions(graph)) == 1
    assert_same(FORM, graph)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    resize=resizes(),
    kinds=st.lists(st.sampled_from(["RELU", "TANH", "ADD", "MUL", "MAXIMUM", "SUB"]), min_size=1, max_size=3),
    channels=st.booleans(),
)
def test_elementwise_operators_before_compute_the_same(resize, kinds, channels):
    shape, _, _ = resize

    def make(build, x):
        y = build.resize("RESIZE_NEAREST_NEIGHBOR", x, (shape[1] * 2, shape[2] * 3), half_pixel=True)
        for place, kind in enumerate(kinds):
            number = np.full((shape[3],) if channels else (), 0.5 + place, np.float32)
            y = build.unary(kind, y) if kind in ("RELU", "TANH") else build.binary(kind, y, number)
        return y

    graph = graph_of(shape, make)
    expected = outputs_of(graph)[0]
    while elementwise_first(graph):
        pass
    assert [node.kind for node in graph.nodes] == [*kinds, "RESIZE_NEAREST_NEIGHBOR"]
    assert np.array_equal(outputs_of(graph)[0], expected)


def test_what_is_not_the_same_for_every_pixel_stays_behind():
    def make(build, x):
        y = build.resize("RESIZE_NEAREST_NEIGHBOR", x, (6, 6))
        return build.add(y, np.arange(36, dtype=np.float32).reshape(6, 6, 1))

    assert not elementwise_first(graph_of((1, 3, 3, 2), make))


def test_a_wider_window_and_a_resize_that_others_read_are_left_alone():
    def make(build, x):
        y = build.resize("RESIZE_BILINEAR", x, (6, 6))
        return build.conv_2d(y, np.ones((1, 1, 2, 2), np.float32))

    assert FORM.regions(graph_of((1, 3, 3, 2), make)) == []

    def twice(build, x):
        y = build.resize("RESIZE_BILINEAR", x, (6, 6))
        return build.add(build.conv_2d(y, np.ones((2, 1, 1, 2), np.float32)), y)

    assert FORM.regions(graph_of((1, 3, 3, 2), twice)) == []
