"""`edge-aigc demo`: the whole path in one command."""

from __future__ import annotations

import contextlib
import json
import select
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from edge_aigc.cli.broker import local_broker, stop
from edge_aigc.cli.output import json_option, print_json, say
from edge_aigc.errors import EdgeAigcError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEVICE = "demo"
_STOP_S = 10.0
_TIMEOUT_S = 30.0


@click.command("demo", epilog="Example: `edge-aigc demo -o demo-output`.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("demo-output"), show_default=True)
@click.option("--profile", default="rpi4", show_default=True, help="Device to convert for.")
@click.option("--broker", metavar="URL", help="A broker that runs; default: one of our own while this lasts.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True)
@json_option
def command(output: Path, *, profile: str, broker: str | None, seed: int, as_json: bool) -> None:
    """Convert the digits generator, serve it, ask it for every digit, save what arrives.

    Runs the commands that you would type: convert, run, request. The broker is mosquitto where it is
    installed, else the embedded amqtt.
    """
    started = time.monotonic()
    (bundle,) = _convert(profile, output)["bundles"]
    with _broker(broker) as (name, address):
        say(f"{name} listens on {address}")
        with _daemon(bundle["path"], address):
            samples = _ask(bundle["name"], address, output / "pictures", seed)
    median_ms = statistics.median(sample["round_trip_ms"] for sample in samples)
    seconds = time.monotonic() - started
    if as_json:
        result = {"bundle": bundle, "samples": samples, "broker": name, "seconds": round(seconds, 1)}
        print_json(result | {"folder": str(output / "pictures"), "round_trip_ms": round(median_ms, 2)})
        return
    click.echo(
        f"{len(samples)} pictures came over MQTT, median round trip {median_ms:.1f} ms on this machine: "
        f"{(output / 'pictures').resolve()}"
    )


def _convert(profile: str, output: Path) -> dict[str, Any]:
    arguments = ["convert", "--profile", profile, "-o", str(output)]
    say(f"$ edge-aigc {shlex.join(arguments)}")
    # A process of its own: TensorFlow's memory goes with it.
    done = subprocess.run(_ourselves(*arguments, "--json"), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        _fail(done.stdout, done.returncode)
    converted: dict[str, Any] = json.loads(done.stdout)
    return converted


@contextlib.contextmanager
def _broker(address: str | None) -> Iterator[tuple[str, str]]:
    if address is not None:
        yield "your broker", address
        return
    with local_broker() as found:
        yield found


@contextlib.contextmanager
def _daemon(bundle: str, address: str) -> Iterator[None]:
    arguments = ["run", bundle, "--broker", address, "--device", _DEVICE]
    say(f"$ edge-aigc {shlex.join(arguments)} &")
    # Unbuffered, so that what select does not announce is not there either.
    process = subprocess.Popen(_ourselves(*arguments, "--json"), stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    try:
        _wait_until_online(process)
        yield
    finally:
        stop(process)
        process.stdout.close()


def _wait_until_online(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    deadline = time.monotonic() + _TIMEOUT_S
    while select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
        line = process.stdout.readline()
        if not line:
            raise WorkerError("The daemon ended before it was online.", remedy="Read what it said above.")
        event = json.loads(line)
        if "error" in event:
            _fail(line, process.wait(_STOP_S))
        if event.get("event") == "online":
            return
    raise WorkerError(f"The daemon was not online after {_TIMEOUT_S:g} s.", remedy="Read what it said above.")


def _ask(model: str, address: str, folder: Path, seed: int) -> list[dict[str, Any]]:
    """Ask for every digit and save it; return what scripts rely on of each."""
    from edge_aigc.client import Client
    from edge_aigc.files import write_whole
    from edge_aigc.media.formats import suffix_for

    samples = []
    say(f"$ edge-aigc request {model} digit=0 --seed {seed} --broker {address} -o {folder}    # and 1 to 9")
    with Client(address) as client:
        for digit in range(10):
            controls = {"digit": str(digit)}
            for received in client.request(model, device=_DEVICE, seed=seed, controls=controls, timeout_s=_TIMEOUT_S):
                path = folder / f"{model}-{digit}-{received.seed}{suffix_for(received.content_type)}"
                write_whole(path, received.payload)
                say(f"  {path}  {received.round_trip_ms:.1f} ms")
                facts = {"path": str(path), "seed": received.seed, "gen_ms": received.gen_ms, "id": received.id}
                samples.append(facts | {"round_trip_ms": received.round_trip_ms})
    return samples


def _ourselves(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "edge_aigc.cli", *arguments]


class _StepError(EdgeAigcError):
    """A step of the demonstration failed; it has told why itself."""

    def __init__(self, message: str, *, remedy: str, exit_code: int) -> None:
        super().__init__(message, remedy=remedy)
        self.exit_code = exit_code  # type: ignore[misc]  # the step's own code, not this class's


def _fail(printed: str | bytes, exit_code: int) -> NoReturn:
    try:
        error = json.loads(printed)["error"]
    except (ValueError, KeyError, TypeError) as exc:
        raise _StepError("A step of the demonstration failed.", remedy="Read above.", exit_code=exit_code) from exc
    raise _StepError(error["message"], remedy=error["remedy"], exit_code=exit_code)
