from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.identities import remove_identities
from edge_aigc.converters.rewrites.rewrite import normalize
from edge_aigc.converters.rewrites.unit_axes import drop_unit_axes
from tests.rewriting import graph_of, normal, outputs_of


@st.composite
def chains(draw):
    """Shapes of five axes, one of them 1, and operators over them."""
    unit = draw(st.integers(1, 4))
    shape = tuple(1 if axis in {0, unit} else draw(st.integers(1, 5)) for axis in range(5))
    reduce = tuple(draw(st.sets(st.integers(1, 4), min_size=1)))
    keep = draw(st.booleans())
    kinds = draw(st.lists(st.sampled_from(["NEG", "SQUARE", "TANH", "LEAKY_RELU", "ADD", "MUL", "BROAD"]), max_size=4))
    operand = tuple(draw(st.sampled_from([1, size])) for size in shape[draw(st.integers(0, 4)) :])
    return shape, reduce, keep, kinds, operand


def _make(build, x, case):
    shape, reduce, keep, kinds, operand = case
    rng = np.random.default_rng(3)
    x = build.reshape(x, shape)
    for kind in kinds:
        if kind == "BROAD":
            x = build.sub(x, build.reduce("MEAN", x, reduce))
        elif kind in {"ADD", "MUL"}:
            x = build.binary(kind, x, normal(rng, operand))
        else:
            x = build.unary(kind, x, **({"alpha": 0.2} if kind == "LEAKY_RELU" else {}))
    return build.reduce("MEAN", x, reduce, keep_dims=keep)


@settings(max_examples=250, derandomize=True, deadline=None)
@given(case=chains())
def test_chains_of_five_axes_become_chains_of_four(case):
    size = int(np.prod(case[0]))
    graph = graph_of((1, size), lambda build, x: _make(build, x, case))
    expected = outputs_of(graph)[0]
    assert normalize(graph, (drop_unit_axes, remove_identities))
    found = outputs_of(graph)[0]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * max(np.abs(expected).max(), 0.1)
    assert all(len(node.output.shape) <= 4 for node in graph.nodes if node.kind != "RESHAPE")


def test_instance_norm_as_keras_spells_it_has_reshapes_at_its_ends_only():
    def make(build, x):
        y = build.reshape(x, (1, 6, 6, 4, 1))
        y = build.sub(y, build.reduce("MEAN", y, (1, 2, 4)))
        scale = build.unary("RSQRT", build.reduce("MEAN", build.unary("SQUARE", y), (1, 2, 4)))
        return build.reshape(build.mul(y, scale), (1, 6, 6, 4))

    graph = graph_of((1, 6, 6, 4), make)
    expected = outputs_of(graph)[0]
    normalize(graph, (drop_unit_axes, remove_identities))
    assert [node.kind for node in graph.nodes] == ["MEAN", "SUB", "SQUARE", "MEAN", "RSQRT", "MUL"]
    assert np.abs(outputs_of(graph)[0] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_four_axes_and_full_ones_are_left_alone():
    for shape, axes in (((1, 3, 3, 1), (1, 2)), ((2, 3, 3, 2, 2), (1, 2, 4))):
        graph = graph_of(shape, lambda build, x, axes=axes: build.reduce("MEAN", x, axes))
        assert not drop_unit_axes(graph)
