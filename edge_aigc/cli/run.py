"""`edge-aigc run`: serve bundles over MQTT."""

from __future__ import annotations

import logging
import socket
import sys
from pathlib import Path
from typing import Any

import click

from edge_aigc.cli.broker_options import address_of, broker_option, ca_option
from edge_aigc.cli.figures import Figure
from edge_aigc.cli.output import json_option, print_json
from edge_aigc.cli.runtime_options import runtime_options
from edge_aigc.cli.tpu_options import tpu_of, tpu_option


@click.command(
    "run", epilog="Example: `edge-aigc run digits-rpi4.aigc --broker mqtt://127.0.0.1 --device attic --every 60`."
)
@click.argument("bundles", metavar="BUNDLE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@broker_option
@click.option("--device", metavar="NAME", help="Its level in the topics; default: the host's name.")
@click.option("--every", metavar="SECONDS", type=Figure(min=0.01), help="Publish a sample unasked this often.")
@click.option("--format", "kind", help="Of outputs where a request does not say: png, webp, jpeg or npy.")
@runtime_options
@tpu_option
@ca_option
@json_option
def command(bundles: tuple[Path, ...], *, as_json: bool, **options: Any) -> None:
    """Serve bundles over MQTT until SIGTERM or Ctrl-C.

    Every bundle is proven on this machine first. Requests come on edge-aigc/DEVICE/request/MODEL;
    outputs go to edge-aigc/DEVICE/out/MODEL/MEDIA, or to the response topic of who asked. A broker
    that is absent is waited for. With --json: a line for each of ready, online, offline and stopped.
    """
    from edge_aigc.devices.daemon import Daemon
    from edge_aigc.devices.settings import ChildSettings, DaemonSettings
    from edge_aigc.mqtt.topics import check_device, device_from

    _log_to_stderr()
    device = options["device"]
    settings = DaemonSettings(
        broker=address_of(options),
        device=device_from(socket.gethostname()) if device is None else check_device(device),
        bundles=bundles,
        every_s=options["every"],
        format=options["kind"],
        child=ChildSettings(runtime=options["runtime"], threads=options["threads"], tpu=tpu_of(options)),
    )
    on_event = print_json if as_json else _say_nothing
    with Daemon(settings, on_event=on_event) as daemon:
        daemon.run()
    on_event({"event": "stopped"})


class _OneLine(logging.Formatter):
    """Journals take a line for a message, whatever is quoted in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        return " ".join(super().format(record).split())


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("edge-aigc: %(message)s"))
    log = logging.getLogger("edge_aigc")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)


def _say_nothing(_event: dict[str, object]) -> None:
    pass
