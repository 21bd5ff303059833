"""Dilated convolutions of sounds over rows: parity over windows, dilations, paddings and lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.dilated import DilatedConvolution
from edge_aigc.converters.rewrites.winograd import Winograd
from tests.rewriting import assert_same, graph_of, normal

FORM = DilatedConvolution()


@st.composite
def convolutions(draw):
    taps, dilation = draw(st.integers(2, 7)), draw(st.integers(2, 5))
    length = draw(st.integers((taps - 1) * dilation + 1, 60))
    around = draw(st.sampled_from(["SAME", "VALID", "PAD"]))
    before, after = draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
    biased, activation = draw(st.booleans()), draw(st.sampled_from(["NONE", "RELU", "RELU6"]))
    batch, upright, seed = draw(st.sampled_from([1, 1, 2])), draw(st.booleans()), draw(st.integers(0, 99))

    def along(first, second):
        return (second, first) if upright else (first, second)

    def make(build, x):
        rng = np.random.default_rng(seed)
        weights = normal(rng, (4, *along(1, taps), 3))
        x = build.pad(x, [(0, 0), *along((0, 0), (before, after)), (0, 0)]) if around == "PAD" else x
        return build.conv_2d(
            x,
            weights,
            normal(rng, (4,)) if biased else None,
            dilation=along(1, dilation),
            padding="SAME" if around == "SAME" else "VALID",
            activation=activation,
        )

    return graph_of((batch, *along(1, length), 3), make)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(graph=convolutions())
def test_rows_compute_the_same(graph):
    assert len(FORM.regions(graph)) == 1
    assert_same(FORM, graph)


def _graph(shape, kernel, **options):
    weights = normal(np.random.default_rng(0), kernel)
    return graph_of(shape, lambda build, x: build.conv_2d(x, weights, **options))


def test_a_sound_of_whole_rows_is_only_reshaped_and_winograd_applies():
    graph = _graph((1, 1, 60, 8), (8, 1, 7, 8), dilation=(1, 3), padding="SAME")
    FORM.apply(graph, FORM.regions(graph)[0])
    assert [node.kind for node in graph.nodes if node.kind != "RESHAPE"] == ["CONV_2D"]
    assert Winograd(4, 1).regions(graph)


@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((1, 1, 30, 8), (8, 1, 3, 8), {}),
        ((1, 9, 9, 8), (8, 3, 3, 8), {"dilation": (2, 2)}),
        ((1, 9, 9, 8), (8, 1, 3, 8), {"dilation": (1, 2)}),
    ],
)
def test_pictures_and_what_is_not_dilated_are_left_alone(shape, kernel, options):
    assert FORM.regions(_graph(shape, kernel, **options)) == []
