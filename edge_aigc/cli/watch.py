"""`edge-aigc watch`: save and list what devices publish."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.cli.broker_options import address_of, broker_option, ca_option
from edge_aigc.cli.output import json_option, print_json

if TYPE_CHECKING:
    from edge_aigc.mqtt.answers import Received

_PART_LIMIT = 64
"""Characters of each part of a file's name; file systems take 255 bytes in all."""


@click.command("watch", epilog="Example: `edge-aigc watch --device attic -o pictures --count 10`.")
@broker_option
@click.option("--device", metavar="NAME", help="Default: every device.")
@click.option("--model", metavar="NAME", help="Default: every model.")
@click.option("-o", "--output", metavar="FOLDER", type=click.Path(path_type=Path), help="Save what comes there.")
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="End after so many; default: at Ctrl-C.")
@ca_option
@json_option
def command(*, as_json: bool, **options: Any) -> None:
    """List what devices publish on their out topics, and save it with -o.

    With --json: a line for each.
    """
    from edge_aigc.client import Client

    with Client(address_of(options)) as client:
        watched = client.watch(device=options["device"], model=options["model"])
        for received in itertools.islice(watched, options["count"]):
            path = None if options["output"] is None else _saved(received, options["output"])
            if as_json:
                print_json(_line(received, path))
            else:
                click.echo(path or _words(received))


def _saved(received: Received, folder: Path) -> Path:
    from edge_aigc.files import write_whole

    path = folder / file_name(received)
    write_whole(path, received.payload)
    return path


def file_name(received: Received) -> str:
    """Return a name for what came: safe, whatever its topic and facts say.

    Device, model, seed, and the first digits of the hash: what differs has a name of its own.
    """
    from edge_aigc.media.formats import suffix_for

    seed = "unknown" if received.seed is None else str(received.seed)
    parts = (received.device, received.model, seed, received.sha256[:8])
    safe = [re.sub(r"[^A-Za-z0-9_.-]", "_", part)[:_PART_LIMIT] for part in parts]
    return "-".join(safe).lstrip(".-") + suffix_for(received.content_type)


def _line(received: Received, path: Path | None) -> dict[str, object]:
    return {
        "path": None if path is None else str(path),
        "device": received.device,
        "model": received.model,
        "id": received.id,
        "seed": received.seed,
        "content_type": received.content_type,
        "bytes": len(received.payload),
        "sha256": received.sha256,
        "gen_ms": received.gen_ms,
    }


def _words(received: Received) -> str:
    size = f"{len(received.payload):,} B {received.content_type}"
    return f"{received.device}  {received.model}  seed {received.seed}  {size}"
