"""Drafts to report on, made without TensorFlow around the tiny generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from bundles import tiny_bundle

from edge_aigc.bundle import read_bundle
from edge_aigc.converters.bundling import Draft
from edge_aigc.converters.fidelity import Evidence, compare, examine
from edge_aigc.converters.graph import parse, serialize
from edge_aigc.manifest import Candidate, Ram, Rewrite
from edge_aigc.spec import Output

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</title><script>alert('owned')</script><img src=x onerror=alert(1)>\"'`{{7*7}}&amp;"
SAMPLES = 12

OUTPUTS = {
    "image": Output(name="image", shape=(1, 8, 8, 1), media="image", range=(-1.0, 1.0)),
    "photo": Output(name="photo", shape=(1, 300, 400, 3), media="image", range=(0.0, 1.0)),
    "audio": Output(name="sound", shape=(1, 8000, 1), media="audio", range=(-1.0, 1.0), sample_rate=16_000),
    "points": Output(name="cloud", shape=(1, 500, 3), media="points"),
    "raw": Output(name="numbers", shape=(1, 40), media="raw"),
    # Logits of thirty steps, as a loop's examination hands them over.
    "text": msgspec.structs.replace(Output(name="words", shape=(1, 30, 90), media="raw"), media="text"),
}


def evidence_of(output: Output) -> Evidence:
    """Return the evidence of outputs that were made with a little noise, one seed with more."""
    dice = np.random.default_rng(4)
    low, high = output.range or (-1.0, 1.0)
    references = [[dice.uniform(low, high, output.shape).astype(np.float32)] for _ in range(SAMPLES)]
    founds = [
        [values + (0.2 if index == SAMPLES - 1 else 0.01) * dice.standard_normal(values.shape).astype(np.float32)]
        for index, (values,) in enumerate(references)
    ]
    fidelity = compare(references, founds, (output,), minimum=None, first_sample=1 << 40, on_pictures=False)
    return examine(fidelity, references, founds, (output,))


def draft(folder: Path, output: Output = OUTPUTS["image"], *, hostile: str = HOSTILE) -> Draft:
    """Return a draft whose tensors, classes and source have hostile names.

    Args:
        folder: For a file in between.
        output: What the evidence is of.
        hostile: What they are called.
    """
    bundle = read_bundle(tiny_bundle(folder))
    model = parse(bundle.flatbuffer)
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        tensor.name = f"{hostile}{index}".encode()
    flatbuffer = serialize(model)
    evidence = evidence_of(output)
    candidates = (
        Candidate(recipe="float32", bytes=4000, fidelity=99.0, latency_ms=0.4, pareto=True, verdict=hostile),
        Candidate(recipe="float16", bytes=len(flatbuffer) * 2, fidelity=80.0, latency_ms=0.41, verdict="slower"),
        Candidate(recipe="int8", bytes=len(flatbuffer), fidelity=evidence.fidelity.value, latency_ms=0.1, pareto=True,
                  chosen=True, form="rewritten", verdict="chosen: the fastest"),
        Candidate(recipe="dynamic", verdict=f"left out: {hostile}"),
    )  # fmt: skip
    rewrites = (
        Rewrite(
            key="0", steps=((hostile, 0), ("another", 1)), place=hostile, times=2, before=0.2, after=0.05, unit="ms"
        ),
    )
    manifest = msgspec.structs.replace(
        bundle.manifest,
        fidelity=evidence.fidelity,
        candidates=candidates,
        ram=Ram(peak_bytes=1_000_000, how="estimated", limit_bytes=10_000_000),
        recipe=msgspec.structs.replace(bundle.manifest.recipe, name="int8", form="rewritten", rewrites=rewrites),
        provenance=msgspec.structs.replace(bundle.manifest.provenance, source=hostile, licence=hostile),
    )
    return Draft(
        manifest=manifest,
        content={**bundle.content, manifest.model.file: flatbuffer},
        evidence=evidence,
        as_converted=bundle.flatbuffer,
        float_form=bundle.flatbuffer,
    )
