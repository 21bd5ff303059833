"""Candidates measured, one chosen, every choice explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.errors import PromiseError
from edge_aigc.manifest import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.cost import Cost
    from edge_aigc.manifest import Fidelity
    from edge_aigc.profile import RecipeName

NEAR_FASTEST = 1.05
"""Forms within 5 % of the fastest count as equally fast; among them size decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One form of a generator, tried."""

    recipe: RecipeName
    flatbuffer: bytes = b""
    older_kernels: bool = False
    """Whether it was planned again so that an old runtime runs it, too."""
    fidelity: Fidelity | None = None
    cost: Cost | None = None
    peak_ram_bytes: int | None = None
    """What it takes at most, where it was planned."""
    refused: str = ""
    """Why it was not measured; empty when it was."""
    too_large: bool = False
    """Whether it was refused because it needs more memory than there is."""


def choose(trials: Sequence[Trial]) -> tuple[Trial, tuple[Candidate, ...]]:
    """Return the smallest trial among those within 5 % of the fastest that keep their fidelity.

    Args:
        trials: At least one.

    Returns:
        The chosen one, and all of them with the reason why each was taken or left.

    Raises:
        PromiseError: None keeps the fidelity that was asked for.
    """
    kept = [trial for trial in trials if _keeps(trial)]
    if not kept:
        raise _nearest_miss(trials)
    fastest = min(_rank(trial) for trial in kept)
    quick = [trial for trial in kept if _rank(trial) <= NEAR_FASTEST * fastest]
    chosen = min(quick, key=lambda trial: len(trial.flatbuffer))
    alone = len(trials) == 1
    return chosen, tuple(_explained(trial, chosen, quick, fastest, alone=alone) for trial in trials)


def _keeps(trial: Trial) -> bool:
    return not trial.refused and trial.fidelity is not None and trial.fidelity.value >= trial.fidelity.minimum


def _rank(trial: Trial) -> float:
    assert trial.cost is not None  # every trial that was not refused was measured
    return trial.cost.rank


def _explained(trial: Trial, chosen: Trial, quick: Sequence[Trial], fastest: float, *, alone: bool) -> Candidate:
    if trial.refused or trial.fidelity is None or trial.cost is None:
        return Candidate(recipe=trial.recipe, peak_ram_bytes=trial.peak_ram_bytes, verdict=f"left out: {trial.refused}")
    if not _keeps(trial):
        verdict = f"below {trial.fidelity.minimum:g} dB"
    elif trial is chosen:
        verdict = _praise(alone=alone, equals=len(quick) > 1)
    elif trial in quick:
        verdict = "as fast, but larger"
    else:
        verdict = f"{_rank(trial) / fastest:.2f} times the fastest"
    if trial.older_kernels:
        verdict += "; planned for the kernels of tflite-runtime 2.14"
    return Candidate(
        recipe=trial.recipe,
        bytes=len(trial.flatbuffer),
        fidelity=trial.fidelity.value,
        latency_ms=trial.cost.latency_ms,
        cycles=None if trial.cost.cycles is None or trial.cost.latency_ms is not None else round(trial.cost.cycles),
        peak_ram_bytes=trial.peak_ram_bytes,
        verdict=verdict,
    )


def _praise(*, alone: bool, equals: bool) -> str:
    if alone:
        return "the only candidate"
    return "chosen: the smallest within 5 % of the fastest" if equals else "chosen: the fastest"


def _nearest_miss(trials: Sequence[Trial]) -> PromiseError:
    measured = [trial for trial in trials if trial.fidelity is not None and not trial.refused]
    if not measured:
        return _none_made(trials)
    best = max(measured, key=lambda trial: trial.fidelity.value if trial.fidelity else 0.0)
    assert best.fidelity is not None
    where = "held-out pictures" if best.fidelity.on == "pictures" else "seeds"
    return PromiseError(
        f"The best recipe, {best.recipe}, reaches {best.fidelity.value:.1f} dB paired PSNR over "
        f"{best.fidelity.samples} {where} (worst {best.fidelity.worst_value:.1f} dB); "
        f"{best.fidelity.minimum:g} dB were asked for. Nothing was written.",
        remedy=f"Lower `--min-fidelity` to {best.fidelity.value:.0f} if the difference does not matter to you, "
        "or choose another `--recipe`.",
    )


def _none_made(trials: Sequence[Trial]) -> PromiseError:
    reasons = "; ".join(f"{trial.recipe}: {trial.refused}" for trial in trials)
    if any(trial.too_large for trial in trials):
        return PromiseError(
            f"The generator does not fit into the device's memory: {reasons}. Nothing was written.",
            remedy="Choose a board with more memory, a smaller model or `--input-size`; `--max-ram SIZE` allows more "
            "at your own risk.",
        )
    return PromiseError(f"No recipe can be made for this device: {reasons}.", remedy="Choose another `--runtime`.")
