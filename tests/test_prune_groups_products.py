"""Channels of convolutions and dense layers: what is cut equals what is zeroed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_aigc.converters.prune.groups import channel_groups
from tests.pruning import CASES, assert_cut_is_zeroed, chained, conv, cuttable, halves, random_masks
from tests.rewriting import graph_of, normal

ACTIVATIONS = ("NONE", "RELU", "RELU6", "TANH")


def _conv(build, x, rng):
    size, stride, dilation = rng.choice([1, 3, 5]), rng.integers(1, 3), 1
    if stride == 1:
        dilation = int(rng.integers(1, 3))
    step = {"stride": (int(stride),) * 2, "dilation": (dilation,) * 2}
    return conv(build, x, rng, int(rng.integers(2, 7)), size=int(size), activation=rng.choice(ACTIVATIONS), **step)


def _grouped(build, x, rng):
    groups = int(rng.choice([n for n in (1, 2, 3, 4) if x.shape[3] % n == 0]))
    return conv(build, x, rng, groups * int(rng.integers(1, 4)), groups=groups)


def _depthwise(build, x, rng):
    size, times = int(rng.choice([1, 3])), int(rng.integers(1, 4))
    depth = x.shape[3] * times
    return build.depthwise_conv_2d(x, normal(rng, (1, size, size, depth)), normal(rng, (depth,)), padding="SAME")


def _transposed(build, x, rng):
    kernel = normal(rng, (int(rng.integers(2, 6)), 3, 3, x.shape[3])) / np.float32(3)
    bias = normal(rng, kernel.shape[:1]) if rng.integers(2) else None
    size = (2 * x.shape[1], 2 * x.shape[2])
    return build.transpose_conv(x, kernel, bias, size, stride=(2, 2), padding="SAME")


def _residual(build, x, rng):
    return build.add(x, conv(build, x, rng, x.shape[3], activation="RELU"), activation=rng.choice(ACTIVATIONS[:3]))


def _dense_block(build, x, rng):
    grown = build.concatenate([x, conv(build, x, rng, 3, activation="RELU")], 3)
    return build.concatenate([grown, conv(build, grown, rng, 2)], 3)


def _dense_map(build, x, rng):
    high, wide, depth = (int(n) for n in rng.integers(1, 4, 3))
    flat = build.reshape(x, (1, x.size))
    weights = normal(rng, (high * wide * depth, x.size)) / np.float32(x.size**0.5)
    dense = build.fully_connected(flat, weights, normal(rng, weights.shape[:1]), activation="RELU")
    return build.reshape(dense, (1, high, wide, depth))


def _pointwise_dense(build, x, rng):
    weights = normal(rng, (int(rng.integers(2, 6)), x.shape[3]))
    return build.fully_connected(x, weights, None, keep_dims=True)


MENU = {
    "conv": _conv,
    "grouped": _grouped,
    "depthwise": _depthwise,
    "transposed": _transposed,
    "residual": _residual,
    "dense block": _dense_block,
    "dense map": _dense_map,
    "pointwise dense": _pointwise_dense,
}


@CASES
@given(steps=st.lists(st.sampled_from(sorted(MENU)), min_size=1, max_size=4), seed=st.integers(0, 9999))
def test_what_is_cut_from_convolutional_nets_equals_what_is_zeroed(steps, seed):
    graph = chained(steps, MENU, seed)
    assert_cut_is_zeroed(graph, random_masks(graph, np.random.default_rng(seed)))


def test_the_picture_that_a_net_makes_is_not_cut_and_that_is_said():
    graph = graph_of(
        (1, 4, 4, 3),
        lambda build, x: conv(build, conv(build, x, np.random.default_rng(0), 8), np.random.default_rng(0), 3),
    )
    first, last = channel_groups(graph)
    assert (first.units, first.refused) == (8, "")
    assert last.refused == "'y' is an output of the graph"
    assert first.producers == ("CONV_2D conv_2d",)
    assert first.consumers == ("CONV_2D conv_2d_1",)


def test_a_residual_and_what_it_is_added_to_are_one_group():
    rng = np.random.default_rng(0)
    graph = graph_of((1, 4, 4, 3), lambda build, x: conv(build, _residual(build, conv(build, x, rng, 6), rng), rng, 2))
    (group,) = cuttable(graph).values()
    assert group.units == 6
    assert len(group.producers) == 2
    assert group.through == ("ADD",)


@pytest.mark.parametrize(("groups", "each", "units"), [(4, 2, [4]), (2, 3, [3, 3])])
def test_of_convolutions_in_groups_whole_groups_go_or_the_same_places_in_few(groups, each, units):
    rng, depth = np.random.default_rng(0), groups * each

    def make(build, x):
        return conv(build, conv(build, conv(build, x, rng, depth), rng, depth, groups=groups), rng, 2)

    graph = graph_of((1, 4, 4, 3), make)
    assert [group.units for group in cuttable(graph).values()] == units
    assert_cut_is_zeroed(graph, halves(graph))


def test_half_the_channels_on_both_sides_are_a_quarter_of_the_multiplications():
    rng = np.random.default_rng(0)

    def make(build, x):
        for _ in range(3):
            x = conv(build, x, rng, 16)
        return conv(build, x, rng, 2)

    graph = graph_of((1, 4, 4, 3), make)
    middle = channel_groups(graph)[1]
    assert middle.multiplications == 2 * 16 * 16 * 16 * 9
    smaller = assert_cut_is_zeroed(graph, halves(graph))
    assert channel_groups(smaller)[1].multiplications == middle.multiplications // 4
