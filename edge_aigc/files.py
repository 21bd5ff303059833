"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

from edge_aigc.errors import FileError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or none: temporary file, fsync, rename.

    Args:
        path: Where the file shall stand; its folder is made if it is missing.
        content: All of its bytes.

    Raises:
        FileError: The file system refused; nothing is left behind.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            # mkstemp makes files that only their owner reads; a result is for everybody umask lets.
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - one call, no Path object for the temporary name
        temporary = None
        _sync_folder(path.parent)
    except OSError as exc:
        raise _explained(exc, path, len(content)) from exc
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108 - as above


def require_folder(folder: Path) -> None:
    """Make sure that files can be written into a folder, before minutes are spent on what goes there.

    Args:
        folder: It may be missing: then it can be made.

    Raises:
        FileError: It is a file, or the file system refuses; nothing is left behind.
    """
    nearest = folder.absolute()
    try:
        while not nearest.exists():
            nearest = nearest.parent
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as exc:
        raise _explained(exc, folder, 0) from exc


def read_whole(path: Path, *, limit_bytes: int, what: str) -> bytes:
    """Read a file of at most a given size.

    Args:
        path: The file.
        limit_bytes: A larger file is refused unread.
        what: What the file is to the user, for the message.

    Raises:
        FileError: It is missing, not readable, not a file, or too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as exc:
        raise FileError(
            f"Cannot read the {what} {path}: {exc.strerror}.",
            remedy="Check the path and its permissions.",
        ) from exc
    if len(content) > limit_bytes:
        raise FileError(
            f"The {what} {path} is larger than {limit_bytes:,} B.",
            remedy="Give a smaller one.",
        )
    return content


def cache_folder() -> Path:
    """Return where what was slow to make or to get is kept; it may be deleted at any time.

    The variable EDGE_AIGC_CACHE names it; else it is ``edge-aigc`` in the user's cache folder.

    Source: XDG Base Directory Specification, `XDG_CACHE_HOME`.
    """
    if named := os.environ.get("EDGE_AIGC_CACHE"):
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "edge-aigc"


def _explained(exc: OSError, path: Path, size: int) -> FileError:
    # What the cache holds is nobody's output: `-o` does not move it.
    option = "EDGE_AIGC_CACHE" if path.absolute().is_relative_to(cache_folder()) else "`-o`"
    if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(path.parent).free
            return FileError(
                f"No room for {path}: it needs {size:,} B, {free:,} B are free.",
                remedy=f"Free some space or choose another folder with {option}.",
            )
    return FileError(
        f"Cannot write {path}: {exc.strerror}.",
        remedy=f"Choose a folder that you may write to, with {option}.",
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    # Without this a power cut may forget the rename (fsync(2), "the directory containing the file").
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
