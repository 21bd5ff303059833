"""Chains of reshapes and transposes in their shortest form."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.identities import remove_identities
from edge_aigc.converters.rewrites.shortest import shorten_movements
from tests.normalizing import kinds, normalized
from tests.rewriting import graph_of, normal

CASES = settings(max_examples=200, derandomize=True, deadline=None)


def _moved(build, y, rng, steps):
    for _ in range(steps):
        if rng.integers(2):
            y = build.transpose(y, [int(axis) for axis in rng.permutation(len(y.shape))])
        else:
            sizes = [int(size) for size in rng.permutation(y.shape)]
            if len(sizes) > 2 and rng.integers(2):
                sizes = [sizes[0] * sizes[1], *sizes[2:]]
            elif len(sizes) < 5 and sizes[0] % 2 == 0:
                sizes = [2, sizes[0] // 2, *sizes[1:]]
            y = build.reshape(y, sizes)
    return y


@CASES
@given(
    shape=st.lists(st.sampled_from([1, 2, 3, 4]), min_size=2, max_size=4),
    steps=st.integers(1, 7),
    seed=st.integers(0, 9999),
)
def test_chains_transpose_no_more_than_before(shape, steps, seed):
    def make(build, x):
        y = _moved(build, build.unary("TANH", x), np.random.default_rng(seed), steps)
        return build.unary("EXP", y)

    graph = graph_of(tuple(shape), make)
    after = kinds(normalized(graph, remove_identities, shorten_movements))
    assert after.count("TRANSPOSE") <= kinds(graph).count("TRANSPOSE")


@CASES
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    unary=st.booleans(),
    biased=st.booleans(),
    seed=st.integers(0, 999),
)
def test_a_dense_layer_makes_the_map_as_it_is_wanted_and_reads_it_as_it_lies(shape, unary, biased, seed):
    (high, wide, depth), rng = shape, np.random.default_rng(seed)
    count = high * wide * depth

    def make(build, x):
        y = build.fully_connected(x, normal(rng, (count, 3)), normal(rng, (count,)) if biased else None)
        y = build.unary("TANH", y) if unary else y
        y = build.transpose(build.reshape(y, (1, depth, high, wide)), (0, 2, 3, 1))
        y = build.conv_2d(y, normal(rng, (depth, 1, 1, depth)))
        y = build.reshape(build.transpose(y, (0, 3, 1, 2)), (1, count))
        return build.fully_connected(y, normal(rng, (2, count)))

    after = kinds(normalized(graph_of((1, 3), make), shorten_movements, remove_identities))
    assert "TRANSPOSE" not in after
