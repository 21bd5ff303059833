"""`edge-aigc profiles`: the devices we know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_aigc.cli.output import json_option, print_json, say
from edge_aigc.errors import EdgeAigcError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edge_aigc.profile import Cpu, DeviceProfile, Image

_LABEL = 13
"""Columns."""


@click.command(
    "profiles",
    epilog="Example: `edge-aigc profiles rpi4`. Your own boards are TOML files in ~/.config/edge-aigc/profiles, or in "
    'the folders that EDGE_AIGC_PROFILES names; one may say `extends = "rpi4"` and state only what differs.',
)
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
            click.echo("\n".join(_page(profile)))
        return
    profiles, unreadable = _readable(profile_names())
    if as_json:
        print_json({"profiles": profiles, "unreadable": {known: str(problem) for known, problem in unreadable.items()}})
        return
    width, wide = (
        max(len(word) for word in words) for words in zip(*((p.name, p.title) for p in profiles), strict=True)
    )
    for profile in profiles:
        click.echo(f"{profile.name:{width}}  {profile.title:{wide}}  {_in_short(profile)}")
    for problem in unreadable.values():
        say(f"edge-aigc: left out: {problem}")


def _readable(names: Iterable[str]) -> tuple[list[DeviceProfile], dict[str, EdgeAigcError]]:
    """Return the profiles, and why others cannot be shown: a damaged file must not hide the boards that ship."""
    from edge_aigc.devices.catalog import find_profile

    profiles: list[DeviceProfile] = []
    unreadable: dict[str, EdgeAigcError] = {}
    for name in names:
        try:
            profiles.append(find_profile(name))
        except EdgeAigcError as exc:  # noqa: PERF203 - as many as there are boards
            unreadable[name] = exc
    return profiles, unreadable


def _in_short(profile: DeviceProfile) -> str:
    parts = [f"{profile.cpu.cores}x {profile.cpu.core}", _decimal(profile.memory.ram_bytes, "B")]
    if profile.target == "edgetpu":
        parts.append("Edge TPU")
    if profile.convert_only:
        parts.append("convert-only")
    return ", ".join(parts)


def _page(profile: DeviceProfile) -> Iterator[str]:
    yield click.style(f"{profile.name}  {profile.title}", bold=True)
    yield ""
    yield from _block("processor", _processor(profile.cpu))
    yield from _block("memory", [_memory(profile)])
    yield from _block("accelerator", _accelerator(profile))
    yield from _block("power", _power(profile))
    yield from _block(
        "recipes", [f"{', '.join(profile.recipes)}; auto chooses among {', '.join(profile.auto_recipes)}"]
    )
    yield from _block("systems", [_system(image) for image in profile.images])
    if profile.convert_only:
        yield from _block("", ["convert-only: the system's Python is too old for the daemon; convert for it here"])
    yield from _block("emulated as", [f"QEMU's {profile.cpu.qemu}"] if profile.cpu.qemu else [])
    yield from _block("notes", profile.notes)
    yield ""
    for line in _block("sources", [f"{key}: {source}" for key, source in profile.sources.items()]):
        yield click.style(line, dim=True)


def _block(label: str, lines: list[str] | tuple[str, ...]) -> Iterator[str]:
    for index, line in enumerate(lines):
        yield f"{'' if index else label:{_LABEL}}{line}"


def _processor(cpu: Cpu) -> list[str]:
    clock = f" at {_decimal(cpu.clock_hz, 'Hz')}" if cpu.clock_hz else ""
    soc = f"{cpu.soc}, " if cpu.soc else ""
    first = f"{soc}{cpu.cores}x {cpu.core}{clock}; {', '.join(cpu.isa) or 'no extension that kernels use'}"
    sizes = {"L1d": cpu.l1d_bytes, "L2": cpu.l2_bytes, "L3": cpu.l3_bytes}
    caches = ", ".join(f"{level} {_binary(size)}" for level, size in sizes.items() if size)
    return [first, f"caches: {caches}"] if caches else [first]


def _memory(profile: DeviceProfile) -> str:
    memory = profile.memory
    words = f"{_decimal(memory.ram_bytes, 'B')}, of which {_decimal(profile.ram_for_us_bytes, 'B')} for a worker"
    if memory.bandwidth_bytes_per_s:
        words += f"; {_decimal(memory.bandwidth_bytes_per_s, 'B')}/s"
    return words


def _accelerator(profile: DeviceProfile) -> list[str]:
    found = profile.accelerator
    if found is None:
        return []
    parts = [found.name]
    parts += [f"{found.peak_ops_per_s / 1e12:g} TOPS"] if found.peak_ops_per_s else []
    parts += [f"{_binary(found.sram_bytes)} of SRAM for parameters"] if found.sram_bytes else []
    parts += [f"over {found.transport}"] if found.transport else []
    parts += [f"through {found.delegate}"] if found.delegate else []
    return [", ".join(parts)]


def _power(profile: DeviceProfile) -> list[str]:
    known = {"idle": profile.power.idle_w, "under load": profile.power.load_w}
    words = ", ".join(f"{watts:g} W {when}" for when, watts in known.items() if watts)
    return [words] if words else []


def _system(image: Image) -> str:
    from edge_aigc.interpreter import PACKAGES

    wheels = ", ".join(f"{PACKAGES[runtime]} {release}" for runtime, release in image.wheels.items())
    own = f" (beside its own {image.python})" if image.own_python else ""
    python = image.own_python or image.python
    return f"{image.name}: Python {python}{own}, glibc {image.glibc}, {wheels or 'no wheels of ours'}"


def _decimal(value: float, unit: str) -> str:
    """Return a figure as data sheets write it: 1.5 GHz, 512 MB."""
    for prefix, factor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:g} {unit}"


def _binary(size: int) -> str:
    for prefix, bits in (("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if size >= 1 << bits:
            return f"{size / (1 << bits):g} {prefix}B"
    return f"{size} B"
