"""An output of any medium to the bytes of a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.media import audio, image, points
from edge_aigc.media.formats import format_named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_aigc.spec import Output


def encode(values: NDArray[np.generic], output: Output, name: str | None = None) -> bytes:
    """Return the bytes of a file.

    Args:
        values: The output tensor, the batch of 1 included.
        output: What it is.
        name: A format of its medium; None takes the default.

    Raises:
        InputError: The medium has no such format, or the format cannot hold it.
    """
    chosen = format_named(output.media, name)
    if output.media == "image":
        return image.encode(values, output, chosen.name)
    if output.media == "audio":
        return audio.encode(values, output)
    if output.media == "points":
        return points.encode(values, output, chosen.name)
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
