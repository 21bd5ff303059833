"""When to generate unasked, and which model next."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from edge_aigc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_aigc.spec import GeneratorSpec


class Schedule:
    """Beats on the monotonic clock: wall clocks of small boards jump.

    Attributes:
        next_s: When the next beat is.
    """

    def __init__(self, specs: Iterable[GeneratorSpec], every_s: float, now_s: float) -> None:
        """Take turns among the models that need no picture.

        Raises:
            UsageError: There is none.
        """
        models = [spec.name for spec in specs if not spec.pictures]
        if not models:
            raise UsageError(
                "Every model here needs a picture, which a schedule does not have.", remedy="Leave --every out."
            )
        self._turns = itertools.cycle(models)
        self._every_s = every_s
        self.next_s = now_s + every_s

    def beat(self, now_s: float, *, skip: bool) -> str | None:
        """Pass a beat that is due and return whose turn it is, or None to skip it.

        Beats that were missed are not made up for.
        """
        self.next_s += self._every_s * (1 + math.floor(max(0.0, now_s - self.next_s) / self._every_s))
        return None if skip else next(self._turns)
