"""`edge-aigc request`: ask a device, wait, save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.cli.broker_options import address_of, broker_option, ca_option
from edge_aigc.cli.control_options import control_options, controls_of
from edge_aigc.cli.figures import Figure
from edge_aigc.cli.output import json_option, print_json
from edge_aigc.cli.sample_files import asked_format, output_options, sample_path, save_sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.mqtt.answers import Received

_PICTURE_LIMIT_BYTES = 64 << 20
"""Devices take far less; this only keeps a wrong path from filling the memory."""


@click.command("request", epilog="Example: `edge-aigc request digits digit=3 --seed 7 --count 4 -o pictures`.")
@click.argument("model")
@broker_option
@click.option("--device", metavar="NAME", help="Default: the one device online that serves the model.")
@click.option("--seed", type=int, help="Of the first sample, 0 to 2^64 - 1; default: the device picks one.")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True)
@control_options
@click.option("--format", "kind", help="png, webp, jpeg, wav, txt, ply or npy; default: the device's.")
@output_options
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Figure(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long each sample is waited for.",
)
@ca_option
@json_option
def command(model: str, *, as_json: bool, **options: Any) -> None:
    """Ask a device for samples of MODEL over MQTT and save them; show texts.

    CONTROL=VALUE sets a class by its label or a number, for example digit=3.
    """
    from edge_aigc.client import Client

    samples: list[dict[str, object]] = []
    output: Path | None = options["output"]
    with Client(address_of(options)) as client:
        answers = client.request(
            model,
            device=options["device"],
            seed=options["seed"],
            count=options["count"],
            controls=controls_of(options),
            inputs=_pictures(options["inputs"]),
            format=options["kind"] or asked_format(output),
            timeout_s=options["timeout"],
        )
        for received in answers:
            text = received.payload.decode(errors="replace") if received.content_type.startswith("text/plain") else None
            shown = text is not None and output is None
            path = None if shown else _saved(received, options)
            samples.append(_sample(received, path) | ({} if text is None else {"text": text}))
            if not as_json:
                click.echo(text if shown else path)
    if as_json:
        print_json({"samples": samples, "id": samples[0]["id"], "round_trip_ms": samples[-1]["round_trip_ms"]})


def _pictures(files: Mapping[str, str]) -> dict[str, bytes]:
    from edge_aigc.files import read_whole

    return {
        name: read_whole(Path(file), limit_bytes=_PICTURE_LIMIT_BYTES, what="picture") for name, file in files.items()
    }


def _saved(received: Received, options: Mapping[str, Any]) -> Path:
    from edge_aigc.media.formats import suffix_for

    name = f"{received.model}-{received.seed}{suffix_for(received.content_type)}"
    path = sample_path(options["output"], name, single=options["count"] == 1)
    save_sample(path, received.payload, replace=options["force"] or path == options["output"])
    return path


def _sample(received: Received, path: Path | None) -> dict[str, object]:
    return {
        "path": None if path is None else str(path),
        "seed": received.seed,
        "gen_ms": received.gen_ms,
        "encode_ms": received.encode_ms,
        "id": received.id,
        "round_trip_ms": None if received.round_trip_ms is None else round(received.round_trip_ms, 3),
        "device": received.device,
        "sha256": received.sha256,
    }
