"""Options that say of a model what it does not say itself, and its name in bundles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.converters.sources.source import Wish

_SIZE = re.compile(r"(\d{1,5})[xX](\d{1,5})")
_SHAPE = re.compile(r"\d{1,6}([xX,]\d{1,6})*")
_FUNCTION = re.compile(r"[\w.]+:(\w+)")


def _size(ctx: click.Context, param: click.Parameter, word: str | None) -> tuple[int, int] | None:
    if word is None:
        return None
    match = _SIZE.fullmatch(word)
    if match is None or not int(match[1]) or not int(match[2]):
        raise click.BadParameter(f"{word!r} is not HEIGHTxWIDTH, for example 64x64.", ctx, param)
    return int(match[1]), int(match[2])


def _shapes(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    shapes = []
    for word in words:
        sizes = [int(size) for size in re.split("[xX,]", word)] if _SHAPE.fullmatch(word) else [0]
        if not all(sizes) or sizes[0] != 1:
            raise click.BadParameter(f"{word!r} is no shape of a batch of 1, for example 1x3x64x64.", ctx, param)
        shapes.append(tuple(sizes))
    return tuple(shapes)


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a verb."""
    for option in (
        click.option("--signature", metavar="NAME", help="Which of a SavedModel's, if it has several."),
        click.option(
            "--input-shape",
            "input_shapes",
            multiple=True,
            callback=_shapes,
            metavar="SHAPE",
            help="An input's whole shape in the model's own layout, for example 1x100x1x1; once for each input.",
        ),
        click.option("--input-size", callback=_size, metavar="HEIGHTxWIDTH", help="For models that take any size."),
    ):
        function = option(function)
    return function


def wish_from(options: dict[str, Any]) -> Wish:
    """Return what the user said of the model."""
    from edge_aigc.converters.sources.source import Wish

    return Wish(input_size=options["input_size"], input_shapes=options["input_shapes"], signature=options["signature"])


def generator_name(model: str, stem: str) -> str:
    """Return what a generator is called if nobody says: its file's name, or its function's."""
    match = _FUNCTION.fullmatch(model)
    name = match[1] if match is not None else stem
    return re.sub(r"[^a-z0-9_.-]", "-", name.lower()).strip(".-") or "model"
