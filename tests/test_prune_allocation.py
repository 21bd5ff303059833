"""How many units each group gives up, and what a graph costs without them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_aigc.converters.costs.work import multiplications, price, work
from edge_aigc.converters.formers import Formers
from edge_aigc.converters.ir import Builder, Graph, Value, write
from edge_aigc.converters.prune.allocation import TOLERANCE, by_cost, by_ratio, path, stocks_of
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.ledger import Ledger
from edge_aigc.converters.prune.tariff import Rate, Target, Tariff, operator_of, tariff_on
from edge_aigc.converters.targets.xnnpack import Xnnpack
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
    graph = _wide((64, 4, 64))
    groups = list(cuttable(graph).values())
    scores = {group.name: np.ones(group.units) for group in groups}
    rates = [Rate(numbers=0.0, work=100.0 if node.output.name == groups[2].name else 1.0) for node in graph.nodes]
    ledger = Ledger(graph, groups, Tariff(rates=tuple(rates)))
    keep = by_ratio(ledger, stocks_of(graph, groups, scores), 0.3)
    assert keep[groups[0].name].sum() > 60
    assert keep[groups[2].name].sum() < 32


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
    least = float(caught.value.message.split("takes ")[1].split(" ms")[0])
    by_cost(ledger, stocks, priced, 1.001 * least, unit="ms", aim=0.97)  # below the aim it cannot be, nor need it be


def test_a_path_ends_at_the_least_of_every_group():
    graph = _wide((32, 12, 3))
    groups = list(cuttable(graph).values())
    steps = path(Ledger(graph, groups), stocks_of(graph, groups, _scores(graph)))
    assert steps[0] == {group.name: group.units for group in groups}
    assert list(steps[-1].values()) == [8, 3, 1]


class _Desk:
    """A target whose kernels make 16 channels at a time; convolutions on maps of 8x8 are ten times slower there, and
    what a convolution does not multiply costs nothing."""

    def __init__(self):
        self.target = Target(priced=self._priced, regions=lambda _: [])

    def _priced(self, graphs):
        return {name: 5 + sum(map(self._cost, graph.nodes)) for name, graph in graphs.items()}

    def _cost(self, node):
        made = operator_of(node)
        lanes = -(-made.outputs[0].shape[-1] // 16) * 16
        return (10 if made.outputs[0].shape[1] == 8 else 1) * lanes / made.outputs[0].shape[-1] * work(made)


def _two_sizes():
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        y = conv(build, conv(build, x, rng, 64), rng, 64)
        return conv(build, build.transpose_conv(y, normal(rng, (32, 2, 2, 64)), None, (16, 16), **UP), rng, 4)

    return graph_of((1, 8, 8, 3), make)


UP = {"stride": (2, 2), "padding": "SAME"}


def test_the_tariff_is_what_the_target_finds_for_each_operator_and_how_its_costs_rise():
    graph = _two_sizes()
    groups = list(cuttable(graph).values())
    found = tariff_on(graph, groups, _Desk().target)
    assert found.lanes == 16
    ledger = Ledger(graph, groups, found)
    for counts in (ledger.full, {name: 38 * units // 64 for name, units in ledger.full.items()}):
        keep = {name: np.arange(units) < counts[name] for name, units in ledger.full.items()}
        true = sum(_Desk()._cost(node) for node in cut(graph, keep).nodes)
        assert ledger.cost(counts) == pytest.approx(true, rel=0.1)


def test_costs_of_two_kinds_are_told_apart():
    graph = _wide((64, 64))
    groups = list(cuttable(graph).values())

    def priced(graphs):
        return {name: 1 + sum(map(_cost, graph.nodes)) for name, graph in graphs.items()}

    def _cost(node):
        moved = sum(value.size for value in (node.input(0), node.output))
        return 40 * moved + work(operator_of(node))

    found = tariff_on(graph, groups, Target(priced=priced, regions=lambda _: []))
    ledger = Ledger(graph, groups, found)
    for kept in (56, 24, 12):
        keep = {group.name: np.arange(64) < kept for group in groups}
        true = sum(_cost(node) for node in cut(graph, keep).nodes)
        assert ledger.cost({group.name: kept for group in groups}) == pytest.approx(true, rel=0.02)


def test_this_machine_can_be_asked():
    graph = _wide((32, 48))
    target = Formers(Xnnpack(), TimedHere(), 1).target("float32")
    found = tariff_on(graph, list(cuttable(graph).values()), target)
    assert found.lanes in {8, 16, 32}
    assert found.rates is None or min(min(rate.numbers, rate.work, rate.idle) for rate in found.rates) >= 0


def test_steps_are_as_wide_as_the_kernels_of_the_target():
    graph = _wide((64, 64, 64))
    groups = list(cuttable(graph).values())
    stocks = stocks_of(graph, groups, _scores(graph), lanes=32)
    keep = by_ratio(Ledger(graph, groups, Tariff(lanes=32)), stocks, 0.5)
    assert sum(int(mask.sum()) % 32 != 0 for mask in keep.values()) <= 1


def test_the_share_that_is_asked_for_is_met_where_it_costs_least():
    graph = _wide((64, 64, 64))
    groups = list(cuttable(graph).values())
    scores = {group.name: np.ones(64) for group in groups}
    # Of the second layer idle lanes cost, of the others they do not.
    rates = [Rate(numbers=1.0, work=1.0, idle=float(node.output.name == groups[1].name)) for node in graph.nodes]
    tariff = Tariff(rates=tuple(rates), lanes=32)
    ledger = Ledger(graph, groups, tariff)
    keep = by_ratio(ledger, stocks_of(graph, groups, scores, lanes=32), 0.4)
    counts = {name: int(mask.sum()) for name, mask in keep.items()}
    assert abs(1 - ledger.multiplications(counts) / ledger.multiplications(ledger.full) - 0.4) < 0.01
    assert counts[groups[1].name] % 32 == 0
