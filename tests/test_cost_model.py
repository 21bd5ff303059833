"""Time from what is counted and moved: the larger bound, and never more certain than its sources."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bundles import DATA

from edge_aigc.converters.costs.host import Timed, dense_layer, instructions_per_cycle, read_probes
from edge_aigc.converters.costs.kernels import Kernel, bytes_moved, kernel_of
from edge_aigc.converters.costs.memory import peak_ram
from edge_aigc.converters.costs.meter import CountedMeter
from edge_aigc.converters.costs.model import Part, estimate
from edge_aigc.converters.costs.net import read_net
from edge_aigc.converters.costs.speeds import Level, Speeds, speeds_of
from edge_aigc.devices.catalog import find_profile

DENSE = dense_layer(8 << 20)
(NODE,) = read_net(DENSE).nodes
SPEEDS = Speeds(clock_hz=1e9, ipc={"f32": 2.0}, width=4, memory_bytes_per_s=1e9, cores=4)


def found(instructions, speeds, *, threads=1):
    part = Part(nodes=(NODE,), instructions=instructions)
    return estimate([part], 0, peak_ram(DENSE), speeds, threads=threads, float16=False)


def test_the_larger_bound_decides():
    computing, moving = found(100_000_000, SPEEDS), found(1_000_000, SPEEDS)
    assert computing.bound == "compute"
    assert computing.seconds == pytest.approx(0.05)
    assert moving.bound == "memory"
    assert moving.seconds == pytest.approx(8.4e6 / 1e9, rel=0.01)


def test_what_fits_into_a_cache_is_not_read_from_memory():
    cached = replace(SPEEDS, levels=(Level(capacity_bytes=64 << 20, bytes_per_s=1e11),))
    assert found(1_000_000, cached).bound == "compute"


def test_threads_share_the_computing_and_not_the_memory():
    assert found(100_000_000, SPEEDS, threads=2).seconds == pytest.approx(0.025)
    assert found(100_000_000, SPEEDS, threads=64).seconds == pytest.approx(0.0125)
    assert found(1_000_000, SPEEDS, threads=4).seconds == found(1_000_000, SPEEDS).seconds


def test_without_instructions_a_cycle_the_time_is_a_lower_bound():
    bound = found(100_000_000, replace(SPEEDS, ipc={}))
    assert bound.at_least
    assert bound.seconds == pytest.approx(0.025)
    assert not found(100_000_000, SPEEDS).at_least


def test_without_a_clock_there_are_cycles_and_no_time():
    no_clock = found(100_000_000, replace(SPEEDS, clock_hz=None))
    assert no_clock.seconds is None
    assert no_clock.cycles == pytest.approx(5e7)
    nothing = found(100_000_000, Speeds(clock_hz=None))
    assert nothing.cycles is None
    assert nothing.instructions == 100_000_000


def test_more_instructions_never_take_less():
    times = [found(count, SPEEDS).seconds for count in (10**5, 10**6, 10**7, 10**8, 10**9)]
    assert times == sorted(times)


def test_a_kind_of_kernel_finds_the_nearest_figure():
    speeds = replace(SPEEDS, ipc={"gemm-f32": 1.0, "qs8": 3.0})
    assert speeds.per_cycle(Kernel(family="gemm", numbers="f32")) == (1.0, False)
    assert speeds.per_cycle(Kernel(family="deconvolution", numbers="f32")) == (1.0, False)
    assert speeds.per_cycle(Kernel(family="gemm", numbers="qd8")) == (3.0, False)
    assert speeds.per_cycle(Kernel(family="elementwise", numbers="f32")) == (4.0, True)


def test_a_dense_layer_moves_its_weights_once():
    assert bytes_moved(NODE) == pytest.approx(8 << 20, rel=0.01)
    assert kernel_of(NODE, float16=True).numbers == "f16"


def test_the_median_of_each_kind_is_taken():
    gemm = Kernel(family="gemm", numbers="f32")
    timed = [Timed(kernel=gemm, instructions=count, seconds=1e-3) for count in (1_000_000, 2_000_000, 9_000_000)]
    assert instructions_per_cycle(timed, 1e9) == {"gemm-f32": pytest.approx(2.0)}


def test_probes_are_single_operators_of_the_kinds_that_they_are_named_after():
    for name, flatbuffer in read_probes().items():
        node = read_net(flatbuffer).nodes[0]
        assert name.startswith(kernel_of(node, float16=False).names[0]), name


class Counter:
    """A thousand instructions for each byte: what a meter makes of counts is tested here, not they."""

    def count(self, flatbuffers):
        return {name: 1000 * len(flatbuffer) for name, flatbuffer in flatbuffers.items()}


@pytest.mark.parametrize(
    ("name", "at_least", "known", "missing"),
    [
        ("rpi4", False, True, ""),
        ("rpi5", True, True, "its instructions a cycle"),
        ("coral-dev-board-mini", True, False, "its clock and its instructions a cycle"),
    ],
)
def test_an_estimate_says_what_it_is_and_what_no_source_tells(name, at_least, known, missing):
    meter = CountedMeter(Counter(), speeds_of(find_profile(name)), where=name)
    cost = meter.measure({"tiny": (DATA / "tiny.tflite").read_bytes()}, threads=1)["tiny"]
    assert cost.how == "estimated"
    assert cost.where.startswith(f"{name}, 1 thread")
    assert (f"(no source tells {missing}" in cost.where) == bool(missing)
    assert (cost.latency_ms is not None) == known
    assert cost.at_least == at_least
    assert (cost.error is not None) == (known and not at_least)
    assert cost.instructions
    assert cost.cycles
    assert cost.rank > 0
    assert cost.peak_ram_bytes == peak_ram((DATA / "tiny.tflite").read_bytes()).total
