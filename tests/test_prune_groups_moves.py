"""Channels reshaped, transposed, moved to places and back, repeated and looked up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_aigc.converters.ir import Builder, Graph, Value
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.groups import channel_groups
from tests.pruning import CASES, assert_cut_is_zeroed, chained, conv, cuttable, halves, random_masks, remembering
from tests.rewriting import graph_of, normal


def _depth_to_space(build, x, rng):
    return build.depth_to_space(conv(build, x, rng, 4 * int(rng.integers(1, 4))), 2)


def _space_to_depth(build, x, rng):
    del rng
    return build.space_to_depth(x, 2) if not (x.shape[1] % 2 or x.shape[2] % 2) else x


def _shuffled(build, x, rng):
    """Pixel shuffle as PyTorch's exporters write it: six axes, channels first."""
    depth, (_, high, wide, _) = int(rng.integers(1, 4)), x.shape
    y = build.transpose(conv(build, x, rng, 4 * depth), (0, 3, 1, 2))
    y = build.transpose(build.reshape(y, (1, depth, 2, 2, high, wide)), (0, 1, 4, 2, 5, 3))
    return build.transpose(build.reshape(y, (1, depth, 2 * high, 2 * wide)), (0, 2, 3, 1))


def _channel_shuffle(build, x, rng):
    groups = int(rng.choice([n for n in range(1, x.shape[3] + 1) if x.shape[3] % n == 0]))
    y = build.reshape(x, (*x.shape[:3], groups, x.shape[3] // groups))
    return build.reshape(build.transpose(y, (0, 1, 2, 4, 3)), x.shape)


def _gathered(build, x, rng):
    places = rng.integers(0, x.shape[3], int(rng.integers(1, 6))).astype(np.int32)
    return build.node("GATHER", [x, places], (*x.shape[:3], places.size), option_class="GatherOptions", axis=3)


def _rows(build, x, rng):
    """To rows of channels, dense, and back."""
    _, high, wide, depth = x.shape
    rows = build.reshape(x, (high * wide, depth))
    weights = normal(rng, (int(rng.integers(2, 6)), depth))
    return build.reshape(build.fully_connected(rows, weights, None), (1, high, wide, weights.shape[0]))


def _sound(build, x, rng):
    """A convolution along one axis, as 1-D ones are written."""
    _, high, wide, depth = x.shape
    y = build.reshape(build.reshape(x, (1, high * wide, depth)), (1, 1, high * wide, depth))
    y = build.conv_2d(y, normal(rng, (4, 1, 3, depth)), normal(rng, (4,)), padding="SAME")
    return build.reshape(y, (1, high, wide, 4))


def _refolded(build, x, rng):
    """Through a shape that shares no axis with the maps."""
    del rng
    other = (1, x.size // 2, 2) if x.size % 2 == 0 else (1, x.size)
    return build.reshape(build.unary("TANH", build.reshape(x, other)), x.shape)


def _unit_axes(build, x, rng):
    del rng
    y = build.node("EXPAND_DIMS", [x, np.array(1, np.int32)], (1, 1, *x.shape[1:]), option_class="ExpandDimsOptions")
    y = build.unary("RELU", y)
    return build.node("SQUEEZE", [y], x.shape, option_class="SqueezeOptions", squeezeDims=[1])


def _reversed(build, x, rng):
    axes = np.array([int(rng.integers(1, 4))], np.int32)
    return build.add(x, build.node("REVERSE_V2", [x, axes], x.shape, option_class="ReverseV2Options"))


def _resized(build, x, rng):
    kind = str(rng.choice(["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"]))
    return build.resize(kind, x, (x.shape[1] + 2, x.shape[2] * 2))


def _pooled(build, x, rng):
    kind = str(rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    sizes = {"filterHeight": 2, "filterWidth": 2, "strideH": 1, "strideW": 1, "padding": 0}
    return build.node(kind, [x], x.shape, option_class="Pool2DOptions", **sizes)


def _blocks(build, x, rng):
    """A dilated convolution as TensorFlow 1 writes it."""
    if x.shape[1] % 2 or x.shape[2] % 2:
        return x
    sizes = np.array([2, 2], np.int32)
    none = np.zeros((2, 2), np.int32)
    shape = (4, x.shape[1] // 2, x.shape[2] // 2, x.shape[3])
    y = build.node("SPACE_TO_BATCH_ND", [x, sizes, none], shape, option_class="SpaceToBatchNDOptions")
    y = conv(build, y, rng, 4)
    return build.node(
        "BATCH_TO_SPACE_ND", [y, sizes, none], (1, *x.shape[1:3], 4), option_class="BatchToSpaceNDOptions"
    )


def _tiled(build, x, rng):
    times = np.array([1, 1, int(rng.integers(1, 3)), int(rng.integers(1, 3))], np.int32)
    return build.node("TILE", [x, times], np.multiply(x.shape, times), option_class="TileOptions")


def _spread(build, x, rng):
    """One number a channel, broadcast to the map it is added to; and a map of one channel, tiled."""
    pooled = build.reduce("MEAN", x, (1, 2))
    shape = np.array(x.shape, np.int32)
    wide = build.node("BROADCAST_TO", [pooled, shape], x.shape, option_class="BroadcastToOptions")
    one = conv(build, x, rng, 1)
    copies = np.array([1, 1, 1, x.shape[3]], np.int32)
    return build.mul(build.add(x, wide), build.node("TILE", [one, copies], x.shape, option_class="TileOptions"))


MENU = {
    "depth to space": _depth_to_space,
    "space to depth": _space_to_depth,
    "pixel shuffle": _shuffled,
    "channel shuffle": _channel_shuffle,
    "gathered": _gathered,
    "rows": _rows,
    "sound": _sound,
    "refolded": _refolded,
    "unit axes": _unit_axes,
    "reversed": _reversed,
    "resized": _resized,
    "pooled": _pooled,
    "blocks": _blocks,
    "tiled": _tiled,
    "spread": _spread,
    "conv": lambda build, x, rng: conv(build, x, rng, 6, activation="RELU"),
}


@CASES
@given(steps=st.lists(st.sampled_from(sorted(MENU)), min_size=1, max_size=4), seed=st.integers(0, 9999))
def test_what_is_cut_from_moved_channels_equals_what_is_zeroed(steps, seed):
    graph = chained(steps, MENU, seed)
    assert_cut_is_zeroed(graph, random_masks(graph, np.random.default_rng(seed)))


def _tokens(seed):
    """A sentence: embeddings of words and places, some steps, a choice by the first token."""
    rng = np.random.default_rng(seed)
    token = Value(name="token", shape=(1, 3), dtype="INT32")
    graph = Graph(inputs=[token], outputs=[], nodes=[], input_names=["token"], output_names=["y"])
    build, width = Builder(graph), int(rng.integers(2, 7))
    table, places = normal(rng, (5, width)), normal(rng, (3, width))
    known = build.node("GATHER", [table, token], (1, 3, width), option_class="GatherOptions", dtype="FLOAT32", axis=0)
    x = build.add(known, places)
    rows = build.node("EMBEDDING_LOOKUP", [build.reshape(token, (3,)), normal(rng, (5, width))], (3, width))
    rows.dtype = "FLOAT32"
    x = build.mul(x, build.reshape(rows, (1, 3, width)))
    picked = build.node(
        "GATHER_ND", [x, np.array([[0, 1], [0, 2]], np.int32)], (2, width), option_class="GatherNdOptions"
    )
    low = build.node("LESS", [token, np.array(2, np.int32)], (1, 3), option_class="LessOptions", dtype="BOOL")
    first = build.slice(low, (0, 0), (1, 2))
    chosen = build.node(
        "SELECT", [build.reshape(first, (2,)), picked, build.unary("NEG", picked)], (2, width),
        option_class="SelectOptions", dtype="FLOAT32",
    )  # fmt: skip
    hidden = build.fully_connected(chosen, normal(rng, (4, width)), normal(rng, (4,)), activation="RELU")
    graph.outputs = [build.unary("TANH", build.fully_connected(hidden, normal(rng, (3, 4)), None))]
    return graph


@CASES
@given(seed=st.integers(0, 99999))
def test_what_is_cut_from_embeddings_equals_what_is_zeroed(seed):
    graph = _tokens(seed)
    groups = cuttable(graph)
    assert [group.units for group in groups.values()][1:] == [4]
    assert_cut_is_zeroed(graph, random_masks(graph, np.random.default_rng(seed)), seed=seed)


@pytest.mark.parametrize(("block", "units"), [(2, 3), (3, 2)])
def test_all_channels_that_go_to_one_after_depth_to_space_are_one_unit(block, units):
    rng = np.random.default_rng(0)
    graph = graph_of(
        (1, 2, 2, 3),
        lambda build, x: conv(build, build.depth_to_space(conv(build, x, rng, units * block**2), block), rng, 2),
    )
    (group,) = cuttable(graph).values()
    assert group.units == units
    assert {member.places.shape for member in group.members} == {(units, block**2), (units, 1)}
    assert_cut_is_zeroed(graph, halves(graph))


def test_a_dense_layer_before_maps_has_a_unit_for_each_channel():
    rng = np.random.default_rng(0)

    def make(build, x):
        dense = build.fully_connected(x, normal(rng, (4 * 4 * 6, 5)), None)
        return conv(build, build.reshape(dense, (1, 4, 4, 6)), rng, 2)

    graph = graph_of((1, 5), make)
    (group,) = cuttable(graph).values()
    assert group.units == 6
    smaller = assert_cut_is_zeroed(graph, halves(graph))
    assert channel_groups(smaller)[0].units == 3


def test_channels_of_a_state_go_with_what_feeds_it_and_stay_where_nothing_does():
    graph = remembering()
    inner, fed, _ = channel_groups(graph)
    assert (inner.units, inner.refused) == (3, "")
    assert (fed.units, fed.refused) == (6, "")
    assert [value.shape for value in cut(graph, halves(graph)).inputs] == [(1, 4), (1, 3)]
    graph.output_names = ["y", "left"]
    assert channel_groups(graph)[1].refused == "'h' is an input of the graph"
    assert channel_groups(graph, states={"h": "left"})[1].refused == ""
    *_, y = channel_groups(graph, states={"h": "y"})
    assert y.refused == "the state 'h' is fed by what is of another shape"
