"""What the teacher makes of which inputs: drawn, made and kept in blocks, the same for every step of every run.

The teacher is not trained, so it runs on the interpreter, and what it made serves for several steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.ir import write
from edge_aigc.converters.prune.borders import kept
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.distill.memory import Memory
    from edge_aigc.converters.ir import Graph
    from edge_aigc.converters.prune.borders import Places

Array: TypeAlias = NDArray[Any]
Draw: TypeAlias = Callable[[int, int], Sequence[Sequence[Array]]]
"""First seed and how many to the inputs of that many samples, each in the graph's order; the same seeds, the same."""

FIRST_SEED = 1 << 42
HELD_OUT_FIRST_SEED = 1 << 43
"""Two runs of seeds that meet neither each other nor those of `calibrate`: what verifies was never trained on."""
_BLOCK_BYTES = 512 << 20
_MOST_SAMPLES = 512
_PASSES = 8
"""Steps that see a sample, before another block is drawn: 12 passes over 512 pictures of 64x64 taught ESRGAN x2 no less
than new ones would, and the teacher costs four times what its student does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Some samples, stacked along a new axis 0: ``[n, s0, s1, …]``.

    Of passages ``[n, steps, s0, s1, …]``, but for the states that they begin with.
    """

    inputs: list[Array]
    outputs: list[Array]
    tapped: list[Array]
    """Values between the operators; of these, as of states, the places that the student still has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A value between the operators that teacher and student are compared at."""

    name: str
    kept: Places


class Teacher:
    """A float graph that shows what is to be made."""

    def __init__(self, graph: Graph, taps: Sequence[Tap] = (), memory: Memory | None = None) -> None:
        """Load it.

        Args:
            graph: Is not touched.
            taps: Values of it that are shown as well.
            memory: Its states, if samples are passages.
        """
        shown = graph.copy()
        by_name = {value.name: value for node in shown.nodes for value in node.outputs}
        self._outputs, self._memory = len(shown.outputs), memory
        states: Mapping[int, Places] = {} if memory is None else memory.left
        self._kept = [*(states.get(place, {}) for place in range(self._outputs)), *(tap.kept for tap in taps)]
        shown.outputs += [by_name[tap.name] for tap in taps]
        shown.output_names += [f"tap_{index}" for index in range(len(taps))]
        self._interpreter = Interpreter(write(shown), threads=os.cpu_count() or 1)
        steps = 1 if memory is None else memory.steps
        self.sample_bytes = 4 * steps * sum(value.size for value in (*shown.inputs, *shown.outputs))

    def lesson(self, samples: Sequence[Sequence[Array]]) -> Lesson:
        """Return what it makes of samples; passages are of one length.

        Raises:
            ConversionError: A number of it is not finite.
        """
        each = [self._made(sample) for sample in samples]
        before = 1 if self._memory is None else 2
        made = [kept(np.stack(some), places, before=before) for *some, places in zip(*each, self._kept, strict=True)]
        if not all(np.isfinite(values).all() for values in made[: self._outputs]):
            raise ConversionError(
                "The model makes numbers that are not finite, and no student can learn those.",
                remedy="Check its weights for NaN, or give `--distill-minutes 0`, which only repairs.",
            )
        states = {} if self._memory is None else self._memory.kept
        inputs = [
            kept(np.stack([sample[place] for sample in samples]), states.get(place, {}), before=1)
            for place in range(len(samples[0]))
        ]
        return Lesson(inputs=inputs, outputs=made[: self._outputs], tapped=made[self._outputs :])

    def _made(self, sample: Sequence[Array]) -> list[Array]:
        """Return all that is shown of one sample; of a passage step by step."""
        if self._memory is None:
            return self._interpreter.run(list(sample))
        steps = [outputs for _, outputs in self._memory.played(self._interpreter.run, sample)]
        return [np.stack(values) for values in zip(*steps, strict=True)]


class Lessons:
    """Batches, one for each step; which samples are in it depends on the step's number alone."""

    def __init__(self, teacher: Teacher, draw: Draw, *, batch: int, seed: int) -> None:
        """Nothing is drawn before it is asked for.

        Args:
            teacher: Shows what is to be made.
            draw: Of the inputs.
            batch: Samples of one step.
            seed: Of their order.
        """
        self._teacher, self._draw, self._batch, self._seed = teacher, draw, batch, seed
        fit = min(_MOST_SAMPLES, _BLOCK_BYTES // max(1, teacher.sample_bytes))
        self.samples = max(1, fit // batch) * batch
        """Of one block."""
        self._block, self._held = -1, Lesson(inputs=[], outputs=[], tapped=[])

    @property
    def steps_of_block(self) -> int:
        """Return how many steps one block serves."""
        return self.samples // self._batch * _PASSES

    def of_step(self, step: int) -> Lesson:
        """Return the batch of a step."""
        block, within = divmod(step, self.steps_of_block)
        if block != self._block:
            self._held = self._teacher.lesson(self._draw(FIRST_SEED + block * self.samples, self.samples))
            self._block = block
        turn, place = divmod(within, self.samples // self._batch)
        order = np.random.Generator(np.random.Philox(key=[self._seed, block * _PASSES + turn])).permutation(
            self.samples
        )
        return _part(self._held, order[place * self._batch : (place + 1) * self._batch])


def held_out(teacher: Teacher, draw: Draw, count: int) -> Lesson:
    """Return samples that no step sees.

    Args:
        teacher: Shows what is to be made.
        draw: Of the inputs.
        count: How many.
    """
    return teacher.lesson(draw(HELD_OUT_FIRST_SEED, count))


def first_of(seed: int) -> int:
    """Return where the run of seeds begins that a seed is of."""
    return HELD_OUT_FIRST_SEED if seed >= HELD_OUT_FIRST_SEED else FIRST_SEED


def rows(values: Array) -> Array:
    """Return samples ``[n, s0, s1, …]`` as lifted graphs take them, one after the other: ``[n s0, s1, …]``."""
    return values if values.ndim == 1 else values.reshape(-1, *values.shape[2:])


def rows_of_steps(values: Array) -> Array:
    """Return passages ``[n, steps, s0, s1, …]`` the same way: ``[n s0, steps, s1, …]``."""
    return rows(np.moveaxis(values, 1, 2)) if values.ndim > 2 else values  # noqa: PLR2004 - of numbers there is no s0


def _part(lesson: Lesson, places: Array) -> Lesson:
    return Lesson(
        inputs=[values[places] for values in lesson.inputs],
        outputs=[values[places] for values in lesson.outputs],
        tapped=[values[places] for values in lesson.tapped],
    )
