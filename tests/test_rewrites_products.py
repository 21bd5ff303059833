"""Products of matrices that read their operands turned round."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.layout import cancel_transposes
from edge_aigc.converters.rewrites.products import read_turned
from tests.normalizing import kinds, normalized
from tests.rewriting import graph_of, normal


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    batch=st.lists(st.integers(1, 3), min_size=0, max_size=2),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    adj=st.tuples(st.booleans(), st.booleans()),
    turned=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 999),
)
def test_products_compute_the_same_without_transposes(batch, sizes, adj, turned, seed):
    rows, inner, columns = sizes
    swap = [*range(len(batch)), len(batch) + 1, len(batch)]
    other = normal(
        np.random.default_rng(seed), (*batch, *((columns, inner) if adj[1] != turned[1] else (inner, columns)))
    )

    def make(build, x):
        left = build.unary("TANH", x)
        right = build.unary("TANH", build.add(build.reduce("MEAN", x, range(len(x.shape))), other))
        left = build.transpose(left, swap) if turned[0] else left
        right = build.transpose(right, swap) if turned[1] else right
        return build.batch_matmul(left, right, adj_x=adj[0], adj_y=adj[1])

    first = (inner, rows) if adj[0] != turned[0] else (rows, inner)
    after = kinds(normalized(graph_of((*batch, *first), make), read_turned))
    assert "TRANSPOSE" not in after


def test_attention_over_a_map_with_channels_first_transposes_nothing_but_its_answer():
    rng = np.random.default_rng(1)

    def make(build, x):
        keys = build.transpose(build.conv_2d(x, normal(rng, (4, 1, 1, 3))), (0, 3, 1, 2))
        queries = build.transpose(build.conv_2d(x, normal(rng, (4, 1, 1, 3))), (0, 3, 1, 2))
        keys, queries = build.reshape(keys, (1, 4, 30)), build.reshape(queries, (1, 4, 30))
        return build.node(
            "SOFTMAX",
            [build.batch_matmul(build.transpose(queries, (0, 2, 1)), keys)],
            (1, 30, 30),
            option_class="SoftmaxOptions",
            beta=1.0,
        )

    after = kinds(normalized(graph_of((1, 5, 6, 3), make), cancel_transposes, read_turned))
    assert "TRANSPOSE" not in after
