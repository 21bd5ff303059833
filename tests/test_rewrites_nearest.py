"""Nearest upsampling, however it is spelled, and in other operators."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.nearest import ConcatenatedNearest, MultipliedNearest, know_nearest
from tests.rewriting import assert_same, graph_of, outputs_of

FORMS = [ConcatenatedNearest(), MultipliedNearest()]


def _tile(build, x, amounts):
    shape = [size * count for size, count in zip(x.shape, amounts, strict=True)]
    return build.node("TILE", [x, np.array(amounts, np.int32)], shape, option_class="TileOptions")


def _keras(build, x, down, right):
    """One axis after the other, as `keras.layers.UpSampling2D`."""
    b, h, w, c = x.shape
    y = _tile(build, build.reshape(x, (b, h, 1, w, c)), (1, 1, down, 1, 1))
    y = _tile(build, build.reshape(y, (b, h * down, w, 1, c)), (1, 1, 1, right, 1))
    return build.reshape(y, (b, h * down, w * right, c))


def _at_once(build, x, down, right):
    b, h, w, c = x.shape
    y = _tile(build, build.reshape(x, (b, h, 1, w, 1, c)), (1, 1, down, 1, right, 1))
    return build.reshape(y, (b, h * down, w * right, c))


def _stacked(build, x, down, right):
    b, h, w, c = x.shape
    y = build.concatenate([x] * right, 3)
    y = build.concatenate([build.reshape(y, (b, h, 1, w * right * c))] * down, 2)
    return build.reshape(y, (b, h * down, w * right, c))


def _gathered(build, x, down, right):
    """As PyTorch's upsampling of a sequence, axis by axis, through channels first."""
    y = build.transpose(x, (0, 3, 1, 2))
    for axis, factor in ((2, down), (3, right)):
        where = np.arange(y.shape[axis]).repeat(factor).astype(np.int32)
        shape = [len(where) if place == axis else size for place, size in enumerate(y.shape)]
        y = build.node("GATHER", [y, where], shape, option_class="GatherOptions", axis=axis, batchDims=0)
    return build.transpose(y, (0, 2, 3, 1))


def _gathered_first(build, x, down, right):
    b, h, w, c = x.shape
    y = build.transpose(x, (1, 0, 2, 3))
    where = np.arange(h).repeat(down).astype(np.int32)[:, None]
    y = build.node("GATHER_ND", [y, where], (h * down, b, w, c), option_class="GatherNdOptions")
    return _keras(build, build.transpose(y, (1, 0, 2, 3)), 1, right)


def _shuffled(build, x, down, right):
    if down == 1:
        return _resized(build, x, down, right)
    y = build.depth_to_space(build.concatenate([x] * down**2, 3), down)
    return y if right == 1 else _resized(build, y, 1, right)


def _resized(build, x, down, right):
    return build.resize("RESIZE_NEAREST_NEIGHBOR", x, (x.shape[1] * down, x.shape[2] * right), half_pixel=True)


SPELLINGS = [_keras, _at_once, _stacked, _gathered, _gathered_first, _shuffled]


@st.composite
def pictures(draw):
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    factors = draw(st.sampled_from([(2, 2), (1, 2), (2, 1), (3, 3), (2, 3), (4, 1), (4, 4)]))
    return shape, factors


@settings(max_examples=300, derandomize=True, deadline=None)
@given(picture=pictures(), spelling=st.sampled_from(SPELLINGS))
def test_every_spelling_is_known(picture, spelling):
    shape, (down, right) = picture
    graph = graph_of(shape, lambda build, x: spelling(build, x, down, right))
    expected, before = outputs_of(graph)[0], len(graph.nodes)
    changed = know_nearest(graph)
    assert changed == (len(graph.nodes) < before)
    assert sum(node.kind == "RESIZE_NEAREST_NEIGHBOR" for node in graph.nodes) == 1
    assert {node.kind for node in graph.nodes} <= {"RESIZE_NEAREST_NEIGHBOR", "RESHAPE"}
    assert not know_nearest(graph)
    assert np.array_equal(outputs_of(graph)[0], expected)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
@settings(max_examples=200, derandomize=True, deadline=None)
@given(picture=pictures())
def test_the_other_form_computes_the_same(form, picture):
    shape, (down, right) = picture
    assert_same(form, graph_of(shape, lambda build, x: _resized(build, x, down, right)), tolerance=0)


def test_a_sequence_is_a_picture_one_high():
    def make(build, x):
        y = _tile(build, build.reshape(x, (1, 8, 1, 4)), (1, 1, 3, 1))
        return build.reshape(y, (1, 24, 4))

    graph = graph_of((1, 8, 4), make)
    expected = outputs_of(graph)[0]
    assert know_nearest(graph)
    assert [node.kind for node in graph.nodes] == ["RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "RESHAPE"]
    assert np.array_equal(outputs_of(graph)[0], expected)


def test_what_is_moved_on_afterwards_is_known_nevertheless():
    graph = graph_of((1, 3, 4, 2), lambda build, x: build.transpose(_keras(build, x, 2, 2), (0, 3, 1, 2)))
    expected = outputs_of(graph)[0]
    assert know_nearest(graph)
    assert [node.kind for node in graph.nodes] == ["RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE"]
    assert not know_nearest(graph)
    assert np.array_equal(outputs_of(graph)[0], expected)


def test_what_tiles_whole_pictures_or_only_moves_is_left_alone():
    for make in (
        lambda build, x: _tile(build, x, (1, 2, 2, 1)),
        lambda build, x: build.concatenate([x, x], 3),
        lambda build, x: build.transpose(x, (0, 2, 1, 3)),
        lambda build, x: build.depth_to_space(x, 2),
        lambda build, x: build.reshape(x, (1, 3, 5, 4)),
    ):
        graph = graph_of((1, 5, 3, 4), make)
        assert not know_nearest(graph)
        assert len(graph.nodes) == 1


def test_a_way_that_others_read_from_is_known_and_kept_for_them():
    def make(build, x):
        return _keras(build, x, 2, 2)

    graph = graph_of((1, 3, 3, 2), make)
    graph.outputs.append(graph.nodes[1].output)
    graph.output_names.append("z")
    expected = outputs_of(graph)
    assert know_nearest(graph)
    for found, wanted in zip(outputs_of(graph), expected, strict=True):
        assert np.array_equal(found, wanted)


def test_whole_numbers_stay_as_runtimes_run_them():
    def make(build, x):
        y = build.node("CAST", [x], x.shape, option_class="CastOptions", dtype="INT64", inDataType=0, outDataType=4)
        return _keras(build, y, 2, 2)

    assert not know_nearest(graph_of((1, 3, 3, 2), make))
