"""`edge-aigc generate`: samples to files, without a broker; texts to stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_aigc.cli.control_options import control_options, controls_of
from edge_aigc.cli.output import json_option, print_json
from edge_aigc.cli.runtime_options import runtime_options
from edge_aigc.cli.sample_files import asked_format, output_options, sample_path, save_sample
from edge_aigc.cli.tpu_options import tpu_of, tpu_option


@click.command(
    "generate",
    epilog="Examples: `edge-aigc generate digits-rpi4.aigc digit=3 --seed 7 --count 4 -o pictures`; "
    "`edge-aigc generate poems-rpi4.aigc --prompt 春 --temperature 0.8`.",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--seed", type=int, help="Of the first sample, 0 to 2^64 - 1; default: a fresh one.")
@click.option("--count", type=click.IntRange(1, 100_000), default=1, show_default=True)
@control_options
@click.option("--format", "kind", help="png, webp, jpeg, wav, txt, ply, ply-ascii or npy; default: the medium's first.")
@output_options
@runtime_options
@tpu_option
@json_option
def command(bundle: Path, *, as_json: bool, **options: Any) -> None:
    """Make samples from a bundle and save them; show texts.

    CONTROL=VALUE sets a class by its label or a number, for example digit=3.
    """
    from edge_aigc.controls import check_seed, nth_seed, pick_seed
    from edge_aigc.generator import open_bundle
    from edge_aigc.media.formats import format_named

    first = pick_seed() if options["seed"] is None else check_seed(options["seed"])
    controls = controls_of(options)
    generator = open_bundle(bundle, runtime=options["runtime"], threads=options["threads"], tpu=tpu_of(options))
    kind = format_named(generator.spec.primary.media, options["kind"] or asked_format(options["output"]))
    samples: list[dict[str, object]] = []
    for index in range(options["count"]):
        seed = nth_seed(first, index)
        sample = generator.generate(seed=seed, inputs=options["inputs"], **controls)
        fields: dict[str, object] = {"seed": seed, "gen_ms": round(sample.gen_ms, 3)}
        if sample.text is not None:
            fields |= {"text": sample.text, "tokens": sample.array.size}
        if sample.text is None or options["output"] is not None:
            name = f"{generator.manifest.name}-{seed}{kind.suffix}"
            path = sample_path(options["output"], name, single=options["count"] == 1)
            suffix = path.suffix.removeprefix(".").lower() or None
            content = sample.encode(format_named(generator.spec.primary.media, suffix).name)
            save_sample(path, content, replace=options["force"] or path == options["output"])
            fields["path"] = str(path)
        samples.append(fields)
        if not as_json:
            click.echo(fields.get("path") or _shown(sample.text, last=index + 1 == options["count"]))
    if as_json:
        print_json({"samples": samples, "runtime": generator.runtime, "fallback": generator.fallback or None})


def _shown(text: str | None, *, last: bool) -> str:
    """Return a text as it is shown: an empty line between two."""
    return f"{text}" if last else f"{text}\n"
