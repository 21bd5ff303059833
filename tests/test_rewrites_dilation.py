"""Dilated convolutions that are spelled with batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.dilation import know_dilation
from tests.rewriting import graph_of, normal, outputs_of


def _to_batches(build, x, block, pads):
    shape = list(x.shape)
    for axis, (size, (before, after)) in enumerate(zip(block, pads, strict=True), 1):
        shape[0] *= size
        shape[axis] = (shape[axis] + before + after) // size
    places = [np.array(block, np.int32), np.array(pads, np.int32)]
    return build.node("SPACE_TO_BATCH_ND", [x, *places], shape, option_class="SpaceToBatchNDOptions")


def _from_batches(build, x, block, crops):
    shape = list(x.shape)
    for axis, (size, (before, after)) in enumerate(zip(block, crops, strict=True), 1):
        shape[0] //= size
        shape[axis] = shape[axis] * size - before - after
    places = [np.array(block, np.int32), np.array(crops, np.int32)]
    return build.node("BATCH_TO_SPACE_ND", [x, *places], shape, option_class="BatchToSpaceNDOptions")


def _ends(draw, size, kernel, block, *, same):
    """Draw pads that make whole blocks, at least as many as are cropped, and leave something."""
    crops = [draw(st.integers(0, block - 1)), draw(st.integers(0, block - 1))]
    more = 0 if same else (kernel - 1) * block
    before = crops[0] + draw(st.integers(0, 3))
    after = crops[1] + max(0, more + crops[0] + crops[1] + 1 - size - before - crops[1])
    after += -(size + before + after) % block
    return (before, after), tuple(crops)


@st.composite
def pictures(draw):
    sizes = draw(st.sampled_from([(5, 7), (8, 6), (9, 9)]))
    block = draw(st.sampled_from([(2, 2), (3, 2), (1, 4), (2, 1)]))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    depthwise, same = draw(st.booleans()), draw(st.sampled_from([False, False, True]))
    parts = zip(sizes, kernel, block, strict=True)
    pads, crops = zip(*(_ends(draw, *part, same=same) for part in parts), strict=True)
    activation, seed = draw(st.sampled_from(["NONE", "RELU"])), draw(st.integers(0, 99))

    def make(build, x):
        rng = np.random.default_rng(seed)
        y = _to_batches(build, x, block, pads)
        add = build.depthwise_conv_2d if depthwise else build.conv_2d
        weights = normal(rng, (1, *kernel, 3) if depthwise else (4, *kernel, 3))
        bias = normal(rng, (weights.shape[3 if depthwise else 0],))
        y = add(y, weights, bias, padding="SAME" if same else "VALID", activation=activation)
        return _from_batches(build, y, block, crops)

    return graph_of((draw(st.integers(1, 2)), *sizes, 3), make)


@st.composite
def sounds(draw):
    size, block, taps = draw(st.integers(9, 20)), draw(st.integers(2, 4)), draw(st.integers(2, 3))
    pad, crop = _ends(draw, size, taps, block, same=False)
    upright, seed = draw(st.booleans()), draw(st.integers(0, 99))

    def make(build, x):
        rng = np.random.default_rng(seed)
        y = _to_batches(build, x, (block,), (pad,))
        batch, length, depth = y.shape
        y = build.reshape(y, (batch, length, 1, depth) if upright else (batch, 1, length, depth))
        y = build.conv_2d(y, normal(rng, (4, taps, 1, 3) if upright else (4, 1, taps, 3)))
        y = build.reshape(y, (batch, y.size // batch // 4, 4))
        return _from_batches(build, y, (block,), (crop,))

    return graph_of((1, size, 3), make)


@settings(max_examples=250, derandomize=True, deadline=None)
@given(graph=st.one_of(pictures(), sounds()))
def test_a_convolution_between_batches_is_a_dilated_one(graph):
    expected = outputs_of(graph)[0]
    assert know_dilation(graph)
    assert {node.kind for node in graph.nodes} <= {"PAD", "RESHAPE", "CONV_2D", "DEPTHWISE_CONV_2D"}
    assert not know_dilation(graph)
    found = outputs_of(graph)[0]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_strided_convolutions_and_other_blocks_behind_are_left_alone():
    def strided(build, x):
        y = _to_batches(build, x, (2, 2), ((0, 0), (0, 0)))
        y = build.conv_2d(y, np.ones((4, 1, 1, 3), np.float32), stride=(2, 2))
        return _from_batches(build, y, (2, 2), ((0, 0), (0, 0)))

    def other(build, x):
        y = _to_batches(build, x, (2, 2), ((0, 0), (0, 0)))
        y = build.conv_2d(y, np.ones((4, 1, 1, 3), np.float32))
        return _from_batches(build, y, (4, 1), ((0, 0), (0, 0)))

    assert not know_dilation(graph_of((1, 8, 8, 3), strided))
    assert not know_dilation(graph_of((1, 8, 8, 3), other))
