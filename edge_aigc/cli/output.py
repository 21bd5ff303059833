"""How verbs speak: results on stdout, words on stderr, both as JSON when asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_aigc.quiet import stderr_in_sight

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.errors import EdgeAigcError

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout, errors too.")


def print_json(result: object) -> None:
    """Print a result for programs: one JSON document, on one line when it streams."""
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    sys.stdout.flush()


def say(words: str) -> None:
    """Tell the person at the terminal something that is not the result, also while stderr is held back."""
    with stderr_in_sight() as stream:
        click.echo(words, file=stream)


def print_error(error: EdgeAigcError, *, as_json: bool) -> int:
    """Tell an error and return the exit code that belongs to it."""
    if as_json:
        fields = {"code": error.code, "message": error.message, "remedy": error.remedy}
        print_json({"error": fields})
    say(f"edge-aigc: {error}")
    return error.exit_code


def parse_pairs(option: str) -> Callable[[Any, Any, tuple[str, ...]], dict[str, str]]:
    """Return a click callback that turns NAME=VALUE words into a dictionary."""

    def callback(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> dict[str, str]:
        pairs: dict[str, str] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or not name:
                raise click.BadParameter(f"{word!r} is not {option}.", ctx, param)
            if name in pairs:
                raise click.BadParameter(f"{name!r} is given twice.", ctx, param)
            pairs[name] = value
        return pairs

    return callback
