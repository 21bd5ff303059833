"""Lift: a float graph as a function of `keras.ops` with weights that can be trained."""

from edge_aigc.converters.lift.lifted import Lifted, lift

__all__ = ["Lifted", "lift"]
