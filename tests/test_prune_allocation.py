"""How many units each group gives up, and what a graph costs without them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.costs.work import multiplications, price
from edge_aigc.converters.ir import Builder, Graph, Value, read, write
from edge_aigc.converters.prune.allocation import TOLERANCE, by_cost, by_ratio, path, stocks_of
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.ledger import Ledger
from edge_aigc.converters.prune.tariff import Tariff, tariff_on
from edge_aigc.cost import Cost
from edge_aigc.devices.timing import TimedHere
from edge_aigc.errors import ConversionError
from tests.pruning import chained, conv, cuttable, random_masks
from tests.rewriting import graph_of, normal

CASES = settings(max_examples=60, derandomize=True, deadline=None)


def _residual(build, x, rng):
    return build.add(x, conv(build, x, rng, x.shape[3], activation="RELU"))


def _dense_block(build, x, rng):
    return build.concatenate([x, conv(build, x, rng, 3)], 3)


def _transposed(build, x, rng):
    kernel = normal(rng, (int(rng.integers(2, 6)), 3, 3, x.shape[3]))
    return build.transpose_conv(x, kernel, None, (2 * x.shape[1], 2 * x.shape[2]), stride=(2, 2), padding="SAME")


def _shuffled(build, x, rng):
    return build.depth_to_space(conv(build, x, rng, 4 * int(rng.integers(1, 4))), 2)


MENU = {"residual": _residual, "dense block": _dense_block, "transposed": _transposed, "shuffled": _shuffled}


def _wide(depths: tuple[int, ...] = (32, 48, 24)) -> Graph:
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        for depth in depths:
            x = conv(build, x, rng, depth, activation="RELU")
        return conv(build, x, rng, 3)

    return graph_of((1, 8, 8, 3), make)


def _scores(graph: Graph, seed: int = 0):
    rng = np.random.default_rng(seed)
    return {name: rng.random(group.units) ** 4 for name, group in cuttable(graph).items()}


def _allocated(graph: Graph, ratio: float, scores=None):
    groups = list(cuttable(graph).values())
    stocks = stocks_of(graph, groups, scores or _scores(graph))
    return by_ratio(Ledger(graph, groups), stocks, ratio)


@CASES
@given(st.lists(st.sampled_from(sorted(MENU)), min_size=1, max_size=4), st.integers(0, 10**6))
def test_the_ledger_knows_what_a_cut_graph_costs(steps, seed):
    graph = chained(steps, MENU, seed)
    groups = list(cuttable(graph).values())
    masks = random_masks(graph, np.random.default_rng(seed))
    counts = {name: int(mask.sum()) for name, mask in masks.items()}
    smaller = write(cut(graph, masks))
    ledger = Ledger(graph, groups)
    assert ledger.multiplications(counts) == multiplications(smaller)
    assert ledger.cost(counts) == pytest.approx(price(smaller))
    name = groups[seed % len(groups)].name
    saved = ledger.cost(counts) - ledger.cost({**counts, name: 1})
    assert ledger.saved(counts, name, 1) == pytest.approx(saved)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.25, 0.5, 0.75, 0.9])
def test_the_share_of_multiplications_is_what_was_asked_for(ratio):
    graph = _wide()
    smaller = cut(graph, _allocated(graph, ratio))
    removed = 1 - multiplications(write(smaller)) / multiplications(write(graph))
    assert abs(removed - ratio) <= TOLERANCE


@pytest.mark.parametrize("ratio", [0.3, 0.6])
def test_all_groups_but_one_keep_a_multiple_of_the_channels_that_kernels_make_at_a_time(ratio):
    keep = _allocated(_wide(), ratio)
    assert sum(int(mask.sum()) % 8 != 0 for mask in keep.values()) <= 1
    assert all(mask.sum() >= 8 for mask in keep.values())


def test_units_of_least_importance_go_first():
    graph = _wide((32,))
    ((name, mask),) = _allocated(graph, 0.5, {next(iter(cuttable(graph))): np.arange(32)[::-1].astype(float)}).items()
    assert name in cuttable(graph)
    assert mask[: mask.sum()].all()
    assert not mask[mask.sum() :].any()


def test_a_group_that_matters_more_gives_up_less():
    graph = _wide((32, 32, 32))
    names = list(cuttable(graph))
    alike = {name: np.ones(32) for name in names}
    kept = {name: mask.sum() for name, mask in _allocated(graph, 0.5, {**alike, names[1]: 50 * np.ones(32)}).items()}
    assert kept[names[1]] == 32
    assert kept[names[0]] < 32
    assert kept[names[2]] < 32


def test_more_than_there_is_to_cut_is_refused_with_what_there_is():
    with pytest.raises(ConversionError, match=r"99% of the multiplications cannot be removed.* make up 9\d%") as caught:
        _allocated(_wide(), 0.99)
    assert "Ask for at most 0.9" in caught.value.remedy


def test_what_is_costly_on_the_target_goes_first():
    graph = _wide((32, 32, 32))
    groups = list(cuttable(graph).values())
    scores = {group.name: np.ones(32) for group in groups}
    tariff = Tariff(rates=tuple(100.0 if node.output.name == groups[2].name else 1.0 for node in graph.nodes))
    kept = {
        name: mask.sum()
        for name, mask in by_ratio(Ledger(graph, groups, tariff), stocks_of(graph, groups, scores), 0.3).items()
    }
    assert kept[groups[0].name] == 32
    assert kept[groups[2].name] < 32


def test_a_limit_of_cost_is_kept_with_as_much_as_it_allows():
    graph = _wide()
    groups = list(cuttable(graph).values())
    ledger, stocks = Ledger(graph, groups), stocks_of(graph, groups, _scores(graph))
    asked = []

    def priced(keep):
        asked.append(price(write(cut(graph, keep))))
        return asked[-1]

    limit = 0.4 * price(write(graph))
    keep = by_cost(ledger, stocks, priced, limit, unit="of the price")
    assert len(asked) <= 7
    assert 0.8 * limit < price(write(cut(graph, keep))) <= limit
    with pytest.raises(ConversionError, match=r"still takes [\d.e+]+ ms; asked are at most 1 ms\.") as caught:
        by_cost(ledger, stocks, priced, 1.0, unit="ms")
    assert " ms or more" in caught.value.remedy


def test_a_path_ends_at_the_least_of_every_group():
    graph = _wide((32, 12, 3))
    groups = list(cuttable(graph).values())
    steps = path(Ledger(graph, groups), stocks_of(graph, groups, _scores(graph)))
    assert steps[0] == {group.name: group.units for group in groups}
    assert list(steps[-1].values()) == [8, 3, 1]


class _Meter:
    """A target whose kernels make 16 channels at a time; convolutions on maps of 8x8 are ten times slower there."""

    shortlist = 4

    def measure(self, flatbuffers, *, threads):
        assert threads == 2
        return {
            name: Cost(latency_ms=self._cost(read(flatbuffer)), spread_ms=0.0, how="measured", where="desk")
            for name, flatbuffer in flatbuffers.items()
        }

    def _cost(self, graph):
        (node,) = graph.nodes
        made = node.output.shape
        lanes = -(-made[3] // 16) * 16
        return 5 + (10 if made[1] == 8 else 1) * lanes / made[3] * multiplications(write(graph))


def test_the_tariff_is_what_the_meter_finds_for_each_operator_and_how_its_costs_rise():
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        y = conv(build, conv(build, x, rng, 32), rng, 48)
        return conv(build, build.transpose_conv(y, normal(rng, (8, 2, 2, 48)), None, (16, 16), **UP), rng, 4)

    found = tariff_on(graph_of((1, 8, 8, 3), make), _Meter(), threads=2)
    assert found.lanes == 16
    assert found.rates is not None
    assert found.rates[1] > 5 * found.rates[3]


UP = {"stride": (2, 2), "padding": "SAME"}


def test_this_machine_can_be_asked():
    graph = _wide((32, 48))
    found = tariff_on(graph, TimedHere(), threads=1)
    assert found.lanes in {8, 16, 32}
    assert found.rates is None or min(found.rates) >= 0


def test_steps_are_as_wide_as_the_kernels_of_the_target():
    graph = _wide((64, 64, 64))
    groups = list(cuttable(graph).values())
    stocks = stocks_of(graph, groups, _scores(graph), lanes=32)
    keep = by_ratio(Ledger(graph, groups, Tariff(lanes=32)), stocks, 0.5)
    assert sum(int(mask.sum()) % 32 != 0 for mask in keep.values()) <= 1
