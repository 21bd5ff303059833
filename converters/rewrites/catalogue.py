"""All rewrites, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_aigc.converters.rewrites.rewrite import Alternative, Normalization

NORMALIZATIONS: tuple[Normalization, ...] = ()
"""In the order in which they run; again until none changes anything."""
ALTERNATIVES: tuple[Alternative, ...] = ()
"""Tried at each place in this order."""
