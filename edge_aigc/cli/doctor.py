"""`edge-aigc doctor`: what keeps this machine from its work, and what mends it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.cli.broker_options import address_of, broker_option, ca_option
from edge_aigc.cli.output import json_option, print_json, say

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient
    from edge_aigc.finding import Check, Finding

_LIMIT_S = 90.0
"""For all checks together; each has a shorter one of its own, and most are done at once."""
_COLOURS = {"problem": "red", "note": "yellow", "ok": "green"}


@click.command("doctor", epilog="Example: `edge-aigc doctor digits-rpi4.aigc --broker mqtt://127.0.0.1`.")
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
@click.option("--profile", metavar="NAME", help="What this machine shall be, or what it converts for.")
@click.option(
    "--role",
    type=click.Choice(["device", "host"]),
    help="What it does: serve, or convert as well; default: by whether TensorFlow or the quantizer is installed.",
)
@broker_option
@ca_option
@click.option("--root", hidden=True, default="/", type=click.Path(path_type=Path), help="Where /proc, /sys, /etc are.")
@json_option
@click.pass_context
def command(context: click.Context, /, *, as_json: bool, **options: Any) -> int:
    """Examine this machine: runtime, broker, accelerator, clock, disks, and what converting needs.

    Every finding comes with the command that mends it. Exit code 0 if nothing is a problem, else 1.
    """
    from edge_aigc.finding import gather

    stated = context.get_parameter_source("broker") is not click.core.ParameterSource.DEFAULT
    findings = gather(_checks(_patient(options, stated=stated)), limit_s=_LIMIT_S)
    if as_json:
        print_json({"findings": findings})
    else:
        for finding in findings:
            click.echo(_shown(finding))
    count = sum(finding.severity == "problem" for finding in findings)
    notes = sum(finding.severity == "note" for finding in findings)
    say(f"{count} problem{'s' if count != 1 else ''}, {notes} note{'s' if notes != 1 else ''}")
    return 1 if count else 0


def _patient(options: dict[str, Any], *, stated: bool) -> Patient:
    from edge_aigc.bundle import read_manifest
    from edge_aigc.converters.doctor.extras import converts
    from edge_aigc.devices.catalog import HOST, find_profile
    from edge_aigc.devices.doctor.patient import Patient

    name, bundle, role = options["profile"], options["bundle"], options["role"]
    return Patient(
        root=options["root"],
        is_host=converts() if role is None else role == "host",
        # This machine is compared with itself to no end.
        profile=None if name in {None, HOST} else find_profile(name),
        bundle=bundle,
        manifest=None if bundle is None else read_manifest(bundle),
        broker=address_of(options),
        broker_stated=stated,
    )


def _checks(patient: Patient) -> dict[str, Check]:
    from edge_aigc.converters.doctor.checks import CHECKS as HOST_CHECKS
    from edge_aigc.devices.doctor.checks import CHECKS as DEVICE_CHECKS

    checks: dict[str, Check] = {name: partial(check, patient) for name, check in DEVICE_CHECKS.items()}
    if patient.is_host:
        checks |= {name: partial(check, patient.profile) for name, check in HOST_CHECKS.items()}
    return checks


def _shown(finding: Finding) -> str:
    mark = click.style(f"{finding.severity:8}", fg=_COLOURS[finding.severity])
    row = f"{mark}{finding.id:18}  {finding.message}"
    return row if finding.remedy is None else f"{row}\n{'':28}$ {finding.remedy}"
