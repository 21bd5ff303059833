"""What is left of a cut graph refitted: the rows that are fitted on, the regression, and the graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.ir import Builder, Graph, Value, write
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.converters.prune.patches import Patches, bias_of, refitted, weights_of
from edge_aigc.converters.prune.repair import repair
from edge_aigc.converters.prune.ridge import Line, Part, fit
from edge_aigc.converters.prune.units import places_left
from edge_aigc.converters.prune.walk import Walk
from edge_aigc.interpreter import Interpreter
from tests.pruning import cuttable
from tests.rewriting import graph_of, normal, outputs_of

CASES = settings(max_examples=60, derandomize=True, deadline=None)


@CASES
@given(st.integers(0, 10**6))
def test_rows_times_weights_are_what_the_operator_makes(seed):
    rng = np.random.default_rng(seed)
    shape = (1, int(rng.integers(3, 9)), int(rng.integers(3, 9)), int(rng.integers(1, 4)))
    kernel = normal(rng, (3, int(rng.integers(1, 6)), int(rng.integers(1, 6)), shape[3]))
    stride, padding = (int(rng.integers(1, 4)),) * 2, str(rng.choice(["SAME", "VALID"]))
    spread = (int(rng.integers(1, 3)),) * 2 if stride == (1, 1) else (1, 1)

    def make(build: Builder, x: Value) -> Value:
        kind = rng.integers(3)
        if kind == 0:
            return build.fully_connected(build.reshape(x, (shape[1] * shape[2], shape[3])), kernel[:, 0, 0], ONES)
        if kind == 1:
            reach = [(k - 1) * s for k, s in zip(kernel.shape[1:3], spread, strict=True)]
            how = padding if shape[1] > reach[0] and shape[2] > reach[1] else "SAME"
            return build.conv_2d(x, kernel, ONES, stride=stride, dilation=spread, padding=how)
        sizes = [n * s for n, s in zip(shape[1:3], stride, strict=True)]
        if padding == "VALID":
            sizes = [(n - 1) * s + k for n, k, s in zip(shape[1:3], kernel.shape[1:3], stride, strict=True)]
        return build.transpose_conv(x, kernel, ONES, (sizes[0], sizes[1]), stride=stride, padding=padding)

    graph = graph_of(shape, make)
    node = next(node for node in graph.nodes if refitted(node))
    x = normal(np.random.default_rng(0), shape)
    patches = Patches.of(node)
    weights, bias = weights_of(node).data, bias_of(node).data
    made = patches.rows(x, np.arange(patches.places)) @ weights.reshape(3, -1).T + bias
    expected = outputs_of(graph)[0].reshape(-1, 3)
    np.testing.assert_allclose(made, expected, atol=1e-5 * np.abs(expected).max())


ONES = np.ones(3, np.float32)


def _parts(rows, targets):
    def parts():
        yield Part(rows=rows[::5], targets=targets[::5], held_out=True)
        for first in range(1, 5):
            yield Part(rows=rows[first::5], targets=targets[first::5], held_out=False)

    return parts


def _line(rng, columns, outputs):
    return Line(weights=normal(rng, (outputs, columns)), bias=normal(rng, (outputs,)))


def test_a_line_is_found_again():
    rng = np.random.default_rng(0)
    true, rows = _line(rng, 7, 3), normal(rng, (400, 7)) + np.float32(3)
    found = fit(_parts(rows, true(rows)), _line(rng, 7, 3))
    np.testing.assert_allclose(found.line.weights, true.weights, atol=1e-3)
    assert found.after < 1e-6 < found.before


def test_rows_that_say_nothing_leave_the_line_as_it_is():
    rng = np.random.default_rng(0)
    start = _line(rng, 7, 3)
    rows = normal(rng, (50, 7))
    noise = start(rows) + 10 * normal(rng, (50, 3))
    found = fit(_parts(rows, noise), start)
    assert found.after <= found.before
    exact = fit(_parts(rows, start(rows)), start)
    np.testing.assert_allclose(exact.line.weights, start.weights, atol=1e-5)


def test_how_far_below_zero_does_not_matter_before_a_relu():
    rng = np.random.default_rng(0)
    rows = normal(rng, (600, 6))
    targets = _line(rng, 6, 2)(rows) + np.where(rows[:, :1] > 0, 0, -5)
    targets = np.where(targets > 0, targets, targets * 9)
    start = Line(weights=np.zeros((2, 6), np.float32), bias=np.zeros(2, np.float32))

    def error(line):
        return float(np.mean((np.maximum(line(rows), 0) - np.maximum(targets, 0)) ** 2))

    free, held = (fit(_parts(rows, targets), start, free_below_zero=choice).line for choice in (True, False))
    assert error(free) < 0.9 * error(held)


def _net(seed: int, *, depth: int = 12, activation: str = "RELU") -> Graph:
    """Convolution, transposed convolution and convolution, whose channels are much alike."""
    rng = np.random.default_rng(seed)
    few = normal(rng, (depth // 3, 3, 3, 2))
    first = np.concatenate([few, few + 0.1 * normal(rng, few.shape), 0.5 * few]).astype(np.float32)

    def make(build: Builder, x: Value) -> Value:
        y = build.conv_2d(x, first, normal(rng, (depth,)), padding="SAME", activation=activation)
        kernel = normal(rng, (depth, 4, 4, depth)) / np.float32(8)
        y = build.transpose_conv(y, kernel, normal(rng, (depth,)), (16, 16), stride=(2, 2), padding="SAME")
        y = build.unary("LEAKY_RELU", y, alpha=0.2)
        return build.conv_2d(y, normal(rng, (3, 3, 3, depth)) / np.float32(9), padding="SAME")

    return graph_of((1, 8, 8, 2), make)


def _samples(count: int, seed: int = 5) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [[normal(rng, (1, 8, 8, 2))] for _ in range(count)]


def _run(graph: Graph, samples) -> np.ndarray:
    interpreter = Interpreter(write(graph))
    return np.stack([interpreter.run(inputs)[0] for inputs in samples])


def _repaired(graph: Graph, keep) -> tuple[Graph, Graph]:
    smaller = cut(graph, keep)
    left = places_left(graph, channel_groups(graph), keep)
    return smaller, repair(graph, smaller, left, _samples(12))[0]


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
def test_a_repaired_graph_is_nearer_to_the_original_on_samples_never_seen(activation):
    graph = _net(3, activation=activation)
    keep = {name: np.arange(group.units) % 3 != 1 for name, group in cuttable(graph).items()}
    smaller, repaired = _repaired(graph, keep)
    unseen = _samples(6, seed=77)
    original = _run(graph, unseen)
    before, after = (float(np.mean((_run(one, unseen) - original) ** 2)) for one in (smaller, repaired))
    assert after < 0.4 * before


def test_a_channel_that_others_make_up_for_is_repaired_exactly():
    rng = np.random.default_rng(2)
    few = normal(rng, (4, 3, 3, 2))

    def make(build: Builder, x: Value) -> Value:
        y = build.conv_2d(x, np.concatenate([few, 2 * few]), padding="SAME", activation="RELU")
        return build.conv_2d(y, normal(rng, (3, 3, 3, 8)), normal(rng, (3,)), padding="SAME")

    graph = graph_of((1, 8, 8, 2), make)
    (name,) = cuttable(graph)
    smaller, repaired = _repaired(graph, {name: np.arange(8) < 4})
    original = _run(graph, _samples(4, seed=77))
    assert np.abs(_run(smaller, _samples(4, seed=77)) - original).max() > 1
    assert np.abs(_run(repaired, _samples(4, seed=77)) - original).max() < 1e-3 * np.abs(original).max()


def test_the_cut_graph_itself_is_not_touched_and_whole_layers_stay_as_they_are():
    graph = _net(4)
    (first, *_) = cuttable(graph).values()
    keep = {first.name: np.arange(first.units) % 2 == 0}
    smaller = cut(graph, keep)
    before = write(smaller)
    repaired, refits = repair(graph, smaller, places_left(graph, channel_groups(graph), keep), _samples(4))
    assert write(smaller) == before
    untouched = [node.output.name for node in repaired.nodes[:1]]
    assert untouched[0] not in {refit.name for refit in refits}
    assert {refit.name for refit in refits} == {node.output.name for node in repaired.nodes[1:] if refitted(node)}
    assert all(refit.after <= refit.before for refit in refits)


def test_a_layer_too_wide_to_be_fitted_whole_is_repaired_channel_by_channel(monkeypatch):
    monkeypatch.setattr("edge_aigc.converters.prune.repair._MOST_COLUMNS", 20)
    graph = _net(3)
    keep = {name: np.arange(group.units) % 3 != 1 for name, group in cuttable(graph).items()}
    smaller, repaired = _repaired(graph, keep)
    original, unseen = _run(graph, _samples(6, seed=77)), _samples(6, seed=77)
    before, after = (float(np.mean((_run(one, unseen) - original) ** 2)) for one in (smaller, repaired))
    assert after < 0.6 * before


def test_a_walk_tells_every_value_as_the_interpreter_does():
    graph = _net(1)
    samples = _samples(2)
    walk = Walk(graph, samples)
    found = [walk.reach(node.output) for node in graph.nodes]
    np.testing.assert_allclose(np.stack(found[-1]), _run(graph, samples), atol=1e-5)
    assert [one[0].shape for one in found] == [node.output.shape for node in graph.nodes]


def test_no_more_samples_are_run_than_fit_into_memory(monkeypatch):
    graph = _net(3)
    keep = {name: np.arange(group.units) % 3 != 1 for name, group in cuttable(graph).items()}
    left = places_left(graph, channel_groups(graph), keep)
    few, all_ = repair(graph, cut(graph, keep), left, _samples(4))[0], _samples(12)
    monkeypatch.setattr("edge_aigc.converters.prune.repair._MOST_VALUES", 1)
    assert write(repair(graph, cut(graph, keep), left, all_)[0]) == write(few)
