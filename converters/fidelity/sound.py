"""Log-mel spectra: how different two sounds are to an ear, not to a subtraction."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

BANDS = 64
"""VGGish's, on which the Fréchet audio distance is built: Hershey et al., arXiv:1609.09430, 3.1."""
_WINDOW_S = 0.025
"""VGGish's frames, likewise, rounded up to a power of two; they overlap by three quarters."""
_OVERLAP = 4
_FLOOR_DB = 80.0
"""Below the loudest band of the reference nothing counts: librosa's `top_db`; 16 bits hold 96 dB."""


def log_mel_distance(reference: Array, found: Array, output: Output) -> float:
    """Return how far the log-mel spectra lie apart, decibels: root mean square over bands, mean over frames.

    Args:
        reference: Shape (1, samples) or (1, samples, channels).
        found: The same shape.
        output: States the range and the sample rate.
    """
    power_a, power_b = (mel_power(values, output) for values in (reference, found))
    floor = float(power_a.max()) * 10 ** (-_FLOOR_DB / 10) or np.finfo(np.float64).tiny
    a, b = (10 * np.log10(np.maximum(power, floor)) for power in (power_a, power_b))
    return float(np.mean(np.sqrt(np.mean((a - b) ** 2, axis=-1))))


def log_mel(values: Array, output: Output) -> Array:
    """Return the log-mel spectrum in decibels under the range's full scale, shape (channels, frames, bands)."""
    floor = 10 ** (-_FLOOR_DB / 10)
    decibels: Array = 10 * np.log10(np.maximum(mel_power(values, output), floor))
    return decibels


def mel_power(values: Array, output: Output) -> Array:
    """Return the power in each mel band, shape (channels, frames, bands); 1 is a sine at the range's full scale."""
    assert output.range is not None  # the specification demands both of sounds
    assert output.sample_rate is not None
    low, high = output.range
    sound = (2 * np.clip(values[0].astype(np.float64), low, high) - (low + high)) / (high - low)
    channels = sound.reshape(len(sound), -1).T
    width = 1 << int(np.ceil(np.log2(_WINDOW_S * output.sample_rate)))
    if channels.shape[1] < width:
        channels = np.pad(channels, [(0, 0), (0, width - channels.shape[1])])
    frames = np.lib.stride_tricks.sliding_window_view(channels, width, axis=1)[:, :: width // _OVERLAP]
    window = np.hanning(width + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * window) * (2 / window.sum())) ** 2
    bands: Array = power @ _filters(width, output.sample_rate)
    return bands


@functools.cache
def _filters(width: int, sample_rate: int) -> Array:
    """Return triangles on the mel scale of HTK, shape (frequencies, bands), as dense as the spectrum allows."""
    frequencies = np.arange(width // 2 + 1) * (sample_rate / width)
    # HTK book, 5.4: mel = 2595 log10(1 + f / 700). A triangle narrower than two frequencies would catch none.
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    rising = (frequencies[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - frequencies[:, None]) / np.diff(edges)[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    kept: Array = triangles[:, triangles.sum(axis=0) > 0]
    return kept
