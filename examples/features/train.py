"""Train the feature net that ships in `converters/fidelity/`: what the Fréchet distance of pictures looks with.

    python examples/features/train.py --output features.npz

Learns, from letters and emoji drawn from free fonts of Debian (packages `fonts-noto-color-emoji` and those of the
digits example), which of them a picture shows *and* how it was damaged: by noise, blur, fewer levels, coarse pixels.
The first makes features that tell things apart, the second features that move with damage.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Float32 = NDArray[np.float32]

SIDE_PX = 32
_DRAWN_PX = 64
_STRIKE_PX = 109  # the one size of NotoColorEmoji's bitmaps
_EMOJI = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
_RANGES = ((0x1F300, 0x1F650), (0x1F680, 0x1F6E0), (0x1F900, 0x1FA00))
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabdefghijkmnpqrtuy0123456789&@#%?"
_FONTS = 60
CHANNELS = (16, 32, 48, 64, 64)
STRIDES = (1, 2, 2, 2, 1)
DAMAGES = 4
_SPREAD_FLOOR = 1e-3  # a feature that hardly moves is not blown up into noise


def bank() -> tuple[Float32, NDArray[np.int64], NDArray[np.bool_]]:
    """Draw everything once: RGBA (n, 64, 64, 4) in [0, 1], the class of each, and whether it may be tinted."""
    pictures, classes, tintable = [], [], []
    font = ImageFont.truetype(str(_EMOJI), _STRIKE_PX)
    kinds = 0
    for code in (code for low, high in _RANGES for code in range(low, high)):
        drawn = _drawn(chr(code), font, colour=True)
        if drawn is not None:
            pictures.append(drawn)
            classes.append(kinds)
            tintable.append(False)
            kinds += 1
    paths = sorted(Path("/usr/share/fonts").rglob("*.[ot]tf"))
    paths = [path for path in paths if path != _EMOJI]
    for path in paths[:: max(1, len(paths) // _FONTS)]:
        font = ImageFont.truetype(str(path), _DRAWN_PX)
        for offset, letter in enumerate(_LETTERS):
            drawn = _drawn(letter, font, colour=False)
            if drawn is not None:
                pictures.append(drawn)
                classes.append(kinds + offset)
                tintable.append(True)
    return np.stack(pictures), np.array(classes), np.array(tintable)


def _drawn(letter: str, font: Any, *, colour: bool) -> Float32 | None:
    canvas = Image.new("RGBA", (3 * _DRAWN_PX, 3 * _DRAWN_PX))
    ImageDraw.Draw(canvas).text((_DRAWN_PX // 2, _DRAWN_PX // 2), letter, font=font, embedded_color=colour)
    box = canvas.getbbox()
    if box is None:
        return None
    side = max(box[2] - box[0], box[3] - box[1], 8)
    centred = Image.new("RGBA", (side, side))
    centred.paste(canvas.crop(box), ((side - box[2] + box[0]) // 2, (side - box[3] + box[1]) // 2))
    return np.asarray(centred.resize((_DRAWN_PX, _DRAWN_PX), Image.Resampling.LANCZOS), np.float32) / 255.0


def batch(data: Any, rng: np.random.Generator, size: int) -> tuple[Any, Any, Any]:
    """Return pictures (size, 32, 32, 3) in [0, 1], their classes, and how strong each damage is."""
    pictures, classes, tintable = data
    rows = rng.integers(len(pictures), size=size)
    zoom, down, right = rng.uniform(0.9, 1.6, size), rng.uniform(-0.2, 0.2, size), rng.uniform(-0.2, 0.2, size)
    top, left = 0.5 - zoom / 2 + down, 0.5 - zoom / 2 + right
    boxes = np.stack([top, left, top + zoom, left + zoom], 1).astype(np.float32)
    drawn = tf.image.crop_and_resize(
        pictures[rows], boxes, np.arange(size, dtype=np.int32), (2 * SIDE_PX, 2 * SIDE_PX), "bilinear", 0.0
    )
    drawn = tf.nn.avg_pool2d(drawn, 2, 2, "VALID")
    colour, alpha = drawn[..., :3], drawn[..., 3:]
    ink = rng.uniform(0, 1, (size, 1, 1, 3)).astype(np.float32)
    colour = tf.where(tintable[rows][:, None, None, None], alpha * ink, colour * alpha)
    coarse = rng.uniform(0, 1, (size, 2, 2, 3)).astype(np.float32)
    flat = rng.uniform(0, 1, (size, 1, 1, 3)).astype(np.float32)
    ground = tf.image.resize(flat + (coarse - 0.5) * rng.uniform(0, 0.8, (size, 1, 1, 1)), (SIDE_PX, SIDE_PX))
    clean = tf.clip_by_value(colour + (1.0 - alpha) * tf.cast(ground, tf.float32), 0.0, 1.0)
    grey = rng.random((size, 1, 1, 1)) < 0.25  # noqa: PLR2004 - a quarter without colour, as many generators are
    clean = tf.where(grey, tf.reduce_mean(clean, -1, keepdims=True) * tf.ones((1, 1, 1, 3)), clean)
    return (*_damaged(clean, rng, size), classes[rows])


def _damaged(clean: Any, rng: np.random.Generator, size: int) -> tuple[Any, Float32]:
    kind = rng.integers(DAMAGES + 2, size=size)  # the last two: none
    level = rng.uniform(0, 1, size).astype(np.float32)
    each = level[:, None, None, None]
    noisy = clean + 0.3 * each * rng.standard_normal(clean.shape).astype(np.float32)
    blurred, soft = clean, tf.constant(np.outer([1, 2, 1], [1, 2, 1])[..., None, None] / 16 * np.ones((1, 1, 3, 1)))
    for step in range(6):
        wider = tf.nn.depthwise_conv2d(
            tf.pad(blurred, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC"), tf.cast(soft, tf.float32), [1] * 4, "VALID"
        )
        share = tf.clip_by_value(6 * each - step, 0.0, 1.0)
        blurred = share * wider + (1 - share) * blurred
    levels = tf.round(2.0 + 30.0 * (1 - each) ** 2)
    stepped = tf.round(clean * levels) / levels
    coarse = tf.repeat(tf.repeat(tf.nn.avg_pool2d(clean, 2, 2, "VALID"), 2, 1), 2, 2)
    mixed = each * coarse + (1 - each) * clean
    found = clean
    for index, other in enumerate((noisy, blurred, stepped, mixed)):
        found = tf.where((kind == index)[:, None, None, None], other, found)
    target = np.zeros((size, DAMAGES), np.float32)
    hit = kind < DAMAGES
    target[np.arange(size)[hit], kind[hit]] = level[hit]
    return tf.clip_by_value(found, 0.0, 1.0), target


def build(classes: int) -> tuple[Any, Any]:
    """Return the net with its two heads, and the net up to its stages."""
    x = picture = keras.Input((None, None, 3))
    stages = []
    for channels, stride in zip(CHANNELS, STRIDES, strict=True):
        x = keras.layers.ZeroPadding2D(1)(x)
        x = keras.layers.Conv2D(channels, 3, stride, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.95)(x))
        stages.append(x)
    pooled = [keras.layers.GlobalAveragePooling2D()(stage) for stage in stages[1:]]
    features = keras.layers.Concatenate()(pooled)
    heads = [keras.layers.Dense(classes)(features), keras.layers.Dense(DAMAGES)(features)]
    return keras.Model(picture, heads), keras.Model(picture, features)


def train(seed: int, steps: int, size: int) -> tuple[Any, Any, Any]:
    """Return both nets, trained, and the data that they were trained on."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    data = bank()
    whole, features = build(int(data[1].max()) + 1)
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    optimizer = keras.optimizers.Adam(schedule)

    @tf.function
    def learn(pictures: Any, damage: Any, classes: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            named, harmed = whole(pictures, training=True)
            misread = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(classes, named, from_logits=True))
            misjudged = tf.reduce_mean((harmed - damage) ** 2)
            loss = misread + 30.0 * misjudged
        weights = whole.trainable_variables
        optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
        return misread, misjudged

    started = time.perf_counter()
    for step in range(steps):
        losses = learn(*batch(data, rng, size))
        if step % 200 == 0 or step + 1 == steps:
            words = ", ".join(f"{float(loss):.3f}" for loss in losses)
            sys.stderr.write(f"step {step:,}: {words} ({time.perf_counter() - started:.0f} s)\n")
    return whole, features, data


def packed(whole: Any, features: Any, data: Any, seed: int) -> dict[str, NDArray[Any]]:
    """Return what ships: convolutions with their norms folded in, float16, and each feature's spread."""
    convs = [layer for layer in whole.layers if isinstance(layer, keras.layers.Conv2D)]
    norms = [layer for layer in whole.layers if isinstance(layer, keras.layers.BatchNormalization)]
    arrays: dict[str, NDArray[Any]] = {}
    for index, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        gamma, beta, mean, variance = (np.asarray(value) for value in norm.get_weights())
        scale = gamma / np.sqrt(variance + norm.epsilon)
        arrays[f"kernel{index}"] = (np.asarray(conv.get_weights()[0]) * scale).astype(np.float16)
        arrays[f"bias{index}"] = (beta - mean * scale).astype(np.float16)
    pictures, _, _ = batch(data, np.random.default_rng(seed + 1), 4096)
    spread = np.asarray(features.predict(pictures, verbose=0)).std(0)
    arrays["spread"] = np.maximum(spread, _SPREAD_FLOOR).astype(np.float16)
    return arrays


def main() -> None:
    """Train as the command line says, and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3_600)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("features.npz"))
    options = parser.parse_args()
    whole, features, data = train(options.seed, options.steps, options.batch_size)
    np.savez(options.output, **packed(whole, features, data, options.seed))
    sys.stdout.write(f"{options.output}  {options.output.stat().st_size:,} B\n")


if __name__ == "__main__":
    main()
