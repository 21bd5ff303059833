"""Weights that several operators read: they stay one constant, are cut for all readers, and count once for each."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.costs.work import multiplications, price
from edge_aigc.converters.ir import Builder, Graph, Value, constant, read, write
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.converters.prune.ledger import Ledger
from edge_aigc.converters.prune.prune import Pruner, replayed
from edge_aigc.converters.prune.repair import repair
from edge_aigc.converters.prune.units import places_left
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize
from edge_aigc.converters.sources.keras import source_of
from edge_aigc.converters.sources.source import Wish
from edge_aigc.interpreter import Interpreter
from tests.pruning import CASES, assert_cut_is_zeroed, cuttable, halves, random_masks
from tests.rewriting import graph_of, normal

K = keras.layers
DEPTHS = (4, 6)


class _Pool:
    """Constants that are drawn once for each purpose and shape, and read by all steps that ask for such."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._made: dict[tuple[object, ...], Value] = {}

    def draw(self, purpose: str, shape: tuple[int, ...]) -> Value:
        if (purpose, shape) not in self._made:
            data = normal(self._rng, shape) / np.float32(max(np.prod(shape[1:]), 1) ** 0.5)
            self._made[purpose, shape] = constant(data, f"{purpose} {shape}")
        return self._made[purpose, shape]

    def alike(self, purpose: str, shape: tuple[int, ...], number: float) -> Value:
        made = constant(np.full(shape, number, np.float32), f"{purpose} {shape}")
        return self._made.setdefault((purpose, shape), made)

    def bias(self, depth: int) -> Value:
        if self._rng.integers(2):
            return self.alike("zeros", (depth,), 0.0)
        return self.draw("bias", (depth,))


def _convolution(build: Builder, x: Value, pool: _Pool, depth: int) -> Value:
    kernel = pool.draw("kernel", (depth, 3, 3, x.shape[3]))
    return build.conv_2d(x, kernel, pool.bias(depth), padding="SAME", activation="RELU")


def _depthwise(build: Builder, x: Value, pool: _Pool, _: int) -> Value:
    kernel = pool.draw("depthwise", (1, 3, 3, x.shape[3]))
    return build.depthwise_conv_2d(x, kernel, pool.bias(x.shape[3]), padding="SAME")


def _dense(build: Builder, x: Value, pool: _Pool, depth: int) -> Value:
    _, high, wide, had = x.shape
    rows = build.reshape(x, (high * wide, had))
    made = build.fully_connected(rows, pool.draw("dense", (depth, had)), pool.bias(depth))
    return build.reshape(made, (1, high, wide, depth))


def _scaled(build: Builder, x: Value, pool: _Pool, _: int) -> Value:
    return build.mul(x, pool.draw("scale", (x.shape[3],)))


def _blurred(build: Builder, x: Value, pool: _Pool, _: int) -> Value:
    return build.depthwise_conv_2d(x, pool.alike("blur", (1, 2, 2, x.shape[3]), 0.25), None, padding="SAME")


def _residual(build: Builder, x: Value, pool: _Pool, _: int) -> Value:
    return build.add(x, _convolution(build, x, pool, x.shape[3]))


def _transposed(build: Builder, x: Value, pool: _Pool, depth: int) -> Value:
    _, high, wide, had = x.shape
    if x.size > 1 << 11:
        return x
    kernel = pool.draw("kernel", (depth, 3, 3, had))
    return build.transpose_conv(x, kernel, pool.bias(depth), (2 * high, 2 * wide), stride=(2, 2), padding="SAME")


MENU = {
    "convolution": _convolution,
    "depthwise": _depthwise,
    "dense": _dense,
    "scaled": _scaled,
    "blurred": _blurred,
    "residual": _residual,
    "transposed": _transposed,
}


def _shared(steps: list[str], seed: int) -> Graph:
    """Return a net of steps that read the same constants wherever shapes allow."""
    rng = np.random.default_rng(seed)
    pool = _Pool(rng)
    x = Value(name="x", shape=(1, 4, 5, 3))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    build = Builder(graph)
    y = _convolution(build, x, pool, 4)
    for step in steps:
        y = MENU[step](build, y, pool, int(rng.choice(DEPTHS)))
    graph.outputs = [build.conv_2d(y, pool.draw("last", (2, 3, 3, y.shape[3])), None, padding="SAME")]
    return graph


SHARED = given(st.lists(st.sampled_from(sorted(MENU)), min_size=2, max_size=7), st.integers(0, 10**6))


def _constants(graph: Graph) -> list[Value]:
    """Return the float constants of a graph, each once."""
    read_ = {id(value): value for node in graph.nodes for value in node.inputs if value and value.constant}
    return [value for value in read_.values() if value.dtype == "FLOAT32"]


def _weights(graph: Graph) -> list[str]:
    """Return the names of its weights, each once; those of filters that are alike in every channel apart."""
    return sorted(one.name for one in _constants(graph) if len(one.shape) > 1 and not one.name.startswith("blur"))


@CASES
@SHARED
def test_the_ledger_counts_each_reading_of_a_shared_constant_once(steps, seed):
    graph = _shared(steps, seed)
    groups = list(cuttable(graph).values())
    masks = random_masks(graph, np.random.default_rng(seed))
    counts = {name: int(mask.sum()) for name, mask in masks.items()}
    smaller = write(cut(graph, masks))
    ledger = Ledger(graph, groups)
    assert ledger.multiplications(ledger.full) == multiplications(write(graph))
    assert ledger.multiplications(counts) == multiplications(smaller)
    assert ledger.cost(counts) == pytest.approx(price(smaller))
    name = groups[seed % len(groups)].name
    other = {**counts, name: 1}
    assert ledger.saved(counts, name, 1) == pytest.approx(ledger.cost(counts) - ledger.cost(other))
    fewer = ledger.multiplications(counts) - ledger.multiplications(other)
    assert ledger.multiplications_saved(counts, name, 1) == fewer


@CASES
@SHARED
def test_a_cut_graph_equals_the_zeroed_one_and_shared_constants_stay_one(steps, seed):
    graph = _shared(steps, seed)
    smaller = assert_cut_is_zeroed(graph, random_masks(graph, np.random.default_rng(seed)))
    assert _weights(smaller) == _weights(graph)
    sizes = [sum(value.size for value in _constants(one)) for one in (graph, smaller)]
    assert sizes[1] <= sizes[0]


@settings(max_examples=40, derandomize=True, deadline=None)
@SHARED
def test_what_is_repaired_still_shares_its_weights_and_is_no_larger(steps, seed):
    graph = _shared(steps, seed)
    masks = random_masks(graph, np.random.default_rng(seed))
    left = places_left(graph, channel_groups(graph), masks)
    samples = [[normal(np.random.default_rng(number), (1, 4, 5, 3))] for number in range(4)]
    repaired, refits = repair(graph, cut(graph, masks), left, samples)
    assert _weights(repaired) == _weights(graph)
    assert all(refit.after <= refit.before for refit in refits)
    kernels = [
        sum(value.size for value in _constants(one) if len(value.shape) > 1 and not value.name.startswith("blur"))
        for one in (graph, repaired)
    ]
    assert kernels[1] < kernels[0]


@pytest.mark.parametrize("biases", [1, 2])
def test_channels_that_others_make_up_for_are_repaired_exactly_for_all_who_read_the_weights(biases):
    rng = np.random.default_rng(2)
    few = normal(rng, (4, 3, 3, 2))
    first, second = constant(np.concatenate([few, 2 * few])), constant(normal(rng, (3, 3, 3, 8)))
    added = [constant(normal(rng, (3,))) for _ in range(biases)]

    def make(build: Builder, x: Value) -> Value:
        sides = [x, build.unary("TANH", x)]
        made = [build.conv_2d(side, first, None, padding="SAME", activation="RELU") for side in sides]
        return build.concatenate(
            [build.conv_2d(y, second, added[at % biases], padding="SAME") for at, y in enumerate(made)], 3
        )

    graph = graph_of((1, 8, 8, 2), make)
    ((name, _),) = cuttable(graph).items()
    keep = {name: np.arange(8) < 4}
    left = places_left(graph, channel_groups(graph), keep)
    smaller = cut(graph, keep)
    repaired, (refit,) = repair(graph, smaller, left, _samples(graph, 0))
    unseen = _samples(graph, 7)
    assert refit.after < 1e-5 < refit.before
    assert _error(graph, repaired, unseen) < 1e-5 * _error(graph, smaller, unseen)
    assert len(_weights(repaired)) == 2


def _siamese() -> keras.Model:
    a, b = keras.Input((8, 8, 4)), keras.Input((8, 8, 4))
    first, second = (K.Conv2D(32, 3, padding="same", activation="relu") for _ in range(2))
    both = K.Concatenate()([second(first(side)) for side in (a, b)])
    return keras.Model([a, b], K.Conv2D(3, 3, padding="same")(both))


def _again() -> keras.Model:
    """Two convolutions four times."""
    z = keras.Input((16,))
    x = K.Reshape((4, 4, 16))(K.Dense(4 * 4 * 16, activation="relu")(z))
    first, second = (K.Conv2D(16, 3, padding="same", activation="relu") for _ in range(2))
    for _ in range(4):
        x = second(first(x))
    return keras.Model(z, K.Conv2DTranspose(1, 4, 2, "same", activation="tanh")(x))


def _unrolled(cell: type[keras.layers.Layer]) -> keras.Model:
    z = keras.Input((8,))
    x = cell(32, return_sequences=True, unroll=True)(K.RepeatVector(6)(z))
    return keras.Model(z, K.Conv1D(16, 5, padding="same", activation="tanh")(x))


def _tied() -> keras.Model:
    words = keras.Input((8,), dtype="int32")
    table = K.Embedding(24, 32)
    x = table(words)
    x = x + K.Conv1D(32, 3, padding="same", activation="relu")(x)
    return keras.Model(words, keras.ops.matmul(x, keras.ops.transpose(table.embeddings)))


NETS = {
    "siamese": _siamese,
    "convolutions again": _again,
    "gru": lambda: _unrolled(K.GRU),
    "lstm": lambda: _unrolled(K.LSTM),
    "tied": _tied,
}


def _net(name: str) -> Graph:
    keras.utils.set_random_seed(0)
    graph = read(source_of(NETS[name](), Wish(), file_name=name).flatbuffer)
    normalize(graph, NORMALIZATIONS)
    return graph


def _samples(graph: Graph, seed: int) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(seed)

    def draw(value: Value) -> np.ndarray:
        if value.dtype == "FLOAT32":
            return normal(rng, value.shape)
        return rng.integers(0, 24, value.shape).astype(np.int32)

    return [[draw(value) for value in graph.inputs] for _ in range(12)]


def _error(graph: Graph, other: Graph, samples: list[list[np.ndarray]]) -> float:
    runs = [[Interpreter(write(one)).run(inputs)[0] for inputs in samples] for one in (graph, other)]
    return float(np.mean((np.stack(runs[0]) - np.stack(runs[1])) ** 2))


@pytest.mark.parametrize("name", NETS)
def test_nets_that_read_weights_again_are_cut_exactly_and_each_channel_once(name):
    graph = _net(name)
    smaller = assert_cut_is_zeroed(graph, halves(graph))
    assert len(_weights(smaller)) == len(_weights(graph))
    assert len(write(smaller)) < 0.7 * len(write(graph))


@pytest.mark.parametrize("name", NETS)
def test_nets_that_read_weights_again_lose_what_was_asked_for_and_grow_by_nothing(name):
    graph = _net(name)
    samples = _samples(graph, 0)
    pruner = Pruner(graph, samples)
    pruned = pruner.by_ratio(0.5)
    again = replayed(graph, pruned.keep, samples)
    assert pruned.record.multiplications == again.record.multiplications
    assert pruned.record.ratio == again.record.ratio == pytest.approx(0.5, abs=0.025)
    assert pruned.record.multiplications == (multiplications(write(graph)), multiplications(write(pruned.graph)))
    assert write(again.graph) == write(pruned.graph)
    assert len(_weights(pruned.graph)) == len(_weights(graph))
    assert len(write(pruned.graph)) < 0.8 * len(write(graph))
    unseen = _samples(graph, 7)
    plain = pruner.by_ratio(0.5, repaired=False)
    assert _error(graph, pruned.graph, unseen) < 0.95 * _error(graph, plain.graph, unseen)
