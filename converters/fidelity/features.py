"""Samples as few numbers that tell one kind from another: what distances between distributions are taken of.

Pictures are seen by a small convolutional net that ships with us (`features.md`), sounds as log-mel statistics,
clouds as the quantiles of their axes, text by the shares of its tokens, plain numbers as they are.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.fidelity.sound import log_mel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

_SIDE_PX = 64
"""Larger pictures are averaged down to this: the net learnt from 32."""
_LEAST_PX = 32
_STRIDES = (1, 2, 2, 2, 1)
_QUANTILES = np.linspace(0, 1, 17)
_MOST = 512
"""Numbers kept of a sample that nothing more is known of, evenly spaced."""
_BATCH = 16
_DECIBELS = 10.0
"""A feature of a sound moves by 1 when it becomes ten times as strong."""


def features_of(samples: Sequence[Array], output: Output) -> tuple[str, Array]:
    """Return the name of the description, and one row of features for each sample.

    Args:
        samples: Outputs with the batch of 1; of text, logits.
        output: What they are.
    """
    name, describe = _DESCRIBED.get(output.media, ("values", _values))
    return name, describe(samples, output)


def _pictures(samples: Sequence[Array], output: Output) -> Array:
    rows = [
        _seen(np.concatenate([_prepared(sample, output) for sample in samples[start : start + _BATCH]]))
        for start in range(0, len(samples), _BATCH)
    ]
    return np.concatenate(rows)


def _prepared(sample: Array, output: Output) -> Array:
    """Return a picture as the net takes it: RGB, 0 to 1, sides of about 32 to 64."""
    assert output.range is not None  # the specification demands it of images
    low, high = output.range
    share = (np.clip(sample.astype(np.float32), low, high) - low) / (high - low)
    if share.shape[-1] == 1:
        share = np.repeat(share, 3, axis=-1)
    share = share[..., :3]
    shrink = -(-max(share.shape[1:3]) // _SIDE_PX)
    if shrink > 1:
        share = _averaged(share, shrink)
    grow = max(1, _LEAST_PX // min(share.shape[1:3]))
    return share.repeat(grow, axis=1).repeat(grow, axis=2) if grow > 1 else share


def _averaged(pictures: Array, factor: int) -> Array:
    count, height, width, channels = pictures.shape
    rows, columns = max(1, height // factor), max(1, width // factor)
    tall, wide = min(factor, height), min(factor, width)
    whole = pictures[:, : rows * tall, : columns * wide]
    means: Array = whole.reshape(count, rows, tall, columns, wide, channels).mean(axis=(2, 4))
    return means


@functools.cache
def _net() -> Mapping[str, Array]:
    with files(__package__).joinpath("features.npz").open("rb") as file, np.load(file) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}


def _seen(pictures: Array) -> Array:
    net, x, means = _net(), pictures, []
    for index, stride in enumerate(_STRIDES):
        x = _convolved(x, net[f"kernel{index}"], net[f"bias{index}"], stride)
        if index:
            means.append(x.mean(axis=(1, 2)))
    features: Array = np.concatenate(means, axis=1) / net["spread"]
    return features.astype(np.float64)


def _convolved(x: Array, kernel: Array, bias: Array, stride: int) -> Array:
    """Return ReLU of a 3x3 convolution with a border of zeros."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::stride, ::stride]
    count, height, width = windows.shape[:3]
    flat = windows.reshape(count * height * width, -1) @ kernel.transpose(2, 0, 1, 3).reshape(-1, kernel.shape[-1])
    made: Array = np.maximum(flat + bias, 0).reshape(count, height, width, -1)
    return made


def _sounds(samples: Sequence[Array], output: Output) -> Array:
    spectra = [np.concatenate(log_mel(sample, output)) for sample in samples]
    return np.stack([np.concatenate([spectrum.mean(0), spectrum.std(0)]) for spectrum in spectra]) / _DECIBELS


def _clouds(samples: Sequence[Array], output: Output) -> Array:
    del output
    return np.stack([np.quantile(sample[0].astype(np.float64), _QUANTILES, axis=0).ravel() for sample in samples])


def _texts(samples: Sequence[Array], output: Output) -> Array:
    """Return the shares of each token among the most likely ones, under a square root: Hellinger's distances."""
    del output
    tokens = [np.argmax(sample, axis=-1).ravel() for sample in samples]
    counts = np.stack([np.bincount(found, minlength=samples[0].shape[-1]) / len(found) for found in tokens])
    used = counts.sum(axis=0).argsort()[::-1][:_MOST]
    shares: Array = np.sqrt(counts[:, np.sort(used)])
    return shares


def _values(samples: Sequence[Array], output: Output) -> Array:
    flat = np.stack([sample.ravel() for sample in samples]).astype(np.float64)
    if output.range is not None:
        flat = np.clip(flat, *output.range) / (output.range[1] - output.range[0])
    step = -(-flat.shape[1] // _MOST)
    kept: Array = flat[:, ::step]
    return kept


_DESCRIBED: Mapping[str, tuple[str, Callable[[Sequence[Array], Output], Array]]] = {
    "image": ("pictures-1", _pictures),
    "audio": ("log-mel-1", _sounds),
    "points": ("quantiles-1", _clouds),
    "text": ("tokens-1", _texts),
}
