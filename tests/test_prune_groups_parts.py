"""Channels joined end to end, split, sliced, padded and put beside each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_aigc.converters.ir import Builder, Graph, Value, constant
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.errors import ConversionError
from tests.pruning import CASES, assert_cut_is_zeroed, chained, conv, cuttable, halves, random_masks, split_node
from tests.rewriting import graph_of


def _halves(build, x, axis=3):
    count = x.shape[axis] // 2
    shape = [count if place == axis else size for place, size in enumerate(x.shape)]
    axis = np.array(axis, np.int32)
    return split_node(build, "SPLIT", [axis, x], [shape] * 2, option_class="SplitOptions", numSplits=2)


def _gated(build, x, rng):
    depth = int(rng.integers(1, 5))
    values, gates = _halves(build, conv(build, x, rng, 2 * depth))
    return build.mul(values, build.unary("LOGISTIC", gates))


def _split_apart(build, x, rng):
    depth = int(rng.integers(1, 5))
    first, second = _halves(build, conv(build, x, rng, 2 * depth))
    return build.concatenate([second, build.unary("TANH", first), conv(build, x, rng, 2)], 3)


def _split_v(build, x, rng):
    sizes = rng.integers(1, 4, 3)
    wide = conv(build, x, rng, int(sizes.sum()))
    shapes = [(*x.shape[:3], int(n)) for n in sizes]
    inputs = [wide, sizes.astype(np.int32), np.array(3, np.int32)]
    first, second, _ = split_node(build, "SPLIT_V", inputs, shapes, option_class="SplitVOptions", numSplits=3)
    return build.concatenate([first, second, first], 3)


def _sliced(build, x, rng):
    begin = int(rng.integers(x.shape[3]))
    count = int(rng.integers(1, x.shape[3] - begin + 1))
    return build.slice(x, (0, 0, 0, begin), (*x.shape[:3], count))


def _strided(build, x, rng):
    begin = int(rng.integers(x.shape[3]))
    end = int(rng.integers(begin + 1, x.shape[3] + 1))
    step = int(rng.integers(1, 3)) if rng.integers(4) == 0 else 1
    steps = (1, int(rng.integers(1, 3)), 1, step)
    return build.strided_slice(x, (0, 0, 0, begin), (*x.shape[:3], end), steps)


def _strided_from_there(build, x, rng):
    """Ends are told from where an axis begins, which may be told from behind."""
    y = _strided(build, x, rng)
    begins, ends = (y.producer.inputs[place].data for place in (1, 2))
    y.producer.inputs[2] = constant(ends - begins)
    if rng.integers(2):
        y.producer.inputs[1] = constant(np.where(begins > 0, begins - np.array(x.shape, np.int32), begins))
    y.producer.options["offset"] = True
    return y


def _from_behind(build, x, rng):
    """Take all but the last channel, as `x[..., :-1]` is written."""
    del rng
    if x.shape[3] == 1:
        return x
    numbers = [np.array(part, np.int32) for part in ([0] * 4, [0, 0, 0, -1], [1] * 4)]
    shape = (*x.shape[:3], x.shape[3] - 1)
    masks = {"beginMask": 0b1111, "endMask": 0b0111, "ellipsisMask": 0, "newAxisMask": 0, "shrinkAxisMask": 0}
    return build.node("STRIDED_SLICE", [x, *numbers], shape, option_class="StridedSliceOptions", **masks)


def _one_row(build, x, rng):
    """Take one row as `x[:, 0]` does, then give it its axis back."""
    del rng
    numbers = [np.array(part, np.int32) for part in ([0, 0, 0, 0], [0, 1, 0, 0], [1] * 4)]
    masks = {"beginMask": 0b1101, "endMask": 0b1101, "ellipsisMask": 0, "newAxisMask": 0, "shrinkAxisMask": 0b0010}
    shape = (1, x.shape[2], x.shape[3])
    row = build.node("STRIDED_SLICE", [x, *numbers], shape, option_class="StridedSliceOptions", **masks)
    return build.reshape(row, (1, 1, *shape[1:]))


def _padded(build, x, rng):
    amounts = [(0, 0), *(tuple(int(n) for n in rng.integers(0, most, 2)) for most in (2, 2, 4))]
    return _residual(build, build.pad(x, amounts, float(rng.choice([0.0, 0.5]))), rng)


def _residual(build, x, rng):
    return build.add(x, conv(build, x, rng, x.shape[3]))


def _shortcut(build, x, rng):
    """A residual block that widens: the shortcut's new channels are zeros."""
    more = int(rng.integers(1, 4))
    wider = build.pad(x, [(0, 0), (0, 0), (0, 0), (0, more)])
    return build.add(wider, conv(build, x, rng, x.shape[3] + more))


def _mirrored(build, x, rng):
    symmetric = bool(rng.integers(2))
    if min(x.shape[1:3]) < 2:
        return x
    deep = int(rng.integers(2)) if symmetric else 0
    return build.mirror_pad(x, [(0, 0), (1, 1), (1, 0), (0, deep)], symmetric=symmetric)


def _packed(build, x, rng):
    other = conv(build, x, rng, x.shape[3])
    axis = int(rng.integers(1, 4))
    shape = (*x.shape[:axis], 2, *x.shape[axis:])
    packed = build.node("PACK", [x, other], shape, option_class="PackOptions", axis=axis, valuesCount=2)
    first, second = split_node(
        build, "UNPACK", [build.unary("TANH", packed)], [x.shape] * 2, option_class="UnpackOptions", axis=axis, num=2
    )
    return build.sub(first, second)


def _concatenated(build, x, rng):
    axis = int(rng.integers(1, 4))
    return build.concatenate([x, build.unary("RELU", conv(build, x, rng, x.shape[3]))], axis)


MENU = {
    "gated": _gated,
    "split apart": _split_apart,
    "split_v": _split_v,
    "sliced": _sliced,
    "strided": _strided,
    "strided from there": _strided_from_there,
    "from behind": _from_behind,
    "one row": _one_row,
    "padded": _padded,
    "shortcut": _shortcut,
    "mirrored": _mirrored,
    "packed": _packed,
    "concatenated": _concatenated,
    "conv": lambda build, x, rng: conv(build, x, rng, 5, activation="RELU"),
}


@CASES
@given(steps=st.lists(st.sampled_from(sorted(MENU)), min_size=1, max_size=4), seed=st.integers(0, 9999))
def test_what_is_cut_from_joined_and_split_channels_equals_what_is_zeroed(steps, seed):
    graph = chained(steps, MENU, seed)
    assert_cut_is_zeroed(graph, random_masks(graph, np.random.default_rng(seed)))


def test_a_unets_concatenated_halves_are_groups_of_their_own():
    rng = np.random.default_rng(0)

    def make(build, x):
        skip = conv(build, x, rng, 6)
        deep = conv(build, conv(build, skip, rng, 8, stride=(2, 2)), rng, 4)
        up = build.resize("RESIZE_NEAREST_NEIGHBOR", deep, skip.shape[1:3])
        return conv(build, build.concatenate([skip, up], 3), rng, 3)

    graph = graph_of((1, 4, 4, 3), make)
    assert [group.units for group in cuttable(graph).values()] == [6, 8, 4]
    assert_cut_is_zeroed(graph, halves(graph))


def test_equal_parts_that_are_no_longer_equal_become_a_split_with_sizes():
    rng = np.random.default_rng(0)

    def make(build, x):
        first, second = _halves(build, conv(build, x, rng, 8))
        return build.concatenate([conv(build, first, rng, 2), conv(build, second, rng, 2)], 3)

    graph = graph_of((1, 4, 4, 3), make)
    first, second = cuttable(graph)
    smaller = assert_cut_is_zeroed(graph, {first: np.arange(4) < 1, second: np.arange(4) < 3})
    assert [node.kind for node in smaller.nodes].count("SPLIT_V") == 1
    even = assert_cut_is_zeroed(graph, {first: np.arange(4) < 2, second: np.arange(4) < 2})
    assert [node.kind for node in even.nodes].count("SPLIT") == 1


def test_channels_of_an_operator_without_a_rule_stay_and_that_is_said():
    x = Value(name="x", shape=(1, 4, 4, 3))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    build, rng = Builder(graph), np.random.default_rng(0)
    strange = build.node("SVDF", [conv(build, x, rng, 4)], (1, 4, 4, 4))
    graph.outputs = [conv(build, strange, rng, 2)]
    first, _ = channel_groups(graph)
    assert first.refused == "SVDF has no rule"
    with pytest.raises(ConversionError, match=r"'conv_2d' cannot be cut: SVDF has no rule"):
        cut(graph, {"conv_2d": np.arange(4) < 2})


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        ({"paint": np.ones(4, bool)}, "has no group 'paint'"),
        ({"conv_2d": np.ones(3, bool)}, r"has 4 units, and the mask is of the shape \[3\]"),
        ({"conv_2d": np.zeros(4, bool)}, "Nothing of the group 'conv_2d' would be left"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(keep, words):
    rng = np.random.default_rng(0)
    graph = graph_of((1, 4, 4, 3), lambda build, x: conv(build, conv(build, x, rng, 4), rng, 2))
    with pytest.raises(ConversionError, match=words):
        cut(graph, keep)


def test_what_is_kept_whole_is_the_same_graph():
    rng = np.random.default_rng(0)
    graph = graph_of((1, 4, 4, 3), lambda build, x: conv(build, conv(build, x, rng, 4), rng, 2))
    same = cut(graph, {name: np.ones(group.units, bool) for name, group in cuttable(graph).items()})
    assert same is not graph
    assert [value.shape for value in same.values()] == [value.shape for value in graph.values()]
