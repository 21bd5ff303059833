"""What is slow to make is made once: folders named by the hash of what they are made from."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.errors import FileError
from edge_aigc.files import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_KEY_CHARACTERS = 16


def key_of(made_from: Mapping[str, object]) -> str:
    """Return the name of a folder: the same content gives the same name.

    >>> key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    True
    """
    encoded = msgspec.json.encode(made_from, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:_KEY_CHARACTERS]


def place_of(kind: str, made_from: Mapping[str, object]) -> Path:
    """Return where `built` puts a folder, whether it is there yet or not."""
    return cache_folder() / kind / key_of(made_from)


def built(kind: str, made_from: Mapping[str, object], make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, made first if it is not there.

    It appears whole or not at all, and of two processes that want the same one makes it.

    Args:
        kind: A plural; the folder's parent.
        made_from: Everything that decides the content; plain values only.
        make: Fills an empty folder. Paths into it hold until it returns: it is renamed then.

    Raises:
        FileError: The disk is full or refuses.
    """
    place = place_of(kind, made_from)
    if place.is_dir():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _locked(place.with_name(f".{place.name}.lock")):
            if not place.is_dir():
                _make(place, make)
    except OSError as exc:
        raise _explained(exc, place) from exc
    return place


def _make(place: Path, make: Callable[[Path], None]) -> None:
    for left in place.parent.glob(f".{place.name}.*.part"):
        shutil.rmtree(left, ignore_errors=True)  # of a process that was killed; we hold the lock
    temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent))
    try:
        temporary.chmod(0o755)
        make(temporary)
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _explained(exc: OSError, place: Path) -> FileError:
    if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        return disk_full(place)
    return FileError(
        f"Cannot write to the cache {place.parent}: {exc.strerror or exc}.",
        remedy="Name a folder that you may write to with EDGE_AIGC_CACHE.",
    )


def disk_full(place: Path) -> FileError:
    """Return the error that says so."""
    parents = (parent for parent in (place, *place.parents) if parent.exists())
    free = shutil.disk_usage(next(parents)).free
    return FileError(
        f"The disk is full: {free:,} B are free where {place.parent} lies.",
        remedy="Free some 500 MB, or name a folder on another disk with EDGE_AIGC_CACHE.",
    )
