"""Students: what pruning leaves of a source, repaired in closed form and taught by the source.

A student is planned once for each target, as costs differ, and its plan is kept beside its training: whoever was
interrupted asks again for the same and goes on where it stopped.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from edge_aigc.converters.costs.work import multiplications
from edge_aigc.converters.distill import Course
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.plans import masks_of, recorded
from edge_aigc.converters.prune.prune import Pruner, replayed
from edge_aigc.converters.teaching import FAKE_RECIPES, Teaching
from edge_aigc.converters.variants import Variant
from edge_aigc.converters.workbench import lowered
from edge_aigc.errors import ConversionError, FileError
from edge_aigc.files import cache_folder, read_whole, write_whole
from edge_aigc.prune_record import Pruning
from edge_aigc.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_aigc.converters.ir import Graph
    from edge_aigc.converters.prune.prune import Pruned
    from edge_aigc.converters.workbench import Workbench
    from edge_aigc.cost import CostMeter
    from edge_aigc.profile import DeviceProfile, RecipeName
    from edge_aigc.prune_record import Healing

MINUTES = 5.0
"""Of distillation for each student, unless said otherwise."""
_PLAN_LIMIT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a student shall run."""

    profile: DeviceProfile
    recipes: tuple[RecipeName, ...]
    meter: CostMeter
    int8_borders: bool


class Students:
    """Makes the students of one source for one target."""

    def __init__(self, bench: Workbench, target: Target, tell: Callable[[str], None]) -> None:
        """Choose the source, the target and who is told of every step."""
        self._bench, self._target = bench, target
        self._tell: Callable[[str], None] = lambda words: tell(f"{target.profile.name}: {words}")

    def variants(self) -> list[Variant]:
        """Return what was asked for: the whole model where 0 is among the ratios, and a student for each other.

        Where training was asked for by the minute and an int8 model misses the fidelity that its float model keeps,
        one that learnt in fake int8 stands beside it.

        Raises:
            ConversionError: So much cannot be removed, or there is nothing to remove.
            FileError: What was learnt cannot be kept.
        """
        bench, order = self._bench, self._bench.order.prune
        if bench.order.like is not None:
            record = bench.order.like.pruning
            return [bench.whole if record is None else self._again(record)]
        if order.to_latency_ms is not None:
            found = self._fast(order.to_latency_ms)
        elif order.asked:
            found = [self._of_ratio(ratio) if ratio else bench.whole for ratio in order.ratios]
        else:
            found = [bench.whole]
        return [entry for variant in found for entry in (variant, *self._healed(variant))]

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
        return Teaching(self._bench, self._teacher, self._tell)

    @functools.cached_property
    def _pruner(self) -> Pruner:
        self._tell("what each channel is worth, and what it costs")
        target = self._target
        return Pruner(self._teacher, self._bench.calibration, meter=target.meter, threads=target.profile.threads)

    @functools.cached_property
    def _crude(self) -> Pruner:
        return Pruner(self._teacher, self._bench.calibration, scores="magnitude")

    @property
    def _minutes(self) -> float:
        minutes = self._bench.order.prune.distill_minutes
        return MINUTES if minutes is None else minutes

    def _of_ratio(self, ratio: float) -> Variant:
        return self._student(f"ratio {ratio:g}", ratio, lambda: self._pruner.by_ratio(ratio))

    def _fast(self, limit_ms: float) -> list[Variant]:
        """Return the whole model, and the student that is fast enough unless the whole model is."""
        student = self._student(f"latency {limit_ms:g}", None, lambda: self._pruner.by_cost(self._priced, limit_ms))
        return [self._bench.whole, *([student] if student.pruning is not None and student.pruning.groups else [])]

    def _priced(self, graph: Graph) -> float:
        """Return what a graph costs in the cheapest of the recipes, plain."""
        flatbuffer, target = write(graph), self._target
        nets: dict[str, bytes] = {recipe: lowered(flatbuffer, recipe) for recipe in target.recipes}
        costs = target.meter.measure(nets, threads=target.profile.threads).values()
        known = [cost.latency_ms for cost in costs if cost.latency_ms is not None]
        if not known:
            raise ConversionError(
                "No source tells this device's clock, so nothing can be pruned to a latency on it.",
                remedy="Time on the device: `--on user@host`; or say how much to remove: `--prune 0.5`.",
            )
        return min(known)

    def _student(self, key: str, asked: float | None, cut: Callable[[], Pruned]) -> Variant:
        folder = self._folder(key)
        plan = _plan_in(folder)
        pruned = cut() if plan is None else self._cut(plan)
        plan = plan or recorded(pruned, asked=pruned.record.ratio if asked is None else asked)
        student = Variant(flatbuffer=write(pruned.graph), pruning=plan)
        if not self._minutes or not plan.groups:
            return student
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "plan.json", msgspec.json.encode(plan))
        self._tell(f"distilling, {plan.removed:.0%} of the multiplications removed")
        return self._teaching.taught(student, Course(minutes=self._minutes), folder / "distilled.npz")

    def _healed(self, variant: Variant) -> list[Variant]:
        """Return a variant that learnt in fake int8, if the one given is worth less in int8 than it must be."""
        bench = self._bench
        if not bench.order.prune.distill_minutes or not set(FAKE_RECIPES) & set(self._target.recipes):
            return []
        flatbuffer = bench.made("int8", variant.plain, int8_borders=self._target.int8_borders)
        fidelity = bench.comparison(flatbuffer)()
        if fidelity.value >= fidelity.minimum:
            return []
        folder = self._folder(f"int8 of {hashlib.sha256(variant.flatbuffer).hexdigest()}")
        folder.mkdir(parents=True, exist_ok=True)
        self._tell(f"int8 reaches {fidelity.value:.1f} {fidelity.unit}: healing it")
        return [self._taught_int8(variant, Course(minutes=self._minutes, fake="int8"), folder / "distilled.npz")]

    def _taught_int8(self, variant: Variant, course: Course, checkpoint: Path | None) -> Variant:
        return self._teaching.taught(
            Variant(flatbuffer=variant.flatbuffer, pruning=variant.pruning or self._nothing_cut()), course, checkpoint
        )

    def _nothing_cut(self) -> Pruning:
        count = multiplications(self._bench.whole.flatbuffer)
        return Pruning(asked=0.0, removed=0.0, multiplications=(count, count), groups=(), repaired=False)

    def _cut(self, pruning: Pruning) -> Pruned:
        return replayed(self._teacher, masks_of(pruning), self._bench.calibration, repaired=pruning.repaired)

    def _again(self, pruning: Pruning) -> Variant:
        """Return the student that a record tells of; what it learnt it learns again, as many steps."""
        bare = msgspec.structs.replace(pruning, healing=None, healing_int8=None)
        student = Variant(flatbuffer=write(self._cut(pruning).graph), pruning=bare)
        if pruning.healing is not None:
            student = self._teaching.taught(student, _course(pruning.healing), None)
        if pruning.healing_int8 is not None:
            student = self._teaching.taught(student, _course(pruning.healing_int8, fake="int8"), None)
        return student

    def _folder(self, key: str) -> Path:
        """Return where the plan and the training of a student are kept: by all that they depend on."""
        bench = self._bench
        of = (
            bench.source.sha256,
            hashlib.sha256(bench.source.flatbuffer).hexdigest(),
            msgspec.json.encode(bench.spec).decode(),
            *bench.pictures_sha256,
            self._target.profile.name,
            " ".join(self._target.recipes),
            f"{self._minutes:g} minutes",
            __version__,
            key,
        )
        return cache_folder() / "students" / hashlib.sha256("\n".join(of).encode()).hexdigest()[:32]


def _course(healing: Healing, *, fake: Literal["float32", "int8"] = "float32") -> Course:
    return Course(steps=healing.steps, batch=healing.batch, fake=fake)


def _plan_in(folder: Path) -> Pruning | None:
    """Return the plan that an earlier run left.

    Raises:
        FileError: There is one that cannot be read.
    """
    path = folder / "plan.json"
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(read_whole(path, limit_bytes=_PLAN_LIMIT_BYTES, what="plan"), type=Pruning)
    except msgspec.DecodeError as exc:
        raise FileError(f"{path} is no plan: {exc}.", remedy=f"Remove {folder} and begin anew.") from exc
