"""Peak RAM from the flatbuffer alone: against fresh processes, and as it must behave."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bundles import DATA

from edge_aigc.converters.costs.host import dense_layer
from edge_aigc.converters.costs.memory import peak_ram, workspace_lifetimes
from edge_aigc.converters.costs.net import in_int8, read_net
from edge_aigc.converters.promises import least_ram_int8, too_much_ram, weighed
from edge_aigc.converters.quantize import quantize
from edge_aigc.converters.trials import Trial
from edge_aigc.cost import Cost
from edge_aigc.devices.bench.fresh import weigh

TINY = (DATA / "tiny.tflite").read_bytes()
MIB = 1 << 20


@pytest.mark.parametrize("weights_bytes", [8 * MIB, 48 * MIB])
def test_a_fresh_process_takes_what_was_planned(tmp_path, weights_bytes):
    path = tmp_path / "dense.tflite"
    path.write_bytes(dense_layer(weights_bytes))
    taken = weigh(path, runtime="litert", threads=1).peak_ram_bytes
    assert peak_ram(path.read_bytes()).total == pytest.approx(taken, rel=0.1)


def test_weights_lie_in_memory_as_they_came_and_as_xnnpack_packs_them():
    ram = peak_ram(dense_layer(8 * MIB))
    assert ram.flatbuffer == pytest.approx(8 * MIB, rel=0.01)
    assert ram.packed_weights == pytest.approx(8 * MIB, rel=0.01)
    assert ram.total == sum(getattr(ram, name) for name in ram.__slots__)


def test_more_weights_take_more():
    sizes = [peak_ram(dense_layer(size)).total for size in (MIB, 2 * MIB, 4 * MIB)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_float16_is_smaller_as_a_file_and_unpacks_in_memory():
    float32, float16 = (
        peak_ram(quantize(TINY, recipe, calibration=[], int8_borders=False)) for recipe in ("float32", "float16")
    )
    assert float16.flatbuffer < float32.flatbuffer
    assert float16.packed_weights == float32.packed_weights
    assert float16.unpacked_weights > float32.unpacked_weights == 0


def test_int8_is_bounded_before_it_is_made():
    net = read_net(TINY)
    assert {value.dtype for node in in_int8(net).nodes for value in node.outputs} == {"INT8"}
    assert least_ram_int8(TINY) < peak_ram(TINY).total


def test_the_workspace_holds_only_what_stays_inside_xnnpack():
    net = read_net(TINY)
    run = tuple(node for node in net.nodes if node.runs_on == "xnnpack")
    lifetimes = workspace_lifetimes(net, run)
    assert all(0 <= entry.first <= entry.last < len(run) for entry in lifetimes)
    crossing = sum(value.size_bytes for node in run for value in node.outputs if value.index in net.outputs)
    made = sum(value.size_bytes for node in run for value in node.outputs)
    assert sum(entry.size_bytes for entry in lifetimes) <= made - crossing


def test_what_does_not_fit_is_told_with_both_numbers():
    assert too_much_ram(10, 10) == ""
    assert too_much_ram(1_234_567, 1_000_000) == "it needs 1,234,567 B of RAM, 1,000,000 B are left for it"


def test_what_a_process_took_on_the_device_counts_more_than_the_plan():
    cost = Cost(latency_ms=1.0, spread_ms=0.0, how="measured", where="there", peak_ram_bytes=2_000)
    trial = Trial(recipe="int8", cost=cost, peak_ram_bytes=1_000)
    assert weighed(trial, 5_000).peak_ram_bytes == 2_000
    assert not weighed(trial, 5_000).too_large
    assert weighed(trial, 1_500).too_large
    estimated = replace(trial, cost=replace(cost, how="estimated"))
    assert weighed(estimated, 1_500) is estimated
