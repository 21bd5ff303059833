"""How long and how fast: minutes as a number of steps, and the learning rate of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Array: TypeAlias = NDArray[Any]

_LEAST_STEPS = 50
_LEAST_LOOKS = 4
_WARM_UP = 0.05
"""Share of the steps in which the rate rises, so that Adam's averages have seen some gradients first; at most 200."""
_MOST_WARM_UP = 200
_LAST = 0.01
"""Of the highest rate is what the last step takes."""
_HORIZON = 0.02
"""Share of the steps that the average of the weights looks back; at most 500 steps."""
_MOST_HORIZON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The learning rate over a known number of steps: a rise, then half a cosine down."""

    steps: int
    highest: float

    def rate(self, step: int) -> float:
        """Return the learning rate of a step; the first is the highest divided by the steps of the rise."""
        warm = min(_MOST_WARM_UP, max(1, round(self.steps * _WARM_UP)))
        if step < warm:
            return self.highest * (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        return self.highest * (_LAST + (1 - _LAST) * (0.5 + 0.5 * math.cos(math.pi * done)))


class Average:
    """The exponential average of weights, which lies nearer to where they circle than any of them."""

    every = 4
    """Steps between two looks: copying weights costs time, and steps in a row differ little."""

    def __init__(self, weights: Sequence[Array], steps: int) -> None:
        """Begin at the weights of the first step."""
        self.weights = [values.copy() for values in weights]
        self.looks = 0
        horizon = max(self.every, min(_MOST_HORIZON, steps * _HORIZON))
        self._keeps = 1 - self.every / horizon

    def look(self, weights: Sequence[Array]) -> None:
        """Take in the weights of a step."""
        # At the beginning the average is short, so that the first weights are soon forgotten.
        keeps = min(self._keeps, (1 + self.looks) / (10 + self.looks))
        self.looks += 1
        for average, values in zip(self.weights, weights, strict=True):
            np.multiply(average, keeps, out=average)
            np.add(average, (1 - keeps) * values, out=average)


def look_every(steps: int, looks: int) -> int:
    """Return after how many steps a student is judged, so that it is at most that often, the last step included.

    Args:
        steps: Of the whole run.
        looks: How often at most.
    """
    return max(1, math.ceil(steps / max(1, looks)))


def looks_in(seconds: float, look_s: float, most: int) -> int:
    """Return how many looks fit into a time, at least 4: fewer would miss where a student was best.

    Args:
        seconds: That all may take; where it is over already, it is below 0.
        look_s: What one takes.
        most: As many are enough.
    """
    return min(most, max(_LEAST_LOOKS, int(seconds / look_s)))


def steps_in(minutes: float, step_s: float, *, overhead_s: float = 0.0) -> int:
    """Return how many steps fit into a time, at least 50.

    Args:
        minutes: That it may take.
        step_s: What one step takes, all in all.
        overhead_s: What is needed besides.
    """
    return max(_LEAST_STEPS, int((minutes * 60 - overhead_s) / step_s))
