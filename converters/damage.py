"""What readers of FlatBuffers raise on bytes that are none, made into one error."""

from __future__ import annotations

import struct

from edge_aigc.errors import ConversionError

DAMAGED = (
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
"""The readers check nothing: a wrong offset or length surfaces as any of these."""


def damaged(exc: Exception) -> ConversionError:
    """Return the error for a flatbuffer whose reading raised one of `DAMAGED`."""
    return ConversionError(
        f"The TFLite flatbuffer is damaged: {type(exc).__name__}: {exc}.",
        remedy="Copy it again, or convert the model again.",
    )
