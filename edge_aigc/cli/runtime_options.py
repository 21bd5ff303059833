"""Options of the verbs that open bundles to make samples: which interpreter, on how many threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS = (
    click.option(
        "--runtime",
        type=click.Choice(["litert", "tflite", "tensorrt"]),
        help="Default: the engine of `accelerate` where there is one, else the first that is installed.",
    ),
    click.option("--threads", type=click.IntRange(1, 64), help="Of the interpreter; default: the bundle's."),
)


def runtime_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
