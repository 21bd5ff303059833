"""How long to wait before the next attempt."""

from __future__ import annotations

import random

_STEADY_S = 10.0
"""A connection that held this long was a good one: waiting times start over."""
_SOON_S = (0.25, 15.0)
_LASTING_S = (1.0, 30.0)
"""First and longest wait; a refused password is not tried more than once a second."""
_DOUBLINGS_LIMIT = 10


class Backoff:
    """Waits that double, with some chance in them: many devices lose a broker at once."""

    def __init__(self) -> None:
        """Begin with the first wait."""
        self._failures = 0

    def wait_s(self, *, held_s: float, lasting: bool) -> float:
        """Return the seconds to wait after a connection that held so long, or 0.0 if there was none.

        Args:
            held_s: How long it held.
            lasting: Whether what ended it will not pass by itself.
        """
        if held_s >= _STEADY_S and not lasting:
            self._failures = 0
        first_s, longest_s = _LASTING_S if lasting else _SOON_S
        wait_s = min(longest_s, first_s * 2.0**self._failures)
        self._failures = min(self._failures + 1, _DOUBLINGS_LIMIT)
        return wait_s * random.uniform(1.0, 1.5)  # noqa: S311 - no secret
