"""What speaks against a timing: each reason with its numbers and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_aigc.devices.condition import Condition

# Limits of taste rather than of physics: `convert` takes forms within 5 % of the fastest as equal, so what moves a
# median by more than that makes its choice a matter of luck.
_HALVES = 0.05
_SPREAD = 0.10
_CLOCK = 0.90
_OTHERS_CORES = 0.20
_STOLEN = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Invocations with one number of threads."""

    threads: int
    median_ms: float
    spread_ms: float
    halves_ms: tuple[float, float]
    stable: bool
    warm_up: int
    clock_hz: int | None


def doubts(
    runs: Sequence[Run], before: Condition, after: Condition, *, others_cores: float, took_s: float
) -> tuple[str, ...]:
    """Return the reasons not to trust what was timed between two looks at the machine.

    Args:
        runs: What was timed.
        before: The machine when timing began.
        after: When it ended.
        others_cores: Cores that other work took meanwhile, on average.
        took_s: How long it took.
    """
    return (
        *_held_down(before, after),
        *_clocks(runs, after),
        *_disturbed(before, after, others_cores, took_s),
        *(words for run in runs for words in _unsteady(run, after.cores)),
    )


def _held_down(before: Condition, after: Condition) -> Iterator[str]:
    now = dict.fromkeys((*before.throttled, *after.throttled))
    while_timed = [cause for cause in after.throttled_since_boot if cause not in before.throttled_since_boot]
    causes = [*now, *(cause for cause in while_timed if cause not in now)]
    if not causes:
        return
    heat = f" at {after.temperature_c:.0f} °C" if after.temperature_c is not None else ""
    remedy = "Use the power supply that the board is sold with" if "under-voltage" in causes else "Cool it"
    yield f"The processor was held back{heat}: {', '.join(causes)}. {remedy}, and measure again."


def _clocks(runs: Sequence[Run], after: Condition) -> Iterator[str]:
    most = after.clock_max_hz
    slowest = min((run.clock_hz for run in runs if run.clock_hz is not None), default=None)
    if most and slowest is not None and slowest < _CLOCK * most:
        yield (
            f"The clock stood at {slowest / 1e6:,.0f} of {most / 1e6:,.0f} MHz, chosen by the governor "
            f"{after.governor or '(unknown)'}. Set it for the measurement: "
            "`echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor`."
        )


def _disturbed(before: Condition, after: Condition, others_cores: float, took_s: float) -> Iterator[str]:
    if others_cores > _OTHERS_CORES:
        yield (
            f"Other work took {others_cores:.2f} of {after.cores} cores meanwhile (load {before.load_1min:g} before). "
            "Stop it, and measure again."
        )
    stolen = (after.stolen_s - before.stolen_s) / (took_s * after.cores)
    if stolen > _STOLEN:
        yield f"The hypervisor gave {stolen:.0%} of this machine's time to others. Measure on hardware of its own."


def _unsteady(run: Run, cores: int) -> Iterator[str]:
    who = f"{run.threads} thread{'s' * (run.threads > 1)}"
    first, last = run.halves_ms
    if abs(last - first) > _HALVES * min(first, last):
        yield f"{who}: the median drifted from {first:.3f} to {last:.3f} ms. Let the machine settle, and measure again."
    if run.spread_ms > _SPREAD * run.median_ms:
        yield (
            f"{who}: half of the times lie {run.spread_ms:.3f} ms apart, {run.spread_ms / run.median_ms:.0%} of the "
            "median. Ask for more `--rounds` on a quiet machine."
        )
    if not run.stable:
        yield f"{who}: times had not settled after {run.warm_up} invocations. Give a longer `--warm-up`."
    if run.threads > cores:
        yield f"{who} share {cores} core{'s' * (cores > 1)}. Ask for at most as many `--threads`."
