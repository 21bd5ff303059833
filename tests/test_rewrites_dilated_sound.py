"""Dilated convolutions in one dimension, over rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.dilated_sound import RowsForDilation
from tests.rewriting import assert_same, graph_of, normal

FORM = RowsForDilation()


@st.composite
def sounds(draw):
    dilation, taps = draw(st.integers(2, 5)), draw(st.integers(2, 5))
    length = (taps - 1) * dilation + draw(st.integers(1, 23))
    upright, batch = draw(st.booleans()), draw(st.sampled_from([1, 1, 2]))
    inside, outside = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    padding, biased = draw(st.sampled_from(["SAME", "VALID"])), draw(st.booleans())
    ends = draw(st.sampled_from([(0, 0), (0, 0), ((taps - 1) * dilation, 0), (2, 3)]))
    activation, seed = draw(st.sampled_from(["NONE", "RELU", "RELU6"])), draw(st.integers(0, 99))

    def turned(pair):
        return pair[::-1] if upright else pair

    def make(build, x):
        rng = np.random.default_rng(seed)
        if any(ends):
            x = build.pad(x, ((0, 0), *turned(((0, 0), ends)), (0, 0)))
        return build.conv_2d(
            x,
            normal(rng, (outside, *turned((1, taps)), inside)),
            normal(rng, (outside,)) if biased else None,
            dilation=turned((1, dilation)),
            padding=padding,
            activation=activation,
        )

    return graph_of((batch, *turned((1, length)), inside), make)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(graph=sounds())
def test_the_other_form_computes_the_same(graph):
    assert len(FORM.regions(graph)) == 1
    assert_same(FORM, graph)


def _kinds(length, taps, dilation):
    def make(build, x):
        return build.conv_2d(x, np.ones((3, 1, taps, 2), np.float32), dilation=(1, dilation), padding="SAME")

    graph = graph_of((1, 1, length, 2), make)
    FORM.apply(graph, FORM.regions(graph)[0])
    return [node.kind for node in graph.nodes if node.kind != "RESHAPE"]


def test_a_length_that_the_dilation_divides_costs_nothing_more():
    assert _kinds(24, 7, 3) == ["CONV_2D"]


def test_another_length_takes_a_pad_and_a_slice():
    assert _kinds(25, 7, 3) == ["PAD", "CONV_2D", "SLICE"]


def test_pictures_and_plain_convolutions_are_left_alone():
    def picture(build, x):
        return build.conv_2d(x, np.ones((3, 1, 3, 2), np.float32), dilation=(1, 2))

    def plain(build, x):
        return build.conv_2d(x, np.ones((3, 1, 3, 2), np.float32))

    assert FORM.regions(graph_of((1, 2, 9, 2), picture)) == []
    assert FORM.regions(graph_of((1, 1, 9, 2), plain)) == []
