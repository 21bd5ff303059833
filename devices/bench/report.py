"""A bundle measured on this machine: by number of threads, with the state of the machine and what speaks against it."""

from __future__ import annotations

import platform
import resource
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.devices.bench.doubts import Run, doubts
from edge_aigc.devices.bench.fresh import ask
from edge_aigc.devices.bench.orders import Pass, Passed, Rounds, Threads, WarmUp
from edge_aigc.devices.condition import Condition, look
from edge_aigc.profile import Runtime
from edge_aigc.tpu import TpuSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_aigc.devices.bench.memory import Weight

_MOST_ROUNDS = 200
_BUDGET_S = 10.0
"""For the invocations of one number of threads, and again for its samples."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure."""

    threads: tuple[Threads, ...]
    rounds: Rounds | None = None
    """Invocations of each; None: 200, fewer where they would take over 10 s."""
    warm_up: int | None = None
    """Invocations; None: until two batches agree."""
    runtime: Runtime | None = None
    tpu: TpuSettings = TpuSettings()
    """Where a model that is compiled for an Edge TPU runs."""
    format: str | None = None
    """Of the samples' files; None: the medium's default."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of many times the same, milliseconds."""

    median_ms: float
    p95_ms: float
    q1_ms: float
    q3_ms: float
    spread_ms: float
    """Between the quartiles."""
    min_ms: float
    rounds: int

    @classmethod
    def of(cls, timing: Sequence[float]) -> Figures:
        """Return the figures of at least two times."""
        q1, _, q3 = statistics.quantiles(timing, n=4)
        return cls(
            median_ms=round(statistics.median(timing), 4),
            p95_ms=round(statistics.quantiles(timing, n=20)[-1], 4),
            q1_ms=round(q1, 4),
            q3_ms=round(q3, 4),
            spread_ms=round(q3 - q1, 4),
            min_ms=round(min(timing), 4),
            rounds=len(timing),
        )


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """With one number of threads."""

    threads: int
    invoke: Figures
    """The interpreter alone."""
    sample: Figures
    """Seed to file: inputs drawn, model run, values clipped, encoded."""
    encode: Figures
    """Of that, the encoding."""
    tokens_per_s: float | None = None
    """Of texts: tokens read and written in a second, sampling included."""
    format: str
    open_ms: float
    warm_up: WarmUp
    halves_ms: tuple[float, float]
    """Medians of the invocations timed first and of those timed last."""
    clock_hz: int | None
    idle_rss_bytes: int
    peak_ram_bytes: int
    """Of the model: opened, proven, invoked; the idle process and the libraries' code left out."""
    peak_rss_bytes: int
    """Of the whole process."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and whether to believe it."""

    machine: str
    """Its architecture."""
    runtime: str
    fallback: str = ""
    """Why the accelerator that the bundle was made for did not run it."""
    rows: tuple[Row, ...]
    """In the order of the plan."""
    before: Condition
    after: Condition
    others_cores: float
    """Cores that other work took meanwhile, on average."""
    took_s: float
    doubts: tuple[str, ...]
    """Why not to trust it, with numbers; empty: nothing was found."""


def bench(
    bundle: Path, plan: Plan, *, tell: Callable[[str], None] = lambda _: None, limit_s: float | None = None
) -> Report:
    """Measure a bundle, each number of threads in processes of its own.

    Several numbers of threads are measured there and back, half of the rounds each way, so that a machine that
    drifts steadily drifts for all of them alike.

    Args:
        bundle: An `.aigc` file.
        plan: What to measure.
        tell: Called with a few words at the start of every step.
        limit_s: For all of it; None: no limit.

    Raises:
        EdgeAigcError: The bundle is refused here, or there is no runtime.
        WorkerError: A measuring process died, or time ran out.
    """
    deadline_s = None if limit_s is None else time.monotonic() + limit_s
    before, processor_s, started_s = look(), _own_processor_s(), time.monotonic()
    passes: dict[int, list[Passed]] = {threads: [] for threads in plan.threads}
    for order in _passes(bundle, plan):
        tell(f"timing with {order.threads} thread{'s' * (order.threads > 1)}")
        left_s = None if deadline_s is None else max(0.1, deadline_s - time.monotonic())
        passes[order.threads].append(ask(order, Passed, limit_s=left_s))
    after, took_s = look(), time.monotonic() - started_s
    rows = tuple(_row(threads, done) for threads, done in passes.items())
    own_s = _own_processor_s() - processor_s
    others_cores = round(max(0.0, after.busy_s - before.busy_s - own_s) / took_s, 2)
    return Report(
        machine=platform.machine(),
        runtime=passes[plan.threads[0]][0].runtime,
        fallback=passes[plan.threads[0]][0].fallback,
        rows=rows,
        before=before,
        after=after,
        others_cores=others_cores,
        took_s=round(took_s, 2),
        doubts=doubts([_run(row) for row in rows], before, after, others_cores=others_cores, took_s=took_s),
    )


def _passes(bundle: Path, plan: Plan) -> list[Pass]:
    share = 2 if len(plan.threads) > 1 else 1
    rounds = None if plan.rounds is None else -(-plan.rounds // share)
    there = [
        Pass(
            bundle=str(bundle),
            runtime=plan.runtime,
            tpu=plan.tpu,
            threads=threads,
            rounds=rounds,
            most_rounds=_MOST_ROUNDS // share,
            budget_s=_BUDGET_S / share,
            warm_up=plan.warm_up,
            format=plan.format,
        )
        for threads in plan.threads
    ]
    return there + there[::-1] * (share - 1)


def _row(threads: int, passes: Sequence[Passed]) -> Row:
    invoke_ms = [ms for done in passes for ms in done.invoke_ms]
    encode_ms = [ms for done in passes for ms in done.encode_ms]
    sample_ms = [make + encode for done in passes for make, encode in zip(done.make_ms, done.encode_ms, strict=True)]
    middle = len(passes[0].invoke_ms) if len(passes) > 1 else len(invoke_ms) // 2
    clocks = [done.clock_hz for done in passes if done.clock_hz is not None]
    model, whole = _heaviest([done.model for done in passes]), _heaviest([done.whole for done in passes])
    return Row(
        threads=threads,
        invoke=Figures.of(invoke_ms),
        sample=Figures.of(sample_ms),
        encode=Figures.of(encode_ms),
        tokens_per_s=_tokens_per_s(passes),
        format=passes[0].format,
        open_ms=round(max(done.open_ms for done in passes), 2),
        warm_up=WarmUp(
            invocations=max(done.warm_up.invocations for done in passes),
            stable=all(done.warm_up.stable for done in passes),
        ),
        halves_ms=(
            round(statistics.median(invoke_ms[:middle]), 4),
            round(statistics.median(invoke_ms[middle:]), 4),
        ),
        clock_hz=min(clocks) if clocks else None,
        idle_rss_bytes=whole.idle_rss_bytes,
        peak_ram_bytes=model.peak_ram_bytes,
        peak_rss_bytes=whole.peak_rss_bytes,
    )


def _tokens_per_s(passes: Sequence[Passed]) -> float | None:
    """Return the median over texts; None where there are none."""
    rates = [tokens * 1e3 / ms for done in passes for tokens, ms in zip(done.tokens, done.make_ms, strict=False)]
    return round(statistics.median(rates), 1) if rates else None


def _heaviest(weights: Sequence[Weight]) -> Weight:
    return replace(
        max(weights, key=lambda weight: weight.peak_rss_bytes),
        peak_ram_bytes=max(weight.peak_ram_bytes for weight in weights),
    )


def _run(row: Row) -> Run:
    return Run(
        threads=row.threads,
        median_ms=row.invoke.median_ms,
        spread_ms=row.invoke.spread_ms,
        halves_ms=row.halves_ms,
        stable=row.warm_up.stable,
        warm_up=row.warm_up.invocations,
        clock_hz=row.clock_hz,
    )


def _own_processor_s() -> float:
    """Return what this process and those it started have taken."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
