"""Convolutions by fewer multiplications: parity over windows, tiles, paddings and odd sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.winograd import TILES, Winograd
from edge_aigc.converters.rewrites.winograd.bilinear import MOST_PRODUCTS, filtering
from tests.rewriting import assert_same, graph_of, normal

FILTERINGS = [(m, r) for m in range(2, 7) for r in range(2, 8) if m + r - 1 <= MOST_PRODUCTS]


def tolerance(tile, graph):
    """Largest error of the output's range: four products an axis lose no more than rounding, more lose some bits."""
    taps = next(node for node in graph.nodes if node.kind == "CONV_2D").input(1).shape[1:3]
    return 1e-5 if max(m + r - 1 for m, r in zip(tile, taps, strict=True) if m > 1) <= 4 else 1e-4


@st.composite
def convolutions(draw):
    kernel = draw(
        st.sampled_from(
            [
                (3, 3),
                (3, 3),
                (2, 2),
                (1, 3),
                (3, 1),
                (3, 2),
                (2, 3),
                (1, 2),
                (5, 5),
                (4, 3),
                (1, 7),
                (9, 1),
                (1, 11),
                (7, 6),
            ]
        )
    )
    high, wide = (draw(st.integers(max(4, taps), max(11, taps + 2))) for taps in kernel)
    around = draw(st.sampled_from(["SAME", "VALID", "PAD", "MIRROR_PAD"]))
    pads = [(0, 0), *(draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in kernel), (0, 0)]
    inside, outside = draw(st.integers(8, 10)), draw(st.integers(8, 9))
    biased, activation = draw(st.booleans()), draw(st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]))
    batch, seed = draw(st.sampled_from([1, 1, 2])), draw(st.integers(0, 99))

    def make(build, x):
        rng = np.random.default_rng(seed)
        weights = normal(rng, (outside, *kernel, inside))
        bias = normal(rng, (outside,)) if biased else None
        padded = {"PAD": build.pad, "MIRROR_PAD": build.mirror_pad}.get(around)
        if padded is not None:
            x = padded(x, pads)
        return build.conv_2d(x, weights, bias, padding="SAME" if around == "SAME" else "VALID", activation=activation)

    return graph_of((batch, high, wide, inside), make)


@pytest.mark.parametrize("tile", [(2, 2), (4, 4)])
@settings(max_examples=200, derandomize=True, deadline=None)
@given(graph=convolutions())
def test_fewer_multiplications_compute_the_same(tile, graph):
    assert_same(Winograd(*tile), graph, tolerance=tolerance(tile, graph))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(tile=st.sampled_from([(1, 2), (2, 1), (3, 1), (1, 4), (4, 1), (3, 3), (4, 2)]), graph=convolutions())
def test_tiles_need_not_be_square(tile, graph):
    assert_same(Winograd(*tile), graph, tolerance=tolerance(tile, graph))


@pytest.mark.parametrize(("outputs", "taps"), [*FILTERINGS, (1, 3)])
def test_minimal_filtering_filters(outputs, taps):
    rng = np.random.default_rng(outputs * taps)
    by = filtering(outputs, taps)
    inputs, filters = rng.normal(size=outputs + taps - 1), rng.normal(size=taps)
    expected = [inputs[start : start + taps] @ filters for start in range(outputs)]
    np.testing.assert_allclose(by.out @ ((by.weights @ filters) * (by.into @ inputs)), expected, atol=1e-11)


def _graph(shape, kernel, **options):
    rng = np.random.default_rng(0)
    weights, bias = normal(rng, kernel), normal(rng, kernel[:1])
    return graph_of(shape, lambda build, x: build.conv_2d(x, weights, bias, **options))


def _kinds(tile, graph):
    form = Winograd(*tile)
    form.apply(graph, form.regions(graph)[0])
    return [node.kind for node in graph.nodes]


def test_same_padding_needs_no_pad_where_tiles_cover_the_picture():
    kinds = _kinds((4, 4), _graph((1, 8, 12, 8), (8, 3, 3, 8), padding="SAME"))
    assert "PAD" not in kinds
    assert "SLICE" not in kinds
    assert kinds.count("CONV_2D") == 36


def test_odd_sizes_are_padded_up_and_cropped():
    kinds = _kinds((4, 4), _graph((1, 9, 9, 8), (8, 3, 3, 8), padding="SAME"))
    assert kinds[0] == "PAD"
    assert kinds[-1] == "SLICE"


def test_the_activation_is_fused_into_the_last_sums():
    kinds = _kinds((2, 2), _graph((1, 8, 8, 8), (8, 3, 3, 8), padding="SAME", activation="RELU"))
    assert "RELU" not in kinds


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ((8, 3, 3, 8), {"stride": (2, 2)}),
        ((8, 3, 3, 8), {"dilation": (2, 2)}),
        ((8, 1, 1, 8), {}),
        ((8, 3, 3, 4), {}),  # groups
        ((3, 3, 3, 8), {}),  # a last convolution to three colours has little to save
    ],
)
def test_other_convolutions_are_left_alone(kernel, options):
    graph = _graph((1, 9, 9, 8), kernel, **options)
    assert Winograd(2, 2).regions(graph) == []


def test_products_are_not_rewritten_again():
    graph = _graph((1, 12, 12, 8), (8, 3, 3, 8), padding="SAME")
    Winograd(4, 1).apply(graph, Winograd(4, 1).regions(graph)[0])
    assert not any(Winograd(*tile).regions(graph) for tile in TILES)


def test_tiles_that_stick_out_too_far_are_not_tried():
    graph = _graph((1, 3, 3, 8), (8, 3, 3, 8), padding="SAME")
    assert not Winograd(2, 1).regions(graph)
    assert Winograd(2, 2).regions(graph)


def test_weights_made_at_run_time_are_left_alone():
    graph = graph_of(
        (8, 3, 3, 8), lambda build, x: build.conv_2d(build.reshape(x, (1, 8, 9, 8)), build.unary("TANH", x))
    )
    assert Winograd(2, 2).regions(graph) == []
