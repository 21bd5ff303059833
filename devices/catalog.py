"""Find and read device profiles."""

from __future__ import annotations

import difflib
import importlib.resources

from edge_aigc.errors import ProfileError
from edge_aigc.profile import DeviceProfile, parse_profile

_FOLDER = importlib.resources.files("edge_aigc.devices") / "profiles"


def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles, sorted: one for each TOML file.

    >>> "rpi4" in profile_names()
    True
    """
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in _FOLDER.iterdir() if entry.name.endswith(".toml"))
    )


def find_profile(name: str) -> DeviceProfile:
    """Return a profile by name.

    >>> find_profile("rpi4").target
    'xnnpack'

    Raises:
        ProfileError: There is none of this name, or it cannot be read.
    """
    names = profile_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise ProfileError(
            f"There is no profile {name!r}.",
            remedy=f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(names)}.",
        )
    origin = f"{name}.toml"
    profile = parse_profile((_FOLDER / origin).read_bytes(), origin=origin)
    if profile.name != name:
        raise ProfileError(
            f"The profile {origin} calls itself {profile.name!r}.", remedy="Name the file as the profile."
        )
    return profile
