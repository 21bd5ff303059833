"""Sizes as people write them."""

from __future__ import annotations

import re

import click

_SIZE = re.compile(r"^(\d{1,15}(?:\.\d{1,3})?)\s*([kKMG]i?)?B?$")
_UNITS = {
    "": 1,
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "Ki": 1 << 10,
    "ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
}


def parse_size(ctx: click.Context, param: click.Parameter, word: str | None) -> int | None:
    """Return bytes: a click callback for ``200000000``, ``200M``, ``512MB``, ``1.5GiB``."""
    if word is None:
        return None
    match = _SIZE.match(word.strip())
    size_bytes = int(float(match[1]) * _UNITS[match[2] or ""]) if match else 0
    if match and not size_bytes:
        raise click.BadParameter(f"{word!r} is nothing, and no model fits into that.", ctx, param)
    if not match:
        raise click.BadParameter(f"{word!r} is not a size, for example 512MB, 1.5GiB or 200000000.", ctx, param)
    return size_bytes


def shown_size(size_bytes: int) -> str:
    """Return a size for people.

    >>> shown_size(384_000_000), shown_size(1_240_000)
    ('384 MB', '1.2 MB')
    """
    megabytes = size_bytes / 1e6
    return f"{megabytes:,.0f} MB" if megabytes >= 100 else f"{megabytes:.1f} MB"  # noqa: PLR2004 - three digits
