"""The chosen form as a bundle: everything that its manifest says of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.bundle import entry_of
from edge_aigc.converters.promises import ram_limit_bytes
from edge_aigc.manifest import (
    FORMAT,
    Candidate,
    Golden,
    Latency,
    Manifest,
    Model,
    Provenance,
    Ram,
    Tolerance,
)
from edge_aigc.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.curve import CurvePoint
    from edge_aigc.converters.fidelity import Evidence
    from edge_aigc.converters.onnx.carried import Accelerated
    from edge_aigc.converters.targets.target import Target
    from edge_aigc.converters.trials import Trial
    from edge_aigc.converters.workbench import Workbench
    from edge_aigc.cost import Cost
    from edge_aigc.profile import DeviceProfile, RecipeName, Runtime

TOLERANCES: Mapping[RecipeName, Tolerance] = {
    # At least five times the rms and ten times the largest distance that `benchmarks/kernels.py` found
    # between kernel families (XNNPACK, built-in, reference; both runtimes): float 1e-7 and 5e-7,
    # dynamic 2e-3 and 1e-2, int8 4e-3 and 2e-2. A broken model is off by a third of the range and more.
    # float16 leaves room for processors that compute in it: 11 bits of significand, hundreds of sums.
    "float32": Tolerance(rms=1e-4, largest=1e-3),
    "float16": Tolerance(rms=1e-2, largest=1e-1),
    "dynamic": Tolerance(rms=2e-2, largest=2e-1),
    "int8": Tolerance(rms=2e-2, largest=2e-1),
    "mixed": Tolerance(rms=2e-2, largest=2e-1),
    "int4": Tolerance(rms=2e-2, largest=2e-1),
    "int16x8": Tolerance(rms=1e-2, largest=1e-1),
}
_PIXELS = Tolerance(rms=0.5 / 255, largest=1.5 / 255)
"""Of pixels that kernels which differ by 5e-7 round, at most one in thousands is one level off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What is converted for."""

    profile: DeviceProfile
    target: Target
    runtimes: tuple[Runtime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A bundle that keeps its promises and is not written yet."""

    manifest: Manifest
    content: dict[str, bytes]
    evidence: Evidence
    """The samples behind the fidelity, for the report."""
    as_converted: bytes
    """The source's float flatbuffer."""
    float_form: bytes
    """The float flatbuffer that the bundle's was made of: rewritten, where that pays."""
    curve: tuple[CurvePoint, ...] = ()
    """What pruning costs and gains along its ratios, if that was asked for."""


def bundled(
    bench: Workbench,
    device: Device,
    choice: tuple[Trial, tuple[Candidate, ...]],
    accelerated: Accelerated,
    curve: tuple[CurvePoint, ...] = (),
) -> Draft:
    """Return the bundle of a chosen form; nothing is written."""
    chosen, candidates = choice
    profile = device.profile
    assert chosen.fidelity is not None
    evidence = bench.comparison(chosen.flatbuffer).examined(chosen.fidelity)
    assert chosen.cost is not None
    spec, source, order = bench.spec_of(chosen.flatbuffer), bench.source, bench.order
    seeds, golden = bench.golden(chosen.flatbuffer)
    compiled = device.target.compile(chosen.flatbuffer, profile, order.compile)
    content = {
        "model.tflite": chosen.flatbuffer,
        "golden.npz": golden,
        **order.assets,
        **compiled.files,
        **accelerated.files,
    }
    manifest = Manifest(
        format=FORMAT,
        name=spec.name,
        version=int(time.time()) if order.version is None else order.version,
        spec=spec,
        profile=profile.name,
        target=profile.target,
        runtimes=device.runtimes,
        threads=profile.threads,
        model=Model(
            file="model.tflite",
            inputs=tuple(fact.name for fact in source.inputs),
            outputs=tuple(fact.name for fact in source.outputs),
        ),
        files={name: entry_of(data) for name, data in content.items()},
        golden=Golden(
            file="golden.npz",
            seeds=seeds,
            tolerance=_tolerance(chosen.recipe, pixels=bool(bench.pixels)),
        ),
        recipe=bench.record(chosen),
        fidelity=evidence.fidelity,
        latency_ms=latency_of(chosen.cost),
        ram=_ram(chosen, limit_bytes=ram_limit_bytes(profile, order.max_ram_bytes)),
        candidates=candidates,
        edgetpu=compiled.edgetpu,
        onnx=accelerated.onnx,
        provenance=Provenance(
            source=source.file_name,
            source_sha256=source.sha256,
            framework=source.framework,
            tools={**source.tools, **_tools(), **accelerated.tools},
            licence=order.licence,
        ),
    )
    return Draft(
        manifest=manifest,
        content=content,
        evidence=evidence,
        as_converted=source.flatbuffer,
        float_form=chosen.float_form,
        curve=curve,
    )


def _tolerance(recipe: RecipeName, *, pixels: bool) -> Tolerance:
    """Return how far golden vectors may lie off elsewhere; a pixel may be rounded to the next one there."""
    allowed = TOLERANCES[recipe]
    if not pixels:
        return allowed
    return Tolerance(rms=max(allowed.rms, _PIXELS.rms), largest=max(allowed.largest, _PIXELS.largest))


def latency_of(cost: Cost) -> Latency | None:
    """Return a cost as a manifest tells it; None where the device's clock is not known."""
    if cost.latency_ms is None:
        return None
    return Latency(
        value=round(cost.latency_ms, 4),
        how=cost.how,
        where=cost.where,
        instructions=cost.instructions,
        bound=cost.bound,
        at_least=cost.at_least,
        error=cost.error,
    )


def _ram(chosen: Trial, *, limit_bytes: int) -> Ram | None:
    if chosen.peak_ram_bytes is None:
        return None
    weighed_there = chosen.cost is not None and chosen.cost.weighed
    return Ram(
        peak_bytes=chosen.peak_ram_bytes, how="measured" if weighed_there else "estimated", limit_bytes=limit_bytes
    )


def _tools() -> dict[str, str]:
    from importlib.metadata import version

    return {"edge-aigc": __version__, "litert-quantizer": version("litert-quantizer"), "numpy": np.__version__}
