"""A student learns from its teacher what the same seeds make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.distill.checkpoint import Checkpoint
from edge_aigc.converters.distill.network import repeatable
from edge_aigc.converters.distill.run import Run
from edge_aigc.converters.ir import read, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_aigc.converters.distill.checkpoint import State
    from edge_aigc.converters.distill.course import Course, Distilled
    from edge_aigc.converters.distill.lessons import Draw, Tap
    from edge_aigc.converters.distill.memory import Memory
    from edge_aigc.converters.ir import Graph
    from edge_aigc.spec import Output


def distill(  # noqa: PLR0913 - two graphs, what they take and make, and how
    teacher: Graph,
    student: Graph,
    draw: Draw,
    outputs: Sequence[Output],
    course: Course,
    *,
    taps: Sequence[Tap] = (),
    memory: Memory | None = None,
    checkpoint: Path | None = None,
    tell: Callable[[str], None],
    note: Callable[[str], None] | None = None,
) -> Distilled:
    """Return a student that makes of a seed what its teacher makes of it, as nearly as it can.

    Given:   teacher, student     float graphs with the same inputs and outputs, but for states that are narrower
    Result:  the student with other weights, never worse on held-out seeds than it was

    Args:
        teacher: What is to be matched; not touched.
        student: Where learning begins; not touched.
        draw: The inputs of seeds, in the graphs' order.
        outputs: What the graphs' outputs are, the published one first.
        course: How long and how.
        taps: Inner values that are corrected, too.
        memory: Of graphs of one step: their states; what is drawn are passages then.
        checkpoint: A file that is written at every look; where there is one of the same run, it goes on from there,
            to the same weights as without the break. One that is damaged or cannot be written is noted, and the
            training goes on. None writes nothing.
        tell: Called with a few words at every look.
        note: Called with words that must not be missed: of the checkpoint, and of what an interruption leaves; None:
            `tell`.

    Raises:
        ConversionError: An operator cannot be lifted, or the teacher makes numbers that are not finite.
        FileError: The checkpoint is of another run.
    """
    note = note or tell
    file = Checkpoint(checkpoint, note)
    held = file.load()
    try:
        with repeatable():
            # Written and read, every value has a name of its own.
            run = Run(teacher, read(write(student)), draw, outputs, course, taps, memory=memory)
            _go_on(run, held, file, tell)
            return run.result()
    except KeyboardInterrupt:
        note(file.words)
        raise


def _go_on(run: Run, held: State | None, file: Checkpoint, tell: Callable[[str], None]) -> None:
    """Take a run from its checkpoint, or from its first step, to its end."""
    if held is not None and file.path is not None:
        run.resume(held, file.path)
    else:
        run.begin()
        run.look(tell)
    while not run.over:
        run.step()
        if run.at_look:
            run.look(tell)
            file.save(run.state())
