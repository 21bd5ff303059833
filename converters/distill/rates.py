"""How fast a student may learn: as fast as it can without throwing back what it is."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edge_aigc.converters.distill.lessons import Lessons
    from edge_aigc.converters.distill.network import Student

RATES = (2e-3, 1e-3, 5e-4, 2.5e-4, 1.25e-4, 6e-5, 3e-5, 1e-5, 3e-6)
"""ESRGAN x2, cut to a quarter: from bare cuts (8 dB) 2e-3 led to 35 dB in 300 steps; repaired (45 dB) it fell to 30 dB
at that rate and had not come back after 300 steps. Cut by a quarter only and repaired (70 dB), the average of its
weights fell to 55 dB and back to 70 in 150 steps at 3e-5, to 65 and back at 1e-5."""
_STEPS, _RISE = 24, 8
_THROWN_BACK = 3.0
"""By so much the loss may rise at first: the rate falls later, and what is found by large steps is worth some. ESRGAN
x2 bears 1.25e-4 at a quarter and 1e-5 at three by it, and within 300 steps nothing was better; 1.5 gave 3e-5, 3e-6."""


def rate_for(student: Student, lessons: Lessons) -> float:
    """Return the highest rate at which a student's loss does not triple within some steps.

    What a rate throws back a higher one does, too, so that halving finds it: three or four are tried.

    Args:
        student: Comes back as it was.
        lessons: The first of them are tried on.
    """
    weights, moments = student.weights, student.moments
    before = _losses(student, lessons, 0.0)

    def bears(rate: float) -> bool:
        student.weights, student.moments = weights, moments
        return _losses(student, lessons, rate) <= _THROWN_BACK * before  # a loss that is no number is not

    at = bisect.bisect_left(range(len(RATES) - 1), True, key=lambda place: bears(RATES[place]))
    student.weights, student.moments = weights, moments
    return RATES[at]


def _losses(student: Student, lessons: Lessons, rate: float) -> float:
    """Return the mean loss of the second half of some steps."""
    losses = [student.learn(lessons.of_step(step), rate * min(1.0, (step + 1) / _RISE)) for step in range(_STEPS)]
    return float(np.mean(losses[_STEPS // 2 :]))
