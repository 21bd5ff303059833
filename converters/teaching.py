"""Students taught by their source, in float32 and in fake int8, and the record of what that did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_aigc.converters.distill import Course, distill
from edge_aigc.converters.distill.draws import draw_of, passage_steps
from edge_aigc.converters.distill.memory import Memory
from edge_aigc.converters.distill.taps import taps_of
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.plans import masks_of
from edge_aigc.converters.prune.borders import Borders
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.converters.prune.units import lost_places
from edge_aigc.converters.variants import Variant
from edge_aigc.prune_record import Healing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_aigc.converters.distill import Distilled
    from edge_aigc.converters.ir import Graph
    from edge_aigc.converters.workbench import Workbench
    from edge_aigc.profile import RecipeName

FAKE_RECIPES: tuple[RecipeName, ...] = ("int8", "mixed")
"""What a model that learnt in fake int8 is for."""


class Teaching:
    """Teaches students of one source."""

    def __init__(
        self, bench: Workbench, teacher: Graph, tell: Callable[[str], None], note: Callable[[str], None]
    ) -> None:
        """Choose the source.

        Args:
            bench: Of the source.
            teacher: Its graph, normalized; values have names of their own.
            tell: Called with a few words at every look at a student.
            note: Called with words that must not be missed.
        """
        self._bench, self._teacher, self._tell, self._note = bench, teacher, tell, note
        self._draw = draw_of(bench.source, bench.spec, pictures=bench.teaching_pictures, assets=bench.order.assets)

    def taught(self, student: Variant, course: Course, checkpoint: Path | None) -> Variant:
        """Return a student that has learnt what its source makes.

        Args:
            student: With the record of its cut.
            course: How long; in float32 or in fake int8.
            checkpoint: What it goes on from if there is something, and leaves behind at every look.

        Raises:
            ConversionError: Something of it cannot be lifted.
            FileError: The checkpoint is of another training.
        """
        pruning = student.pruning
        assert pruning is not None
        graph, keep = read(student.flatbuffer), masks_of(pruning)
        groups = channel_groups(self._teacher, states=self._bench.states)
        gone = lost_places(groups, keep)
        distilled = distill(
            self._teacher,
            graph,
            self._draw,
            self._bench.spec.outputs,
            course,
            taps=taps_of(self._teacher, graph, gone),
            memory=self._memory(Borders.of(self._teacher, groups, keep)) if self._bench.states else None,
            checkpoint=checkpoint,
            tell=self._tell,
            note=self._note,
        )
        if course.fake == "int8":
            pruning = msgspec.structs.replace(pruning, healing_int8=_healing(distilled))
            return Variant(flatbuffer=write(distilled.graph), pruning=pruning, recipes=FAKE_RECIPES)
        pruning = msgspec.structs.replace(pruning, healing=_healing(distilled))
        return Variant(flatbuffer=write(distilled.graph), pruning=pruning)

    def _memory(self, borders: Borders) -> Memory:
        """Return how the states of a student are fed, and which places of its source's it has."""
        source = self._bench.source
        inputs, outputs = ([fact.name for fact in side] for side in (source.inputs, source.outputs))
        fed = {inputs.index(taken): outputs.index(left) for taken, left in self._bench.states.items()}
        kept = {place: borders.inputs[place] for place in fed if borders.inputs[place]}
        return Memory(fed=fed, steps=passage_steps(self._bench.spec), kept=kept)


def _healing(distilled: Distilled) -> Healing:
    first, best, course = distilled.curve[0].fidelity, distilled.best.fidelity, distilled.course
    assert course.steps is not None
    assert course.batch is not None
    return Healing(
        steps=course.steps,
        looks=course.looks,
        batch=course.batch,
        metric=f"{best.title}, {best.unit}",
        before=first.value,
        after=best.value,
    )
