"""What each unit of a graph is worth."""

from __future__ import annotations

import numpy as np
import pytest

from edge_aigc.converters.ir import Builder, Graph, Value, write
from edge_aigc.converters.prune.gates import gated
from edge_aigc.converters.prune.mended import mended
from edge_aigc.converters.prune.prune import Pruner
from edge_aigc.converters.prune.scores import activity, magnitude, taylor
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import Interpreter
from tests.pruning import conv, cuttable, remembering, zeroed
from tests.rewriting import graph_of, normal


def _net(activation: str = "NONE") -> Graph:
    """A dense map, a sum of two convolutions, whose channels go together, one number in the end."""
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        y = build.fully_connected(x, normal(rng, (4 * 4 * 6, 5)), normal(rng, (96,)), activation=activation)
        y = build.reshape(y, (1, 4, 4, 6))
        y = build.add(conv(build, y, rng, 5), conv(build, y, rng, 5, activation=activation))
        return build.fully_connected(build.reshape(y, (1, 80)), normal(rng, (1, 80)))

    return graph_of((1, 5), make)


def _samples(count: int) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(9)
    return [[normal(rng, (1, 5))] for _ in range(count)]


def _run(graph: Graph, samples) -> np.ndarray:
    interpreter = Interpreter(write(graph))
    return np.stack([interpreter.run(inputs)[0] for inputs in samples])


def test_taylor_is_the_change_of_the_outputs_without_a_unit_where_the_graph_is_linear():
    graph, samples = _net(), _samples(5)
    groups = cuttable(graph)
    assert len(groups) == 2
    found = taylor(graph, list(groups.values()), samples)
    original = _run(graph, samples)
    for name, group in groups.items():
        for unit in range(group.units):
            changed = _run(zeroed(graph, {name: np.arange(group.units) != unit}), samples)
            expected = np.mean((changed - original) ** 2) / original.var()
            assert found[name][unit] == pytest.approx(expected, rel=1e-3)


def test_gates_of_one_change_nothing_and_gates_of_zero_take_a_unit_away():
    graph = _net("RELU")
    groups = list(cuttable(graph).values())
    opened, gates = gated(graph, groups)
    (x,) = _samples(1)
    interpreter = Interpreter(write(opened))
    ones = [np.ones(gate.shape, np.float32) for gate in gates]
    np.testing.assert_allclose(interpreter.run([*x, *ones])[0], _run(graph, [x])[0], rtol=1e-5)
    for group in groups:
        shut = [
            np.where(gate.units.reshape(gate.shape) == 0, 0, one).astype(np.float32)
            if gate.group == group.name
            else one
            for gate, one in zip(gates, ones, strict=True)
        ]
        without = zeroed(graph, {group.name: np.arange(group.units) > 0})
        np.testing.assert_allclose(interpreter.run([*x, *shut])[0], _run(without, [x])[0], rtol=1e-4)


def test_magnitude_is_the_share_of_squared_weights():
    graph = _net()
    groups = list(cuttable(graph).values())
    found = magnitude(graph, groups)
    dense = next(node for node in graph.nodes if node.kind == "FULLY_CONNECTED")
    power = (dense.input(1).data.reshape(16, 6, 5) ** 2).sum((0, 2))
    np.testing.assert_allclose(found[groups[0].name], power / power.sum(), rtol=1e-5)
    assert all(each.sum() == pytest.approx(1) for each in found.values())


def test_a_channel_that_is_never_active_is_worth_nothing():
    rng = np.random.default_rng(0)
    kernel, bias = normal(rng, (6, 3, 3, 2)), np.zeros(6, np.float32)
    kernel[2], bias[2] = 0.01 * kernel[2], -100

    def make(build: Builder, x: Value) -> Value:
        y = build.conv_2d(x, kernel, bias, padding="SAME", activation="RELU")
        return conv(build, y, rng, 2)

    graph = graph_of((1, 6, 6, 2), make)
    groups = list(cuttable(graph).values())
    samples = [[normal(rng, (1, 6, 6, 2))] for _ in range(3)]
    for score in (taylor, activity):
        (found,) = score(graph, groups, samples).values()
        assert found[2] == 0
        assert (np.delete(found, 2) > 0).all()


def test_scores_are_the_same_every_time():
    graph, samples = _net("RELU"), _samples(3)
    groups = list(cuttable(graph).values())
    first, second = (taylor(graph, groups, samples) for _ in range(2))
    for name, each in first.items():
        np.testing.assert_array_equal(each, second[name])


def test_a_unit_that_others_make_up_for_is_worth_little_and_the_last_of_those_alike_as_much_as_before():
    rng = np.random.default_rng(0)
    few = normal(rng, (3, 3, 3, 2))

    def make(build: Builder, x: Value) -> Value:
        y = build.conv_2d(x, np.concatenate([few, 2 * few[:1]]), padding="SAME")
        return conv(build, y, rng, 2)

    graph = graph_of((1, 8, 8, 2), make)
    groups = list(cuttable(graph).values())
    samples = [[normal(rng, (1, 8, 8, 2))] for _ in range(8)]
    alone = {group.name: np.array([1.0, 1.0, 1.0, 2.0]) for group in groups}
    (found,) = mended(graph, groups, alone, samples).values()
    assert found[0] < 1e-3
    assert (found[1:] > 0.5 * alone[groups[0].name][1:]).all()
    assert (found <= alone[groups[0].name] + 1e-9).all()


def test_outputs_without_gradients_do_not_count():
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        return conv(build, conv(build, x, rng, 4, activation="RELU"), rng, 3)

    graph = graph_of((1, 6, 6, 2), make)
    samples = [[normal(rng, (1, 6, 6, 2))] for _ in range(3)]
    groups = list(cuttable(graph).values())
    expected = taylor(graph, groups, samples)
    graph.outputs.append(_chosen(graph))
    graph.output_names.append("best")
    for name, each in taylor(graph, groups, samples).items():
        np.testing.assert_allclose(each, expected[name])


def _chosen(graph: Graph) -> Value:
    """Add which channel of the output is the largest at each place."""
    y, axis = graph.outputs[0], np.array(3, np.int32)
    shape = y.shape[:3]
    return Builder(graph).node("ARG_MAX", [y, axis], shape, dtype="INT32", option_class="ArgMaxOptions", outputType=2)


def test_where_whole_numbers_alone_are_made_activity_scores():
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        return conv(build, conv(build, x, rng, 16, activation="RELU"), rng, 5)

    graph = graph_of((1, 6, 6, 2), make)
    graph.outputs = [_chosen(graph)]
    samples = [[normal(rng, (1, 6, 6, 2))] for _ in range(3)]
    with pytest.raises(ConversionError, match=r"whole numbers alone: 'y' \(INT32\)"):
        Pruner(graph, samples, scores="taylor")
    pruned = Pruner(graph, samples).by_ratio(0.25)
    assert pruned.record.scores == "activity"
    assert pruned.record.ratio == pytest.approx(0.25, abs=0.01)


def _dense_net(taken: tuple[int, ...], made: tuple[int, ...]) -> Graph:
    """Four rows through two dense layers, then all of them into one; the same whatever shapes its ends have."""
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        x = x if len(x.shape) == 2 else build.reshape(x, (4, 8))
        y = build.fully_connected(x, normal(rng, (16, 8)), activation="RELU")
        y = build.fully_connected(y, normal(rng, (16, 16)), activation="RELU")
        y = build.fully_connected(build.reshape(y, (1, 64)), normal(rng, (96, 64)))
        return y if made == y.shape else build.reshape(y, made)

    return graph_of(taken, make)


@pytest.mark.parametrize(
    ("taken", "made"), [((4, 8), (1, 96)), ((1, 4, 8), (32, 3)), ((1, 4, 8), (96,)), ((4, 8), (4, 24))]
)
def test_scores_are_the_same_where_the_first_axis_is_not_the_batch(taken, made):
    samples = [normal(np.random.default_rng(seed), (1, 4, 8)) for seed in range(4)]
    plain, other = _dense_net((1, 4, 8), (1, 96)), _dense_net(taken, made)
    expected = taylor(plain, list(cuttable(plain).values()), [[one] for one in samples])
    found = taylor(other, list(cuttable(other).values()), [[one.reshape(taken)] for one in samples])
    for one, each in zip(found.values(), expected.values(), strict=True):
        np.testing.assert_allclose(one, each, rtol=1e-4)


def test_activity_of_a_map_that_a_dense_layer_reads_is_weighed_place_by_place():
    rng = np.random.default_rng(0)
    weights = normal(rng, (3, 4 * 4 * 6))

    def net(*, flat: bool) -> Graph:
        dice = np.random.default_rng(1)

        def make(build: Builder, x: Value) -> Value:
            y = conv(build, x, dice, 6, activation="RELU")
            return build.fully_connected(build.reshape(y, (1, 96)) if flat else y, weights)

        return graph_of((1, 4, 4, 2), make)

    graph, samples = net(flat=False), [[normal(rng, (1, 4, 4, 2))] for _ in range(3)]
    (found,) = activity(graph, list(cuttable(graph).values()), samples).values()
    made = Interpreter(write(graph.extract(graph.nodes[:1])))
    maps = np.mean([made.run(inputs)[0] ** 2 for inputs in samples], axis=0)
    power = (maps[0] * (weights**2).sum(0).reshape(4, 4, 6)).sum((0, 1))
    np.testing.assert_allclose(found, power / power.sum(), rtol=1e-5)
    flat = net(flat=True)
    (same,) = activity(flat, list(cuttable(flat).values()), samples).values()
    np.testing.assert_allclose(same, found, rtol=1e-5)


def test_what_feeds_a_state_counts_less_than_what_is_published():
    rng, graph = np.random.default_rng(1), remembering()
    samples = [[normal(rng, (1, 4)), normal(rng, (1, 6))] for _ in range(4)]
    groups = list(cuttable(graph).values())
    alike, less = (taylor(graph, groups, samples, feeding=feeding) for feeding in ((), {"h_next"}))
    for group in groups:
        assert 0.2 * alike[group.name].sum() < less[group.name].sum() < alike[group.name].sum()
