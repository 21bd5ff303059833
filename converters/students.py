"""Students: what pruning leaves of a source, repaired in closed form and taught by the source.

A student is planned once for each target, as costs differ, and its plan is kept beside its training: whoever was
interrupted asks again for the same and goes on where it stopped.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edge_aigc.converters.costs.work import multiplications
from edge_aigc.converters.distill import Course
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.plans import Plans, masks_of, recorded
from edge_aigc.converters.promises import least_ram_int8
from edge_aigc.converters.prune.prune import Pruner, replayed
from edge_aigc.converters.teaching import FAKE_RECIPES, Teaching
from edge_aigc.converters.trials import Trial
from edge_aigc.converters.variants import Variant
from edge_aigc.converters.zeros import with_zeros
from edge_aigc.errors import ConversionError
from edge_aigc.prune_record import Pruning, missed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_aigc.converters.candidates import Rules
    from edge_aigc.converters.ir import Graph
    from edge_aigc.converters.prune.prune import Pruned
    from edge_aigc.converters.workbench import Workbench
    from edge_aigc.manifest import Fidelity
    from edge_aigc.profile import DeviceProfile, RecipeName
    from edge_aigc.prune_record import Healing

MINUTES = 5.0
"""Of distillation for each student, unless said otherwise."""
_AIM = 0.97
"""Of a latency that is asked for: what is timed twice differs by a few percent."""
_PRICED: frozenset[RecipeName] = frozenset({"float32", "float16", "dynamic", "int8", "int4"})
"""Recipes that a latency is held against: `mixed` and `int16x8` are never much faster than these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a student shall run."""

    profile: DeviceProfile
    recipes: tuple[RecipeName, ...]
    rules: Rules

    @property
    def usual(self) -> RecipeName:
        """Return the recipe in which operators are priced before it is known which is taken."""
        return "float32" if "float32" in self.recipes else self.recipes[0]


class Students:
    """Makes the students of one source for one place.

    Attributes:
        left_out: What was asked for beside others and cannot be had, each with the reason; known with the variants.
    """

    def __init__(
        self, bench: Workbench, place: Place, tell: Callable[[str], None], note: Callable[[str], None] | None = None
    ) -> None:
        """Choose the source, the place, who is told of every step, and who of what must not be missed."""
        self.left_out: list[Trial] = []
        self._bench, self._place, name = bench, place, place.profile.name
        self._tell: Callable[[str], None] = lambda words: tell(f"{name}: {words}")
        self._note: Callable[[str], None] = lambda words: (note or tell)(f"{name}: {words}")
        self._minutes = MINUTES if bench.order.prune.distill_minutes is None else bench.order.prune.distill_minutes
        where = (place.profile.name, " ".join(place.recipes), type(place.rules.meter).__name__)
        self._plans = Plans(bench, (*where, str(place.rules.threads)), course=f"{self._minutes:g} minutes")

    def variants(self) -> list[Variant]:
        """Return what was asked for: the whole model where 0 is among the ratios, and a student for each other.

        Where training was asked for by the minute and an int8 model misses the fidelity that is asked, one that learnt
        in fake int8 stands beside it.

        Raises:
            ConversionError: So much cannot be removed, or there is nothing to remove.
            FileError: What was learnt before was learnt in another way.
        """
        bench, order = self._bench, self._bench.order.prune
        if bench.order.like is not None:
            record = bench.order.like.pruning
            return [bench.whole if record is None else self._again(record)]
        sparse, self.left_out = with_zeros(bench, self._place)
        if order.to_latency_ms is not None:
            cut = self._fast(order.to_latency_ms)
        elif order.asked:
            cut = list(self._of_ratios())
        else:
            cut = [bench.whole]
        # All are cut before any learns: what cannot be had is told in seconds.
        taught = [self._taught(variant) for variant in cut]
        return [entry for variant in taught for entry in (variant, *self._healed(variant))] + sparse

    def repaired(self, pruning: Pruning) -> Graph:
        """Return a student as it was before it learnt anything.

        Args:
            pruning: Of it.
        """
        return self._cut(pruning).graph

    def by_magnitude(self, removed: float) -> Graph:
        """Return what is left where the smallest weights are cut and nothing is done after.

        Args:
            removed: Share of the multiplications.
        """
        return self._crude.by_ratio(removed, repaired=False).graph

    @functools.cached_property
    def _teacher(self) -> Graph:
        return read(write(self._bench.whole.normalized[0]))  # every value has a name of its own

    @functools.cached_property
    def _teaching(self) -> Teaching:
        return Teaching(self._bench, self._teacher, self._tell, self._note)

    @functools.cached_property
    def _pruner(self) -> Pruner:
        self._tell("what each channel is worth, and what it costs")
        return self._scored(target=self._place.rules.formers.target(self._place.usual))

    def _scored(self, **options: Any) -> Pruner:
        return Pruner(self._teacher, self._bench.calibration, states=self._bench.states, **options)

    @functools.cached_property
    def _crude(self) -> Pruner:
        return self._scored(scores="magnitude")

    def _of_ratios(self) -> Iterator[Variant]:
        """Yield a variant for each ratio; of those that were not named one by one, what cannot be had is left out."""
        order = self._bench.order.prune
        for ratio in order.ratios:
            if not ratio:
                yield self._bench.whole
                continue
            try:
                student = self._planned(f"ratio {ratio:g}", ratio, functools.partial(self._by_ratio, ratio))
            except ConversionError as exc:
                if not order.any_of_them:
                    raise
                pruning = msgspec.structs.replace(self._nothing_cut, asked=ratio)
                self.left_out.append(Trial(recipe=self._place.usual, pruning=pruning, refused=exc.message))
                continue
            assert student.pruning is not None
            if words := missed(student.pruning):
                self._tell(words)
            yield student

    def _by_ratio(self, ratio: float) -> Pruned:
        return self._pruner.by_ratio(ratio)

    def _fast(self, limit_ms: float) -> list[Variant]:
        """Return the whole model and, unless that is fast enough, the student that is."""
        whole = self._bench.whole
        if self._fastest[1] <= limit_ms:
            return [whole]
        key = f"latency {limit_ms:g} in {self._fastest[0]}"

        def cut() -> Pruned:
            return self._pruner.by_cost(self._priced, limit_ms, unit="ms", aim=_AIM)

        student = self._planned(key, None, cut)
        if self._priced(student.normalized[0]) > limit_ms:  # planned where it was cheaper
            self._plans.forget(key)
            student = self._planned(key, None, cut)
        return [whole, student]

    @functools.cached_property
    def _faithful(self) -> list[RecipeName]:
        """Recipes in which the whole model keeps the fidelity: a student will not where it does not."""
        return [recipe for recipe in self._place.recipes if recipe in _PRICED and self._keeps(recipe)]

    def _keeps(self, recipe: RecipeName) -> bool:
        try:
            fidelity = self._fidelity(self._bench.whole, recipe)
        except ConversionError:
            return False
        return fidelity.value >= fidelity.minimum

    @functools.cached_property
    def _fastest(self) -> tuple[RecipeName, float]:
        """The recipe that keeps the fidelity and is the fastest of the whole model, and what it takes there, in ms.

        Raises:
            ConversionError: No source tells the device's clock, or no recipe keeps the fidelity.
        """
        if not self._faithful:
            raise ConversionError(
                "No recipe keeps the fidelity before anything is removed.", remedy="Ask for less: `--min-fidelity`."
            )
        taken = [(self._latency_ms(self._teacher, recipe), recipe) for recipe in self._faithful]
        latency_ms, recipe = min(taken)
        return recipe, latency_ms

    def _priced(self, graph: Graph) -> float:
        """Return the milliseconds that a graph takes in the recipe that is the fastest of the whole model."""
        return self._latency_ms(graph, self._fastest[0])

    def _latency_ms(self, graph: Graph, recipe: RecipeName) -> float:
        """Return what a graph takes in its cheapest form.

        Raises:
            ConversionError: No source tells the device's clock.
        """
        latency_ms = self._place.rules.formers.of(recipe).costs({"whole": graph})["whole"].latency_ms
        if latency_ms is None:
            raise ConversionError(
                "No source tells this device's clock, so nothing can be pruned to a latency on it.",
                remedy="Time on the device: `--on user@host`; or say how much to remove: `--prune 0.5`.",
            )
        return latency_ms

    def _planned(self, key: str, asked: float | None, cut: Callable[[], Pruned]) -> Variant:
        """Return a student that has learnt nothing yet: that of an earlier run, or cut now."""
        held = self._plans.held(key, self._note)
        if held is not None:
            return held
        pruned = cut()
        plan = recorded(pruned, asked=pruned.record.ratio if asked is None else asked)
        student = Variant(flatbuffer=write(pruned.graph), pruning=plan)
        if self._minutes:
            self._plans.hold(key, student, self._note)
        return student

    def _taught(self, student: Variant) -> Variant:
        if student.pruning is None or not student.pruning.groups or not self._minutes:
            return student
        self._tell(f"distilling, {student.pruning.removed:.0%} of the multiplications removed")
        return self._teaching.taught(student, Course(minutes=self._minutes), self._plans.checkpoint(student, "float32"))

    def _healed(self, variant: Variant) -> list[Variant]:
        """Return a variant that learnt in fake int8, if the one given is worth less in int8 than it must be."""
        rules = self._place.rules
        if not self._bench.order.prune.distill_minutes or not set(FAKE_RECIPES) & set(self._place.recipes):
            return []
        if least_ram_int8(variant.flatbuffer) > rules.limit_bytes:
            return []
        try:
            fidelity = self._fidelity(variant, "int8")
        except ConversionError:
            return []  # `candidates` tells why
        if fidelity.value >= fidelity.minimum:
            return []
        self._tell(f"int8 reaches {fidelity.value:.1f} {fidelity.unit}: healing it")
        student = variant if variant.pruning is not None else self._uncut()
        course = Course(minutes=self._minutes, fake="int8")
        healed = self._teaching.taught(student, course, self._plans.checkpoint(student, "int8"))
        assert healed.pruning is not None
        healing = healed.pruning.healing_int8
        assert healing is not None
        return [healed] if healing.after > healing.before else []

    def _fidelity(self, variant: Variant, recipe: RecipeName) -> Fidelity:
        target, form = self._place.rules.target, variant.plain
        form = replace(form, flatbuffer=target.prepare(form.flatbuffer))
        return self._bench.comparison(self._bench.made(recipe, form, int8_borders=target.int8_borders))()

    @property
    def _nothing_cut(self) -> Pruning:
        count = multiplications(self._bench.whole.flatbuffer)
        return Pruning(asked=0.0, removed=0.0, multiplications=(count, count), groups=(), repaired=False)

    def _uncut(self) -> Variant:
        return Variant(flatbuffer=write(self._cut(self._nothing_cut).graph), pruning=self._nothing_cut)

    def _cut(self, pruning: Pruning) -> Pruned:
        keep, samples, states = masks_of(pruning), self._bench.calibration, self._bench.states
        return replayed(self._teacher, keep, samples, repaired=pruning.repaired, states=states)

    def _again(self, pruning: Pruning) -> Variant:
        """Return the student that a record tells of; what it learnt it learns again, as many steps."""
        bare = msgspec.structs.replace(pruning, healing=None, healing_int8=None)
        student = Variant(flatbuffer=write(self._cut(pruning).graph), pruning=bare)
        if pruning.healing is not None:
            student = self._teaching.taught(student, _course(pruning.healing), None)
        if pruning.healing_int8 is not None:
            student = self._teaching.taught(student, _course(pruning.healing_int8, fake="int8"), None)
        return student


def _course(healing: Healing, *, fake: Literal["float32", "int8"] = "float32") -> Course:
    return Course(steps=healing.steps, looks=healing.looks, batch=healing.batch, fake=fake)
