"""Options that set how a text is made, for generators that write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_aigc.errors import UsageError
from edge_aigc.loop_spec import TEXT_CONTROLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_F = TypeVar("_F", bound="Callable[..., Any]")


def text_options(function: _F) -> _F:
    """Add them."""
    for option in (
        click.option("--length", type=int, help="Of a text: tokens after the prompt, at most."),
        click.option("--top-p", type=float, help="Of a text: only the likeliest tokens with this probability in all."),
        click.option("--top-k", type=int, help="Of a text: only so many of the likeliest tokens; 0: all."),
        click.option("--temperature", type=float, help="Of a text: 0 is the likeliest, above 1 is bolder."),
        click.option("--prompt", help="Text to go on from, for generators that write."),
    ):
        function = option(function)
    return function


def controls_of(options: Mapping[str, Any]) -> dict[str, str | float]:
    """Return the controls, those that have an option of their own included.

    Raises:
        UsageError: One is given twice.
    """
    given = {name: options[name] for name in TEXT_CONTROLS if options[name] is not None}
    twice = sorted(set(given) & set(options["controls"]))
    if twice:
        raise UsageError(
            f"The control {twice[0]!r} is given twice.",
            remedy=f"Give it once, as `--{twice[0].replace('_', '-')}` or as `{twice[0]}=VALUE`.",
        )
    return {**options["controls"], **given}
