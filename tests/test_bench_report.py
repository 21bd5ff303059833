"""A bundle measured: rows by threads, figures, and what speaks against a run."""

from __future__ import annotations

import os

import msgspec
import pytest

from edge_aigc.devices.bench.doubts import Run, doubts
from edge_aigc.devices.bench.report import Figures, Plan, bench
from edge_aigc.devices.condition import Condition
from edge_aigc.errors import BundleError, WorkerError

QUIET = Condition(load_1min=0.0, cores=4, clock_max_hz=1_800_000_000, governor="ondemand", temperature_c=50.0)
STEADY = Run(
    threads=1,
    median_ms=10.0,
    spread_ms=0.2,
    halves_ms=(10.0, 10.1),
    stable=True,
    warm_up=10,
    clock_hz=1_800_000_000,
)


def raised(run=STEADY, before=QUIET, after=QUIET, *, others_cores=0.0):
    return doubts([run], before, after, others_cores=others_cores, took_s=10.0)


def test_every_number_of_threads_is_a_row_measured_there_and_back(tiny):
    told = []
    report = bench(tiny, Plan(threads=(1, 2), rounds=21), tell=told.append)
    assert [row.threads for row in report.rows] == [1, 2]
    assert told == ["timing with 1 thread", "timing with 2 threads", "timing with 2 threads", "timing with 1 thread"]
    for row in report.rows:
        # Half each way, rounded up.
        assert row.invoke.rounds == row.sample.rounds == 22
        assert 0 < row.invoke.min_ms <= row.invoke.q1_ms <= row.invoke.median_ms <= row.invoke.p95_ms
        assert row.sample.median_ms > row.encode.median_ms > 0
        assert row.sample.median_ms > row.invoke.median_ms
        assert row.idle_rss_bytes < row.peak_rss_bytes


def test_one_number_of_threads_is_one_process(tiny):
    told = []
    report = bench(tiny, Plan(threads=(1,), rounds=20), tell=told.append)
    assert len(told) == 1
    assert report.rows[0].invoke.rounds == 20
    assert report.runtime.split()[0] in {"ai-edge-litert", "tflite-runtime"}


def test_a_bundle_that_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(BundleError, match="Cannot read"):
        bench(tmp_path / "none.aigc", Plan(threads=(1,)))


def test_the_limit_holds_for_all_of_it(tiny):
    with pytest.raises(WorkerError, match="longer than"):
        bench(tiny, Plan(threads=(1,), rounds=1_000_000), limit_s=0.5)


def test_figures_are_those_of_the_times():
    figures = Figures.of([float(number) for number in range(1, 101)])
    assert (figures.median_ms, figures.min_ms, figures.rounds) == (50.5, 1.0, 100)
    assert (figures.q1_ms, figures.q3_ms, figures.spread_ms) == (25.25, 75.75, 50.5)
    assert 95 <= figures.p95_ms <= 96


def test_a_quiet_steady_run_raises_no_doubt():
    assert raised() == ()


def with_(condition, **changes):
    return msgspec.structs.replace(condition, **changes)


@pytest.mark.parametrize(
    ("run", "after", "others_cores", "words"),
    [
        (STEADY, with_(QUIET, throttled=("throttled",), temperature_c=84.6), 0.0, ["held back at 85 °C", "Cool it"]),
        (STEADY, with_(QUIET, throttled_since_boot=("under-voltage",)), 0.0, ["under-voltage", "power supply"]),
        (STEADY, QUIET, 0.5, ["0.50 of 4 cores", "Stop it"]),
        (STEADY, with_(QUIET, stolen_s=4.0), 0.0, ["gave 10% of this machine's time to others"]),
    ],
)
def test_a_machine_that_was_not_itself_is_told(run, after, others_cores, words):
    (doubt,) = raised(run, after=after, others_cores=others_cores)
    for word in words:
        assert word in doubt


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clock_hz": 600_000_000}, "600 of 1,800 MHz, chosen by the governor ondemand"),
        ({"halves_ms": (10.0, 10.6)}, "drifted from 10.000 to 10.600 ms"),
        ({"spread_ms": 1.5}, "15% of the median"),
        ({"stable": False, "warm_up": 100}, "not settled after 100 invocations"),
        ({"threads": 8}, "8 threads share 4 cores"),
    ],
)
def test_a_run_that_was_not_steady_is_told(changes, words):
    run = Run(**{name: getattr(STEADY, name) for name in STEADY.__slots__} | changes)
    (doubt,) = raised(run)
    assert words in doubt


def test_what_was_throttled_before_and_is_over_raises_no_doubt():
    past = with_(QUIET, throttled_since_boot=("under-voltage",))
    assert raised(before=past, after=past) == ()


def test_a_real_run_notes_this_machine(tiny):
    report = bench(tiny, Plan(threads=(1,), rounds=10))
    assert report.before.cores == len(os.sched_getaffinity(0))
    assert report.took_s > 0
    assert report.others_cores >= 0
