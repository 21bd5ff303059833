"""Transposes moved until they cancel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.layout import cancel_transposes
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from tests.normalizing import kinds, normalized
from tests.rewriting import graph_of, normal

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def _channels_first(build, y, skip, rng):
    """Add one random operator to a map [1, c, h, w]; `skip` is another of the same kind."""
    depth, (high, wide) = y.shape[1], y.shape[2:]
    column = normal(rng, (depth, 1, 1))
    same = skip.shape == y.shape
    steps = (
        lambda: build.unary("TANH", y),
        lambda: build.unary("LEAKY_RELU", y, alpha=0.2),
        lambda: build.add(y, column),
        lambda: build.mul(column, y, activation="RELU"),
        lambda: build.sub(y, normal(rng, (1, 1, high, wide))),
        lambda: build.add(y, np.float32(2)),
        lambda: build.add(y, skip) if same else y,
        lambda: build.concatenate([y, skip], 1) if skip.shape[2:] == y.shape[2:] and depth < 9 else y,
        lambda: build.concatenate([y, y], 2) if high < 9 else y,
        lambda: build.pad(y, [(0, 0), (0, 1), (1, 0), (2, 1)]) if high < 9 else y,
        lambda: build.mirror_pad(y, [(0, 0), (0, 0), (1, 0), (0, 1)]) if min(high, wide) > 1 and high < 9 else y,
        lambda: build.slice(y, [0, depth - 1, 0, 0], [1, 1, high, wide]) if depth > 3 else y,
        lambda: build.strided_slice(y, [0] * 4, y.shape, [1, 1, 2, 1]),
        lambda: build.mul(y, build.reduce("MEAN", y, [2, 3])),
        lambda: build.add(y, build.reshape(build.reduce("SUM", y, [0, 2, 3], keep_dims=False), (1, depth, 1, 1))),
        lambda: build.sub(y, build.reduce("REDUCE_MAX", y, [1])),
        lambda: build.reshape(build.unary("TANH", build.reshape(y, (1, depth, high * wide))), y.shape),
        lambda: build.reshape(build.unary("NEG", build.reshape(y, y.shape[1:])), y.shape),
        lambda: build.transpose(_convolved(build, build.transpose(y, TO_LAST), rng), TO_FIRST),
    )
    return steps[int(rng.integers(len(steps)))]()


def _convolved(build, y, rng):
    return build.conv_2d(y, normal(rng, (y.shape[3], 1, 1, y.shape[3])), padding="SAME")


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4)),
    steps=st.integers(1, 8),
    seed=st.integers(0, 99999),
)
def test_nets_with_channels_first_compute_the_same_and_transpose_less(size, steps, seed):
    def make(build, x):
        rng = np.random.default_rng(seed)
        y = build.transpose(_convolved(build, x, rng), TO_FIRST)
        skip = y
        for _ in range(steps):
            y, skip = _channels_first(build, y, skip, rng), y
        return _convolved(build, build.transpose(y, TO_LAST), rng)

    graph = graph_of((1, *size), make)
    after = normalized(graph, cancel_transposes)
    assert kinds(after).count("TRANSPOSE") <= 1
    assert kinds(normalized(graph, *NORMALIZATIONS)).count("TRANSPOSE") <= 1


@pytest.mark.parametrize("affine", [False, True])
def test_an_instance_norm_with_channels_first_needs_no_transpose(affine):
    rng = np.random.default_rng(0)

    def make(build, x):
        y = build.transpose(_convolved(build, x, rng), TO_FIRST)
        centred = build.sub(y, build.reduce("MEAN", y, [0, 2, 3]))
        variance = build.reduce("MEAN", build.mul(centred, centred), [0, 2, 3], keep_dims=False)
        scale = build.unary("RSQRT", build.reshape(build.add(variance, np.float32(1e-5)), (1, 3, 1, 1)))
        y = build.mul(centred, scale)
        y = build.mul(y, normal(rng, (1, 3, 1, 1))) if affine else y
        return _convolved(build, build.transpose(y, TO_LAST), rng)

    assert "TRANSPOSE" not in kinds(normalized(graph_of((1, 4, 5, 3), make), *NORMALIZATIONS))


def test_a_transpose_that_nothing_cancels_stays_where_it_is():
    graph = graph_of((1, 4, 5, 3), lambda build, x: build.reduce("MEAN", build.transpose(x, TO_FIRST), [2]))
    assert not cancel_transposes(graph.copy()) or "TRANSPOSE" in kinds(graph)
