"""`edge-aigc emulate`: a bundle on a board that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.cli.figures import Figure
from edge_aigc.cli.instructions import count_instructions
from edge_aigc.cli.instructions import shown as instructions_shown
from edge_aigc.cli.output import json_option, print_json, say
from edge_aigc.cli.progress import steps
from edge_aigc.cli.sizes import parse_size

if TYPE_CHECKING:
    from edge_aigc.devices.emulate.machine import Machine
    from edge_aigc.devices.emulate.proving import Proven
    from edge_aigc.profile import DeviceProfile, Runtime


@click.command("emulate", epilog="Example: `edge-aigc emulate digits-rpi4.aigc --profile rpi-zero2w`.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--profile", "name", help="Board; default: the one that the bundle was converted for.")
@click.option("--runtime", type=click.Choice(["litert", "tflite"]), help="Default: the board's preferred one.")
@click.option("--image", metavar="NAME", help="Part of the name of one of the board's systems; default: its first.")
@click.option(
    "--max-ram", metavar="SIZE", callback=parse_size, help="Instead of what the board has left, for example 200M."
)
@click.option("--count", is_flag=True, help="Count instructions, by operator; with --profile host too.")
@click.option(
    "--timeout",
    "timeout_s",
    type=Figure(min=1),
    default=1800.0,
    show_default=True,
    metavar="SECONDS",
    help="Of each run on the emulated board; what takes longer is stopped, exit code 1.",
)
@json_option
def command(bundle: Path, *, name: str | None, as_json: bool, **options: Any) -> None:
    """Open a bundle on an emulated board: its wheels, under its CPU model, in its memory.

    Runs the golden vectors again and says how near they came and how much memory that took: of the process, less
    an idle interpreter's. More than the board has left ends it, exit code 1. Emulation is slow, and no time of it
    means anything for the board. The first run fetches Debian's arm64 packages and the board's wheels; later ones
    need no network.
    """
    from edge_aigc.bundle import read_manifest
    from edge_aigc.devices.catalog import find_profile
    from edge_aigc.devices.emulate.proving import choose_machine, prove_emulated

    manifest = read_manifest(bundle)
    profile = find_profile(name or manifest.profile)
    if profile.name == "host" and options["count"]:
        _count_here(bundle, profile, options["runtime"], timeout_s=options["timeout_s"], as_json=as_json)
        return
    machine = choose_machine(profile, manifest, runtime=options["runtime"], image=options["image"])
    with steps() as tell:
        limit_s: float = options["timeout_s"]
        proven = prove_emulated(machine, bundle, ram_bytes=options["max_ram"], tell=tell, timeout_s=limit_s)
        counted = {}
        if options["count"]:
            counted = count_instructions(
                bundle, profile, machine.runtime, image=machine.image, timeout_s=limit_s, tell=tell
            )
    result = {**_result(machine, proven, options["max_ram"] or profile.ram_for_us_bytes), **counted}
    if as_json:
        print_json(result)
        return
    click.echo(_shown(result))
    if counted:
        click.echo(instructions_shown(counted))
    for note in result["notes"]:
        say(f"edge-aigc: {note}")


def _count_here(
    bundle: Path, profile: DeviceProfile, runtime: Runtime | None, *, timeout_s: float, as_json: bool
) -> None:
    """Count on this machine's own architecture; `generate` proves the golden vectors here without QEMU."""
    with steps() as tell:
        counted = count_instructions(
            bundle, profile, runtime or profile.runtimes[0], image=None, timeout_s=timeout_s, tell=tell
        )
    if as_json:
        print_json({"profile": profile.name, **counted})
    else:
        click.echo(instructions_shown(counted))


def _result(machine: Machine, proven: Proven, limit_bytes: int) -> dict[str, Any]:
    profile = machine.profile
    notes = [machine.stands_in] if machine.stands_in else []
    if profile.convert_only:
        notes.append(
            f"{profile.name} is convert-only: its system's Python {machine.image.python} is too old for the daemon; "
            f"this ran as on {machine.image.name}."
        )
    return {
        "golden": proven.golden,
        "peak_ram_bytes": proven.peak_ram_bytes,
        "idle_ram_bytes": proven.idle_ram_bytes,
        "ram_for_us_bytes": limit_bytes,
        "profile": profile.name,
        "cpu": profile.cpu.qemu,
        "runtime": proven.runtime,
        "image": machine.image.name,
        "notes": notes,
    }


def _shown(result: dict[str, Any]) -> str:
    golden = result["golden"]
    return (
        f"{golden.vectors} golden vectors agree on {result['profile']} ({result['cpu']}, {result['runtime']}): "
        f"rms {golden.rms:.4%}, largest {golden.largest:.4%} of the range\n"
        f"peak memory {result['peak_ram_bytes']:,} B beyond an idle interpreter; the board has "
        f"{result['ram_for_us_bytes']:,} B left"
    )
