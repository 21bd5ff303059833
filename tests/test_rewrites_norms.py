"""Norms in every spelling, to one form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.identities import remove_identities
from edge_aigc.converters.rewrites.layout import cancel_transposes
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.norms import unify_norms
from edge_aigc.converters.rewrites.shortest import shorten_movements
from tests.normalizing import kinds, normalized
from tests.rewriting import graph_of, normal

CASES = settings(max_examples=200, derandomize=True, deadline=None)
EPS = np.float32(1e-3)


def _moments(build, x, axes, spelling):
    """Return the mean and the variance of x, spelled one way or another."""
    if spelling == "squared difference":
        mean = build.reduce("MEAN", x, axes)
        return mean, build.reduce("MEAN", build.binary("SQUARED_DIFFERENCE", x, mean), axes)
    if spelling == "centred":
        mean = build.reduce("MEAN", x, axes)
        centred = build.sub(x, mean)
        return mean, build.reduce("MEAN", build.mul(centred, centred), axes)
    if spelling == "square":
        mean = build.reduce("MEAN", x, axes)
        return mean, build.reduce("MEAN", build.unary("SQUARE", build.sub(x, mean)), axes)
    if spelling == "moments":
        mean = build.reduce("MEAN", x, axes)
        return mean, build.sub(build.reduce("MEAN", build.mul(x, x), axes), build.unary("SQUARE", mean))
    count = x.size // build.reduce("SUM", x, axes).size
    mean = build.mul(build.reduce("SUM", x, axes), np.float32(1 / count))
    spread = build.reduce("SUM", build.binary("SQUARED_DIFFERENCE", x, mean), axes)
    return mean, build.binary("DIV", spread, np.float32(max(count - 1, 1)))


def _applied(build, x, mean, variance, parts, spelling):
    """Return (x - mean) / sqrt(variance + eps) · gain + shift, spelled one way or another."""
    gain, shift = parts
    if spelling == "folded":
        factor = build.mul(build.unary("RSQRT", build.add(variance, EPS)), gain)
        return build.add(build.mul(x, factor), build.sub(shift, build.mul(mean, factor)))
    if spelling == "negated":
        factor = build.mul(build.unary("RSQRT", build.add(variance, EPS)), gain)
        return build.add(build.mul(x, factor), build.add(build.mul(build.unary("NEG", mean), factor), shift))
    centred = build.sub(x, mean)
    if spelling == "divided":
        y = build.binary("DIV", centred, build.unary("SQRT", build.add(variance, EPS)))
    else:
        y = build.mul(centred, build.unary("RSQRT", build.add(variance, EPS)))
    return build.add(build.mul(y, gain), shift)


MOMENTS = st.sampled_from(["squared difference", "centred", "square", "moments", "sums"])
APPLIED = st.sampled_from(["folded", "negated", "divided", "plain"])


@CASES
@given(
    shape=st.tuples(st.just(1), st.integers(2, 4), st.integers(2, 5), st.integers(1, 4)),
    axes=st.sampled_from([(1, 2), (3,), (1, 2, 3), (2, 3)]),
    moments=MOMENTS,
    applied=APPLIED,
    affine=st.booleans(),
    nchw=st.booleans(),
    seed=st.integers(0, 999),
)
def test_every_spelling_computes_the_same(shape, axes, moments, applied, affine, nchw, seed):
    rng = np.random.default_rng(seed)
    gain = rng.uniform(0.5, 2, shape[3]).astype(np.float32) if affine else np.float32(1)
    shift = normal(rng, (shape[3],)) if affine else np.float32(0)

    def make(build, x):
        y = build.unary("TANH", x)
        if nchw:
            y = build.transpose(y, (0, 3, 1, 2))
            where = tuple({0: 0, 1: 2, 2: 3, 3: 1}[axis] for axis in axes)
            parts = [part.reshape(-1, 1, 1) if affine else part for part in (gain, shift)]
            y = _applied(build, y, *_moments(build, y, where, moments), parts, applied)
            return build.transpose(y, (0, 2, 3, 1))
        return _applied(build, y, *_moments(build, y, axes, moments), (gain, shift), applied)

    after = kinds(normalized(graph_of(shape, make), remove_identities, cancel_transposes, unify_norms))
    assert "TRANSPOSE" not in after
    assert len(after) <= 14


@CASES
@given(
    size=st.tuples(st.integers(2, 4), st.integers(2, 4)),
    groups=st.integers(1, 4),
    each=st.integers(1, 3),
    spelling=st.sampled_from(["keras", "torch", "torch rows"]),
    moments=MOMENTS,
    seed=st.integers(0, 999),
)
def test_group_norms_stay_in_four_axes(size, groups, each, spelling, moments, seed):
    rng, (high, wide), depth = np.random.default_rng(seed), size, groups * each
    gain, shift = rng.uniform(0.5, 2, depth).astype(np.float32), normal(rng, (depth,))

    def make(build, x):
        x = build.unary("TANH", x)
        if spelling == "keras":
            y = build.reshape(x, (1, high, wide, groups, each))
            parts = [part.reshape(1, 1, 1, groups, each) for part in (gain, shift)]
            y = _applied(build, y, *_moments(build, y, (1, 2, 4), moments), parts, "folded")
            return build.reshape(y, x.shape)
        y = build.transpose(x, (0, 3, 1, 2))
        shape = (1, groups, each, high * wide) if spelling == "torch" else (1, groups, each * high * wide)
        y = build.reshape(y, shape)
        mean, variance = _moments(build, y, range(2, len(shape)), moments)
        y = build.mul(build.sub(y, mean), build.unary("RSQRT", build.add(variance, EPS)))
        y = build.reshape(y, (1, depth, high, wide))
        y = build.add(build.mul(y, gain.reshape(1, depth, 1, 1)), shift.reshape(1, depth, 1, 1))
        return build.transpose(y, (0, 2, 3, 1))

    after = normalized(
        graph_of((1, high, wide, depth), make), remove_identities, cancel_transposes, shorten_movements, unify_norms
    )
    if high * wide * depth > 80:
        assert "TRANSPOSE" not in kinds(after)
        assert max(len(value.shape) for node in after.nodes for value in node.outputs) <= 4


@CASES
@given(
    shape=st.sampled_from([(1, 8), (1, 3, 6), (1, 2, 3, 5), (1, 4, 4, 8)]),
    affine=st.booleans(),
    squared=st.sampled_from(["MUL", "SQUARE"]),
    divided=st.booleans(),
    seed=st.integers(0, 999),
)
def test_pixel_norms_compute_the_same(shape, affine, squared, divided, seed):
    rng = np.random.default_rng(seed)

    def make(build, x):
        y = build.unary("TANH", x)
        square = build.mul(y, y) if squared == "MUL" else build.unary("SQUARE", y)
        moment = build.add(build.reduce("MEAN", square, [len(shape) - 1]), EPS)
        if divided:
            z = build.binary("DIV", y, build.unary("SQRT", moment))
        else:
            z = build.mul(y, build.unary("RSQRT", moment))
        return build.mul(z, normal(rng, shape[-1:])) if affine else z

    normalized(graph_of(shape, make), unify_norms)


@pytest.mark.parametrize("rows", [1, 6])
def test_a_layer_norms_gain_and_shift_go_into_the_dense_layer_after_it(rows):
    rng = np.random.default_rng(2)

    def make(build, x):
        y = build.unary("TANH", x)
        parts = (normal(rng, (8,)), normal(rng, (8,)))
        y = _applied(build, y, *_moments(build, y, (1,), "squared difference"), parts, "negated")
        return build.fully_connected(y, normal(rng, (4, 8)))

    after = kinds(normalized(graph_of((rows, 8), make), *NORMALIZATIONS))
    assert after == ["TANH", "MEAN", "SUB", "SQUARE", "MEAN", "ADD", "RSQRT", "MUL", "FULLY_CONNECTED"]


@pytest.mark.parametrize("after", ["RESIZE_NEAREST_NEIGHBOR", "GATHER", "CONCATENATION", "TILE"])
def test_a_norm_ends_before_what_drops_or_repeats_its_elements(after):
    rng = np.random.default_rng(3)

    def make(build, x):
        parts = (normal(rng, (6,)), normal(rng, (6,)))
        y = _applied(build, x, *_moments(build, x, (1, 2), "squared difference"), parts, "folded")
        if after == "RESIZE_NEAREST_NEIGHBOR":
            return build.resize(after, y, (8, 8))
        if after == "GATHER":
            return build.node(after, [y, np.int32([1, 4])], (1, 4, 4, 2), option_class="GatherOptions", axis=3)
        if after == "TILE":
            return build.node(after, [y, np.int32([1, 1, 1, 2])], (1, 4, 4, 12))
        return build.concatenate([y, y], 3)

    assert kinds(normalized(graph_of((1, 4, 4, 6), make), unify_norms))[-1] == after


@pytest.mark.parametrize(("batch", "axes"), [(1, (1, 2, 3)), (2, (1, 2, 4))])
def test_norms_of_groups_in_five_axes_come_to_an_end(batch, axes):
    def make(build, x):
        y = build.reshape(x, (batch, 4, 4, 3, 2))
        mean = build.reduce("MEAN", y, axes)
        centred = build.sub(y, mean)
        moment = build.reduce("MEAN", build.unary("SQUARE", centred), axes)
        y = build.mul(centred, build.unary("RSQRT", build.add(moment, EPS)))
        return build.reshape(y, (batch, 4, 4, 6))

    normalized(graph_of((batch, 4, 4, 6), make), *NORMALIZATIONS)
