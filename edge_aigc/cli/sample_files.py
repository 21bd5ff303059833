"""Where samples are saved: files that the user names, or names of ours in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.errors import FileError
from edge_aigc.files import read_whole, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS = (
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help="Folder, or the file for one sample, which is replaced; default: here, and texts on stdout.",
    ),
    click.option("--force", is_flag=True, help="Replace files of the same name that hold something else."),
)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where samples go."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def sample_path(output: Path | None, name: str, *, single: bool) -> Path:
    """Return where a sample goes.

    Args:
        output: What the user gave: a file, a folder, or None for the current folder.
        name: Of the file, where the user names none.
        single: Whether it is the only one; several never go into one file.
    """
    if output is None:
        return Path(name)
    return output if single and output.suffix and not output.is_dir() else output / name


def asked_format(output: Path | None) -> str | None:
    """Return the format that a file's name asks for, if it names a file."""
    return output.suffix.removeprefix(".").lower() or None if output is not None and not output.is_dir() else None


def save_sample(path: Path, content: bytes, *, replace: bool) -> None:
    """Write a sample, whole or not at all.

    Args:
        path: The file.
        content: All of its bytes.
        replace: Whether a file that holds something else may go: the user named it, or said `--force`.

    Raises:
        FileError: The file is there and holds something else, or the file system refused.
    """
    if not replace and path.is_file() and not _holds(path, content):
        raise FileError(
            f"{path} is there already and holds something else.",
            remedy="Choose another folder or name the file with `-o`, or replace it with `--force`.",
        )
    write_whole(path, content)


def _holds(path: Path, content: bytes) -> bool:
    size = len(content)
    return path.stat().st_size == size and read_whole(path, limit_bytes=size, what="file") == content
