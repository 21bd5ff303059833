"""Nearest upsampling and a convolution in one: parity over factors, kernels, paddings and borders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.upsampled_convolution import (
    NarrowUpsampledConvolution,
    SplitUpsampledConvolution,
)
from tests.rewriting import assert_same, graph_of, normal

FORMS = [NarrowUpsampledConvolution(), SplitUpsampledConvolution()]


def _pads(draw, border, factor):
    if border == "none":
        return [(0, 0), (0, 0)]
    most = {"zeros": (3, 3), "reflected": tuple(f - 1 for f in factor), "symmetric": factor}[border]
    return [(draw(st.integers(0, end)), draw(st.integers(0, end))) for end in most]


@st.composite
def upsampled_convolutions(draw):
    sizes = draw(st.sampled_from([(3, 4), (4, 3), (5, 5), (2, 6), (1, 7)]))
    factor = draw(st.sampled_from([(2, 2), (2, 2), (3, 3), (4, 4), (1, 2), (2, 1), (2, 3), (1, 4)]))
    border = draw(st.sampled_from(["none", "none", "zeros", "reflected", "symmetric"]))
    if border in ("reflected", "symmetric") and sizes[0] == 1:
        sizes = (2, 7)
    pads = _pads(draw, border, factor)
    room = [n * f + sum(ends) for n, f, ends in zip(sizes, factor, pads, strict=True)]
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]))
    kernel = tuple(
        draw(st.integers(1, max(1, min(7, 1 + (size - 1) // spread))))
        for size, spread in zip(room, dilation, strict=True)
    )
    inside, outside = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    padding = "VALID" if border in ("reflected", "symmetric") else draw(st.sampled_from(["SAME", "VALID"]))
    biased, activation = draw(st.booleans()), draw(st.sampled_from(["NONE", "RELU", "RELU6"]))
    batch, seed, half_pixel = draw(st.sampled_from([1, 1, 2])), draw(st.integers(0, 99)), draw(st.booleans())

    def make(build, x):
        rng = np.random.default_rng(seed)
        size = (sizes[0] * factor[0], sizes[1] * factor[1])
        y = build.resize("RESIZE_NEAREST_NEIGHBOR", x, size, half_pixel=half_pixel)
        amounts = ((0, 0), *pads, (0, 0))
        if border == "zeros":
            y = build.pad(y, amounts)
        elif border != "none":
            y = build.mirror_pad(y, amounts, symmetric=border == "symmetric")
        return build.conv_2d(
            y,
            normal(rng, (outside, *kernel, inside)),
            normal(rng, (outside,)) if biased else None,
            dilation=dilation,
            padding=padding,
            activation=activation,
        )

    return graph_of((batch, *sizes, inside), make)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
@settings(max_examples=200, derandomize=True, deadline=None)
@given(graph=upsampled_convolutions())
def test_the_other_form_computes_the_same(form, graph):
    assert_same(form, graph)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(graph=upsampled_convolutions())
def test_every_such_convolution_is_found(graph):
    assert len(FORMS[0].regions(graph)) == 1


def _graph(kernel, factor=2, **options):
    def make(build, x):
        y = build.resize("RESIZE_NEAREST_NEIGHBOR", x, (8 * factor, 8 * factor))
        return build.conv_2d(y, np.ones((3, kernel, kernel, 2), np.float32), padding="SAME", **options)

    return graph_of((1, 8, 8, 2), make)


def test_of_nine_taps_four_remain():
    graph = _graph(3)
    FORMS[0].apply(graph, FORMS[0].regions(graph)[0])
    assert [node.kind for node in graph.nodes] == ["PAD", "CONV_2D", "DEPTH_TO_SPACE", "SLICE"]
    assert graph.nodes[1].input(1).shape == (12, 2, 2, 2)


def test_an_upsampling_that_others_read_and_a_strided_convolution_are_left_alone():
    graph = _graph(3)
    graph.outputs.append(graph.nodes[0].output)
    graph.output_names.append("z")
    assert [form.regions(graph) for form in FORMS] == [[], []]
    assert [form.regions(_graph(3, stride=(2, 2))) for form in FORMS] == [[], []]


def test_a_reflection_that_reaches_the_second_pixel_is_left_alone():
    def make(build, x):
        y = build.resize("RESIZE_NEAREST_NEIGHBOR", x, (8, 8))
        y = build.mirror_pad(y, ((0, 0), (2, 2), (2, 2), (0, 0)))
        return build.conv_2d(y, np.ones((3, 5, 5, 2), np.float32))

    assert FORMS[0].regions(graph_of((1, 4, 4, 2), make)) == []
