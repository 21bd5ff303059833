"""The disks where we write: temporary files, and the cache."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.files import cache_folder
from edge_aigc.finding import Finding, as_root

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient

_WORK_BYTES = 16 << 20
"""A daemon's outbox, and what the interpreters say while they are silenced."""
_CACHE_BYTES = 1 << 30
"""Of a machine that converts: wheels and systems that devices are emulated with."""
_ELSEWHERE = ("/var/tmp", "/tmp", "/dev/shm")  # noqa: S108 - folders that the user is advised to use, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder that we write to."""

    what: str
    folder: Path
    """It need not exist yet."""
    variable: str
    """Of the environment, that moves it."""
    need_bytes: int


def places(*, is_host: bool) -> tuple[Place, ...]:
    """Return where we write."""
    # Python's own choice passes over folders that are full or read-only, without a word.
    temporary = Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - what POSIX says the default is
    return (
        Place(what="temporary files", folder=temporary, variable="TMPDIR", need_bytes=_WORK_BYTES),
        Place(
            what="cache",
            folder=cache_folder(),
            variable="EDGE_AIGC_CACHE",
            need_bytes=_CACHE_BYTES if is_host else _WORK_BYTES,
        ),
    )


def check(patient: Patient) -> list[Finding]:
    """Look at the disk below each folder, and write to it."""
    return [_examined(place, patient.user) for place in places(is_host=patient.is_host)]


def _examined(place: Place, user: str) -> Finding:
    folder = next((f for f in (place.folder, *place.folder.parents) if f.exists()), Path("/"))
    refusal = _refusal(folder)
    if refusal == errno.EROFS:
        return Finding(
            id="disk-readonly",
            severity="problem",
            message=f"The disk of {folder} ({place.what}) is mounted read-only.",
            remedy=as_root(f"mount -o remount,rw {shlex.quote(str(_mount(folder)))}"),
        )
    if refusal in {errno.EACCES, errno.EPERM}:
        return Finding(
            id="disk-forbidden",
            severity="problem",
            message=f"{user} may not write to {folder} ({place.what}).",
            remedy=_ours(place, user),
        )
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    no_inodes = status.f_files > 0 and status.f_favail == 0
    if refusal or no_inodes or free < place.need_bytes:
        files = " and no file more can be made" if no_inodes else ""
        return Finding(
            id="disk-full",
            severity="problem",
            message=f"{free:,} B are free at {folder} ({place.what}), needed are {place.need_bytes:,} B{files}.",
            remedy=_room(place),
        )
    return Finding(id="disk", severity="ok", message=f"{free:,} B are free at {folder} ({place.what}).")


def _refusal(folder: Path) -> int:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return 0
    except OSError as exc:
        return exc.errno or errno.EIO


def _mount(folder: Path) -> Path:
    folder = folder.resolve()
    return next(f for f in (folder, *folder.parents) if f.is_mount())


def _ours(place: Place, user: str) -> str:
    """Return the command that lets us write there, and never gives away a folder that is not ours alone."""
    quoted = shlex.quote(str(place.folder))
    if str(place.folder) in _ELSEWHERE:
        # Everybody's: file-hierarchy(7).
        return as_root(f"chmod 1777 {quoted}")
    return as_root(f"install -d -o {shlex.quote(user)} {quoted}")


def _room(place: Place) -> str:
    """Return the command that moves the folder to where there is room, or else makes some."""
    for name in _ELSEWHERE:
        folder = Path(name)
        if folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= 2 * place.need_bytes:
            target = folder if place.variable == "TMPDIR" else folder / "edge-aigc"
            return f"export {place.variable}={target}"
    return f"{as_root('apt-get clean')}; {as_root('journalctl --vacuum-size=20M')}"
