"""`edge-aigc accelerate`: build a bundle's TensorRT engine on the board that will run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.cli.figures import Figure
from edge_aigc.cli.output import json_option, print_json, say
from edge_aigc.cli.progress import steps

if TYPE_CHECKING:
    from edge_aigc.devices.tensorrt.accelerate import Accelerated


@click.command("accelerate", epilog="Example, on a Jetson: `edge-aigc accelerate digits-jetson-orin-nano.aigc`.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--precision",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="What the GPU may compute in.",
)
@click.option(
    "--trtexec", "program", type=click.Path(path_type=Path), help="Default: on PATH, or where JetPack has it."
)
@click.option(
    "--time-limit",
    type=Figure(min=1),
    default=1800.0,
    show_default=True,
    metavar="SECONDS",
    help="For the build.",
)
@click.option("--force", is_flag=True, help="Build even where the engine is there already.")
@json_option
def command(bundle: Path, *, as_json: bool, **options: Any) -> None:
    """Build a bundle's TensorRT engine here, prove it, and put it beside the bundle.

    Run it on the board itself: an engine runs only on the GPU and the TensorRT that built it. The bundle
    must carry the ONNX form (`convert --onnx`). From then on `run` and `generate` use the engine; where it
    does not fit or does not prove itself, the CPU serves and says why.
    """
    from edge_aigc.devices.tensorrt.accelerate import Wish, accelerate

    wish = Wish(
        precision=options["precision"],
        program=options["program"],
        limit_s=options["time_limit"],
        force=options["force"],
    )
    with steps() as tell:
        result = accelerate(bundle, wish, tell=tell)
    _report(result, as_json=as_json)


def _report(result: Accelerated, *, as_json: bool) -> None:
    record = result.record
    if record.latency_ms > record.cpu_latency_ms:
        say(
            f"The CPU is faster at this model: {record.cpu_latency_ms:.3f} ms against {record.latency_ms:.3f} ms. "
            f"Remove {result.path.name} to have it serve."
        )
    if as_json:
        print_json({"path": str(result.path), "built": result.built, "engine": record})
        return
    how = f"built in {record.built_s:.0f} s" if result.built else "already there, proven again"
    click.echo(
        f"{result.path}  {record.plan_bytes:,} B  {record.precision}, {how} by TensorRT {record.tensorrt} for "
        f"{record.device}; off by {record.rms:.2%} rms; {record.latency_ms:.3f} ms, on the CPU "
        f"{record.cpu_latency_ms:.3f} ms"
    )
