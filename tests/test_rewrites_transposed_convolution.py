"""Transposed convolutions in other operators: parity over shapes, strides, kernels, paddings and sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.transposed_convolution import (
    NarrowTransposedConvolution,
    PixelTransposedConvolution,
    SplitTransposedConvolution,
)
from tests.rewriting import assert_same, graph_of, normal

FORMS = [
    NarrowTransposedConvolution(),
    SplitTransposedConvolution(),
    PixelTransposedConvolution(),
]


@st.composite
def transposed_convolutions(draw):
    high, wide = draw(st.sampled_from([(1, 7), (5, 1), (3, 4), (4, 3), (5, 5), (2, 6), (1, 1), (1, 1)]))
    stride = draw(
        st.sampled_from(
            [(1, 1), (2, 2), (2, 2), (1, 2), (2, 1), (3, 3), (1, 4), (4, 4), (2, 3), (3, 1), (1, 8), (5, 2)]
        )
    )
    kernel = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    less = tuple(draw(st.integers(0, s - 1)) for s in stride)
    sizes = [
        n * s - cut if padding == "SAME" else (n - 1) * s + max(k, s) - (cut if k <= s - cut else 0)
        for n, s, k, cut in zip((high, wide), stride, kernel, less, strict=True)
    ]
    inside, outside = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    biased, activation = draw(st.booleans()), draw(st.sampled_from(["NONE", "RELU", "RELU6"]))
    batch, seed = draw(st.sampled_from([1, 1, 2])), draw(st.integers(0, 99))
    behind = _behind(draw) if draw(st.booleans()) else (lambda _build, y: y)

    def make(build, x):
        rng = np.random.default_rng(seed)
        weights = normal(rng, (outside, *kernel, inside))
        bias = normal(rng, (outside,)) if biased else None
        y = build.transpose_conv(x, weights, bias, tuple(sizes), stride=stride, padding=padding, activation=activation)
        return behind(build, y)

    return graph_of((batch, high, wide, inside), make)


def _behind(draw):
    """Draw what pads and crops an output, as the PyTorch form of it does."""
    pads = ((0, 0), *(draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in range(2)), (0, 0))
    padded, cropped = draw(st.booleans()), draw(st.sampled_from(["no", "no", "slice", "strided slice"]))
    cut = [draw(st.integers(0, 2)) for _ in range(4)]

    def behind(build, y):
        y = build.pad(y, pads) if padded else y
        batch, high, wide, depth = y.shape
        up, left = min(cut[0], high - 1), min(cut[1], wide - 1)
        end = (batch, max(high - cut[2], up + 1), max(wide - cut[3], left + 1), depth)
        if cropped == "slice":
            return build.slice(y, (0, up, left, 0), (batch, end[1] - up, end[2] - left, depth))
        return build.strided_slice(y, (0, up, left, 0), end, (1, 1, 1, 1)) if cropped == "strided slice" else y

    return behind


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
@settings(max_examples=200, derandomize=True, deadline=None)
@given(graph=transposed_convolutions())
def test_the_other_form_computes_the_same(form, graph):
    assert_same(form, graph)


def _kinds(form, shape, kernel, stride, size):
    def make(build, x):
        weights = np.ones((3, *kernel, shape[3]), np.float32)
        return build.transpose_conv(x, weights, None, size, stride=stride, padding="SAME")

    graph = graph_of(shape, make)
    form.apply(graph, form.regions(graph)[0])
    return [node.kind for node in graph.nodes], graph


def test_a_kernel_of_four_and_stride_two_needs_no_idle_tap():
    kinds, graph = _kinds(FORMS[0], (1, 8, 8, 2), (4, 4), (2, 2), (16, 16))
    assert kinds == ["PAD", "CONV_2D", "DEPTH_TO_SPACE", "SLICE"]
    assert graph.nodes[1].input(1).shape == (12, 2, 2, 2)


def test_a_kernel_of_five_and_stride_two_needs_neither_pad_nor_crop():
    kinds, _ = _kinds(FORMS[0], (1, 8, 8, 2), (5, 5), (2, 2), (16, 16))
    assert kinds == ["CONV_2D", "DEPTH_TO_SPACE"]


def test_the_crop_behind_is_never_made():
    def make(build, x):
        """As PyTorch's kernel of 3, stride 2, padding 1, output padding 1."""
        y = build.transpose_conv(x, np.ones((3, 3, 3, 2), np.float32), None, (17, 17), stride=(2, 2), padding="VALID")
        return build.slice(y, (0, 1, 1, 0), (1, 16, 16, 3))

    graph = graph_of((1, 8, 8, 2), make)
    FORMS[1].apply(graph, FORMS[1].regions(graph)[0])
    assert "SLICE" not in [node.kind for node in graph.nodes]


def test_sound_is_interleaved_for_nothing():
    kinds, graph = _kinds(FORMS[0], (1, 1, 8, 2), (1, 24), (1, 8), (1, 64))
    assert kinds == ["CONV_2D", "RESHAPE"]
    assert graph.nodes[0].input(1).shape == (24, 1, 3, 2)


def test_a_first_layer_from_one_pixel_is_one_product():
    def make(build, x):
        return build.transpose_conv(x, np.ones((8, 4, 4, 5), np.float32), None, (4, 4), stride=(1, 1), padding="VALID")

    graph = graph_of((1, 1, 1, 5), make)
    FORMS[2].apply(graph, FORMS[2].regions(graph)[0])
    assert [node.kind for node in graph.nodes] == ["CONV_2D", "RESHAPE"]
    assert graph.nodes[0].input(1).shape == (128, 1, 1, 5)


def test_stride_one_is_an_ordinary_convolution():
    kinds, _ = _kinds(FORMS[0], (1, 8, 8, 2), (3, 3), (1, 1), (8, 8))
    assert kinds == ["CONV_2D"]


def test_weights_made_at_run_time_are_left_alone():
    def make(build, x):
        return build.transpose_conv(x, build.add(x, np.float32(1)), None, (8, 6), stride=(2, 2), padding="SAME")

    graph = graph_of((4, 4, 3, 2), make)
    assert [form.regions(graph) for form in FORMS] == [[], [], []]
