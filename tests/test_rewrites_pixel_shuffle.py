"""Blocks of pixels from channels and back, however they are spelled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.pixel_shuffle import know_pixel_shuffle
from tests.normalizing import normalized
from tests.rewriting import graph_of, normal, outputs_of


def _torch_shuffle(build, x, block):
    """As `torch.nn.PixelShuffle` between channels last: six axes, or four at a time."""
    b, h, w, d = x.shape
    c = d // block**2
    y = build.transpose(x, (0, 3, 1, 2))
    y = build.transpose(build.reshape(y, (b, c, block, block, h, w)), (0, 1, 4, 2, 5, 3))
    return build.transpose(build.reshape(y, (b, c, h * block, w * block)), (0, 2, 3, 1))


def _tf_shuffle(build, x, block):
    b, h, w, d = x.shape
    c = d // block**2
    y = build.transpose(build.reshape(x, (b, h, w, block, block, c)), (0, 1, 3, 2, 4, 5))
    return build.reshape(y, (b, h * block, w * block, c))


def _torch_unshuffle(build, x, block):
    b, h, w, c = x.shape
    y = build.transpose(x, (0, 3, 1, 2))
    y = build.reshape(y, (b, c, h // block, block, w // block, block))
    y = build.reshape(build.transpose(y, (0, 1, 3, 5, 2, 4)), (b, c * block**2, h // block, w // block))
    return build.transpose(y, (0, 2, 3, 1))


def _tf_unshuffle(build, x, block):
    b, h, w, c = x.shape
    y = build.transpose(build.reshape(x, (b, h // block, block, w // block, block, c)), (0, 1, 3, 2, 4, 5))
    return build.reshape(y, (b, h // block, w // block, c * block**2))


@st.composite
def nets(draw):
    block, shape = (
        draw(st.sampled_from([2, 2, 3, 4])),
        (draw(st.integers(1, 2)), *draw(st.sampled_from([(2, 3), (3, 2)]))),
    )
    channels, torch, back = draw(st.integers(1, 3)), draw(st.booleans()), draw(st.booleans())
    activation, fused = draw(st.sampled_from([None, "RELU", "TANH"])), draw(st.sampled_from(["NONE", "RELU"]))
    biased, seed = draw(st.booleans()), draw(st.integers(0, 99))

    def shuffle(build, x):
        rng = np.random.default_rng(seed)
        count = channels * block**2
        bias = normal(rng, (count,)) if biased else None
        y = build.conv_2d(x, normal(rng, (count, 2, 2, 2)), bias, padding="SAME", activation=fused)
        y = build.unary(activation, y) if activation else y
        return (_torch_shuffle if torch else _tf_shuffle)(build, y, block)

    def unshuffle(build, x):
        rng = np.random.default_rng(seed)
        y = (_torch_unshuffle if torch else _tf_unshuffle)(build, x, block)
        return build.conv_2d(y, normal(rng, (3, 2, 2, y.shape[3])), padding="SAME")

    if back:
        big = (shape[0], shape[1] * block, shape[2] * block, channels)
        return graph_of(big, unshuffle), "SPACE_TO_DEPTH"
    return graph_of((*shape, 2), shuffle), "DEPTH_TO_SPACE"


@settings(max_examples=250, derandomize=True, deadline=None)
@given(net=nets())
def test_every_spelling_becomes_one_operator(net):
    graph, kind = net
    expected = outputs_of(graph)[0]
    assert know_pixel_shuffle(graph)
    kinds = {node.kind for node in graph.nodes}
    assert kind in kinds
    assert kinds <= {kind, "CONV_2D", "RELU", "TANH"}
    assert not know_pixel_shuffle(graph)
    found = outputs_of(graph)[0]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_channels_that_no_convolution_can_put_in_order_are_left_alone():
    graph = graph_of((1, 3, 4, 8), lambda build, x: _torch_shuffle(build, x, 2))
    assert not know_pixel_shuffle(graph)


def test_a_convolution_that_others_read_keeps_its_order():
    def make(build, x):
        y = build.conv_2d(x, normal(np.random.default_rng(0), (8, 3, 3, 2)), padding="SAME")
        return _torch_shuffle(build, y, 2)

    graph = graph_of((1, 3, 4, 2), make)
    graph.outputs.append(graph.nodes[0].output)
    graph.output_names.append("z")
    assert not know_pixel_shuffle(graph)


def test_a_transpose_is_no_shuffle():
    graph = graph_of((1, 4, 4, 4), lambda build, x: build.transpose(build.reshape(x, (1, 2, 8, 4)), (0, 2, 1, 3)))
    assert not know_pixel_shuffle(graph)


@pytest.mark.parametrize("read", [1, 2])
def test_what_others_read_on_the_way_keeps_its_order(read):
    def make(build, x):
        y = build.conv_2d(x, normal(np.random.default_rng(0), (8, 1, 1, 2)))
        y = build.transpose(build.reshape(y, (1, 3, 4, 2, 2, 2)), (0, 1, 4, 2, 5, 3))
        return build.reshape(y, (1, 6, 8, 2))

    graph = graph_of((1, 3, 4, 2), make)
    graph.outputs.append(graph.nodes[read].output)
    graph.output_names.append("z")
    normalized(graph, know_pixel_shuffle)


def test_what_is_no_picture_stays_as_runtimes_run_it():
    def make(build, x):
        y = build.node("GREATER", [x, np.float32(0)], x.shape, dtype="BOOL")
        return _tf_shuffle(build, y, 2)

    assert not know_pixel_shuffle(graph_of((1, 3, 4, 8), make))
