"""Generators of every common kind, with random weights: what estimates are fitted on and judged by.

`FITTED` and `HELD_OUT` share no net: constants of the cost model may be chosen on the first only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

Net: TypeAlias = Callable[[], Any]
"""Builds a Keras model whose sizes are all fixed."""


def _keras() -> Any:
    import keras

    keras.utils.set_random_seed(7)
    return keras


def dcgan(*, width: int = 256, latent: int = 100) -> Any:
    """Four transposed convolutions to 64x64x3 (Radford et al. 2015, narrower)."""
    keras = _keras()
    layers = keras.layers
    seed = keras.Input((latent,), name="latent")
    x = layers.Reshape((4, 4, width))(layers.Dense(16 * width)(seed))
    for channels in (width // 2, width // 4, width // 8):
        x = layers.Conv2DTranspose(channels, 4, 2, "same", activation="relu")(x)
    return keras.Model(seed, layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh", name="image")(x))


def cyclegan(*, size: int = 64, width: int = 32, blocks: int = 3) -> Any:
    """Down, residual blocks, up, on pictures (Zhu et al. 2017, narrower, without instance norm)."""
    keras = _keras()
    layers = keras.layers
    picture = keras.Input((size, size, 3), name="picture")
    x = layers.Conv2D(width, 7, padding="same", activation="relu")(picture)
    x = layers.Conv2D(2 * width, 3, 2, padding="same", activation="relu")(x)
    x = layers.Conv2D(4 * width, 3, 2, padding="same", activation="relu")(x)
    for _ in range(blocks):
        y = layers.Conv2D(4 * width, 3, padding="same", activation="relu")(x)
        x = layers.Add()([x, layers.Conv2D(4 * width, 3, padding="same")(y)])
    x = layers.Conv2DTranspose(2 * width, 3, 2, "same", activation="relu")(x)
    x = layers.Conv2DTranspose(width, 3, 2, "same", activation="relu")(x)
    return keras.Model(picture, layers.Conv2D(3, 7, padding="same", activation="tanh", name="image")(x))


def vae_decoder(*, width: int = 64, latent: int = 32, size: int = 64) -> Any:
    """A dense layer, then bilinear upsampling and convolutions."""
    keras = _keras()
    layers = keras.layers
    seed = keras.Input((latent,), name="latent")
    x = layers.Reshape((size // 8, size // 8, width))(layers.Dense((size // 8) ** 2 * width, activation="relu")(seed))
    for channels in (width, width // 2, width // 4):
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
    return keras.Model(seed, layers.Conv2D(3, 3, padding="same", activation="sigmoid", name="image")(x))


def wgan_resnet(*, width: int = 64) -> Any:
    """Residual blocks with nearest upsampling to 32x32x3 (Gulrajani et al. 2017)."""
    keras = _keras()
    layers = keras.layers
    seed = keras.Input((128,), name="latent")
    x = layers.Reshape((4, 4, width))(layers.Dense(16 * width)(seed))
    for _ in range(3):
        y = layers.UpSampling2D(2)(layers.ReLU()(x))
        y = layers.Conv2D(width, 3, padding="same", activation="relu")(y)
        y = layers.Conv2D(width, 3, padding="same")(y)
        x = layers.Add()([y, layers.Conv2D(width, 1)(layers.UpSampling2D(2)(x))])
    return keras.Model(seed, layers.Conv2D(3, 3, padding="same", activation="tanh", name="image")(layers.ReLU()(x)))


def dense(*, width: int = 1024) -> Any:
    """Dense layers alone, to 28x28 (Goodfellow et al. 2014)."""
    keras = _keras()
    layers = keras.layers
    seed = keras.Input((100,), name="latent")
    x = layers.Dense(width, activation="relu")(seed)
    x = layers.LeakyReLU(0.2)(layers.Dense(width)(x))
    x = layers.Dense(28 * 28, activation="tanh")(x)
    return keras.Model(seed, layers.Reshape((28, 28, 1), name="image")(x))


def vocoder(*, width: int = 64, frames: int = 32) -> Any:
    """Mel frames to samples: transposed and dilated 1-D convolutions (HiFi-GAN, Kong et al. 2020, narrower)."""
    keras = _keras()
    layers = keras.layers
    mel = keras.Input((frames, 80), name="mel")
    x = layers.Conv1D(width, 7, padding="same")(mel)
    for stride in (8, 8):
        width //= 2
        x = layers.Conv1DTranspose(width, 2 * stride, stride, "same")(layers.LeakyReLU(0.1)(x))
        for dilation in (1, 3):
            y = layers.Conv1D(width, 3, padding="same", dilation_rate=dilation)(layers.LeakyReLU(0.1)(x))
            x = layers.Add()([x, y])
    return keras.Model(mel, layers.Conv1D(1, 7, padding="same", activation="tanh", name="sound")(x))


def unet(*, size: int = 64, width: int = 16) -> Any:
    """Down and up with skips between (Isola et al. 2017, narrower)."""
    keras = _keras()
    layers = keras.layers
    picture = keras.Input((size, size, 3), name="picture")
    x = layers.Conv2D(width, 3, padding="same", activation="relu")(picture)
    skips = []
    for factor in (2, 4, 8):
        skips.append(x)
        x = layers.LeakyReLU(0.2)(layers.Conv2D(factor * width, 4, 2, padding="same")(x))
    for factor, skip in zip((4, 2, 1), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(factor * width, 4, 2, "same", activation="relu")(x)
        x = layers.Concatenate()([x, skip])
    return keras.Model(picture, layers.Conv2D(3, 3, padding="same", activation="tanh", name="image")(x))


def separable(*, size: int = 64, width: int = 48) -> Any:
    """A small upscaler of depthwise and pointwise convolutions."""
    keras = _keras()
    layers = keras.layers
    picture = keras.Input((size, size, 3), name="picture")
    x = layers.Conv2D(width, 3, padding="same", activation="relu")(picture)
    for _ in range(4):
        y = layers.DepthwiseConv2D(3, padding="same")(x)
        x = layers.Add()([x, layers.Conv2D(width, 1, activation="relu")(y)])
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.Conv2D(12, 1)(x))
    return keras.Model(picture, layers.Conv2D(3, 3, padding="same", activation="sigmoid", name="image")(x))


FITTED: Mapping[str, Net] = {
    # Widths as generators have them: powers of two mostly, and some that no vector length divides.
    "dcgan-28": lambda: dcgan(width=128, latent=64),
    "dcgan-384": lambda: dcgan(width=384),
    "cyclegan-48": lambda: cyclegan(size=48, width=24, blocks=2),
    "cyclegan-96": lambda: cyclegan(size=96, width=16, blocks=2),
    "vae-48": lambda: vae_decoder(width=48, latent=16, size=48),
    "vae-128": lambda: vae_decoder(width=128, latent=16, size=32),
    "wgan-48": lambda: wgan_resnet(width=48),
    "wgan-128": lambda: wgan_resnet(width=128),
    "dense-512": lambda: dense(width=512),
    "vocoder-16": lambda: vocoder(width=96, frames=16),
    "vocoder-24": lambda: vocoder(width=128, frames=24),
    "unet-32": lambda: unet(size=32, width=24),
    "unet-64": lambda: unet(size=32, width=32),
    "separable-32": lambda: separable(size=32, width=64),
    "separable-80": lambda: separable(size=80, width=32),
}
HELD_OUT: Mapping[str, Net] = {
    "dcgan": dcgan,
    "cyclegan": cyclegan,
    "vae": vae_decoder,
    "wgan": wgan_resnet,
    "dense": dense,
    "dense-wide": lambda: dense(width=3072),
    "vocoder": vocoder,
    "unet": unet,
    "separable": separable,
}


def keras_file(build: Net, folder: Path, name: str) -> Path:
    """Save a net and return its path."""
    path = folder / f"{name}.keras"
    build().save(path)
    return path


def flatbuffers(build: Net, name: str) -> dict[str, bytes]:
    """Return a net in every recipe, as `convert` makes them."""
    from edge_aigc.converters.sources.keras import load_keras

    with tempfile.TemporaryDirectory() as folder:
        return recipes_of(load_keras(keras_file(build, Path(folder), name)))


def recipes_of(source: Any) -> dict[str, bytes]:
    """Return a source in every recipe; int8 is calibrated on noise, whose speed is that of any values."""
    import numpy as np

    from edge_aigc.converters.quantize import quantize

    dice = np.random.default_rng(1)
    samples = [[dice.standard_normal(fact.shape, np.float32) for fact in source.inputs] for _ in range(4)]
    return {
        recipe: quantize(source.flatbuffer, recipe, calibration=samples, int8_borders=False)  # type: ignore[arg-type]
        for recipe in ("float32", "float16", "dynamic", "int8")
    }
