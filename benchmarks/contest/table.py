"""The suite's figures, for people and for machines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from contest.rounds import TFLITE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from contest.rounds import Row

# default_dynamic and aeq_int8 are held against our fastest form of at least 35 dB, the others against float32.
RIVALS = ("naive_batch1", "naive_batch_none", "default_dynamic", "aeq_int8", "onnxruntime", "torch")
RIVALS_ON_TFLITE = tuple(TFLITE + name for name in RIVALS[:4])


def print_row(row: Row) -> None:
    """Print a net's block."""
    print(f"\n{row.net.name}: {row.net.source}")
    print(f"  {row.multiplications / 1e6:,.0f} M multiplications, sgemm {row.sgemm_per_s / 1e9:.1f} G a second")
    for name, found in row.contenders.items():
        ratio = row.ratio(name)
        alike = f"error {found.error:.1e}, {found.decibels:5.1f} dB"
        print(f"  {name:23} {found.ms:9.3f} ms ± {found.spread_ms:7.3f}  {ratio:6.2f}x  {alike} {found.form}")
    for one in row.rewrites:
        steps = ", ".join(step for step, _ in one.steps)
        print(f"  {one.times} times {one.before:.2f} to {one.after:.2f} {one.unit}: {steps}")
    for name, reason in row.missing.items():
        print(f"  {name:23} -  {reason}")
    print(f"  ours runs the net's multiplications at {row.of_sgemm:.0%} of sgemm's rate", flush=True)


def print_summary(rows: Sequence[Row]) -> None:
    """Print the ratios of all nets, and their geometric means."""
    print(f"\n{'times as long as ours':24}" + "".join(f"{name:>17}" for name in RIVALS) + f"{'of sgemm':>10}")
    for row in rows:
        cells = [row.ratio(name) for name in RIVALS]
        print(f"{row.net.name:24}" + "".join(_cell(cell) for cell in cells) + f"{row.of_sgemm:10.0%}")
    means = geometric_means(rows)
    print(f"{'geometric mean':24}" + "".join(_cell(means.get(name)) for name in RIVALS), flush=True)
    on_tflite = [row for row in rows if f"{TFLITE}ours" in row.contenders]
    if on_tflite:
        print(f"\n{'under tflite-runtime':24}" + "".join(f"{name:>25}" for name in RIVALS_ON_TFLITE))
        for row in on_tflite:
            print(f"{row.net.name:24}" + "".join(_cell(row.ratio(name), 25) for name in RIVALS_ON_TFLITE))
        print(f"{'geometric mean':24}" + "".join(_cell(means.get(name), 25) for name in RIVALS_ON_TFLITE), flush=True)


def geometric_means(rows: Iterable[Row]) -> dict[str, float | None]:
    """Return the geometric mean of each rival's ratio over the nets that it runs."""
    rows = list(rows)
    there = any(name.startswith(TFLITE) for row in rows for name in row.contenders)
    names = (*RIVALS, *RIVALS_ON_TFLITE) if there else RIVALS
    return {name: geometric_mean([row.ratio(name) for row in rows]) for name in names}


def geometric_mean(ratios: Iterable[float | None]) -> float | None:
    """Return it over those that are known; None where none is."""
    known = [ratio for ratio in ratios if ratio is not None]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else None


def record(row: Row) -> dict[str, Any]:
    """Return a net's figures for JSON."""
    return {
        "source": row.net.source,
        "multiplications": row.multiplications,
        "sgemm_multiplications_per_s": row.sgemm_per_s,
        "ours_of_sgemm": row.of_sgemm,
        "contenders": {
            name: {
                "ms": found.ms,
                "spread_ms": found.spread_ms,
                "error": found.error,
                "decibels": found.decibels,
                "form": found.form,
            }
            for name, found in row.contenders.items()
        },
        "ratios": {name: row.ratio(name) for name in row.contenders},
        "missing": dict(row.missing),
        "rewrites": [
            {"steps": one.steps, "times": one.times, "before": one.before, "after": one.after, "unit": one.unit}
            for one in row.rewrites
        ],
    }


def _cell(value: float | None, width: int = 17) -> str:
    return f"{'-' if value is None else format(value, '.2f'):>{width}}"
