"""Channels through operators that work place by place, with every kind of broadcasting."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_aigc.converters.ir import Value
from edge_aigc.converters.prune.rules.elementwise import BROADCASTING, ONE_INPUT
from tests.pruning import CASES, assert_cut_is_zeroed, chained, conv, cuttable, halves, random_masks
from tests.rewriting import graph_of, normal

_OTHER_TYPES = {"LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT", "BITWISE_XOR", "DEQUANTIZE", "QUANTIZE"}
_COMPARED = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
_SAID = {"ADD_N", "PRELU", "SELECT_V2", "CAST", "FLOOR_MOD", "ATAN2", *_COMPARED}
"""Those that need more than two operands of one kind."""
ARITHMETIC = tuple(kind for kind in BROADCASTING if kind not in _OTHER_TYPES | _SAID)
FUNCTIONS = tuple(kind for kind in ONE_INPUT if kind not in _OTHER_TYPES | _SAID)
_POSITIVE = {"LOG", "SQRT", "RSQRT"}


def _operand(build, x, rng):
    """Return what a map can be joined with: of all its places, or repeated along some."""
    shape = x.shape
    options = [
        lambda: normal(rng, shape[3:]),
        lambda: normal(rng, (1, 1, 1, shape[3])),
        lambda: normal(rng, (*shape[1:3], 1)),
        lambda: normal(rng, shape),
        lambda: normal(rng, ()),
        lambda: conv(build, x, rng, shape[3]),
        lambda: conv(build, x, rng, 1),
        lambda: build.reduce("MEAN", conv(build, x, rng, shape[3]), (1, 2)),
        lambda: build.reshape(build.reduce("MEAN", conv(build, x, rng, shape[3]), (1, 2)), (shape[3],)),
        lambda: x,
    ]
    return options[rng.integers(len(options))]()


def _positive(build, x):
    """Keep a divisor or the base of a power above zero."""
    value = x if isinstance(x, Value) else None
    return build.add(build.unary("ABS", value), np.float32(0.5)) if value is not None else np.abs(x) + np.float32(0.5)


def _arithmetic(build, x, rng):
    kind = str(rng.choice(ARITHMETIC))
    other = _operand(build, x, rng)
    if kind == "FLOOR_DIV":  # refuses zeros, which the net that is compared with holds
        return build.binary(kind, x, np.float32(0.3))
    if kind == "DIV":
        return build.binary(kind, x, _positive(build, other))
    if kind == "POW":
        return build.binary(kind, _positive(build, build.unary("TANH", x)), np.float32(rng.uniform(0.5, 2)))
    pair = (other, x) if rng.integers(2) else (x, other)
    return build.binary(kind, *pair)


def _function(build, x, rng):
    kind = str(rng.choice(FUNCTIONS))
    options = {"alpha": 0.2} if kind == "LEAKY_RELU" else {}
    named = {
        "LEAKY_RELU": "LeakyReluOptions",
        "GELU": "GeluOptions",
        "SIGN": "SignOptions",
        "ZEROS_LIKE": "ZerosLikeOptions",
    }
    x = build.unary("TANH", x) if kind == "EXP" else _positive(build, x) if kind in _POSITIVE else x
    return build.node(kind, [x], x.shape, option_class=named.get(kind), **options)


def _chosen(build, x, rng):
    """Compared, then chosen by what was found."""
    kind = str(rng.choice(_COMPARED))
    other = _operand(build, x, rng)
    shape = np.broadcast_shapes(x.shape, other.shape)
    found = build.node(kind, [x, other], shape, dtype="BOOL")
    if rng.integers(2):
        found = build.node("LOGICAL_NOT", [found], shape, dtype="BOOL", option_class="LogicalNotOptions")
    kind = str(rng.choice(["SELECT", "SELECT_V2"]))
    options = {"SELECT": "SelectOptions", "SELECT_V2": "SelectV2Options"}
    return build.node(kind, [found, x, build.unary("NEG", x)], shape, dtype="FLOAT32", option_class=options[kind])


def _counted(build, x, rng):
    del rng
    found = build.node("GREATER", [x, np.float32(0)], x.shape, dtype="BOOL", option_class="GreaterOptions")
    both = build.node("LOGICAL_AND", [found, found], x.shape, dtype="BOOL", option_class="LogicalAndOptions")
    return build.mul(build.node("CAST", [both], x.shape, dtype="FLOAT32", option_class="CastOptions"), x)


def _summed(build, x, rng):
    parts = [x, conv(build, x, rng, x.shape[3]), x]
    return build.node("ADD_N", parts, x.shape, option_class="AddNOptions")


MENU = {"arithmetic": _arithmetic, "function": _function, "chosen": _chosen, "counted": _counted, "summed": _summed}


@CASES
@given(steps=st.lists(st.sampled_from(sorted(MENU)), min_size=1, max_size=4), seed=st.integers(0, 99999))
def test_what_is_cut_place_by_place_equals_what_is_zeroed(steps, seed):
    graph = chained(steps, MENU, seed)
    assert_cut_is_zeroed(graph, random_masks(graph, np.random.default_rng(seed)))


def test_a_map_of_one_channel_is_repeated_and_joins_nothing():
    rng = np.random.default_rng(0)

    def make(build, x):
        mask = build.unary("LOGISTIC", conv(build, x, rng, 1))
        return conv(build, build.mul(conv(build, x, rng, 6), mask), rng, 2)

    graph = graph_of((1, 4, 4, 3), make)
    assert [group.units for group in cuttable(graph).values()] == [6]
    assert_cut_is_zeroed(graph, halves(graph))


def test_constants_that_are_equal_by_chance_join_nothing():
    rng, shared = np.random.default_rng(0), Value(name="zeros", shape=(4,), data=np.zeros(4, np.float32))

    def make(build, x):
        y = build.conv_2d(x, normal(rng, (4, 1, 1, 3)), shared)
        return conv(build, build.conv_2d(y, normal(rng, (4, 1, 1, 4)), shared), rng, 2)

    graph = graph_of((1, 4, 4, 3), make)
    first, second = cuttable(graph)
    assert_cut_is_zeroed(graph, {first: np.arange(4) < 1, second: np.arange(4) > 1})
