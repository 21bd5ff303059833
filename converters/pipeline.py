"""The whole path: a source in, a bundle for each profile out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.bundle import entry_of
from edge_aigc.converters import compat
from edge_aigc.converters.costs.memory import peak_ram
from edge_aigc.converters.onnx.carried import Accelerated, with_onnx
from edge_aigc.converters.promises import least_ram_int8, ram_limit_bytes, too_much_ram, weighed
from edge_aigc.converters.search import Trial, choose
from edge_aigc.converters.targets.edgetpu import EdgeTpuTarget
from edge_aigc.converters.targets.xnnpack import Xnnpack
from edge_aigc.converters.workbench import Asked, Order, Workbench
from edge_aigc.errors import CompatibilityError, ConversionError
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
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.sources.source import Source
    from edge_aigc.converters.targets.target import Target
    from edge_aigc.cost import Cost, CostMeter
    from edge_aigc.profile import DeviceProfile, RecipeName, Runtime, TargetName
    from edge_aigc.spec import GeneratorSpec

_TARGETS: Mapping[TargetName, Target] = {"xnnpack": Xnnpack(), "edgetpu": EdgeTpuTarget()}

TOLERANCES: Mapping[RecipeName, Tolerance] = {
    # At least five times the rms and ten times the largest distance that `benchmarks/kernels.py` found
    # between kernel families (XNNPACK, built-in, reference; both runtimes): float 1e-7 and 5e-7,
    # dynamic 2e-3 and 1e-2, int8 4e-3 and 2e-2. A broken model is off by a third of the range and more.
    # float16 leaves room for processors that compute in it: 11 bits of significand, hundreds of sums.
    "float32": Tolerance(rms=1e-4, largest=1e-3),
    "float16": Tolerance(rms=1e-2, largest=1e-1),
    "dynamic": Tolerance(rms=2e-2, largest=2e-1),
    "int8": Tolerance(rms=2e-2, largest=2e-1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A bundle that keeps its promises and is not written yet."""

    manifest: Manifest
    content: dict[str, bytes]


def convert(
    source: Source,
    spec: GeneratorSpec,
    profiles: Sequence[DeviceProfile],
    order: Order,
    *,
    meter_for: Callable[[DeviceProfile], CostMeter],
    tell: Callable[[str], None],
) -> list[Draft]:
    """Convert a source for several devices; nothing is written.

    Args:
        source: Loaded.
        spec: Complete.
        profiles: One bundle each.
        order: What the user asked for.
        meter_for: What tells what a flatbuffer costs on a device.
        tell: Called with a few words at the start of every step.

    Raises:
        SpecError: Pictures are needed and not given.
        ConversionError: A recipe that a profile does not have, or that cannot be made.
        CompatibilityError: A runtime of the profile cannot run the recipe that was asked for.
        PromiseError: No candidate keeps the fidelity, or fits into the memory.
    """
    tell("drawing the inputs that verify")
    bench = Workbench(source, spec, order)
    return [_draft(bench, profile, meter_for(profile), tell) for profile in profiles]


def _draft(bench: Workbench, profile: DeviceProfile, meter: CostMeter, tell: Callable[[str], None]) -> Draft:
    target = _TARGETS[profile.target]
    runtimes = _runtimes(profile, bench.order.runtime)
    wheels = compat.wheels_of(profile, runtimes)
    recipes = _recipes(profile, bench.order.recipe)
    limit_bytes = ram_limit_bytes(profile, bench.order.max_ram_bytes)
    trials = []
    for recipe in recipes:
        tell(f"{profile.name}: {recipe}")
        trials.append(_tried(bench, recipe, target, wheels, limit_bytes=limit_bytes))
    tell(f"{profile.name}: what {sum(not trial.refused for trial in trials)} candidates cost")
    chosen, candidates = choose(_measured(trials, meter, profile.threads, limit_bytes))
    tell(f"{profile.name}: compiling")
    accelerated = with_onnx(bench, TOLERANCES["float32"], TOLERANCES["float16"]) if bench.order.onnx else None
    return _bundled(bench, profile, runtimes, chosen, candidates, accelerated or Accelerated())


def _tried(
    bench: Workbench, recipe: RecipeName, target: Target, wheels: tuple[compat.Wheel, ...], *, limit_bytes: int
) -> Trial:
    """Make one form; what cannot be made is an error when it was asked for, else a reason in the table."""
    if recipe == "int8":
        least_bytes = least_ram_int8(bench.source.flatbuffer)
        if reason := too_much_ram(least_bytes, limit_bytes):
            return Trial(recipe=recipe, peak_ram_bytes=least_bytes, refused=reason, too_large=True)
    try:
        flatbuffer, older_kernels = _planned(bench, recipe, target, wheels)
        target.check(flatbuffer)
    except (CompatibilityError, ConversionError) as exc:
        if bench.order.recipe != "auto":
            raise
        return Trial(recipe=recipe, refused=exc.message)
    peak_bytes = peak_ram(flatbuffer).total
    if reason := too_much_ram(peak_bytes, limit_bytes):
        return Trial(recipe=recipe, peak_ram_bytes=peak_bytes, refused=reason, too_large=True)
    return replace(bench.trial(recipe, flatbuffer, older_kernels=older_kernels), peak_ram_bytes=peak_bytes)


def _planned(
    bench: Workbench, recipe: RecipeName, target: Target, wheels: tuple[compat.Wheel, ...]
) -> tuple[bytes, bool]:
    """Make the first plan of a recipe that every wheel runs; return it and whether it is for older kernels.

    Raises:
        CompatibilityError: A wheel runs none of them; it tells what it lacks for the last.
    """
    plans = (False, True) if recipe == "dynamic" else (False,)
    for older_kernels in plans:
        form = bench.form(recipe, int8_borders=target.int8_borders, older_kernels=older_kernels)
        flatbuffer = target.fit(form)
        if not any(compat.incompatibilities(flatbuffer, wheel) for wheel in wheels):
            break
    compat.require(flatbuffer, wheels, recipe=recipe)
    return flatbuffer, older_kernels


def _measured(trials: Sequence[Trial], meter: CostMeter, threads: int, limit_bytes: int) -> list[Trial]:
    able: dict[str, bytes] = {trial.recipe: trial.flatbuffer for trial in trials if not trial.refused}
    costs = meter.measure(able, threads=threads) if able else {}
    return [weighed(replace(trial, cost=costs.get(trial.recipe)), limit_bytes) for trial in trials]


def _bundled(
    bench: Workbench,
    profile: DeviceProfile,
    runtimes: tuple[Runtime, ...],
    chosen: Trial,
    candidates: tuple[Candidate, ...],
    accelerated: Accelerated,
) -> Draft:
    assert chosen.fidelity is not None
    assert chosen.cost is not None
    spec, source, order = bench.spec, bench.source, bench.order
    seeds, golden = bench.golden(chosen.flatbuffer)
    compiled = _TARGETS[profile.target].compile(chosen.flatbuffer, profile, order.compile)
    content = {
        "model.tflite": chosen.flatbuffer,
        "golden.npz": golden,
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
        runtimes=runtimes,
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
            tolerance=TOLERANCES[chosen.recipe],
        ),
        recipe=bench.record(chosen.recipe, older_kernels=chosen.older_kernels),
        fidelity=chosen.fidelity,
        latency_ms=_latency(chosen.cost),
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
    return Draft(manifest=manifest, content=content)


def _latency(cost: Cost) -> Latency | None:
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


def _recipes(profile: DeviceProfile, asked: Asked) -> tuple[RecipeName, ...]:
    if asked == "auto":
        return profile.auto_recipes
    if asked not in profile.recipes:
        raise ConversionError(
            f"{profile.title} does not run the recipe {asked}.",
            remedy=f"Choose `auto` or one of {', '.join(profile.recipes)}.",
        )
    return (asked,)


def _runtimes(profile: DeviceProfile, asked: Runtime | None) -> tuple[Runtime, ...]:
    if asked is None:
        return profile.runtimes
    if asked not in profile.runtimes:
        raise ConversionError(
            f"{profile.title} has no runtime {asked!r}.", remedy=f"It has {', '.join(profile.runtimes)}."
        )
    return (asked,)


def _tools() -> dict[str, str]:
    from importlib.metadata import version

    return {"edge-aigc": __version__, "litert-quantizer": version("litert-quantizer"), "numpy": np.__version__}
