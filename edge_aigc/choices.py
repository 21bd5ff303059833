"""What to tell who chose something that is not there: what was likely meant, and what there is."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN = 16
_COMPARED_CHARACTERS = 80
"""Strangers' words can be long, and comparing takes the square of their length."""


def choices(word: str, known: Iterable[str], *, lead: str = "There are") -> str:
    """Return a remedy for a word that is not known.

    Args:
        word: As it was given.
        known: All that could have been given.
        lead: What stands before their list.

    >>> choices("gausian", ["gaussian", "uniform"])
    "Did you mean 'gaussian'? There are 'gaussian', 'uniform'."
    >>> choices("x", ["gaussian", "uniform"], lead="It has")
    "It has 'gaussian', 'uniform'."
    """
    names = tuple(known)
    near = difflib.get_close_matches(word[:_COMPARED_CHARACTERS], names, n=1)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    return f"{meant}{lead} {shown(names)}."


def shown(names: tuple[str, ...]) -> str:
    """Return names for a message, the first sixteen of them."""
    text = ", ".join(repr(name) for name in names[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{text} and {rest} more" if rest > 0 else text
