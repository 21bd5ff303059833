"""`edge-aigc profiles`: the devices we know."""

from __future__ import annotations

import click
import msgspec

from edge_aigc.cli.output import json_option, print_json


@click.command("profiles", epilog="Example: `edge-aigc profiles rpi4`.")
@click.argument("name", required=False)
@json_option
def command(name: str | None, *, as_json: bool) -> None:
    """List the devices, or show all that is known of one, with sources."""
    from edge_aigc.devices.catalog import find_profile, profile_names

    if name is not None:
        profile = find_profile(name)
        if as_json:
            print_json(profile)
        else:
            click.echo(_shown(msgspec.to_builtins(profile)))
        return
    profiles = [find_profile(known) for known in profile_names()]
    if as_json:
        print_json({"profiles": profiles})
        return
    for profile in profiles:
        click.echo(f"{profile.name:18} {profile.title:40} {', '.join(profile.recipes)}")


def _shown(fields: dict[str, object]) -> str:
    sources = fields.pop("sources")
    assert isinstance(sources, dict)
    rows = []
    for key, value in fields.items():
        if value is None or value == ():
            continue
        text = f"\n{'':16}".join(str(part) for part in value) if key == "notes" and isinstance(value, tuple) else value
        if isinstance(text, tuple):
            text = ", ".join(str(part) for part in text)
        rows.append(f"{key:14}  {text:,}" if isinstance(text, int) else f"{key:14}  {text}")
        if key in sources:
            rows.append(click.style(f"{'':16}({sources[key]})", dim=True))
    return "\n".join(rows)
