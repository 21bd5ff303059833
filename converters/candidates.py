"""Candidates: every form of a generator in every recipe, made, compared with its source, and measured."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_aigc.converters import compat
from edge_aigc.converters.costs.memory import peak_ram
from edge_aigc.converters.formers import Formers
from edge_aigc.converters.promises import least_ram_int8, too_much_ram, weighed
from edge_aigc.converters.recipes import NAMED
from edge_aigc.converters.trials import Trial
from edge_aigc.errors import CompatibilityError, ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from edge_aigc.converters.forms import Former
    from edge_aigc.converters.targets.target import Target
    from edge_aigc.converters.variants import Form, Variant
    from edge_aigc.converters.workbench import Workbench
    from edge_aigc.cost import CostMeter
    from edge_aigc.profile import RecipeName

WORKERS = 2
"""Candidates that are compared side by side; the interpreter computes outside Python's lock."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What candidates must keep before anything is run, and who tells what they cost."""

    target: Target
    wheels: tuple[compat.Wheel, ...]
    limit_bytes: int
    """Of RAM."""
    threads: int
    meter: CostMeter
    """Told what candidates cost: all at once, so that it can take turns."""

    @functools.cached_property
    def formers(self) -> Formers:
        """Who chooses forms there: what pruning asked of costs, the search knows."""
        return Formers(self.target, self.meter, self.threads)


def tried(
    bench: Workbench,
    variants: Sequence[Variant],
    recipes: tuple[RecipeName, ...],
    rules: Rules,
    *,
    tell: Callable[[str], None],
    executor: Executor | None = None,
) -> list[Trial]:
    """Return every candidate, measured or with the reason why it was not.

    Args:
        bench: Of the generator.
        variants: The source itself, and what pruning left of it; each is tried in every recipe.
        recipes: To try.
        rules: What each must keep.
        tell: Called with a few words at every step.
        executor: Compares candidates with the source, side by side; None: a few threads here.

    Raises:
        CompatibilityError: The one recipe that was asked for does not run there.
        ConversionError: It cannot be made.
    """
    trials: list[Trial] = []
    for recipe in recipes:
        tell(recipe)
        for variant in (one for one in variants if one.recipes is None or recipe in one.recipes):
            trials.extend(_of_recipe(bench, variant, recipe, rules.formers.of(recipe), rules, tell))
    if bench.order.recipe != "auto" and all(trial.error for trial in trials):
        raise next(trial.error for trial in trials if trial.error)
    distinct = _distinct(trials)
    tell(f"how alike {sum(not trial.refused for trial in distinct)} candidates are to their source")
    with ThreadPoolExecutor(WORKERS) as here:
        compared = _compared(bench, distinct, executor or here)
    tell(f"what {sum(not trial.refused for trial in compared)} candidates cost")
    return _measured(compared, rules)


def _of_recipe(
    bench: Workbench,
    variant: Variant,
    recipe: RecipeName,
    former: Former,
    rules: Rules,
    tell: Callable[[str], None],
) -> Iterator[Trial]:
    """Yield the candidates of one recipe; where the plain form does not fit into the memory, no other is looked for."""
    if bench.order.like is not None:
        yield _made(bench, recipe, bench.replayed(former, bench.order.like, variant), rules)
        return
    plain = _made(bench, recipe, variant.plain, rules)
    yield plain
    if plain.too_large or variant.rigid:
        return
    words = recipe if variant.pruning is None else f"{recipe}, pruned by {variant.pruning.asked:.0%}"
    tell(f"{words}: the cheapest form of each operator")
    for form in bench.forms(former, variant):
        tell(f"{words}, {form.name}")
        yield _made(bench, recipe, form, rules)


def _compared(bench: Workbench, trials: list[Trial], executor: Executor) -> list[Trial]:
    futures = {
        index: executor.submit(bench.comparison(trial.flatbuffer))
        for index, trial in enumerate(trials)
        if not trial.refused
    }
    return [
        replace(trial, fidelity=futures[index].result()) if index in futures else trial
        for index, trial in enumerate(trials)
    ]


def _made(bench: Workbench, recipe: RecipeName, form: Form, rules: Rules) -> Trial:
    """Make one candidate; what cannot be made is a reason in the table."""
    blank = Trial(
        recipe=recipe, form=form.name, rewrites=form.rewrites, float_form=form.flatbuffer, pruning=form.pruning
    )
    if NAMED[recipe].calibrated:  # all of these take at least what int8 takes
        least_bytes = least_ram_int8(form.flatbuffer)
        if reason := too_much_ram(least_bytes, rules.limit_bytes):
            return replace(blank, peak_ram_bytes=least_bytes, refused=reason, too_large=True)
    try:
        flatbuffer, older_kernels = _planned(bench, recipe, form, rules)
        rules.target.check(flatbuffer)
    except (CompatibilityError, ConversionError) as exc:
        return replace(blank, refused=exc.message, error=exc)
    peak_bytes = peak_ram(flatbuffer).total
    if reason := too_much_ram(peak_bytes, rules.limit_bytes):
        return replace(blank, peak_ram_bytes=peak_bytes, refused=reason, too_large=True)
    return replace(blank, flatbuffer=flatbuffer, older_kernels=older_kernels, peak_ram_bytes=peak_bytes)


def _planned(bench: Workbench, recipe: RecipeName, form: Form, rules: Rules) -> tuple[bytes, bool]:
    """Make the first plan of a recipe that every wheel runs; return it and whether it is for older kernels.

    Raises:
        CompatibilityError: A wheel runs none of them; it tells what it lacks for the last.
    """
    plans: tuple[bool, ...] = (False, True) if recipe == "dynamic" or NAMED[recipe].calibrated else (False,)
    form = replace(form, flatbuffer=rules.target.prepare(form.flatbuffer))
    if bench.order.like is not None:
        plans = (bench.order.like.older_kernels,)
    for older_kernels in plans:
        made = bench.made(recipe, form, int8_borders=rules.target.int8_borders, older_kernels=older_kernels)
        flatbuffer = rules.target.fit(made)
        if not any(compat.incompatibilities(flatbuffer, wheel) for wheel in rules.wheels):
            break
    compat.require(flatbuffer, rules.wheels, recipe=recipe)
    return flatbuffer, older_kernels


def _distinct(trials: list[Trial]) -> list[Trial]:
    """Leave out candidates that came out the same, byte by byte, as an earlier one."""
    seen: set[bytes] = set()
    return [trial for trial in trials if not trial.flatbuffer or _new(trial.flatbuffer, seen)]


def _new(flatbuffer: bytes, seen: set[bytes]) -> bool:
    known = flatbuffer in seen
    seen.add(flatbuffer)
    return not known


def _measured(trials: list[Trial], rules: Rules) -> list[Trial]:
    able = {f"{index} {trial.label}": trial.flatbuffer for index, trial in enumerate(trials) if not trial.refused}
    costs = rules.meter.measure(able, threads=rules.threads) if able else {}
    found = iter(costs[name] for name in able)
    return [
        trial if trial.refused else weighed(replace(trial, cost=next(found)), rules.limit_bytes) for trial in trials
    ]
