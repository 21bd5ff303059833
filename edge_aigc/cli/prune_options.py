"""Options of `convert` that take channels out of a model and heal it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_aigc.cli.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.converters.order import PruneOrder
    from edge_aigc.converters.prune.sparsity import Pattern

_F = TypeVar("_F", bound="Callable[..., Any]")

AUTO_RATIOS = (0.25, 0.4, 0.5, 0.6, 0.75)
"""Tried by `--prune auto`, beside the whole model."""
_AUTO = (0.0, *AUTO_RATIOS)
_MOST = 0.95


def _ratios(ctx: click.Context, param: click.Parameter, word: str | None) -> tuple[float, ...]:
    if word is None:
        return ()
    if word == "auto":
        return _AUTO
    try:
        ratios = tuple(float(part) for part in word.split(","))
    except ValueError as exc:
        raise click.BadParameter(
            f"{word!r} is no share of the multiplications, for example 0.75, several as 0.25,0.5,0.75, or auto.",
            ctx,
            param,
        ) from exc
    for ratio in ratios:
        if not 0 <= ratio <= _MOST:
            hint = f" For {ratio:g} % give {ratio / 100:g}." if 1 < ratio <= 100 * _MOST else ""
            raise click.BadParameter(
                f"{ratio:g} is not between 0 and {_MOST:g}: it is the share of the multiplications to remove.{hint}",
                ctx,
                param,
            )
    return tuple(dict.fromkeys(ratios))


def _zeros(ctx: click.Context, param: click.Parameter, word: str | None) -> tuple[float, Pattern] | None:
    if word is None:
        return None
    if word == "2:4":
        return 0.5, "2:4"
    try:
        share = float(word)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise click.BadParameter(f"{word!r} is no share of the weights, for example 0.9, nor 2:4.", ctx, param)
    return share, "unstructured"


def prune_options(function: _F) -> _F:
    """Add them."""
    for option in (
        click.option(
            "--distill-minutes",
            type=Figure(0, 24 * 60),
            metavar="M",
            help="Of training for each pruned model, the original teaching it on drawn inputs; 0: only the repair in "
            "closed form, which takes seconds. Without --prune: heals an int8 model that misses the fidelity. "
            "Longer where steps are slow: finding the rate, about a hundred steps, and judging count for at most half "
            "of it, and at least 50 steps are taken. Interrupted, the same command goes on: what was learnt is kept "
            "in the folder EDGE_AIGC_CACHE, by default edge-aigc in $XDG_CACHE_HOME or ~/.cache.",
        ),
        click.option(
            "--zeros",
            callback=_zeros,
            metavar="SHARE",
            help="Make this share of the weights zero, for example 0.9, or 2:4, where the device gains by it; else it "
            "is refused with what was measured. What every device gains by is --prune.",
        ),
        click.option(
            "--prune-to-latency",
            type=Figure(min=0, min_open=True),
            metavar="MS",
            help="Remove as much as it takes to be that fast on the device.",
        ),
        click.option(
            "--prune",
            callback=_ratios,
            metavar="RATIO",
            help="Remove this share of the multiplications as whole channels, for example 0.75; several, divided by "
            "commas, or `auto` leave the choice to the search.",
        ),
    ):
        function = option(function)
    return function


def prune_order(options: dict[str, Any]) -> PruneOrder:
    """Return what was asked for.

    Args:
        options: Of the command.

    Raises:
        click.UsageError: Two of them contradict each other.
    """
    from edge_aigc.converters.order import PruneOrder

    ratios, to_latency_ms = options["prune"], options["prune_to_latency"]
    if ratios and to_latency_ms is not None:
        raise click.UsageError("`--prune` and `--prune-to-latency` both say how much to remove. Leave out one of them.")
    zeros: float | None
    pattern: Pattern
    zeros, pattern = options["zeros"] or (None, "unstructured")
    return PruneOrder(
        zeros=zeros,
        zeros_pattern=pattern,
        ratios=ratios,
        any_of_them=ratios == _AUTO,
        to_latency_ms=to_latency_ms,
        distill_minutes=options["distill_minutes"],
        curve=options["report"] is not None,
    )
