from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.mirrored import ConcatenatedMirror
from tests.rewriting import assert_same, graph_of


@st.composite
def borders(draw):
    shape = tuple(draw(st.integers(1, 7)) for _ in range(draw(st.integers(1, 4))))
    symmetric = draw(st.booleans())
    amounts = [tuple(draw(st.integers(0, min(4, n if symmetric else n - 1))) for _ in range(2)) for n in shape]
    return shape, symmetric, amounts


@settings(max_examples=300, derandomize=True, deadline=None)
@given(case=borders())
def test_slices_side_by_side_are_the_mirrored_border(case):
    shape, symmetric, amounts = case
    graph = graph_of(shape, lambda build, x: build.mirror_pad(x, amounts, symmetric=symmetric))
    assert len(ConcatenatedMirror().regions(graph)) == any(sum(pair) for pair in amounts)
    assert_same(ConcatenatedMirror(), graph, tolerance=0)


def test_a_border_wider_than_any_kernel_is_left_alone():
    graph = graph_of((1, 20, 4, 1), lambda build, x: build.mirror_pad(x, [(0, 0), (9, 9), (0, 0), (0, 0)]))
    assert not ConcatenatedMirror().regions(graph)
