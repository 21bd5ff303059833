"""The whole path: a source in, a bundle for each profile out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters import compat
from edge_aigc.converters.bundling import TOLERANCES, Device, Draft, bundled
from edge_aigc.converters.candidates import Rules, tried
from edge_aigc.converters.curve import curve
from edge_aigc.converters.onnx.carried import Accelerated, with_onnx
from edge_aigc.converters.promises import ram_limit_bytes
from edge_aigc.converters.search import choose
from edge_aigc.converters.students import Place, Students
from edge_aigc.converters.targets.edgetpu import EdgeTpuTarget
from edge_aigc.converters.targets.xnnpack import Xnnpack
from edge_aigc.converters.workbench import Workbench
from edge_aigc.errors import ConversionError, EdgeAigcError, PromiseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.curve import CurvePoint
    from edge_aigc.converters.order import Asked, Order
    from edge_aigc.converters.sources.source import Source
    from edge_aigc.converters.targets.target import Target
    from edge_aigc.converters.variants import Variant
    from edge_aigc.cost import CostMeter
    from edge_aigc.profile import DeviceProfile, RecipeName, Runtime, TargetName
    from edge_aigc.spec import GeneratorSpec

_TARGETS: Mapping[TargetName, Target] = {"xnnpack": Xnnpack(), "edgetpu": EdgeTpuTarget()}


def convert(  # noqa: PLR0913 - what, what for, and who is told
    source: Source,
    spec: GeneratorSpec,
    profiles: Sequence[DeviceProfile],
    order: Order,
    *,
    meter_for: Callable[[DeviceProfile], CostMeter],
    tell: Callable[[str], None],
    note: Callable[[str], None] | None = None,
) -> list[Draft]:
    """Convert a source for several devices; nothing is written.

    Args:
        source: Loaded.
        spec: Complete.
        profiles: One bundle each.
        order: What the user asked for.
        meter_for: What tells what a flatbuffer costs on a device.
        tell: Called with a few words at the start of every step.
        note: Called with words that must not be missed; None: `tell`.

    Raises:
        SpecError: Pictures are needed and not given.
        ConversionError: A recipe that a profile does not have, or that cannot be made.
        CompatibilityError: A runtime of the profile cannot run the recipe that was asked for.
        PromiseError: No candidate keeps the fidelity, or fits into the memory.
    """
    tell("drawing the inputs that verify")
    bench = Workbench(source, spec, order)
    return [_draft(bench, profile, meter_for(profile), tell, note or tell) for profile in profiles]


def _draft(
    bench: Workbench,
    profile: DeviceProfile,
    meter: CostMeter,
    tell: Callable[[str], None],
    note: Callable[[str], None],
) -> Draft:
    target = _TARGETS[profile.target]
    runtimes = _runtimes(profile, bench.order.runtime)
    wheels = compat.wheels_of(profile, runtimes)
    like = bench.order.like
    recipes = _recipes(profile, bench.order.recipe) if like is None else (like.name,)
    limit_bytes = ram_limit_bytes(profile, bench.order.max_ram_bytes)
    rules = Rules(target=target, wheels=wheels, limit_bytes=limit_bytes, threads=profile.threads, meter=meter)
    place = Place(profile=profile, recipes=recipes, rules=rules)
    students = Students(bench, place, tell, note)
    variants = students.variants()
    trials = tried(bench, variants, recipes, rules, tell=lambda words: tell(f"{profile.name}: {words}"))
    trials += students.left_out
    try:
        choice = choose(trials, bench.order.promises)
    except PromiseError as exc:
        raise PromiseError(f"{profile.name}: {exc.message}", remedy=exc.remedy, tried=exc.tried) from None
    tell(f"{profile.name}: compiling")
    exact, engine, float_form = TOLERANCES["float32"], TOLERANCES["float16"], choice[0].float_form
    accelerated = with_onnx(bench, float_form, exact, engine) if bench.order.onnx else None
    return bundled(
        bench,
        Device(profile=profile, target=target, runtimes=runtimes),
        choice,
        accelerated or Accelerated(),
        _curve(bench, students, variants, place, tell) if bench.order.prune.curve else (),
    )


def _curve(
    bench: Workbench, students: Students, variants: Sequence[Variant], place: Place, tell: Callable[[str], None]
) -> tuple[CurvePoint, ...]:
    """Return the curve, or nothing where it cannot be had: that is no reason to lose the bundle."""
    try:
        return curve(bench, students, variants, place)
    except EdgeAigcError as exc:
        tell(f"{place.profile.name}: the report has no curve of pruning. {exc}")
        return ()


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
