"""A generator pruned: scored, allocated, cut, repaired."""

from __future__ import annotations

import numpy as np
import pytest

from edge_aigc.converters.costs.work import multiplications, price
from edge_aigc.converters.ir import Builder, Graph, Value, write
from edge_aigc.converters.prune.prune import Pruner
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import Interpreter
from tests.pruning import conv
from tests.rewriting import graph_of, normal


def _generator() -> Graph:
    """A dense map, a residual block and a transposed convolution, whose channels are much alike."""
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        few = normal(rng, (4, 4, 8, 6))
        dense = np.concatenate([few, few + 0.2 * normal(rng, few.shape)], 2).reshape(-1, 6).astype(np.float32)
        y = build.reshape(build.fully_connected(x, dense, normal(rng, (256,)), activation="RELU"), (1, 4, 4, 16))
        y = conv(build, y, rng, 24)
        y = build.add(y, conv(build, y, rng, 24, activation="RELU"))
        kernel = normal(rng, (16, 4, 4, 24)) / np.float32(14)
        y = build.transpose_conv(
            y, kernel, normal(rng, (16,)), (8, 8), stride=(2, 2), padding="SAME", activation="RELU"
        )
        return build.unary("TANH", conv(build, y, rng, 3))

    return graph_of((1, 6), make)


def _samples(count: int, seed: int = 5) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [[normal(rng, (1, 6))] for _ in range(count)]


def _error(graph: Graph, other: Graph) -> float:
    outputs = [
        np.stack([Interpreter(write(one)).run(inputs)[0] for inputs in _samples(8, seed=77)]) for one in (graph, other)
    ]
    return float(np.mean((outputs[0] - outputs[1]) ** 2))


@pytest.fixture(scope="module")
def pruner() -> Pruner:
    return Pruner(_generator(), _samples(24))


def test_a_pruned_graph_has_the_multiplications_that_were_asked_for_and_the_same_borders(pruner):
    graph = _generator()
    pruned = pruner.by_ratio(0.5)
    before, after = (multiplications(write(one)) for one in (graph, pruned.graph))
    assert pruned.record.multiplications == (before, after)
    assert pruned.record.ratio == pytest.approx(1 - after / before)
    assert abs(pruned.record.ratio - 0.5) <= 0.01
    assert [value.shape for value in pruned.graph.outputs] == [value.shape for value in graph.outputs]
    assert pruned.graph.input_names == graph.input_names
    assert len(write(pruned.graph)) < 0.7 * len(write(graph))


def test_repair_brings_it_nearer_to_the_original_and_less_pruning_nearer_still(pruner):
    graph = _generator()
    repaired, bare = (_error(graph, pruner.by_ratio(0.5, repaired=choice).graph) for choice in (True, False))
    assert repaired < 0.5 * bare
    assert _error(graph, pruner.by_ratio(0.2).graph) < repaired


def test_nothing_removed_is_the_graph_itself(pruner):
    pruned = pruner.by_ratio(0.0)
    assert write(pruned.graph) == write(pruner.graph)
    assert pruned.record.ratio == 0
    assert pruned.record.repaired == ()


def test_the_record_tells_what_became_of_every_group(pruner):
    record = pruner.by_ratio(0.4).record
    assert record.scores == "taylor"
    assert record.samples == 24
    assert any(group.kept < group.units for group in record.groups)
    assert all((group.lost > 0) == (group.kept < group.units) for group in record.groups)
    assert all(refit.after <= refit.before for refit in record.repaired)


def test_the_same_graph_and_samples_give_the_same_bytes():
    first, second = (write(Pruner(_generator(), _samples(6)).by_ratio(0.3).graph) for _ in range(2))
    assert first == second


def test_as_much_is_cut_as_a_cost_asks_for(pruner):
    limit = 0.6 * price(write(pruner.graph))
    pruned = pruner.by_cost(lambda graph: price(write(graph)), limit, unit="of the price")
    assert 0.4 * price(write(pruner.graph)) < price(write(pruned.graph)) <= limit
    assert pruned.record.repaired


def test_what_does_not_lift_is_scored_by_activity():
    rng = np.random.default_rng(0)
    window = {"padding": 1, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}

    def make(build: Builder, x: Value) -> Value:
        y = conv(build, x, rng, 32, activation="RELU")
        y = build.node("L2_POOL_2D", [y], (1, 4, 4, 32), option_class="Pool2DOptions", **window)
        return conv(build, y, rng, 3)

    graph = graph_of((1, 8, 8, 3), make)
    samples = [[normal(rng, (1, 8, 8, 3))] for _ in range(4)]
    assert Pruner(graph, samples).by_ratio(0.3).record.scores == "activity"
    with pytest.raises(ConversionError, match="L2_POOL_2D"):
        Pruner(graph, samples, scores="taylor")


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 25.0])
def test_a_ratio_that_is_none_is_refused(pruner, ratio):
    with pytest.raises(ConversionError, match="no share of multiplications"):
        pruner.by_ratio(ratio)


def test_a_share_that_is_missed_is_told_with_the_channels_that_are_too_coarse_for_it():
    rng = np.random.default_rng(0)
    graph = graph_of((1, 8, 8, 3), lambda build, x: conv(build, conv(build, x, rng, 16, activation="RELU"), rng, 3))
    pruner = Pruner(graph, [[normal(rng, (1, 8, 8, 3))] for _ in range(4)])
    record = pruner.by_ratio(0.28).record
    assert record.ratio in (0.25, 0.3125)
    assert record.coarsest == (record.groups[0].name, pytest.approx(1 / 16))
    assert pruner.by_ratio(0.25).record.coarsest is None


def test_a_net_whose_channels_are_all_its_outputs_is_refused_with_the_reason():
    rng = np.random.default_rng(0)
    graph = graph_of((1, 4, 4, 2), lambda build, x: conv(build, x, rng, 3))
    with pytest.raises(ConversionError, match=r"No channels of this generator can be cut: .*output"):
        Pruner(graph, [[normal(rng, (1, 4, 4, 2))] for _ in range(2)])


def test_a_single_sample_is_refused():
    with pytest.raises(ConversionError, match="1 samples"):
        Pruner(_generator(), _samples(1))
