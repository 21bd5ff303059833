"""One student's way from its first step to its last, as a value that can be written down and taken up again."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from keras import ops
from numpy.typing import NDArray

from edge_aigc.converters.distill import checkpoint as files
from edge_aigc.converters.distill.course import Distilled, Look
from edge_aigc.converters.distill.judge import Judge, words
from edge_aigc.converters.distill.lessons import FIRST_SEED, Lessons, Teacher, held_out
from edge_aigc.converters.distill.network import Student
from edge_aigc.converters.distill.rates import rate_for
from edge_aigc.converters.distill.schedule import Average, Schedule, look_every, looks_in, steps_in
from edge_aigc.converters.ir import write
from edge_aigc.errors import FileError
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_aigc.converters.distill.checkpoint import State
    from edge_aigc.converters.distill.course import Course
    from edge_aigc.converters.distill.lessons import Draw, Tap
    from edge_aigc.converters.distill.memory import Memory
    from edge_aigc.converters.ir import Graph
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

_NUMBERS_OF_STEP = 1 << 18
"""Of the outputs of one step, about: five pictures of 128x128, sixty-four digits."""
_LEAST_BATCH, _MOST_BATCH = 2, 64
_NUMBERS_OF_PASSAGES, _LEAST_PASSAGES = 1 << 20, 16
"""The same of a loop, whose steps are cheap for what they make: half the poem model learnt as much in a minute from 16,
48 and 128 passages of 8 steps at a time."""
_LEAST_HELD_OUT, _MOST_HELD_OUT = 16, 256
_NUMBERS_HELD_OUT = 1 << 21
"""Of the outputs of all samples that judge, about: forty pictures of 128x128; of tokens enough to tell a percent."""
_TEXTS_HELD_OUT = 32
"""That judge a loop, of 48 steps each: enough to tell a percent."""
_CALIBRATED = 32
_TIMED = 6
"""Steps that are timed to turn minutes into steps, after as many that are not."""
_MOST_OVERHEAD = 0.5
"""Of the time is what the start and the looks may take: looks are fewer where they would take more."""


class Run:
    """A teacher, a student, and how far they are."""

    def __init__(  # noqa: PLR0913 - as `distill`
        self,
        teacher: Graph,
        student: Graph,
        draw: Draw,
        outputs: Sequence[Output],
        course: Course,
        taps: Sequence[Tap],
        *,
        memory: Memory | None = None,
    ) -> None:
        """Load both; nothing is learnt yet.

        Args:
            teacher: Is matched.
            student: Its values have names of their own.
            draw: The inputs of seeds.
            outputs: What the graphs make.
            course: How long and how.
            taps: Inner values that are corrected, too.
            memory: Their states, if what is drawn are passages.
        """
        self._begun = time.monotonic()
        self.course = replace(course, batch=course.batch or _batch(student, memory))
        self._graph = student
        shown = Teacher(teacher, taps, memory)
        self._lessons = Lessons(shown, draw, batch=self.course.batch or 1, seed=course.seed)
        int8 = course.fake == "int8"
        calibration = _calibration(student, shown, draw(FIRST_SEED, _CALIBRATED), memory) if int8 else ()
        lesson = held_out(shown, draw, _held_out(student, memory))
        self._judge = Judge(lesson, outputs, recipe=course.fake, calibration=calibration, memory=memory)
        self._rounding = _rounding(student, calibration) if int8 else None
        self._student = Student(
            student, outputs, [tap.name for tap in taps], course.tap_weight, self._rounding, memory=memory
        )
        self._of = _fingerprint(teacher, student, outputs, self.course, taps, memory)
        self._steps = self._done = 0
        self._curve: list[Look] = []
        self._best = 0
        self._best_weights: list[Array] = []
        self._average = Average([], 1)

    def begin(self) -> None:
        """Start at the first step, and settle how fast it learns, how many steps there are, and how many looks."""
        rate, steps = self.course.rate or rate_for(self._student, self._lessons), self.course.steps
        self._settle(*(self._in_minutes() if steps is None else (steps, self.course.looks)), rate)

    def _settle(self, steps: int, looks: int, rate: float) -> None:
        self._steps, self._looks = steps, looks
        self._schedule = Schedule(steps=steps, highest=rate)
        self._average = Average(self._student.weights, steps)
        self._since, self._first = time.monotonic(), self._done

    def resume(self, state: State, path: Path) -> None:
        """Go on from a state.

        Args:
            state: That a run of the same teacher, student and course wrote.
            path: Where it was, for the message.

        Raises:
            FileError: It is of another run.
        """
        course = self.course
        as_many = course.steps is None or (course.steps, course.looks) == (state.steps, state.looks)
        if state.of != self._of or not as_many or course.rate not in {None, state.rate}:
            raise FileError(
                f"{path} is the checkpoint of another run, of {state.steps:,} steps.",
                remedy="Give the same models, seed and settings to go on with it, or delete it to begin anew.",
            )
        self._done = state.done
        self._settle(state.steps, state.looks, state.rate)
        self._student.weights, self._student.moments = state.arrays["weights"], state.arrays["moments"]
        self._average.weights, self._average.looks = list(state.arrays["average"]), state.figures.looks
        self._best_weights, self._best = list(state.arrays["best"]), state.figures.best
        if self._rounding is not None:
            self._rounding.numbers.assign(state.arrays["rounding"][0])
        self._curve = [Look(step=seen.step, fidelity=seen.fidelity) for seen in state.figures.curve]

    def state(self) -> State:
        """Return everything that the steps to come depend on."""
        rounding = [] if self._rounding is None else [ops.convert_to_numpy(self._rounding.numbers)]
        curve = tuple(files.Seen(step=look.step, fidelity=look.fidelity) for look in self._curve)
        return files.State(
            of=self._of,
            steps=self._steps,
            looks=self._looks,
            rate=self._schedule.highest,
            done=self._done,
            figures=files.Figures(curve=curve, best=self._best, looks=self._average.looks),
            arrays={
                "weights": self._student.weights,
                "moments": self._student.moments,
                "average": self._average.weights,
                "best": self._best_weights,
                "rounding": rounding,
            },
        )

    @property
    def over(self) -> bool:
        """Return whether all steps are done, or too many looks in a row showed nothing better."""
        return self._done >= self._steps or len(self._curve) - 1 - self._best >= self.course.patience

    @property
    def at_look(self) -> bool:
        """Return whether the student is to be judged now."""
        return self._done == self._steps or self._done % look_every(self._steps, self._looks) == 0

    def step(self) -> None:
        """Take one step."""
        self._student.learn(self._lessons.of_step(self._done), self._schedule.rate(self._done))
        self._done += 1
        if self._done % Average.every == 0:
            self._average.look(self._student.weights)

    def look(self, tell: Callable[[str], None]) -> None:
        """Judge the average of the weights on held-out seeds, and keep it if it is the best so far."""
        look = Look(step=self._done, fidelity=self._judge(self._student.written(self._average.weights)))
        self._curve.append(look)
        if not self._best_weights or look.margin > self._curve[self._best].margin:
            self._best = len(self._curve) - 1
            self._best_weights = [values.copy() for values in self._average.weights]
        if self._rounding is not None and 0 < self._done < self._steps // 2:
            self._rounding.follow(self._student.written(self._student.weights))
        done = f"step {self._done:,} of {self._steps:,}"
        tell(f"distilling: {done}, {words(look.fidelity)} on held-out seeds{self._left()}")

    def result(self) -> Distilled:
        """Return the best student."""
        return Distilled(
            graph=self._student.written(self._best_weights),
            course=replace(
                self.course, minutes=None, steps=self._steps, looks=self._looks, rate=self._schedule.highest
            ),
            curve=tuple(self._curve),
            best=self._curve[self._best],
        )

    def _left(self) -> str:
        done = self._done - self._first
        if not done or self._done == self._steps:
            return ""
        left_s = (time.monotonic() - self._since) / done * (self._steps - self._done)
        return f", {left_s / 60:.0f} min left" if left_s >= 60 else f", {left_s:.0f} s left"  # noqa: PLR2004 - a minute

    def _in_minutes(self) -> tuple[int, int]:
        """Measure what a step, a block and a look take; return how many steps and looks fit; nothing is learnt."""
        assert self.course.minutes is not None, "a course has minutes or steps"
        weights, moments = self._student.weights, self._student.moments
        block_s = _timed(lambda: self._lessons.of_step(0))
        look_s = self._look_s()
        average = Average(weights, 1)
        for place in range(2 * _TIMED):
            if place == _TIMED:
                start = time.monotonic()
            self._student.learn(self._lessons.of_step(place), 0.0)
            if place % Average.every == 0:
                average.look(self._student.weights)
        step_s = (time.monotonic() - start) / _TIMED + block_s / self._lessons.steps_of_block
        self._student.weights, self._student.moments = weights, moments
        most_s, begun_s = self.course.minutes * 60 * _MOST_OVERHEAD, time.monotonic() - self._begun
        looks = looks_in(most_s - begun_s, look_s, most=self.course.looks)
        overhead_s = min(begun_s + look_s * looks, most_s)
        return steps_in(self.course.minutes, step_s, overhead_s=overhead_s), looks

    def _look_s(self) -> float:
        """Return what a look takes; nothing is changed by it, as ranges that follow the same weights stay the same."""
        weights, rounding = self._student.weights, self._rounding
        judging_s = _timed(lambda: self._judge(self._student.written(weights)))
        if rounding is None:
            return judging_s
        return judging_s + _timed(lambda: rounding.follow(self._student.written(weights))) / 2  # in the first half only


def _timed(what: Callable[[], Any]) -> float:
    start = time.monotonic()
    what()
    return time.monotonic() - start


def _batch(graph: Graph, memory: Memory | None) -> int:
    if memory is None:
        return max(_LEAST_BATCH, min(_MOST_BATCH, _NUMBERS_OF_STEP // _numbers(graph)))
    return max(_LEAST_PASSAGES, min(_MOST_BATCH, _NUMBERS_OF_PASSAGES // (memory.steps * _numbers(graph))))


def _held_out(graph: Graph, memory: Memory | None) -> int:
    if memory is not None:
        return _TEXTS_HELD_OUT
    return max(_LEAST_HELD_OUT, min(_MOST_HELD_OUT, _NUMBERS_HELD_OUT // _numbers(graph)))


def _calibration(
    graph: Graph, shown: Teacher, samples: Sequence[Sequence[Array]], memory: Memory | None
) -> Sequence[Sequence[Array]]:
    """Return what a student takes; of passages single steps, one of each, reached with states of its own."""
    if memory is None:
        return samples
    run = Interpreter(write(graph)).run
    passages = zip(*shown.lesson(samples).inputs, strict=True)
    each = [[inputs for inputs, _ in memory.played(run, passage)] for passage in passages]
    return [steps[place % len(steps)] for place, steps in enumerate(each)]


def _numbers(graph: Graph) -> int:
    return sum(value.size for value in graph.outputs)


def _rounding(graph: Graph, calibration: Sequence[Sequence[Array]]) -> Any:
    from edge_aigc.converters.distill.fake import Rounding

    return Rounding(graph, calibration)


def _fingerprint(
    teacher: Graph,
    student: Graph,
    outputs: Sequence[Output],
    course: Course,
    taps: Sequence[Tap],
    memory: Memory | None,
) -> str:
    """Return a hash of all that decides what is learnt, but for what is found at the start: steps, looks and rate."""
    plain = {
        "outputs": [msgspec.to_builtins(output) for output in outputs],
        "course": asdict(replace(course, minutes=None, steps=None, looks=1, rate=None)),
        "taps": [[tap.name, [[axis, places.tolist()] for axis, places in tap.kept.items()]] for tap in taps],
        "memory": None if memory is None else [memory.steps, memory.words()],
    }
    return files.fingerprint(write(teacher), write(student), json.dumps(plain).encode())
