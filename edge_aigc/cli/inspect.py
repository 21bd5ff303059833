"""`edge-aigc inspect`: what a bundle says of itself, or what a bare flatbuffer holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.cli.cost_words import latency_words, ram_words
from edge_aigc.cli.edgetpu_words import edgetpu_rows
from edge_aigc.cli.fidelity_words import fidelity_rows, fidelity_words
from edge_aigc.cli.output import json_option, print_json
from edge_aigc.cli.prune_words import pruning_rows
from edge_aigc.cli.source_options import source_options
from edge_aigc.errors import UsageError

if TYPE_CHECKING:
    from edge_aigc.loop_spec import Loop
    from edge_aigc.manifest import Manifest


_OF_GROUPS = {
    "spec_file": "--spec",
    "input_size": "--input-size",
    "input_shapes": "--input-shape",
    "signature": "--signature",
}


@click.command(
    "inspect",
    epilog="Examples: `edge-aigc inspect digits-rpi4.aigc`, `edge-aigc inspect model_edgetpu.tflite`, "
    "`edge-aigc inspect model.keras --groups`.",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--groups", is_flag=True, help="Of a model of any framework: which channels pruning can remove.")
@click.option(
    "--spec", "spec_file", type=click.Path(path_type=Path), help="With --groups: the specification of a model's loop."
)
@source_options
@json_option
def command(file: Path, *, groups: bool, as_json: bool, **options: Any) -> None:
    """Show what is inside a bundle, after verifying every byte of it.

    Of a bare .tflite file: its operators, what runs it, and what an Edge TPU makes or would make of it.
    """
    if groups:
        _show_groups(file, options, as_json=as_json)
        return
    given = next((name for name in _OF_GROUPS if options[name]), None)
    if given is not None:
        raise UsageError(f"`{_OF_GROUPS[given]}` says how a model is loaded.", remedy="Give it with `--groups`.")
    if file.suffix == ".tflite":
        from edge_aigc.cli.flatbuffer_words import description_of, description_rows

        description = description_of(file)
        if as_json:
            print_json(description)
        else:
            click.echo("\n".join(description_rows(file.name, description)))
        return
    from edge_aigc.bundle import read_bundle

    manifest = read_bundle(file).manifest
    if as_json:
        print_json(manifest)
    else:
        click.echo(_shown(manifest))


def _show_groups(file: Path, options: dict[str, Any], *, as_json: bool) -> None:
    from edge_aigc.cli.group_words import group_rows, groups_of

    found = groups_of(file, options)
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(group_rows(found)))


def _shown(manifest: Manifest) -> str:
    fidelity, source = manifest.fidelity, manifest.provenance
    rows = [
        f"name        {manifest.name}, version {manifest.version}",
        f"profile     {manifest.profile} ({manifest.target}); runs on {', '.join(manifest.runtimes)}",
        f"recipe      {manifest.recipe.name} (asked: {manifest.recipe.asked})",
        *(f"            {row}" for row in pruning_rows(manifest.recipe.pruning)),
        f"fidelity    {fidelity_words(fidelity)}",
        *(f"            {row}" for row in fidelity_rows(fidelity)),
        f"latency     {latency_words(manifest.latency_ms)}",
        f"source      {source.source}, {source.framework}, sha256 {source.source_sha256[:16]}…",
        f"licence     {source.licence or 'not stated'}",
    ]
    if manifest.ram is not None:
        rows.append(f"ram         {ram_words(manifest.ram)}")
    for tensor in manifest.spec.inputs:
        kind = tensor.__struct_config__.tag
        rows.append(f"input       {tensor.name} {list(tensor.shape)} {tensor.dtype}, prior {kind}")
    rows += [
        f"output      {made.name} {list(made.shape)} {made.dtype}, {made.media}, range {made.range}"
        for made in manifest.spec.outputs
    ]
    if manifest.spec.loop is not None:
        rows += [f"loop        {row}" for row in _loop_rows(manifest.spec.loop)]
    rows += [f"file        {name}  {e.bytes:,} B  sha256 {e.sha256[:16]}…" for name, e in manifest.files.items()]
    if manifest.edgetpu is not None:
        first, *rest = edgetpu_rows(manifest.edgetpu)
        rows += [f"edge tpu    {first}", *(f"            {row}" for row in rest)]
    if manifest.onnx is not None:
        rows.append(
            f"onnx        {manifest.onnx.file}, opset {manifest.onnx.opset}: `edge-aigc accelerate` builds from it"
        )
    return "\n".join(rows)


def _loop_rows(loop: Loop) -> list[str]:
    """Return how a text generator is run."""
    count = len(loop.state)
    mind = "without end" if loop.context is None else f"of {loop.context:,} tokens"
    kept = (
        f"step graph, {count} state{'s' * (count > 1)}, a memory {mind}"
        if loop.state
        else f"window of {loop.window} tokens"
    )
    top_k = f"the {loop.top_k} likeliest" if loop.top_k else "all"
    return [
        f"{kept}; {loop.length:,} tokens a text unless asked otherwise, at most {loop.longest:,}",
        f"sampling: temperature {loop.temperature:g}, among {top_k} tokens, of {loop.top_p:.0%} of the probability",
        *([f"stops before {', '.join(map(repr, loop.stop))}"] if loop.stop else []),
    ]
