"""Counts that need not be made again: those that ship with us, and the user's own in the cache folder.

One file for each place (CPU, runtime, Python), JSON, a line a count, sorted, so that a change can be read.
"""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.files import cache_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

METHOD = 1
"""Raised when the way of counting changes what it finds; counts of another method are ignored."""
SHIPPED = Path(__file__).with_name("counts")
_KEY_CHARACTERS = 16


class _Counts(msgspec.Struct, frozen=True):
    place: str
    method: int
    counts: dict[str, int]


def key_of(flatbuffer: bytes) -> str:
    """Return what a flatbuffer's count is remembered by."""
    return hashlib.sha256(flatbuffer).hexdigest()[:_KEY_CHARACTERS]


def recall(place: str) -> dict[str, int]:
    """Return every count that is known of a place, by key; the user's own win over those that ship."""
    return {**shipped(place), **_read(_file(_user_folder(), place), place)}


def remember(place: str, counts: Mapping[str, int]) -> dict[str, int]:
    """Keep counts in the user's cache folder, and return everything that is known of the place.

    Raises:
        FileError: The folder cannot be written.
    """
    file = _file(_user_folder(), place)
    write(file, place, {**_read(file, place), **counts})
    return recall(place)


@functools.cache
def shipped(place: str) -> Mapping[str, int]:
    """Return the counts of a place that ship with us."""
    return _read(_file(SHIPPED, place), place)


def write(file: Path, place: str, counts: Mapping[str, int]) -> None:
    """Write a file of counts.

    Raises:
        FileError: It cannot be written.
    """
    record = _Counts(place=place, method=METHOD, counts=dict(sorted(counts.items())))
    write_whole(file, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def file_name(place: str) -> str:
    """Return what the file of a place is called."""
    return re.sub(r"[^a-z0-9.]+", "-", place.lower()) + ".json"


def _user_folder() -> Path:
    return cache_folder() / "counts"


def _file(folder: Path, place: str) -> Path:
    return folder / file_name(place)


def _read(file: Path, place: str) -> dict[str, int]:
    try:
        record = msgspec.json.decode(file.read_bytes(), type=_Counts)
    except (OSError, msgspec.MsgspecError):
        return {}  # a cache: what cannot be read is counted again
    return record.counts if (record.place, record.method) == (place, METHOD) else {}
