"""The leaky ReLU in every spelling, and as a maximum."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.identities import remove_identities
from edge_aigc.converters.rewrites.leaky import MaximumLeaky, know_leaky
from tests.normalizing import kinds, normalized
from tests.rewriting import assert_same, graph_of, normal

CASES = settings(max_examples=200, derandomize=True, deadline=None)


def _selected(build, x, scaled, *, above):
    kind = "GREATER" if above else "LESS"
    test = build.node(kind, [x, np.float32(0)], x.shape, option_class=f"{kind.title()}Options", dtype="BOOL")
    parts = [x, scaled] if above else [scaled, x]
    return build.node("SELECT_V2", [test, *parts], x.shape, option_class="SelectV2Options", dtype="FLOAT32")


SPELLINGS = {
    "maximum": lambda build, x, a: build.binary("MAXIMUM", x, build.mul(x, a)),
    "maximum turned": lambda build, x, a: build.binary("MAXIMUM", build.mul(a, x), x),
    "prelu": lambda build, x, a: build.node("PRELU", [x, np.full(x.shape[-1:], a, np.float32)], x.shape),
    "select": lambda build, x, a: _selected(build, x, build.mul(x, a), above=True),
    "select turned": lambda build, x, a: _selected(build, x, build.mul(x, a), above=False),
    "relu less relu": lambda build, x, a: build.sub(
        build.unary("RELU", x), build.mul(build.unary("RELU", build.unary("NEG", x)), a)
    ),
    "relu and minimum": lambda build, x, a: build.add(
        build.unary("RELU", x), build.mul(build.binary("MINIMUM", x, np.float32(0)), a)
    ),
    "sizes": lambda build, x, a: build.add(
        build.mul(x, np.float32((1 + a) / 2)), build.mul(build.unary("ABS", x), np.float32((1 - a) / 2))
    ),
}


@CASES
@given(
    spelling=st.sampled_from(sorted(SPELLINGS)),
    slope=st.sampled_from([0.01, 0.1, 0.2, 0.5, 0.9]),
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
)
def test_every_spelling_becomes_one_operator(spelling, slope, shape):
    graph = graph_of(tuple(shape), lambda build, x: SPELLINGS[spelling](build, x, np.float32(slope)))
    assert kinds(normalized(graph, know_leaky)) == ["LEAKY_RELU"]


@CASES
@given(
    slopes=st.tuples(st.floats(-2, 3, width=32), st.floats(-2, 3, width=32)),
    spelling=st.sampled_from(sorted(SPELLINGS)),
    seed=st.integers(0, 999),
)
def test_what_only_looks_like_it_computes_the_same(slopes, spelling, seed):
    rng = np.random.default_rng(seed)

    def make(build, x):
        y = SPELLINGS[spelling](build, x, np.float32(slopes[0]))
        y = build.node("PRELU", [y, normal(rng, (3,))], y.shape)
        y = build.binary("MAXIMUM", build.mul(y, np.float32(slopes[1])), x)
        mixed = build.sub(build.unary("RELU", y), build.mul(build.unary("RELU", x), np.float32(slopes[1])))
        return build.concatenate([mixed, x], 2)

    normalized(graph_of((1, 2, 3), make), remove_identities, know_leaky)


@CASES
@given(slope=st.floats(0, 1, width=32), shape=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_maximum_computes_the_same(slope, shape):
    graph = graph_of(tuple(shape), lambda build, x: build.unary("LEAKY_RELU", x, alpha=slope))
    assert len(MaximumLeaky().regions(graph)) == 1
    assert_same(MaximumLeaky(), graph)


def test_a_slope_above_one_is_no_maximum():
    graph = graph_of((1, 3), lambda build, x: build.unary("LEAKY_RELU", x, alpha=1.5))
    assert MaximumLeaky().regions(graph) == []
