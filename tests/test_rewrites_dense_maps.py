from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.dense_maps import DenseMap
from tests.rewriting import assert_same, graph_of, normal, outputs_of


@st.composite
def convolutions(draw):
    kernel = (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    dilation = (1, 1) if stride != (1, 1) else (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    return {
        "size": (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        "channels": (draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "padding": draw(st.sampled_from(["SAME", "VALID"])),
        "pad": draw(st.sampled_from([None, (1, 1), (0, 2)])),
        "activation": draw(st.sampled_from(["NONE", "RELU"])),
    }


def _convolution(build, x, case):
    rng = np.random.default_rng(2)
    taken, made = case["channels"]
    if case["pad"]:
        x = build.pad(x, [(0, 0), case["pad"], case["pad"], (0, 0)])
    reach = [(k - 1) * d + 1 for k, d in zip(case["kernel"], case["dilation"], strict=True)]
    fits = all(size >= needed for size, needed in zip(x.shape[1:3], reach, strict=True))
    return build.conv_2d(
        x, normal(rng, (made, *case["kernel"], taken)), normal(rng, (made,)), stride=case["stride"],
        dilation=case["dilation"], padding=case["padding"] if fits else "SAME", activation=case["activation"],
    )  # fmt: skip


def _transposed(build, x, case):
    rng = np.random.default_rng(2)
    taken, made = case["channels"]
    sizes = zip(x.shape[1:3], case["kernel"], case["stride"], strict=True)
    valid = case["padding"] == "VALID"
    size = tuple((n - 1) * s + max(k, s) if valid else n * s for n, k, s in sizes)
    return build.transpose_conv(
        x, normal(rng, (made, *case["kernel"], taken)), normal(rng, (made,)), size=size, stride=case["stride"],
        padding=case["padding"],
    )  # fmt: skip


@settings(max_examples=300, derandomize=True, deadline=None)
@given(case=convolutions())
def test_a_convolution_of_few_pixels_is_a_dense_layer(case):
    shape = (1, *case["size"], case["channels"][0])
    assert_same(DenseMap(), graph_of(shape, lambda build, x: _convolution(build, x, case)))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(case=convolutions())
def test_so_is_a_transposed_one(case):
    shape = (1, *case["size"], case["channels"][0])
    assert_same(DenseMap(), graph_of(shape, lambda build, x: _transposed(build, x, case)))


def test_the_first_layer_of_a_generator_multiplies_by_every_weight_once():
    case = {"channels": (5, 6), "kernel": (4, 4), "stride": (1, 1), "padding": "VALID"}
    graph = graph_of((1, 1, 1, 5), lambda build, x: _transposed(build, x, case))
    expected, form = outputs_of(graph)[0], DenseMap()
    (region,) = form.regions(graph)
    form.apply(graph, region)
    (dense,) = (node for node in graph.nodes if node.kind == "FULLY_CONNECTED")
    assert dense.input(1).shape == (4 * 4 * 6, 5)
    assert np.abs(outputs_of(graph)[0] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_maps_whose_matrix_would_be_large_are_left_alone():
    case = {"channels": (2, 2), "kernel": (3, 3), "stride": (1, 1), "padding": "SAME"}
    assert not DenseMap().regions(graph_of((1, 4, 4, 2), lambda build, x: _transposed(build, x, case)))
