"""Costs in words: what is measured and what is estimated are never mistaken for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.cli.sizes import shown_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.manifest import Candidate, Latency, Ram, Rewrite

_LIMITS = {"compute": "computing", "memory": "moving data"}


def latency_words(latency: Latency | None) -> str:
    """Return how long one invocation takes, and how that is known."""
    if latency is None:
        return "not known: no source tells the device's clock"
    if latency.how == "measured":
        return f"{latency.value:.3f} ms, measured on {latency.where}"
    figure = f"at least {latency.value:.3f} ms" if latency.at_least else f"about {latency.value:.3f} ms"
    return f"{figure}, {_estimated(latency)}"


def ram_words(ram: Ram) -> str:
    """Return what the model takes at most, and of how much."""
    return f"{shown_size(ram.peak_bytes)} {ram.how}, beside the interpreter; {shown_size(ram.limit_bytes)} are left"


def found_by(latency: Latency | None) -> str:
    """Return how the candidates' costs were found, for the head of their table."""
    if latency is None:
        return "cycles estimated, as no source tells the device's clock"
    if latency.how == "measured":
        return f"timed on {latency.where}"
    return _estimated(latency)


def cost_column(entry: Candidate) -> str:
    """Return a candidate's time, or cycles where its device's clock is not known."""
    if entry.latency_ms is not None:
        return f"{entry.latency_ms:9.3f} ms"
    return "" if entry.cycles is None else f"{entry.cycles / 1e6:6.1f} M cycles"


def rewrite_rows(rewrites: Sequence[Rewrite]) -> list[str]:
    """Return a row for every kind of place that was put in another form, those that gain most first."""
    ordered = sorted(rewrites, key=lambda entry: entry.times * (entry.after - entry.before))
    return [
        f"rewritten {entry.before / max(entry.after, 1e-9):5.2f} x faster  {entry.times:>3} x  "
        f"{', then '.join(name for name, _ in entry.steps)}"
        for entry in ordered
    ]


def _estimated(latency: Latency) -> str:
    words = f"estimated for {latency.where}"
    if latency.at_least:
        return f"{words}; a lower bound: as many instructions a cycle are assumed as its core can complete"
    if latency.bound is not None:
        words += f"; limited by {_LIMITS[latency.bound]}"
    if latency.error is not None:
        words += f"; such estimates were off by {latency.error:.0%} (median) on the machine that they were fitted on"
    return words
