"""Batch norms, scales, pads and activations folded into the weights beside them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.rewrites.activations import fuse_activations
from edge_aigc.converters.rewrites.batch_norm import fold_batch_norm
from edge_aigc.converters.rewrites.padding import fold_pads
from edge_aigc.converters.rewrites.scales import fold_scales
from tests.normalizing import kinds, normalized
from tests.rewriting import graph_of, normal

CASES = settings(max_examples=200, derandomize=True, deadline=None)
AFFINE = ("MUL", "ADD", "SUB", "DIV")


def _constant(rng, depth, kind, *, scalar):
    shape = () if scalar else [(depth,), (1, 1, 1, depth), (1, 1, depth)][rng.integers(3)]
    # Divisors are kept from zero.
    return (rng.uniform(0.5, 2, shape) if kind == "DIV" else rng.normal(size=shape)).astype(np.float32)


def _windowed(build, x, kind, rng, *, stride, padding, dilation=(1, 1)):
    depth, kernel = x.shape[3], (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    if kind == "DEPTHWISE_CONV_2D":
        weights = normal(rng, (1, *kernel, depth * int(rng.integers(1, 3))))
        return build.depthwise_conv_2d(
            x, weights, normal(rng, weights.shape[3:]), stride=stride, padding=padding, dilation=dilation
        )
    if kind == "TRANSPOSE_CONV":
        size = (x.shape[1] * stride[0], x.shape[2] * stride[1])
        weights = normal(rng, (int(rng.integers(1, 5)), *kernel, depth))
        bias = normal(rng, weights.shape[:1]) if rng.integers(2) else None
        return build.transpose_conv(x, weights, bias, size, stride=stride, padding="SAME")
    if kind == "FULLY_CONNECTED":
        count = int(rng.integers(1, 5))
        bias = normal(rng, (count,)) if rng.integers(2) else None
        return build.fully_connected(x, normal(rng, (count, depth)), bias, keep_dims=True)
    weights = normal(rng, (int(rng.integers(1, 5)), *kernel, depth))
    return build.conv_2d(x, weights, normal(rng, weights.shape[:1]), stride=stride, padding=padding, dilation=dilation)


WINDOWS = st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"])


@CASES
@given(
    kind=WINDOWS,
    shape=st.tuples(st.just(1), st.integers(3, 6), st.integers(3, 6), st.integers(1, 4)),
    stride=st.sampled_from([(1, 1), (2, 2), (1, 2)]),
    padding=st.sampled_from(["SAME", "VALID"]),
    chain=st.lists(st.tuples(st.sampled_from(AFFINE), st.booleans(), st.booleans()), min_size=1, max_size=4),
    seed=st.integers(0, 999),
)
def test_what_follows_a_convolution_is_folded_into_it(kind, shape, stride, padding, chain, seed):
    def make(build, x):
        rng = np.random.default_rng(seed)
        y = _windowed(build, x, kind, rng, stride=stride, padding=padding)
        for operator, scalar, first in chain:
            number = _constant(rng, y.shape[3], operator, scalar=scalar)
            swapped = first and operator != "DIV"
            y = build.binary(operator, number, y) if swapped else build.binary(operator, y, number)
        return build.unary("TANH", y)

    assert kinds(normalized(graph_of(shape, make), fold_batch_norm)) == [kind, "TANH"]


@CASES
@given(
    kind=WINDOWS,
    shape=st.tuples(st.just(1), st.integers(3, 6), st.integers(3, 6), st.integers(1, 4)),
    padding=st.sampled_from(["SAME", "VALID"]),
    chain=st.lists(st.tuples(st.sampled_from(AFFINE), st.booleans()), min_size=1, max_size=3),
    pads=st.booleans(),
    seed=st.integers(0, 999),
)
def test_what_precedes_a_convolution_is_folded_only_where_no_border_minds(kind, shape, padding, chain, pads, seed):
    def make(build, x):
        rng = np.random.default_rng(seed)
        y = build.unary("TANH", x)
        for operator, scalar in chain:
            y = build.binary(operator, y, _constant(rng, y.shape[3], operator, scalar=scalar))
        y = build.pad(y, [(0, 0), (1, 0), (0, 2), (0, 0)]) if pads else y
        return _windowed(build, y, kind, rng, stride=(1, 1), padding=padding)

    after = kinds(normalized(graph_of(shape, make), fold_batch_norm, fold_scales))
    if chain == [("MUL", chain[0][1])]:
        assert "MUL" not in after
    if not pads and (kind == "FULLY_CONNECTED" or (padding == "VALID" and kind != "TRANSPOSE_CONV")):
        assert after == ["TANH", kind]


@CASES
@given(
    depthwise=st.booleans(),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    amounts=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2),
    twice=st.booleans(),
    seed=st.integers(0, 999),
)
def test_pads_are_left_to_the_window_where_they_are_its_own(depthwise, size, stride, dilation, amounts, twice, seed):
    dilation = dilation if stride == (1, 1) else (1, 1)

    def make(build, x):
        y = build.pad(x, [(0, 0), *amounts, (0, 0)])
        y = build.pad(y, [(0, 0), (1, 0), (0, 1), (0, 0)]) if twice else y
        y = build.pad(y, [(0, 0), (1, 1), (1, 1), (0, 0)]) if min(y.shape[1:3]) < 5 else y
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        return _windowed(build, y, kind, np.random.default_rng(seed), stride=stride, padding="VALID", dilation=dilation)

    after = normalized(graph_of((1, *size, 3), make), fold_pads)
    assert kinds(after).count("PAD") <= 1


def test_the_pads_of_three_by_three_become_same():
    def make(build, x):
        y = build.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        return build.conv_2d(y, np.ones((2, 3, 3, 3), np.float32), padding="VALID")

    assert kinds(normalized(graph_of((1, 5, 6, 3), make), fold_pads)) == ["CONV_2D"]


@CASES
@given(
    kind=st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "TRANSPOSE_CONV"]),
    activation=st.sampled_from(["RELU", "RELU6", "RELU_N1_TO_1", "MAXIMUM", "MINIMUM"]),
    read_twice=st.booleans(),
    seed=st.integers(0, 999),
)
def test_activations_are_fused_where_nobody_else_reads(kind, activation, read_twice, seed):
    def make(build, x):
        rng = np.random.default_rng(seed)
        if kind in AFFINE:
            y = build.binary(kind, x, build.unary("TANH", x))
        else:
            y = _windowed(build, x, kind, rng, stride=(1, 1), padding="SAME")
        if activation in {"MAXIMUM", "MINIMUM"}:
            z = build.binary("MAXIMUM", y, np.float32(0))
            z = build.binary("MINIMUM", z, np.float32(6)) if activation == "MINIMUM" else z
        else:
            z = build.unary(activation, y)
        return build.concatenate([z, y], 3) if read_twice else z

    after = kinds(normalized(graph_of((1, 4, 5, 3), make), fuse_activations))
    fused = kind != "TRANSPOSE_CONV" and not read_twice
    assert any(name.startswith("RELU") for name in after) != fused
    assert "MAXIMUM" not in after


def test_a_factor_does_not_pass_a_pad_that_adds_channels():
    rng = np.random.default_rng(0)

    def make(build, x):
        y = build.pad(build.mul(x, normal(rng, (4,))), ((0, 0), (0, 0), (0, 0), (2, 2)))
        return build.depthwise_conv_2d(y, normal(rng, (1, 3, 3, 8)))

    assert kinds(normalized(graph_of((1, 5, 5, 4), make), fold_scales)) == ["MUL", "PAD", "DEPTHWISE_CONV_2D"]
