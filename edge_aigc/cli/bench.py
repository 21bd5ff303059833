"""`edge-aigc bench`: how fast a bundle is on this machine."""

from __future__ import annotations

import os
import resource
import statistics
from pathlib import Path

import click

from edge_aigc.cli.output import json_option, print_json
from edge_aigc.cli.progress import steps


@click.command("bench", epilog="Example: `edge-aigc bench digits-rpi4.aigc --rounds 500`.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--rounds", type=click.IntRange(10, 1_000_000), default=200, show_default=True, help="Invocations timed.")
@click.option("--runtime", type=click.Choice(["litert", "tflite"]), help="Default: the first that is installed.")
@click.option("--threads", type=click.IntRange(1, 64), help="Of the interpreter; default: the bundle's.")
@json_option
def command(bundle: Path, *, rounds: int, runtime: str | None, threads: int | None, as_json: bool) -> None:
    """Time a bundle on this machine: median, 95th percentile, peak memory of this process."""
    from edge_aigc.bundle import read_bundle
    from edge_aigc.devices.timing import time_in_turns, where
    from edge_aigc.interpreter import Interpreter

    loaded = read_bundle(bundle)
    used = threads or loaded.manifest.threads
    interpreter = Interpreter(loaded.flatbuffer, runtime=runtime, threads=used)  # type: ignore[arg-type]  # click's Choice
    with steps() as tell:
        tell(f"{rounds} invocations")
        (timing,) = time_in_turns([interpreter], rounds=rounds)
    quantiles = statistics.quantiles(timing, n=20)
    result = {
        "median_ms": round(statistics.median(timing), 4),
        "p95_ms": round(quantiles[-1], 4),
        "min_ms": round(min(timing), 4),
        # Linux counts ru_maxrss in KiB: getrusage(2).
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "runtime": interpreter.runtime,
        "threads": used,
        "rounds": rounds,
        "where": where(interpreter.runtime, used),
        "load_1min": round(os.getloadavg()[0], 2),
    }
    if as_json:
        print_json(result)
        return
    click.echo(
        f"median {result['median_ms']:.3f} ms, p95 {result['p95_ms']:.3f} ms, peak RSS {result['peak_rss_bytes']:,} B, "
        f"{result['where']}"
    )
