"""Text: a string to the bytes of a file."""

from __future__ import annotations

from edge_aigc.media.formats import format_named


def encode(text: str, name: str | None = None) -> bytes:
    """Return a text file: UTF-8, and nothing after the text.

    Raises:
        InputError: There is no such format for text.
    """
    format_named("text", name)
    return text.encode()
