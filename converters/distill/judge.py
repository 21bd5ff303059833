"""How good a student is: what it makes of held-out seeds against the teacher's, in the figure that is promised."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.fidelity import compare
from edge_aigc.converters.fidelity.sound import log_mel_distance
from edge_aigc.converters.ir import write
from edge_aigc.converters.quantize import Aim, quantize
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_aigc.converters.distill.lessons import Lesson
    from edge_aigc.converters.distill.memory import Memory
    from edge_aigc.converters.ir import Graph
    from edge_aigc.manifest import Fidelity
    from edge_aigc.profile import RecipeName
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]


class Judge:
    """Holds the samples that no step sees."""

    def __init__(
        self,
        lesson: Lesson,
        outputs: Sequence[Output],
        *,
        recipe: RecipeName = "float32",
        calibration: Sequence[Sequence[Array]] = (),
        memory: Memory | None = None,
    ) -> None:
        """Keep them.

        Args:
            lesson: What the teacher makes of held-out seeds.
            outputs: What its outputs are.
            recipe: In which types a student is judged.
            calibration: Samples for recipes with ranges.
            memory: The student's states, if the samples are passages: it reads them with states of its own.
        """
        self._samples = [list(sample) for sample in zip(*lesson.inputs, strict=True)]
        self._references = [list(sample) for sample in zip(*lesson.outputs, strict=True)]
        self._outputs, self._recipe = tuple(outputs), recipe
        self._calibration = [list(sample) for sample in calibration]
        self._memory = memory

    def __call__(self, graph: Graph) -> Fidelity:
        """Return how alike a student and the teacher are, in the output that fares worst."""
        made = self._made(graph)
        fidelity = compare(self._references, made, self._outputs, minimum=None, first_sample=0, on_pictures=False)
        primary = self._outputs[0]
        if primary.media != "audio":
            return fidelity
        apart = [log_mel_distance(a[0], b[0], primary) for a, b in zip(self._references, made, strict=True)]
        return msgspec.structs.replace(fidelity, log_mel_db=float(np.mean(apart)))

    def _made(self, graph: Graph) -> list[list[Array]]:
        flatbuffer = write(graph)
        if self._recipe != "float32":
            aim = Aim(ranges=tuple(output.range for output in self._outputs))
            flatbuffer = quantize(flatbuffer, self._recipe, calibration=self._calibration, int8_borders=False, aim=aim)
        run = Interpreter(flatbuffer, threads=os.cpu_count() or 1).run
        if self._memory is None:
            return [run(sample) for sample in self._samples]
        return [_along(run, sample, self._memory) for sample in self._samples]


def _along(run: Callable[[list[Array]], list[Array]], passage: list[Array], memory: Memory) -> list[Array]:
    steps = [outputs for _, outputs in memory.played(run, passage)]
    return [np.stack(values) for values in zip(*steps, strict=True)]


def words(fidelity: Fidelity) -> str:
    """Return a figure in words."""
    shown = f"{fidelity.value:.2f} {fidelity.unit} {fidelity.title}"
    return shown if fidelity.log_mel_db is None else f"{shown}, log-mel {fidelity.log_mel_db:.2f} dB apart"
