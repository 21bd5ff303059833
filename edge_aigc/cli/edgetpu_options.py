"""Options of `convert` for an Edge TPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_aigc.converters.targets.target import CompileOrder
    from edge_aigc.profile import DeviceProfile

_OPTIONS = (
    click.option(
        "--tpu-runtime",
        type=click.IntRange(12, 14),
        help="Oldest Edge TPU runtime that shall run the compiled model; int8 needs 12. Default: edgetpu_compiler's.",
    ),
    click.option(
        "--edgetpu-model",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="What edgetpu_compiler made of this model elsewhere, in place of compiling it here.",
    ),
)


def edgetpu_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_edgetpu_options(options: dict[str, Any], profiles: Sequence[DeviceProfile]) -> None:
    """Refuse what would be ignored, before anything takes its time.

    Raises:
        UsageError: There is no Edge TPU, or they contradict each other.
    """
    for_tpu = [profile for profile in profiles if profile.target == "edgetpu"]
    for option in ("tpu_runtime", "edgetpu_model"):
        if options[option] is not None and not for_tpu:
            name = f"--{option.replace('_', '-')}"
            raise UsageError(f"`{name}` is for an Edge TPU, which no profile here has.", remedy="Leave it out.")
    if options["tpu_runtime"] is not None and options["edgetpu_model"] is not None:
        raise UsageError(
            "`--tpu-runtime` is for the compiler, and `--edgetpu-model` is compiled already.",
            remedy="Leave one of them out.",
        )


def compile_order(options: dict[str, Any]) -> CompileOrder:
    """Return what the options say.

    Raises:
        FileError: The compiled model cannot be read.
    """
    from edge_aigc.bundle import FILE_LIMIT_BYTES
    from edge_aigc.converters.targets.target import CompileOrder
    from edge_aigc.files import read_whole

    path: Path | None = options["edgetpu_model"]
    compiled = None if path is None else read_whole(path, limit_bytes=FILE_LIMIT_BYTES, what="compiled model")
    return CompileOrder(min_tpu_runtime=options["tpu_runtime"], compiled=compiled)
