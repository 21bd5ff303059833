"""Sounds: arrays to WAV."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[np.generic]
Pcm: TypeAlias = NDArray[np.int16]

_LOUDEST = 32767
"""Of 16-bit PCM. Full scale is symmetric, so that silence stays silent and nothing wraps around."""
_SAMPLE_BYTES = 2


def to_pcm(values: Array, output: Output) -> Pcm:
    """Return 16-bit samples, shape (samples, channels).

    Args:
        values: Shape (1, samples) or (1, samples, channels), clipped to the output's range here.
        output: States the range.
    """
    assert output.range is not None  # the specification demands it of sounds
    low, high = output.range
    clipped = np.clip(values[0].astype(np.float64), low, high)
    share = (2.0 * clipped - (low + high)) / (high - low)
    pcm: Pcm = np.rint(share * _LOUDEST).astype("<i2").reshape(values.shape[1], -1)
    return pcm


def encode(values: Array, output: Output) -> bytes:
    """Return a WAV file: 16-bit PCM at the output's sample rate.

    Args:
        values: Shape (1, samples) or (1, samples, channels).
        output: States the range and the sample rate.
    """
    assert output.sample_rate is not None  # the specification demands it of sounds
    pcm = to_pcm(values, output)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(pcm.shape[1])
        file.setsampwidth(_SAMPLE_BYTES)
        file.setframerate(output.sample_rate)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()
