"""Convolutions of stride 1 by fewer multiplications: Winograd's minimal filtering in flatbuffer operators."""

from edge_aigc.converters.rewrites.winograd.rewrite import TILES, Winograd

__all__ = ["TILES", "Winograd"]
