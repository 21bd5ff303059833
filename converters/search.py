"""Candidates measured, one chosen, every choice explained.

What the user promises is kept; what is left open is made as good as it can be: the time first, and where
that is promised the fidelity, and where that is promised, too, the size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from edge_aigc.converters.pareto import front
from edge_aigc.converters.trials import Tried
from edge_aigc.errors import PromiseError
from edge_aigc.manifest import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.trials import Trial
    from edge_aigc.manifest import Fidelity

NEAR_FASTEST = 1.05
"""Forms within 5 % of the fastest count as equally fast; among them size decides."""
NEAR_BEST_DB = 0.5
"""Forms within half a decibel of the best count as equally good; among them time decides."""

Goal: TypeAlias = Literal["time", "fidelity", "size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What the user asks of the bundle, besides the memory, which is held against the plan before anything is run."""

    max_latency_ms: float | None = None
    max_size_bytes: int | None = None
    """Of the flatbuffer."""
    fidelity_stated: bool = False
    """Whether the least fidelity is the user's own; each `Fidelity` holds the figure."""

    @property
    def goal(self) -> Goal:
        """Return what is left to make as good as it can be."""
        if self.max_latency_ms is None:
            return "time"
        return "size" if self.fidelity_stated else "fidelity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One promise that a candidate does not keep."""

    words: str
    """What it reaches and what was asked."""
    verdict: str
    excess: float
    """How far it is off: 0 where it is kept, the logarithm of the ratio to what was asked."""
    option: str
    """What would have it pass."""


def choose(trials: Sequence[Trial], promises: Promises = Promises()) -> tuple[Trial, tuple[Candidate, ...]]:
    """Return the best trial of those that keep the promises.

    By default that is the smallest among those within 5 % of the fastest; with a promised latency the most
    faithful, and with a promised fidelity as well the smallest.

    Args:
        trials: At least one.
        promises: What was asked for.

    Returns:
        The chosen one, and all of them with the reason why each was taken or left.

    Raises:
        PromiseError: None keeps what was asked for; the nearest miss is told.
    """
    able = [trial for trial in trials if not trial.refused and trial.fidelity is not None]
    kept = [trial for trial in able if not misses(trial, promises)]
    if not kept:
        raise _nearest_miss(trials, able, promises)
    equals = _equals(kept, promises.goal)
    chosen = min(equals, key=lambda trial: _tie_break(trial, promises.goal))
    table = _Table(chosen=chosen, equals=equals, kept=kept, promises=promises, alone=len(trials) == 1)
    return chosen, table.rows(trials, able)


def misses(trial: Trial, promises: Promises) -> list[Miss]:
    """Return the promises that a measured trial does not keep."""
    assert trial.fidelity is not None
    assert trial.cost is not None
    fidelity, latency_ms, size = trial.fidelity, trial.cost.latency_ms, len(trial.flatbuffer)
    found = []
    if not fidelity.value >= fidelity.minimum:  # NaN keeps nothing
        off = (fidelity.minimum - fidelity.value) / 20 * math.log(10)
        found.append(
            Miss(
                words=_fidelity_words(fidelity),
                verdict=f"below {fidelity.minimum:g} {fidelity.unit}",
                excess=off if math.isfinite(off) else math.inf,
                option=f"`--min-fidelity` to {math.floor(fidelity.value * 10) / 10:g}"
                if math.isfinite(fidelity.value)
                else "`--recipe`",
            )
        )
    if promises.max_latency_ms is not None and latency_ms is not None and latency_ms > promises.max_latency_ms:
        found.append(
            Miss(
                words=f"takes {latency_ms:.3f} ms where {promises.max_latency_ms:g} ms were asked for",
                verdict=f"over {promises.max_latency_ms:g} ms",
                excess=math.log(latency_ms / promises.max_latency_ms),
                option=f"`--max-latency` to {_up(latency_ms):g}",
            )
        )
    if promises.max_size_bytes is not None and size > promises.max_size_bytes:
        found.append(
            Miss(
                words=f"is {size:,} B large where {promises.max_size_bytes:,} B were asked for",
                verdict=f"over {promises.max_size_bytes:,} B",
                excess=math.log(size / promises.max_size_bytes),
                option=f"`--max-size` to {size}",
            )
        )
    return found


def _equals(kept: Sequence[Trial], goal: Goal) -> list[Trial]:
    """Return those of the trials that are as good as the best in what is left open."""
    if goal == "time":
        fastest = min(_rank(trial) for trial in kept)
        return [trial for trial in kept if _rank(trial) <= NEAR_FASTEST * fastest]
    if goal == "fidelity":
        best = max(_decibels(trial) for trial in kept)
        return [trial for trial in kept if _decibels(trial) >= best - NEAR_BEST_DB]
    smallest = min(len(trial.flatbuffer) for trial in kept)
    return [trial for trial in kept if len(trial.flatbuffer) == smallest]


def _tie_break(trial: Trial, goal: Goal) -> tuple[float, ...]:
    size = float(len(trial.flatbuffer))
    return (size, _rank(trial)) if goal == "time" else (_rank(trial), size)


def _rank(trial: Trial) -> float:
    assert trial.cost is not None  # every trial that was not refused was measured
    return trial.cost.rank


def _decibels(trial: Trial) -> float:
    assert trial.fidelity is not None
    return trial.fidelity.value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    chosen: Trial | None
    """None where none was."""
    equals: Sequence[Trial]
    kept: Sequence[Trial]
    promises: Promises
    alone: bool

    def rows(self, trials: Sequence[Trial], able: Sequence[Trial]) -> tuple[Candidate, ...]:
        """Return all trials, each with the reason why it was taken or left; `able` are those that were measured."""
        on_front = front([(_rank(trial), -_decibels(trial), len(trial.flatbuffer)) for trial in able])
        pareto = {id(trial) for trial, on in zip(able, on_front, strict=True) if on}
        return tuple(self._row(trial, pareto=id(trial) in pareto) for trial in trials)

    def _row(self, trial: Trial, *, pareto: bool) -> Candidate:
        if trial.refused or trial.fidelity is None or trial.cost is None:
            return Candidate(
                recipe=trial.recipe,
                form=trial.form,
                pruned=trial.pruned,
                removed=trial.removed,
                healed=trial.healed,
                verdict=f"left out: {trial.refused}",
            )
        verdict = self._verdict(trial)
        if trial.older_kernels:
            verdict += "; planned for the kernels of tflite-runtime 2.14"
        return Candidate(
            recipe=trial.recipe,
            form=trial.form,
            pruned=trial.pruned,
            removed=trial.removed,
            healed=trial.healed,
            bytes=len(trial.flatbuffer),
            fidelity=trial.fidelity.value,
            latency_ms=trial.cost.latency_ms,
            cycles=None if trial.cost.cycles is None or trial.cost.latency_ms is not None else round(trial.cost.cycles),
            peak_ram_bytes=trial.peak_ram_bytes,
            pareto=pareto,
            chosen=trial is self.chosen,
            verdict=verdict,
        )

    def _verdict(self, trial: Trial) -> str:
        goal = self.promises.goal
        if missed := misses(trial, self.promises):
            return ", ".join(miss.verdict for miss in missed)
        if trial is self.chosen:
            return self._praise(goal)
        if any(trial is one for one in self.equals):
            return {"time": "as fast, but larger", "fidelity": "as faithful, but slower"}.get(
                goal, "as small, but slower"
            )
        assert self.chosen is not None  # one that keeps everything is only left for another
        if goal == "fidelity":
            return f"{_decibels(self.chosen) - _decibels(trial):.1f} dB below the best"
        if goal == "size":
            return f"{len(trial.flatbuffer) / len(self.chosen.flatbuffer):.2f} times as large as the smallest"
        fastest = min(_rank(one) for one in self.kept)
        return f"takes {_rank(trial) / fastest:.2f} times as long as the fastest"

    def _praise(self, goal: Goal) -> str:
        if self.alone:
            return "the only candidate"
        several = len(self.equals) > 1
        if goal == "fidelity":
            return "chosen: the fastest of the most faithful" if several else "chosen: the most faithful"
        if goal == "size":
            return "chosen: the smallest"
        return "chosen: the smallest within 5 % of the fastest" if several else "chosen: the fastest"


def _fidelity_words(fidelity: Fidelity) -> str:
    where = "held-out pictures" if fidelity.on == "pictures" else "seeds"
    unit = fidelity.unit
    return (
        f"reaches {fidelity.value:.1f} {unit} {fidelity.title} over {fidelity.samples} {where} "
        f"(worst {fidelity.worst_value:.1f} {unit}) where {fidelity.minimum:g} {unit} were asked for"
    )


def _nearest_miss(trials: Sequence[Trial], able: Sequence[Trial], promises: Promises) -> PromiseError:
    if not able:
        return _none_made(trials)
    if promises.max_latency_ms is not None and all(trial.cost and trial.cost.latency_ms is None for trial in able):
        return PromiseError(
            "No source tells this device's clock, so no latency can be promised for it. Nothing was written.",
            remedy="Time on the device: `--on user@host`; or leave `--max-latency` out.",
        )
    table = _Table(chosen=None, equals=(), kept=(), promises=promises, alone=len(trials) == 1)
    best = min(able, key=lambda trial: (sum(miss.excess for miss in misses(trial, promises)), _rank(trial)))
    missed = misses(best, promises)
    assert best.cost is not None
    assert best.fidelity is not None
    tried = Tried(candidates=table.rows(trials, able), unit=best.fidelity.unit, cost=best.cost)
    return PromiseError(
        f"No candidate of {len(trials)} keeps what was asked for; the nearest, {best.label}, "
        f"{' and '.join(miss.words for miss in missed)}. Nothing was written.",
        remedy=f"Change {' and '.join(miss.option for miss in missed)} if that does not matter to you, "
        "or choose another `--recipe`.",
        tried=tried,
    )


def _none_made(trials: Sequence[Trial]) -> PromiseError:
    reasons = "; ".join(f"{trial.label}: {trial.refused}" for trial in trials)
    if any(trial.too_large for trial in trials):
        return PromiseError(
            f"The generator does not fit into the device's memory: {reasons}. Nothing was written.",
            remedy="Choose a board with more memory, a smaller model or `--input-size`; `--max-ram SIZE` allows more "
            "at your own risk.",
        )
    return PromiseError(f"No recipe can be made for this device: {reasons}.", remedy="Choose another `--runtime`.")


def _up(value: float) -> float:
    """Return a figure that is no smaller, with three digits."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.ceil(value / step) * step
