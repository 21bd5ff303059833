"""What a device is to us: the keys of a profile, with units.

Profiles are TOML files, one a device, in `edge_aigc.devices.profiles`; this is the class that they
are read into. Both sides use it, so it lives here.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from edge_aigc.errors import ProfileError

Runtime: TypeAlias = Literal["litert", "tflite"]
"""ai-edge-litert, and tflite-runtime 2.14."""
RecipeName: TypeAlias = Literal["float32", "float16", "dynamic", "int8"]
TargetName: TypeAlias = Literal["xnnpack", "edgetpu"]

_NonEmpty = msgspec.Meta(min_length=1)


class DeviceProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of device. A fact that is not known is left out, not guessed."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    title: str
    target: TargetName
    """What compiles for it: a file of `edge_aigc.converters.targets`."""
    runtimes: Annotated[tuple[Runtime, ...], _NonEmpty]
    """A bundle loads on every one of them unless the user asks for one."""
    recipes: Annotated[tuple[RecipeName, ...], _NonEmpty]
    """What `--recipe` may name."""
    auto_recipes: Annotated[tuple[RecipeName, ...], _NonEmpty]
    """What `--recipe auto` chooses among by timing on the machine that converts."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Of the interpreter, by default: one leaves the other cores to the rest of the house."""
    cpu: str | None = None
    cores: Annotated[int, msgspec.Meta(ge=1)] | None = None
    isa: tuple[str, ...] = ()
    """Vector extensions beyond Armv8.0 that XNNPACK has kernels for: fp16, dotprod, i8mm."""
    ram_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Of the smallest variant of the board."""
    qemu_cpu: str | None = None
    accelerator: str | None = None
    notes: tuple[str, ...] = ()
    sources: dict[str, str]
    """Key above: where its value is stated or who measured it."""


def parse_profile(content: bytes, *, origin: str) -> DeviceProfile:
    """Read a profile from TOML.

    Args:
        content: The TOML text, UTF-8.
        origin: Its path, for messages.

    Raises:
        ProfileError: It is not TOML, or a key is missing, unknown or of a wrong type.
    """
    try:
        profile = msgspec.toml.decode(content, type=DeviceProfile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ProfileError(
            f"The profile {origin} cannot be read: {exc}.",
            remedy="Correct that key; `edge_aigc/profile.py` lists them all with their units.",
        ) from exc
    outside = [recipe for recipe in profile.auto_recipes if recipe not in profile.recipes]
    if outside:
        raise ProfileError(
            f"The profile {origin} lets `auto` choose {outside[0]!r}, which is not among its recipes.",
            remedy="Add it to `recipes` or take it out of `auto_recipes`.",
        )
    return profile
