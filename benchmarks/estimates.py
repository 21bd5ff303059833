"""Costs predicted against costs measured, on this machine, where both are at hand.

    python benchmarks/estimates.py [--model NET.keras --size HEIGHTxWIDTH]

The model's constants are fitted on single operators of some nets (`converters/costs/probes.zip`), and judged by
others: those that `zoo.py` holds out, the digits that ship, and what `--model` names, each in every recipe.
Latency: instructions counted under QEMU's model of this machine, its speeds timed once. Peak RAM: planned from
the flatbuffer, against fresh processes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import HELD_OUT, flatbuffers, recipes_of

from edge_aigc.converters.costs.host import probe_seconds, speeds_from
from edge_aigc.converters.costs.meter import CountedMeter
from edge_aigc.converters.models import DIGITS
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.converters.sources.source import Wish
from edge_aigc.cost import Cost
from edge_aigc.devices.bench.fresh import weigh
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate.counting import EmulatedCounter
from edge_aigc.devices.timing import time_in_turns
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping

LATENCY_LIMIT, RAM_LIMIT = 0.25, 0.15
"""Medians of the relative error."""
TRIVIAL_BYTES = 1_000_000
"""A model that takes less is all structure: its error is printed and not judged."""
LIBRARY_BYTES = 3_500_000
"""Pages of the interpreter's library that running any model reads; of the process, not of the model."""
VISITS = 6
"""Every net is timed so many times, minutes apart; the least counts."""


class Quiet:
    """Times what a machine does while nobody else is at work on it: the fastest of many invocations."""

    shortlist = 24

    def measure(self, flatbuffers: Mapping[str, bytes], *, threads: int) -> dict[str, Cost]:
        """Return the cost of each, timed one after another."""
        costs = {}
        for name, flatbuffer in flatbuffers.items():
            (timing,) = time_in_turns([Interpreter(flatbuffer, runtime="litert", threads=threads)], budget_s=0.2)
            costs[name] = Cost(latency_ms=min(timing), spread_ms=0.0, how="measured", where="here, the fastest")
        return costs


def main() -> None:
    """Print a line for each net and recipe, and the medians; exit 3 if one is beyond its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="one more net, a .keras file")
    parser.add_argument("--size", help="HEIGHTxWIDTH for a model that takes pictures of any size")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = compare(nets(options.model, options.size))
    latency = [abs(row["latency_error"]) for row in rows]
    ram = [abs(row["ram_error"]) for row in rows if row["ram_bytes"] >= TRIVIAL_BYTES]
    whole = [abs(row["process_error"]) for row in rows]
    result = {
        "latency_median": statistics.median(latency),
        "latency_largest": max(latency),
        "ram_median": statistics.median(ram),
        "ram_largest": max(ram),
        "process_median": statistics.median(whole),
        "nets": len(rows),
    }
    print(json.dumps({"rows": rows, **result}) if options.json else shown(rows, result))
    sys.exit(0 if result["latency_median"] <= LATENCY_LIMIT and result["ram_median"] <= RAM_LIMIT else 3)


def nets(model: Path | None, size: str | None) -> dict[str, bytes]:
    """Return what is judged by, in every recipe."""
    found = {name: flatbuffers(build, name) for name, build in HELD_OUT.items()}
    found["digits"] = recipes_of(load_keras(DIGITS))
    if model is not None:
        height, width = (int(part) for part in (size or "64x64").split("x"))
        found[model.stem] = recipes_of(load_keras(model, Wish(input_size=(height, width))))
    return {f"{name} {recipe}": flatbuffer for name, forms in found.items() for recipe, flatbuffer in forms.items()}


def compare(forms: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return a row for each form."""
    profile, timer = find_profile("host"), Quiet()
    counter = EmulatedCounter(profile, "litert", tell=_tell)
    timed: dict[str, float] = {}
    probes: dict[str, float] = {}
    for visit in range(VISITS):
        _tell(f"visit {visit + 1} of {VISITS}")
        _lower(probes, probe_seconds(profile.cpu, timer))
        _lower(timed, {name: cost.latency_ms or 0.0 for name, cost in timer.measure(forms, threads=1).items()})
    speeds = speeds_from(profile.cpu, probes, counter)
    _tell(str(speeds))
    estimated = CountedMeter(counter, speeds, where="here").measure(forms, threads=1)
    return [_row(name, forms[name], estimated[name], timed[name]) for name in forms]


def _lower(least: dict[str, float], found: Mapping[str, float]) -> None:
    for name, value in found.items():
        least[name] = min(least.get(name, value), value)


def _row(name: str, flatbuffer: bytes, estimated: Cost, timed_ms: float) -> dict[str, Any]:
    assert estimated.latency_ms is not None
    assert estimated.peak_ram_bytes is not None
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(flatbuffer)
        file.flush()
        weight = weigh(Path(file.name), runtime="litert", threads=1)
    process = weight.idle_rss_bytes + LIBRARY_BYTES + estimated.peak_ram_bytes
    return {
        "net": name,
        "timed_ms": timed_ms,
        "estimated_ms": estimated.latency_ms,
        "latency_error": estimated.latency_ms / timed_ms - 1,
        "bound": estimated.bound,
        "ram_bytes": weight.peak_ram_bytes,
        "estimated_ram_bytes": estimated.peak_ram_bytes,
        "ram_error": estimated.peak_ram_bytes / weight.peak_ram_bytes - 1,
        "process_error": process / weight.peak_rss_bytes - 1,
    }


def shown(rows: list[dict[str, Any]], result: dict[str, Any]) -> str:
    """Return the table."""
    lines = [f"{'net':22} {'timed':>9} {'estimated':>10} {'error':>7}  {'RAM':>9} {'estimated':>10} {'error':>7}"]
    lines += [
        f"{row['net']:22} {row['timed_ms']:6.3f} ms {row['estimated_ms']:7.3f} ms {row['latency_error']:+6.0%}  "
        f"{row['ram_bytes'] / 1e6:6.2f} MB {row['estimated_ram_bytes'] / 1e6:7.2f} MB {row['ram_error']:+6.0%}"
        for row in rows
    ]
    lines.append(
        f"{result['nets']} forms. Latency: median error {result['latency_median']:.1%}, largest "
        f"{result['latency_largest']:.0%}. Model's RAM: median {result['ram_median']:.1%}, largest "
        f"{result['ram_largest']:.0%}. Whole process: median {result['process_median']:.1%}."
    )
    return "\n".join(lines)


def _tell(words: str) -> None:
    print(f"{time.strftime('%T')} {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
