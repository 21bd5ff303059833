"""The choice: smallest within 5 % of the fastest, of those that keep their promise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_aigc.converters.search import choose
from edge_aigc.converters.trials import Trial
from edge_aigc.cost import Cost
from edge_aigc.errors import PromiseError
from edge_aigc.manifest import Fidelity


def trial(recipe, size, decibels, latency_ms, minimum=30.0):
    fidelity = Fidelity(
        metric="psnr_db",
        value=decibels,
        samples=64,
        minimum=minimum,
        worst_value=decibels - 3,
        worst_sample=5,
        on="prior",
    )
    cost = Cost(latency_ms=latency_ms, spread_ms=0.0, how="measured", where="here")
    return Trial(recipe=recipe, flatbuffer=bytes(size), fidelity=fidelity, cost=cost)


def test_among_equally_fast_the_smallest_wins():
    chosen, table = choose(
        [trial("float32", 400, 100, 1.00), trial("float16", 200, 90, 1.04), trial("int8", 100, 50, 1.2)]
    )
    assert chosen.recipe == "float16"
    assert [entry.verdict for entry in table] == [
        "as fast, but larger",
        "chosen: the smallest within 5 % of the fastest",
        "takes 1.20 times as long as the fastest",
    ]


def test_the_fastest_does_not_win_below_the_fidelity():
    chosen, table = choose([trial("float32", 400, 100, 3.0), trial("int8", 100, 29.9, 1.0)])
    assert chosen.recipe == "float32"
    assert table[1].verdict == "below 30 dB"


def test_what_was_left_out_is_in_the_table_with_the_reason():
    _, table = choose([trial("float32", 400, 100, 1.0), Trial(recipe="dynamic", refused="FULLY_CONNECTED version 12")])
    assert table[1].verdict == "left out: FULLY_CONNECTED version 12"
    assert table[1].bytes is None


def test_when_none_keeps_the_promise_the_nearest_miss_is_told():
    with pytest.raises(PromiseError) as caught:
        choose([trial("float16", 200, 39.26, 1, 50), trial("int8", 100, 20, 1, 50)])
    assert "float16, reaches 39.3 dB" in caught.value.message
    assert "50 dB were asked for" in caught.value.message
    assert caught.value.exit_code == 3


def test_when_nothing_can_be_made_all_reasons_are_told():
    with pytest.raises(PromiseError, match="int8: no; dynamic: neither"):
        choose([Trial(recipe="int8", refused="no"), Trial(recipe="dynamic", refused="neither")])


def test_when_everything_is_too_large_the_memory_is_told_and_not_the_fidelity():
    heavy = replace(trial("int8", 100, 50, 1), refused="it needs 9 B of RAM, 5 B are left for it", too_large=True)
    with pytest.raises(PromiseError) as caught:
        choose([heavy])
    assert "does not fit into the device's memory: int8: it needs 9 B" in caught.value.message
    assert "--max-ram" in caught.value.remedy


def test_without_times_cycles_are_compared():
    trials = [trial("float32", 400, 100, 1), trial("int8", 100, 50, 1)]
    counted = [
        replace(entry, cost=replace(entry.cost, latency_ms=None, cycles=cycles))
        for entry, cycles in zip(trials, (3e6, 1e6), strict=True)
    ]
    chosen, table = choose(counted)
    assert chosen.recipe == "int8"
    assert [(entry.latency_ms, entry.cycles) for entry in table] == [(None, 3e6), (None, 1e6)]
    assert table[0].verdict == "takes 3.00 times as long as the fastest"
