"""A row times a matrix, as a sum of products."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.rows import RowProduct
from tests.rewriting import assert_same, graph_of

CASES = settings(max_examples=200, derandomize=True, deadline=None)


def _product(build, x, stack, rows, turned):
    depth = x.shape[-1]
    matrix = build.mul(
        x, np.linspace(-1, 1, int(np.prod(stack)) * rows * depth, dtype=np.float32).reshape(*stack, rows, depth)
    )
    if not turned:
        matrix = build.transpose(matrix, [*range(len(stack)), len(stack) + 1, len(stack)])
    return build.batch_matmul(x, matrix, adj_y=turned)


@CASES
@given(
    stack=st.lists(st.integers(1, 3), max_size=2),
    rows=st.integers(1, 9),
    depth=st.integers(1, 9),
    turned=st.booleans(),
)
def test_a_row_times_a_matrix_is_a_sum_of_products(stack, rows, depth, turned):
    graph = graph_of((*stack, 1, depth), lambda build, x: _product(build, x, stack, rows, turned))
    assert_same(RowProduct(), graph)


def test_several_rows_and_constant_matrices_are_left_alone():
    several = graph_of((1, 2, 3), lambda build, x: build.batch_matmul(x, build.unary("ABS", x), adj_y=True))
    constant = graph_of((1, 1, 3), lambda build, x: build.batch_matmul(x, np.ones((1, 3, 4), np.float32)))
    assert RowProduct().regions(several) == RowProduct().regions(constant) == []


def test_one_row_is_found():
    graph = graph_of((1, 1, 3), lambda build, x: build.batch_matmul(x, build.unary("ABS", x), adj_y=True))
    assert len(RowProduct().regions(graph)) == 1
