"""How a student is taught, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph
    from edge_aigc.manifest import Fidelity


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a student is taught. Exactly one of `minutes` and `steps` is given."""

    minutes: float | None = None
    """Turned into steps once, at the start; the steps are what counts from then on."""
    steps: int | None = None
    """Repeats a run that recorded them."""
    seed: int = 0
    """Of the samples' order."""
    rate: float | None = None
    """The highest learning rate; None: found by trial, for what is repaired already bears less than what is not."""
    batch: int | None = None
    """Samples of a step; None: by the outputs' size."""
    looks: int = 40
    """How often at most the student is judged on held-out seeds; of `minutes`, fewer where that would take half."""
    patience: int = 15
    """Looks in a row without a better one, after which it stops."""
    tap_weight: float = 0.1
    """Of all inner values together, beside the outputs."""
    fake: Literal["float32", "int8"] = "float32"
    """What it computes in while it learns, and what it is judged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the student was worth after some steps, on seeds that no step sees."""

    step: int
    fidelity: Fidelity

    @property
    def margin(self) -> float:
        """Return by how much it is above the least that its metric asks for."""
        return self.fidelity.value - self.fidelity.minimum


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """A student that has learnt."""

    graph: Graph
    """The best of all looks."""
    course: Course
    """As it was run: with its steps, looks, batch and rate, without minutes. Given again, it makes the same weights."""
    curve: tuple[Look, ...]
    """The first is before any step."""
    best: Look
