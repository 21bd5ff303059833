"""Figures as people write them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.core import Context, Parameter


class Figure(click.FloatRange):
    """A number within limits: never ``nan`` or ``inf``, which are floats and would keep any promise."""

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> Any:
        """Return it.

        Raises:
            click.BadParameter: It is not a finite number, or lies outside.
        """
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number
