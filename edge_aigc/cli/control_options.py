"""What a person sets of a sample: controls, pictures, and how a text is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_aigc.cli.output import parse_pairs
from edge_aigc.errors import UsageError
from edge_aigc.loop_spec import TEXT_CONTROLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_F = TypeVar("_F", bound="Callable[..., Any]")


def control_options(function: _F) -> _F:
    """Add the argument and the options."""
    for option in (
        click.option("--length", type=int, help="Of a text: tokens after the prompt, at most."),
        click.option("--top-p", type=float, help="Of a text: only the likeliest tokens with this probability in all."),
        click.option("--top-k", type=int, help="Of a text: only so many of the likeliest tokens; 0: all."),
        click.option("--temperature", type=float, help="Of a text: 0 is the likeliest, above 1 is bolder."),
        click.option("--prompt", help="Text to go on from, for generators that write."),
        click.option(
            "--input",
            "inputs",
            multiple=True,
            callback=parse_pairs("NAME=FILE"),
            metavar="NAME=FILE",
            help="A picture.",
        ),
        click.argument("controls", nargs=-1, callback=parse_pairs("CONTROL=VALUE"), metavar="[CONTROL=VALUE]..."),
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
