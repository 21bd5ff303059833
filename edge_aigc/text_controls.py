"""What a person may set of a text: the prompt, and how tokens are picked.

Imports no NumPy: the daemon's parent checks requests with it. Whether the model knows the characters of a
prompt is checked where the vocabulary is.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.errors import InputError
from edge_aigc.loop_spec import TEMPERATURE_LIMIT, TEXT_CONTROLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.loop_spec import Loop


_WHOLE = re.compile("[+-]?[0-9]{1,18}$")


class TextOrder(msgspec.Struct, frozen=True, kw_only=True):
    """How one text is made; checked."""

    prompt: str
    temperature: float
    top_k: int
    top_p: float
    length: int
    """Tokens after the prompt, at most."""


def text_order(loop: Loop, controls: Mapping[str, str | float]) -> TextOrder:
    """Return how a text is made: the loop's own settings where no control gives another.

    Args:
        loop: Of the generator.
        controls: By name; those of the model's inputs are left alone. A number's text will do: command lines
            know no types.

    Raises:
        InputError: A control has the wrong type or lies out of range, or the prompt is too long.
    """
    given = {name: controls[name] for name in TEXT_CONTROLS if name in controls}
    prompt = given.get("prompt", "")
    if not isinstance(prompt, str):
        raise InputError(
            f"The control 'prompt' is {prompt!r}, not a text.", remedy="Give the text to go on from, in quotes."
        )
    order = TextOrder(
        prompt=prompt,
        temperature=_number(given, "temperature", loop.temperature, 0.0, TEMPERATURE_LIMIT),
        top_k=_whole(given, "top_k", loop.top_k, 0, 1 << 24),
        top_p=_number(given, "top_p", loop.top_p, 0.0, 1.0),
        length=_whole(given, "length", loop.length, 1, loop.longest),
    )
    if order.top_p == 0:
        raise InputError(
            "The control 'top_p' is 0, which leaves no token to pick.",
            remedy="Give a share above 0 and up to 1; `temperature` 0 always takes the likeliest token.",
        )
    _check_room(loop, order)
    return order


def _check_room(loop: Loop, order: TextOrder) -> None:
    # A token stands for a character or more, so that no prompt has more tokens than characters.
    size = len(order.prompt)
    if size > loop.longest:
        raise InputError(
            f"The prompt has {size:,} characters; this model takes at most {loop.longest:,}.",
            remedy="Give a shorter one.",
        )
    if loop.context is not None and size >= loop.context:
        raise InputError(
            f"The prompt has {size:,} characters; this model keeps {loop.context:,} in mind, those that it writes "
            "included.",
            remedy="Give a shorter one.",
        )


def _number(given: Mapping[str, str | float], name: str, usual: float, low: float, high: float) -> float:
    value = _parsed(given.get(name, usual))
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(name, given[name], f"a number from {low:g} to {high:g}", usual)
    if not low <= value <= high:
        raise _wrong(name, given[name], f"a number from {low:g} to {high:g}", usual)
    return float(value)


def _whole(given: Mapping[str, str | float], name: str, usual: int, low: int, high: int) -> int:
    value = _parsed(given.get(name, usual))
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(name, given[name], f"a whole number from {low} to {high:,}", usual)
    return value


def _parsed(value: str | float) -> str | float:
    if not isinstance(value, str):
        return value
    if _WHOLE.match(value):
        return int(value)
    try:
        return float(value)
    except ValueError:
        return value


def _wrong(name: str, value: object, wanted: str, usual: float) -> InputError:
    return InputError(
        f"The control {name!r} is {str(value)[:80]!r}, not {wanted}.",
        remedy=f"Give one, or leave it out for {usual:g}.",
    )
