"""`edge-aigc bench`: how fast a bundle is, how much memory it takes, and whether to believe it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_aigc.cli.output import json_option, print_json, say
from edge_aigc.cli.progress import steps
from edge_aigc.cli.ssh_options import ssh_options, target_of
from edge_aigc.cli.tpu_options import tpu_of, tpu_option
from edge_aigc.errors import UsageError
from edge_aigc.version import __version__

if TYPE_CHECKING:
    from edge_aigc.devices.bench.report import Plan, Report, Row
    from edge_aigc.devices.condition import Condition
    from edge_aigc.manifest import Manifest

_MOST_THREADS = 64


def _threads(ctx: click.Context, param: click.Parameter, word: str | None) -> tuple[int, ...]:
    if word is None:
        return ()
    numbers = [int(part) if part.isdecimal() else 0 for part in word.split(",")]
    if not all(1 <= number <= _MOST_THREADS for number in numbers):
        raise click.BadParameter(f"{word!r} is not numbers from 1 to {_MOST_THREADS}, for example 1,2,4.", ctx, param)
    return tuple(dict.fromkeys(numbers))


def _serve(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Be the other end of `--on`: see `edge_aigc.devices.ssh.there`."""
    del param
    if not value or ctx.resilient_parsing:
        return
    from edge_aigc.devices.ssh.there import serve

    ctx.exit(serve())


@click.command(
    "bench",
    epilog="Examples: `edge-aigc bench digits-rpi4.aigc --sweep`; `edge-aigc bench digits-rpi4.aigc --on pi@attic`.",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--rounds",
    type=click.IntRange(10, 1_000_000),
    help="Invocations timed; default: 200, fewer where they would take over 10 s.",
)
@click.option("--warm-up", type=click.IntRange(0, 100_000), help="Invocations before; default: until they settle.")
@click.option("--runtime", type=click.Choice(["litert", "tflite"]), help="Default: the first that is installed.")
@click.option("--threads", callback=_threads, metavar="N[,N...]", help="Of the interpreter; default: the bundle's.")
@tpu_option
@click.option("--sweep", is_flag=True, help="Threads 1, 2, 4, ... up to the number of cores.")
@click.option("--format", "kind", help="Of the samples that are encoded; default: the medium's first.")
@ssh_options
@click.option("--serve", is_flag=True, is_eager=True, expose_value=False, hidden=True, callback=_serve)
@json_option
def command(bundle: Path, *, as_json: bool, **options: Any) -> None:
    """Time a bundle: the model alone and whole samples, encoding included; its memory; the state of the machine.

    Figures are medians; memory is the model's, the idle process left out. What speaks against a run is told.
    """
    from edge_aigc.bundle import read_bundle
    from edge_aigc.devices.bench.report import bench

    # A damaged bundle is refused before anything is started.
    manifest = read_bundle(bundle).manifest
    plan = _plan(options, manifest)
    target = target_of(options)
    with steps() as tell:
        if target is None:
            report = bench(bundle, plan, tell=tell)
        else:
            from edge_aigc.devices.ssh.remote import bench_there

            version, report = bench_there(target, bundle, plan, tell=tell, limit_s=options["timeout_s"])
            if version != __version__:
                say(f"{target.name} measured with edge-aigc {version}; this is {__version__}.")
    _print(report, place="this machine" if target is None else target.name, as_json=as_json)


def _plan(options: dict[str, Any], manifest: Manifest) -> Plan:
    from edge_aigc.devices.bench.report import Plan
    from edge_aigc.media.formats import format_named

    format_named(manifest.spec.primary.media, options["kind"])
    threads = options["threads"] or (manifest.threads,)
    if options["sweep"]:
        if options["threads"] or options["on"]:
            raise UsageError(
                "`--sweep` takes the numbers of threads from the cores of this machine.",
                remedy="Leave it out and list them: `--threads 1,2,4`.",
            )
        threads = _doublings(len(os.sched_getaffinity(0)))
    return Plan(
        threads=threads,
        rounds=options["rounds"],
        warm_up=options["warm_up"],
        runtime=options["runtime"],
        tpu=tpu_of(options),
        format=options["kind"],
    )


def _doublings(cores: int) -> tuple[int, ...]:
    """Return 1, 2, 4, ... and the number of cores itself."""
    powers = [1 << power for power in range(cores.bit_length()) if 1 << power <= min(cores, _MOST_THREADS)]
    return tuple(dict.fromkeys([*powers, min(cores, _MOST_THREADS)]))


def _print(report: Report, *, place: str, as_json: bool) -> None:
    if as_json:
        print_json(_fields(report, place))
    else:
        click.echo(_table(report, place))
    if report.fallback:
        say(f"It ran on the CPU, {report.fallback}")
    for doubt in report.doubts:
        say(f"Do not trust this run: {doubt}")


def _fields(report: Report, place: str) -> dict[str, object]:
    """Return the JSON: the first row's invocations on top, as scripts know them, then everything."""
    first = report.rows[0]
    words = f"{place} ({report.machine}), {report.runtime}, {first.threads} thread{'s' * (first.threads > 1)}"
    return {
        **msgspec.to_builtins(first.invoke),
        "peak_ram_bytes": first.peak_ram_bytes,
        "idle_rss_bytes": first.idle_rss_bytes,
        "peak_rss_bytes": first.peak_rss_bytes,
        "runtime": report.runtime,
        "fallback": report.fallback or None,
        "threads": first.threads,
        "where": words,
        "load_1min": report.before.load_1min,
        "sample_ms": first.sample.median_ms,
        "encode_ms": first.encode.median_ms,
        "tokens_per_s": first.tokens_per_s,
        "rows": report.rows,
        "condition": {"before": report.before, "after": report.after, "others_cores": report.others_cores},
        "trusted": not report.doubts,
        "doubts": report.doubts,
    }


def _table(report: Report, place: str) -> str:
    lines = [f"{place} ({report.machine}), {report.runtime}"]
    head = ("threads", "median", "p95", "spread", "least", "sample", "encoding", "model RAM", "process")
    lines.append("".join(f"{word:>12}" for word in head))
    lines += ["".join(f"{cell:>12}" for cell in _cells(row)) for row in report.rows]
    first = report.rows[0]
    lines.append(
        f"{first.invoke.rounds} invocations and as many samples to {first.format}, after "
        f"{first.warm_up.invocations} to warm up; opened and proven in {first.open_ms:.0f} ms"
    )
    if first.tokens_per_s is not None:
        rates = ", ".join(f"{row.tokens_per_s:,.0f} with {row.threads}" for row in report.rows if row.tokens_per_s)
        lines.append(f"tokens per second, sampling included, by threads: {rates}")
    lines.append(_state(report.before, report.after, report))
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    invoke = row.invoke
    times = (
        invoke.median_ms,
        invoke.p95_ms,
        invoke.spread_ms,
        invoke.min_ms,
        row.sample.median_ms,
        row.encode.median_ms,
    )
    sizes = (row.peak_ram_bytes, row.peak_rss_bytes)
    return (str(row.threads), *(f"{ms:.3f} ms" for ms in times), *(f"{size / 1e6:.1f} MB" for size in sizes))


def _state(before: Condition, after: Condition, report: Report) -> str:
    parts = [f"load {before.load_1min:g} on {after.cores} cores, {report.others_cores:.2f} of them taken by others"]
    if before.temperature_c is not None and after.temperature_c is not None:
        parts.append(f"{before.temperature_c:.0f} to {after.temperature_c:.0f} °C")
    clocks = [row.clock_hz for row in report.rows if row.clock_hz is not None]
    if clocks and after.clock_max_hz:
        parts.append(f"{min(clocks) / 1e6:,.0f} of {after.clock_max_hz / 1e6:,.0f} MHz, governor {after.governor}")
    if after.throttled_since_boot:
        parts.append(f"since it was started: {', '.join(after.throttled_since_boot)}")
    return "; ".join(parts)
