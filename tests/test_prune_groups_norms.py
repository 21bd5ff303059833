"""Channels through norms, modulation and attention, as written and as normalized."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize
from tests.pruning import CASES, assert_cut_is_zeroed, chained, conv, cuttable, halves, random_masks
from tests.rewriting import graph_of, normal

EPS = np.float32(1e-3)


def _normed(build, x, axes, spelling):
    mean = build.reduce("MEAN", x, axes)
    if spelling == "centred":
        centred = build.sub(x, mean)
        moment = build.reduce("MEAN", build.unary("SQUARE", centred), axes)
        return build.mul(centred, build.unary("RSQRT", build.add(moment, EPS)))
    moment = build.reduce("MEAN", build.binary("SQUARED_DIFFERENCE", x, mean), axes)
    return build.binary("DIV", build.sub(x, mean), build.unary("SQRT", build.add(moment, EPS)))


def _affine(build, x, rng):
    gain = rng.uniform(0.5, 2, x.shape[-1]).astype(np.float32)
    return build.add(build.mul(x, gain), normal(rng, x.shape[-1:]))


def _spelling(rng):
    return str(rng.choice(["centred", "divided"]))


def _instance_norm(build, x, rng):
    return _affine(build, _normed(build, x, (1, 2), _spelling(rng)), rng)


def _layer_norm(build, x, rng):
    return _affine(build, _normed(build, x, (3,), _spelling(rng)), rng)


def _whole_norm(build, x, rng):
    return _affine(build, _normed(build, x, (1, 2, 3), _spelling(rng)), rng)


def _group_norm(build, x, rng):
    groups = int(rng.choice([n for n in range(1, x.shape[3] + 1) if x.shape[3] % n == 0]))
    y = build.reshape(x, (*x.shape[:3], groups, x.shape[3] // groups))
    return _affine(build, build.reshape(_normed(build, y, (1, 2, 4), _spelling(rng)), x.shape), rng)


def _pixel_norm(build, x, rng):
    moment = build.reduce("MEAN", build.unary("SQUARE", x), (3,))
    return build.mul(x, build.unary("RSQRT", build.add(moment, np.float32(rng.uniform(0.01, 1)))))


def _l2_normed(build, x, rng):
    del rng
    return build.node("L2_NORMALIZATION", [x], x.shape, option_class="L2NormOptions")


def _batch_norm(build, x, rng):
    return build.activate(_affine(build, x, rng), str(rng.choice(["NONE", "RELU", "TANH"])))


def _prelu(build, x, rng):
    return build.node("PRELU", [x, normal(rng, (1, 1, x.shape[3]))], x.shape)


def _adaptive(build, x, rng):
    """A style of the map itself: its means make a scale and a shift a channel, from one dense layer."""
    style = build.reshape(build.reduce("MEAN", x, (1, 2)), (1, x.shape[3]))
    made = build.fully_connected(style, normal(rng, (2 * x.shape[3], x.shape[3])), None)
    gain, shift = (
        build.reshape(build.slice(made, (0, begin), (1, x.shape[3])), (1, 1, 1, x.shape[3]))
        for begin in (0, x.shape[3])
    )
    return build.add(build.mul(_normed(build, x, (1, 2), "centred"), gain), shift)


def _excited(build, x, rng):
    """Squeeze and excitation."""
    pooled = build.reduce("MEAN", x, (1, 2))
    inner = conv(build, pooled, rng, 3, size=1, activation="RELU")
    return build.mul(x, build.unary("LOGISTIC", conv(build, inner, rng, x.shape[3], size=1)))


def _modulated(build, x, rng):
    """StyleGAN2's convolution: computed weights, demodulated."""
    depth, taken = int(rng.integers(2, 6)), x.shape[3]
    style = build.reshape(build.reduce("MEAN", build.unary("TANH", x), (1, 2)), (1, taken))
    style = build.fully_connected(style, normal(rng, (taken, taken)), np.ones(taken, np.float32))
    kernel = normal(rng, (depth, 3, 3, taken))
    if rng.integers(2):
        scaled = build.mul(build.reshape(style, (1, 1, 1, taken)), kernel)
        power = build.reduce("SUM", build.mul(scaled, scaled), (1, 2, 3))
        weights = build.mul(scaled, build.unary("RSQRT", build.add(power, EPS)))
        return build.conv_2d(x, weights, np.zeros(depth, np.float32), padding="SAME")
    y = build.conv_2d(build.mul(x, build.reshape(style, (1, 1, 1, taken))), kernel, None, padding="SAME")
    power = build.fully_connected(build.unary("SQUARE", style), (kernel**2).sum((1, 2)), None)
    return build.mul(y, build.reshape(build.unary("RSQRT", build.add(power, EPS)), (1, 1, 1, depth)))


def _attention(build, x, rng):
    """Heads over the places of a map, as SAGAN and diffusion nets have them."""
    heads, width = (int(n) for n in rng.integers(1, 4, 2))
    count = x.shape[1] * x.shape[2]
    rows = build.reshape(x, (count, x.shape[3]))

    def apart():
        made = build.fully_connected(rows, normal(rng, (heads * width, x.shape[3])), normal(rng, (heads * width,)))
        return build.transpose(build.reshape(made, (1, count, heads, width)), (0, 2, 1, 3))

    scores = build.batch_matmul(apart(), apart(), adj_y=True)
    shares = build.node("SOFTMAX", [build.mul(scores, np.float32(width**-0.5))], scores.shape,
                        option_class="SoftmaxOptions", beta=1.0)  # fmt: skip
    mixed = build.transpose(build.batch_matmul(shares, apart()), (0, 2, 1, 3))
    mixed = build.reshape(mixed, (count, heads * width))
    out = build.fully_connected(mixed, normal(rng, (x.shape[3], heads * width)), None)
    return build.add(x, build.reshape(out, x.shape))


def _matrix(build, x, rng):
    """A product of maps with a constant matrix, as BATCH_MATMUL."""
    weights = normal(rng, (x.shape[3], int(rng.integers(2, 6))))
    turned = bool(rng.integers(2))
    return build.batch_matmul(x, weights.T.copy() if turned else weights, adj_y=turned)


def _channel_choice(build, x, rng):
    """What needs all channels: their largest, their softmax."""
    del rng
    largest = build.reduce("REDUCE_MAX", x, (3,))
    y = build.node("SOFTMAX", [x], x.shape, option_class="SoftmaxOptions", beta=1.0)
    return build.binary("MAXIMUM", build.sub(x, largest), y)


MENU = {
    "instance norm": _instance_norm,
    "layer norm": _layer_norm,
    "whole norm": _whole_norm,
    "group norm": _group_norm,
    "pixel norm": _pixel_norm,
    "l2": _l2_normed,
    "batch norm": _batch_norm,
    "prelu": _prelu,
    "adaptive": _adaptive,
    "excited": _excited,
    "modulated": _modulated,
    "attention": _attention,
    "matrix": _matrix,
    "channel choice": _channel_choice,
    "conv": lambda build, x, rng: conv(build, x, rng, 6, activation="RELU"),
}


@CASES
@given(
    steps=st.lists(st.sampled_from(sorted(MENU)), min_size=1, max_size=3),
    normalizes=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_what_is_cut_from_normed_channels_equals_what_is_zeroed(steps, normalizes, seed):
    graph = chained(steps, MENU, seed)
    if normalizes:
        normalize(graph, NORMALIZATIONS)
    assert_cut_is_zeroed(graph, random_masks(graph, np.random.default_rng(seed)))


def _between(step, depth):
    rng = np.random.default_rng(0)
    return graph_of((1, 4, 4, 3), lambda build, x: conv(build, step(build, conv(build, x, rng, depth), rng), rng, 2))


@pytest.mark.parametrize("normalizes", [False, True])
def test_of_a_group_norm_whole_groups_go(normalizes):
    def step(build, x, rng):
        y = _normed(build, build.reshape(x, (1, 4, 4, 3, 4)), (1, 2, 4), "centred")
        return _affine(build, build.reshape(y, x.shape), rng)

    graph = _between(step, 12)
    if normalizes:
        normalize(graph, NORMALIZATIONS)
    (group,) = cuttable(graph).values()
    assert group.units == 3
    assert {member.places.shape[1] for member in group.members} == {4, 1} if not normalizes else True
    assert_cut_is_zeroed(graph, halves(graph))


def test_of_an_attention_whole_heads_go():
    rng = np.random.default_rng(0)

    def make(build, x):
        def apart():
            return build.transpose(
                build.reshape(build.fully_connected(x, normal(rng, (12, 5)), None), (1, 6, 4, 3)), (0, 2, 1, 3)
            )

        scores = build.batch_matmul(apart(), apart(), adj_y=True)
        shares = build.node("SOFTMAX", [scores], scores.shape, option_class="SoftmaxOptions", beta=1.0)
        mixed = build.transpose(build.batch_matmul(shares, apart()), (0, 2, 1, 3))
        return build.fully_connected(build.reshape(mixed, (6, 12)), normal(rng, (5, 12)), None)

    graph = graph_of((6, 5), make)
    (group,) = cuttable(graph).values()
    assert group.units == 4
    assert len(group.producers) == 3
    assert_cut_is_zeroed(graph, halves(graph))


@pytest.mark.parametrize(("step", "words"), [("SOFTMAX", "SOFTMAX is over all of it"), ("REDUCE_MAX", "REDUCE_MAX is")])
def test_what_needs_every_channel_keeps_them_and_says_so(step, words):
    def needs(build, x, rng):
        del rng
        if step == "SOFTMAX":
            return build.node("SOFTMAX", [x], x.shape, option_class="SoftmaxOptions", beta=1.0)
        return build.add(x, build.reduce("REDUCE_MAX", x, (3,)))

    first, _ = channel_groups(_between(needs, 6))
    assert first.refused.startswith(words)


def test_a_mean_over_fewer_channels_is_scaled_to_what_it_was():
    graph = _between(_pixel_norm, 6)
    smaller = assert_cut_is_zeroed(graph, halves(graph))
    kinds = [node.kind for node in smaller.nodes]
    assert kinds[kinds.index("MEAN") + 1] == "MUL"
    again = assert_cut_is_zeroed(smaller, halves(smaller))
    assert channel_groups(again)[0].units == 2
