"""The file formats of each medium: names, suffixes, content types.

Imports no NumPy: the daemon's parent and the subscriber use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_aigc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.tensors import Media


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One file format."""

    name: str
    suffix: str
    content_type: str


FORMATS: Mapping[Media, tuple[Format, ...]] = {
    # The default first: lossless, and what Home Assistant, browsers and viewers all show.
    "image": (
        Format(name="png", suffix=".png", content_type="image/png"),
        Format(name="webp", suffix=".webp", content_type="image/webp"),
        Format(name="jpeg", suffix=".jpg", content_type="image/jpeg"),
    ),
    # 16-bit PCM: the one form of WAV that every player takes.
    "audio": (Format(name="wav", suffix=".wav", content_type="audio/wav"),),
    # No registered content type exists for PLY; this one is what viewers go by.
    "points": (
        Format(name="ply", suffix=".ply", content_type="application/x-ply"),
        Format(name="ply-ascii", suffix=".ply", content_type="application/x-ply"),
    ),
    "text": (Format(name="txt", suffix=".txt", content_type="text/plain; charset=utf-8"),),
    "raw": (Format(name="npy", suffix=".npy", content_type="application/octet-stream"),),
}


def format_named(media: Media, name: str | None) -> Format:
    """Return a format of a medium; None means its default.

    Raises:
        InputError: The medium has no such format.
    """
    formats = FORMATS[media]
    if name is None:
        return formats[0]
    for entry in formats:
        if name in {entry.name, entry.suffix.removeprefix(".")}:
            return entry
    raise InputError(
        f"There is no format {name!r} for {media}.",
        remedy=f"Choose one of {', '.join(entry.name for entry in formats)}.",
    )


def suffix_for(content_type: str) -> str:
    """Return the file suffix of a content type, ``.bin`` for one that we do not know."""
    for formats in FORMATS.values():
        for entry in formats:
            if entry.content_type == content_type:
                return entry.suffix
    return ".bin"
