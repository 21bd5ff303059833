"""`edge-aigc inspect`: what a bundle says of itself, or what a bare flatbuffer holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_aigc.cli.cost_words import latency_words, ram_words
from edge_aigc.cli.edgetpu_words import edgetpu_rows
from edge_aigc.cli.fidelity_words import fidelity_rows, fidelity_words
from edge_aigc.cli.output import json_option, print_json

if TYPE_CHECKING:
    from edge_aigc.loop_spec import Loop
    from edge_aigc.manifest import Manifest


@click.command(
    "inspect", epilog="Examples: `edge-aigc inspect digits-rpi4.aigc`, `edge-aigc inspect model_edgetpu.tflite`."
)
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def command(file: Path, *, as_json: bool) -> None:
    """Show what is inside a bundle, after verifying every byte of it.

    Of a bare .tflite file: its operators, what runs it, and what an Edge TPU makes or would make of it.
    """
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


def _shown(manifest: Manifest) -> str:
    fidelity, source = manifest.fidelity, manifest.provenance
    rows = [
        f"name        {manifest.name}, version {manifest.version}",
        f"profile     {manifest.profile} ({manifest.target}); runs on {', '.join(manifest.runtimes)}",
        f"recipe      {manifest.recipe.name} (asked: {manifest.recipe.asked})",
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
    rows += [f"output      {t.name} {list(t.shape)}, {t.media}, range {t.range}" for t in manifest.spec.outputs]
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
