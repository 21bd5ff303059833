"""What no input changes is computed now; what changes nothing goes."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.ir import Builder, Graph, Value, constant, write
from edge_aigc.converters.rewrites.constants import fold_constants
from edge_aigc.converters.rewrites.identities import remove_identities
from edge_aigc.converters.rewrites.twins import merge_twins
from tests.normalizing import kinds, normalized
from tests.rewriting import graph_of, normal

CASES = settings(max_examples=200, derandomize=True, deadline=None)
UNARY = ("NEG", "ABS", "SQUARE", "TANH", "EXP", "RELU")


def _step(build, y, rng):
    """Add one random operator that keeps the rank."""
    choice = int(rng.integers(5))
    if choice == 0:
        return build.unary(str(rng.choice(UNARY)), y)
    if choice == 1:
        return build.add(y, normal(rng, y.shape[-1:]))
    if choice == 2:
        return build.transpose(y, [int(axis) for axis in rng.permutation(len(y.shape))])
    if choice == 3:
        return build.reduce("MEAN", y, [int(rng.integers(len(y.shape)))])
    return build.reshape(y, [int(size) for size in rng.permutation(y.shape)])


@CASES
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    steps=st.integers(1, 5),
    seed=st.integers(0, 9999),
)
def test_what_no_input_reaches_becomes_one_constant(shape, steps, seed):
    def make(build, x):
        rng = np.random.default_rng(seed)
        y = constant(normal(rng, tuple(shape)))
        for _ in range(steps):
            y = _step(build, y, rng)
        return build.mul(x, build.reshape(y, (*y.shape, 1)) if y.data is None else y)

    assert kinds(normalized(graph_of((1,), make), fold_constants)) == ["MUL"]


def test_a_constant_that_would_swell_the_file_stays():
    def make(build, x):
        wide = build.node("TILE", [np.ones((1, 1), np.float32), np.int32([64, 1024])], (64, 1024))
        return build.add(x, build.unary("EXP", wide))

    graph = graph_of((64, 1024), make)
    assert len(write(normalized(graph, fold_constants))) < 10_000


def test_a_shape_at_run_time_is_known_now():
    def make(build, x):
        shape = build.node("SHAPE", [x], (3,), option_class="ShapeOptions", outType=2, dtype="INT32")
        first = build.strided_slice(shape, [0], [1], [1])
        rest = constant(np.int32([12]))
        packed = build.concatenate([first, rest], 0)
        return build.node("RESHAPE", [x, packed], (1, 12), option_class="ReshapeOptions")

    assert kinds(normalized(graph_of((1, 3, 4), make), fold_constants, remove_identities)) == ["RESHAPE"]


@CASES
@given(
    shape=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    steps=st.integers(1, 8),
    seed=st.integers(0, 9999),
)
def test_reshapes_transposes_and_neutral_arithmetic_shrink(shape, steps, seed):
    def make(build, x):
        rng = np.random.default_rng(seed)
        y = build.unary("TANH", x)
        for _ in range(steps):
            y = _idle_step(build, y, rng)
        return build.unary("EXP", y)

    after = normalized(graph_of(tuple(shape), make), remove_identities)
    assert set(kinds(after)) <= {"TANH", "EXP", "RESHAPE", "TRANSPOSE", "CONCATENATION"}
    for node in after.nodes:
        before = node.input(0).producer
        assert before is None or node.kind not in {"RESHAPE", "TRANSPOSE"} or before.kind != node.kind


def _idle_step(build, y, rng):
    rank, axis = len(y.shape), int(rng.integers(len(y.shape)))
    zeros, ones = np.zeros((1,), np.float32), np.ones(y.shape[-1:], np.float32)
    steps = (
        lambda: build.reshape(y, [int(size) for size in rng.permutation(y.shape)]),
        lambda: build.transpose(y, [int(place) for place in rng.permutation(rank)]),
        lambda: build.add(y, zeros),
        lambda: build.mul(ones, y),
        lambda: build.sub(y, zeros),
        lambda: build.binary("DIV", y, ones),
        lambda: build.slice(y, [0] * rank, y.shape),
        lambda: build.strided_slice(y, [0] * rank, y.shape, [1] * rank),
        lambda: build.pad(y, [(0, 0)] * rank),
        lambda: build.concatenate([y], axis),
        lambda: build.reduce("SUM", y, [axis]) if y.shape[axis] == 1 else y,
        lambda: (
            build.node("EXPAND_DIMS", [y, np.int32(axis)], (*y.shape[:axis], 1, *y.shape[axis:])) if rank < 4 else y
        ),
        lambda: (
            build.node(
                "PACK",
                [y, y],
                (*y.shape[:axis], 2, *y.shape[axis:]),
                option_class="PackOptions",
                valuesCount=2,
                axis=axis,
            )
            if rank < 4
            else y
        ),
    )
    return steps[int(rng.integers(len(steps)))]()


@CASES
@given(seed=st.integers(0, 9999), steps=st.integers(1, 6))
def test_what_is_computed_twice_is_computed_once(seed, steps):
    def make(build, x):
        branches = []
        for _ in range(2):
            rng, y = np.random.default_rng(seed), x
            for _ in range(steps):
                y = _step(build, y, rng)
            branches.append(y)
        return build.concatenate(branches, 0)

    graph = graph_of((2, 3, 2), make)
    assert len(normalized(graph, merge_twins).nodes) == steps + 1


def test_an_input_is_never_given_out_itself():
    x = Value(name="x", shape=(2, 3))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y", "z"])
    build = Builder(graph)
    graph.outputs = [build.add(x, np.float32([0])), build.mul(x, np.float32([1]))]
    after = normalized(graph, remove_identities)
    assert len(after.nodes) == 2


@CASES
@given(
    shape=st.lists(st.integers(2, 4), min_size=1, max_size=4),
    transposed=st.booleans(),
    same=st.booleans(),
    seed=st.integers(0, 999),
)
def test_what_is_turned_twice_lies_as_before(shape, transposed, same, seed):
    rng, rank = np.random.default_rng(seed), len(shape)
    order = [int(axis) for axis in rng.permutation(rank)] if transposed else list(range(rank))
    # One axis: the kernel turns neighbouring axes only, and a transpose parts them.
    axes = np.int32([rng.integers(rank)])
    back = np.int32([order.index(axis) for axis in axes]) if same else np.int32([rank - 1])

    def make(build, x):
        y = build.node("REVERSE_V2", [build.unary("TANH", x), axes], x.shape, option_class="ReverseV2Options")
        y = build.transpose(y, order) if transposed else y
        return build.unary("EXP", build.node("REVERSE_V2", [y, back], y.shape, option_class="ReverseV2Options"))

    after = kinds(normalized(graph_of(tuple(shape), make), remove_identities))
    assert not same or "REVERSE_V2" not in after


def test_a_tile_that_no_operator_repeats_by_itself_stays():
    def make(build, x):
        wide = build.node("TILE", [x, np.int32([1, 2])], (1, 8))
        return build.mul(wide, normal(np.random.default_rng(0), (1, 8)))

    assert kinds(normalized(graph_of((1, 4), make), remove_identities)) == ["TILE", "MUL"]


def test_equal_bytes_of_two_scales_are_two_values():
    def make(build, x):
        y = x
        for scale in (0.5, 0.25):
            stored = constant(np.int8([1, 2, 3, 4]))
            stored.quantization = schema.QuantizationParametersT()
            stored.quantization.scale, stored.quantization.zeroPoint = [scale], [0]
            y = build.add(y, build.node("DEQUANTIZE", [stored], (4,), dtype="FLOAT32"))
        return y

    assert kinds(normalized(graph_of((1, 4), make), merge_twins)).count("DEQUANTIZE") == 2
