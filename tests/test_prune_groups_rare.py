"""Channels through what few generators hold: volumes, sorted and summed axes, numbers told by places."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_aigc.converters.ir import Builder, Graph, Value, constant
from edge_aigc.converters.ir.windows import window_options
from edge_aigc.converters.prune.groups import channel_groups
from tests.pruning import CASES, assert_cut_is_zeroed, conv, random_masks
from tests.rewriting import graph_of, normal

_VOLUME = {**window_options((1, 1), (1, 1), "SAME", "NONE"), "strideD": 1, "dilationDFactor": 1}


def _volumes(build, x, rng):
    """A convolution of three axes and a transposed one."""
    depth = int(rng.integers(2, 6))
    options = {"option_class": "Conv3DOptions", **_VOLUME}
    kernel = normal(rng, (2, 2, 2, x.shape[4], depth))
    y = build.node("CONV_3D", [x, kernel, normal(rng, (depth,))], (*x.shape[:4], depth), **options)
    up = normal(rng, (2, 2, 2, 3, depth))
    shape = (1, *(2 * n for n in x.shape[1:4]), 3)
    options |= {"strideD": 2, "strideW": 2, "strideH": 2}
    return build.node(
        "CONV_3D_TRANSPOSE", [constant(np.array(shape, np.int32)), up, y], shape, dtype="FLOAT32", **options
    )


@CASES
@given(seed=st.integers(0, 99999), steps=st.integers(1, 2))
def test_what_is_cut_from_volumes_equals_what_is_zeroed(seed, steps):
    rng = np.random.default_rng(seed)

    def make(build, x):
        for _ in range(steps):
            x = build.unary("TANH", _volumes(build, x, rng))
        return build.slice(_volumes(build, x, rng), (0,) * 5, (1, 2, 2, 2, 3))

    graph = graph_of((1, 1, 2, 1, 2), make)
    assert channel_groups(graph)[0].multiplications > 0
    assert_cut_is_zeroed(graph, random_masks(graph, rng))


def _told(build, x, rng):
    """The row of the largest, as ones and zeros, multiplies what is cumulated along rows."""
    del rng
    _, high, wide, depth = x.shape
    where = build.node("ARG_MAX", [x, np.array(1, np.int32)], (1, wide, depth), dtype="INT32",
                       option_class="ArgMaxOptions", outputType=2)  # fmt: skip
    numbers = [np.array(high, np.int32), np.float32(1), np.float32(0)]
    told = build.node("ONE_HOT", [where, *numbers], (1, wide, depth, high), dtype="FLOAT32",
                      option_class="OneHotOptions", axis=-1)  # fmt: skip
    run = build.node("CUMSUM", [x, np.array(1, np.int32)], x.shape, option_class="CumsumOptions")
    return build.mul(build.transpose(told, (0, 3, 1, 2)), run)


def _scattered(build, x, rng):
    """Rows put at other places of a larger map, then written over another."""
    _, high, wide, depth = x.shape
    places = rng.permutation(high + 1)[:high].astype(np.int32).reshape(-1, 1)
    shape = np.array((high + 1, wide, depth), np.int32)
    rows = build.reshape(x, (high, wide, depth))
    put = build.node("SCATTER_ND", [places, rows, shape], shape, dtype="FLOAT32", option_class="ScatterNdOptions")
    other = conv(build, build.pad(x, [(0, 0), (1, 1), (0, 0), (0, 0)]), rng, depth)
    at = np.array([0, int(rng.integers(2)), 0, 0], np.int32)
    return build.node("DYNAMIC_UPDATE_SLICE", [other, build.reshape(put, (1, high + 1, wide, depth)), at], other.shape)


def _best(build, x, rng):
    """The best two of each row of places; channels are turned in front of them."""
    del rng
    _, high, _, depth = x.shape
    y = build.transpose(x, (0, 1, 3, 2))
    best = build.node("TOPK_V2", [y, np.array(2, np.int32)], (1, high, depth, 2), option_class="TopKV2Options")
    made = Value(name="places", shape=best.shape, dtype="INT32", producer=best.producer)
    best.producer.outputs.append(made)
    return build.transpose(best, (0, 1, 3, 2))


@CASES
@given(steps=st.lists(st.sampled_from([_told, _scattered, _best]), min_size=1, max_size=3), seed=st.integers(0, 9999))
def test_what_is_cut_beside_numbered_places_equals_what_is_zeroed(steps, seed):
    rng = np.random.default_rng(seed)

    def make(build, x):
        y = conv(build, x, rng, 5)
        for step in steps:
            y = conv(build, step(build, y, rng), rng, 4)
        return conv(build, y, rng, 2)

    graph = graph_of((1, 3, 4, 3), make)
    assert_cut_is_zeroed(graph, random_masks(graph, rng))


def test_channels_that_are_numbered_or_counted_stay_and_that_is_said():
    rng, words = np.random.default_rng(0), {}
    for kind in ("ARG_MAX", "CUMSUM", "TOPK_V2", "SHAPE", "LOCAL_RESPONSE_NORMALIZATION"):
        x = Value(name="x", shape=(1, 4, 4, 3))
        graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
        build = Builder(graph)
        y = conv(build, x, rng, 4)
        shape = {"ARG_MAX": (1, 4, 4), "TOPK_V2": (1, 4, 4, 2), "SHAPE": (4,)}.get(kind, y.shape)
        graph.outputs = [build.node(kind, [y, np.array(3 if kind != "TOPK_V2" else 2, np.int32)], shape)]
        words[kind] = channel_groups(graph)[0].refused
    assert words["ARG_MAX"] == "ARG_MAX tells its places"
    assert words["SHAPE"] == "SHAPE works with its size"
    assert words["CUMSUM"] == "'y' is an output of the graph"
    assert words["TOPK_V2"] == "TOPK_V2 tells its places"
    assert words["LOCAL_RESPONSE_NORMALIZATION"] == "'y' is an output of the graph"
