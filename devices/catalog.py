"""Find and read device profiles: those that ship, those in folders of the user's, and this machine."""

from __future__ import annotations

import difflib
import importlib.resources
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_aigc.errors import ProfileError
from edge_aigc.files import read_whole
from edge_aigc.profile import PROFILE_LIMIT_BYTES, DeviceProfile, decode_profile, merged, parse_profile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

FOLDERS_VARIABLE = "EDGE_AIGC_PROFILES"
"""Folders with profiles of the user's own, separated as in PATH."""
HOST = "host"

_SHIPPED = importlib.resources.files("edge_aigc.devices") / "profiles"


def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles, sorted: one for each TOML file, and ``host`` for this machine.

    >>> {"rpi4", "host"} <= set(profile_names())
    True
    """
    return tuple(sorted({HOST, *_files()}))


def find_profile(name: str) -> DeviceProfile:
    """Return a profile by name.

    >>> find_profile("rpi4").target
    'xnnpack'

    Raises:
        ProfileError: There is none of this name, or it cannot be read.
    """
    if name == HOST:
        from edge_aigc.devices.host import host_profile

        return host_profile()
    files = _files()
    if name not in files:
        raise _unknown(name)
    return parse_profile(_fields(name, files, ()), origin=f"{name}.toml")


def user_folders() -> tuple[Path, ...]:
    """Return where the user's own profiles lie: `EDGE_AIGC_PROFILES`, else the XDG configuration folder."""
    stated = os.environ.get(FOLDERS_VARIABLE)
    if stated is not None:
        return tuple(Path(folder) for folder in stated.split(os.pathsep) if folder)
    configuration = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return (Path(configuration) / "edge-aigc" / "profiles",)


def stated_fields(name: str) -> dict[str, Any]:
    """Return what the TOML of a profile states itself, without what it extends.

    Raises:
        ProfileError: There is none of this name, or it is no TOML.
    """
    files = _files()
    if name not in files:
        raise _unknown(name)
    return _decoded(name, files[name])


def _files() -> dict[str, Path | Traversable]:
    files: dict[str, Path | Traversable] = {
        entry.name.removesuffix(".toml"): entry for entry in _SHIPPED.iterdir() if entry.name.endswith(".toml")
    }
    for path in _of_the_user():
        if path.stem in files or path.stem == HOST:
            raise ProfileError(
                f"The profile {path} has the name of another.",
                remedy=f'Name it differently; it can still say `extends = "{path.stem}"`.',
            )
        files[path.stem] = path
    return files


def _of_the_user() -> Iterator[Path]:
    for folder in user_folders():
        if folder.is_dir():
            yield from sorted(folder.glob("*.toml"))


def _fields(name: str, files: dict[str, Path | Traversable], seen: tuple[str, ...]) -> dict[str, Any]:
    fields = {"name": name, **_decoded(name, files[name])}
    if fields["name"] != name:
        raise ProfileError(
            f"The profile {name}.toml calls itself {fields['name']!r}.",
            remedy="Name the file as the profile, or leave `name` out: the file's is taken.",
        )
    base = fields.get("extends")
    if base is None:
        return fields
    if not isinstance(base, str) or base not in files or base in {*seen, name}:
        how = "goes round in a circle" if base in (*seen, name) else "is not there"
        raise ProfileError(
            f"The profile {name}.toml extends {base!r}, which {how}.", remedy="Name a profile that stands alone."
        )
    return merged(_fields(base, files, (*seen, name)), fields)


def _decoded(name: str, file: Path | Traversable) -> dict[str, Any]:
    if isinstance(file, Path):
        content = read_whole(file, limit_bytes=PROFILE_LIMIT_BYTES, what="profile")
    else:
        content = file.read_bytes()
    return decode_profile(content, origin=f"{name}.toml")


def _unknown(name: str) -> ProfileError:
    names = profile_names()
    near = difflib.get_close_matches(name, names, n=3)
    return ProfileError(
        f"There is no profile {name!r}.",
        remedy=f"Did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"There are {', '.join(names)}; your own go into {user_folders()[0]}.",
    )
