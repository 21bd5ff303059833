"""Options of `convert` for models that write text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_F = TypeVar("_F", bound="Callable[..., Any]")


def loop_options(function: _F) -> _F:
    """Add them."""
    for option in (
        click.option(
            "--context",
            type=click.IntRange(1, 1 << 16),
            metavar="N",
            help="Tokens that an attention keeps in mind; default: what the model was built for, else 256.",
        ),
        click.option(
            "--window",
            type=click.IntRange(1, 1 << 16),
            metavar="N",
            help="Read the last N tokens at every step in place of keeping a state.",
        ),
        click.option(
            "--vocabulary",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The tokens of a model that writes, or a bundle that has them; default: vocabulary.json beside the "
            "specification or the model.",
        ),
    ):
        function = option(function)
    return function
