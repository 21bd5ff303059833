"""Train the digits generator: a class-conditional DCGAN of 28x28 pictures, small enough for a microcomputer.

The generator uses only what every target runs, the Edge TPU among them: Concatenate, Dense, Reshape, Conv2D,
Conv2DTranspose, BatchNormalization, ReLU and tanh. What is saved is a moving average of its weights.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"  # the training step below takes its gradients from TensorFlow
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from fonts import SIDE_PX, Jitter, NotDigitsError, Pixels, find, missing_packages, on_side, pictures, read_faces
from keras import layers, ops
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

CLASSES = 10
LATENT = 64
_BETAS = (0.5, 0.99)  # DCGAN's first moment (arXiv:1511.06434, 4); a short second one, as the loss moves
_DECAY_FROM = 0.5  # share of the steps after which the learning rates fall linearly to zero
_STEADY_EVERY = 8  # steps between two penalties, each weighted as much: lazy, arXiv:1912.04958
_SETTLING = 30, 256  # batches, and pictures in each, that refresh the statistics of the averaged weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how fast to train."""

    steps: int = 9_000
    batch_size: int = 32
    seed: int = 0
    generator_rate: float = 3e-4
    discriminator_rate: float = 6e-4
    """Twice the generator's: two time scales, arXiv:1706.08500."""
    legibility: float = 0.3
    """Weight of being read as the digit asked for, beside looking real (auxiliary classifier, arXiv:1610.09585)."""
    steadiness: float = 0.05
    """Weight of the discriminator's slope at real pictures. Spectral norms instead left the strokes ragged."""
    average: float = 0.999
    """Share of the averaged generator that each step keeps."""
    save_every: int = 500
    """Steps between two checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Players:
    """Both networks, their optimizers, and the generator's moving average."""

    generator: Any
    discriminator: Any
    averaged: Any
    generator_optimizer: Any
    discriminator_optimizer: Any


def build_generator() -> Any:
    """Latent ``(n, 64)`` and one-hot digit ``(n, 10)`` to pictures ``(n, 28, 28, 1)`` in [-1, 1]."""
    latent = keras.Input((LATENT,), name="latent")
    digit = keras.Input((CLASSES,), name="digit")
    x = layers.Concatenate(name="seed")([latent, digit])
    x = _lit(layers.Dense(7 * 7 * 48, use_bias=False, name="project")(x), "project")
    x = layers.Reshape((7, 7, 48), name="grid")(x)
    x = _lit(layers.Conv2D(96, 3, padding="same", use_bias=False, name="sketch")(x), "sketch")
    x = _lit(layers.Conv2DTranspose(56, 4, 2, padding="same", use_bias=False, name="outline")(x), "outline")
    x = _lit(layers.Conv2DTranspose(32, 4, 2, padding="same", use_bias=False, name="detail")(x), "detail")
    x = layers.Conv2D(1, 3, padding="same", name="ink")(x)
    image = layers.Activation("tanh", name="image")(x)
    return keras.Model([latent, digit], image, name="digits")


def build_discriminator() -> Any:
    """Picture to two answers of shape ``(n, 10)``: how real it looks as each digit, and logits of which digit it is."""
    x = image = keras.Input((SIDE_PX, SIDE_PX, 1), name="image")
    for channels in (48, 96, 192):
        x = layers.Conv2D(channels, 4, 2, padding="same")(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Flatten()(x)
    return keras.Model(image, [layers.Dense(CLASSES)(x), layers.Dense(CLASSES)(x)], name="critic")


def _lit(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def font_pictures(folder: Path | None, seed: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Pictures that the generator may learn from: only fonts on its side of the split."""
    faces = on_side(read_faces(find(folder)), "generator")
    if not faces:
        raise NotDigitsError("No font for the generator was found. Install: " + " ".join(missing_packages()))
    return pictures(faces, variants=12, seed=seed, jitter=Jitter())


def mnist_pictures() -> tuple[Pixels, NDArray[np.int64]]:
    """The handwritten digits of MNIST, downloaded by Keras: 60,000 pictures of shape ``(28, 28)``."""
    (images, digits), _ = keras.datasets.mnist.load_data()
    return images.astype(np.uint8), digits.astype(np.int64)


def to_range(images: Pixels) -> Float32:
    """Pictures ``(n, 28, 28)`` of 0 to 255 as ``(n, 28, 28, 1)`` in [-1, 1]."""
    return (images.astype(np.float32) / 127.5 - 1.0)[..., np.newaxis]


def players(plan: Plan) -> Players:
    """Fresh networks, initialised from the plan's seed."""
    keras.utils.set_random_seed(plan.seed)
    generator, averaged = build_generator(), build_generator()
    averaged.set_weights(generator.get_weights())
    discriminator = build_discriminator()
    optimizers = []
    for rate, network in ((plan.generator_rate, generator), (plan.discriminator_rate, discriminator)):
        optimizers.append(keras.optimizers.Adam(rate, *_BETAS))
        optimizers[-1].build(network.trainable_variables)
    return Players(
        generator=generator,
        discriminator=discriminator,
        averaged=averaged,
        generator_optimizer=optimizers[0],
        discriminator_optimizer=optimizers[1],
    )


def step_of(game: Players, plan: Plan) -> Any:
    """Compile one step: both networks learn from the same batch, with the logistic loss (arXiv:1406.2661)."""
    generator, discriminator = game.generator, game.discriminator

    def step(images: Any, digits: Any, latents: Any, fall: Any, *, steady: bool) -> tuple[Any, Any]:
        with tf.GradientTape() as to_draw, tf.GradientTape() as to_judge:
            drawn = generator([latents, digits], training=True)
            looks, named = discriminator(ops.concatenate([images, drawn]))
            real, fake = ops.split(ops.sum(looks * ops.tile(digits, (2, 1)), axis=1), 2)
            misread_real, misread_fake = (_misread(digits, half) for half in ops.split(named, 2))
            judge_loss = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake)) + misread_real
            draw_loss = ops.mean(ops.softplus(-fake)) + plan.legibility * misread_fake
            if steady:
                judge_loss += plan.steadiness * _STEADY_EVERY * _slope(discriminator, images, digits)
        _learn(game.discriminator_optimizer, plan.discriminator_rate * fall, to_judge, judge_loss, discriminator)
        _learn(game.generator_optimizer, plan.generator_rate * fall, to_draw, draw_loss, generator)
        for mean, weight in zip(game.averaged.weights, generator.weights, strict=True):
            mean.assign(mean * plan.average + weight * (1.0 - plan.average))
        return judge_loss, draw_loss

    return tf.function(step)


def _learn(optimizer: Any, rate: Any, tape: Any, loss: Any, network: Any) -> None:
    gradients = tape.gradient(loss, [weight.value for weight in network.trainable_variables])
    optimizer.learning_rate.assign(rate)
    optimizer.apply(gradients, network.trainable_variables)


def _slope(discriminator: Any, images: Any, digits: Any) -> Any:
    """Mean squared gradient of the discriminator at real pictures: the R1 penalty (arXiv:1801.04406)."""
    images = ops.convert_to_tensor(images)
    images = ops.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        looks = ops.sum(discriminator(images)[0] * digits)
    return ops.mean(ops.sum(ops.square(tape.gradient(looks, images)), axis=(1, 2, 3)))


def _misread(digits: Any, logits: Any) -> Any:
    return ops.mean(ops.categorical_crossentropy(digits, logits, from_logits=True))


def batch(images: Pixels, digits: NDArray[np.int64], plan: Plan, step: int) -> tuple[Float32, Float32, Float32]:
    """Pictures, one-hot digits and latents of one step: the same for the same seed, resumed or not."""
    rng = np.random.default_rng((plan.seed, step))
    rows = rng.integers(len(images), size=plan.batch_size)
    latents = rng.standard_normal((plan.batch_size, LATENT), dtype=np.float32)
    return to_range(images[rows]), np.eye(CLASSES, dtype=np.float32)[digits[rows]], latents


def train(images: Pixels, digits: NDArray[np.int64], plan: Plan, checkpoint: Path | None) -> Any:
    """Train, going on from ``checkpoint`` if there is one.

    Args:
        images: White on black, shape ``(n, 28, 28)``.
        digits: What they show, 0 to 9, shape ``(n,)``.
        plan: How long and how fast.
        checkpoint: Folder that the state is kept in; None keeps none.

    Returns:
        The averaged generator, its normalisation statistics refreshed.
    """
    game = players(plan)
    done = tf.Variable(0, dtype=tf.int64)
    state = tf.train.Checkpoint(done=done, **{name: getattr(game, name) for name in Players.__slots__})
    keeper = tf.train.CheckpointManager(state, str(checkpoint), max_to_keep=1) if checkpoint else None
    if keeper and keeper.latest_checkpoint:
        state.restore(keeper.latest_checkpoint).assert_existing_objects_matched()
    learn = step_of(game, plan)
    for step in range(int(done.numpy()), plan.steps):
        fall = np.float32(min(1.0, (1 - step / plan.steps) / (1 - _DECAY_FROM)))
        losses = learn(*batch(images, digits, plan, step), fall, steady=step % _STEADY_EVERY == 0)
        if (step + 1) % plan.save_every == 0 or step + 1 == plan.steps:
            done.assign(step + 1)
            if keeper:
                keeper.save()
            _say(f"\rstep {step + 1:,} of {plan.steps:,}: judge {losses[0]:.2f}, draw {losses[1]:.2f}")
    settle(game.averaged, plan)
    return game.averaged


def settle(generator: Any, plan: Plan) -> None:
    """Measure the normalisation statistics anew: those of averaged weights are not the average of the statistics."""
    rng = np.random.default_rng((plan.seed, plan.steps))
    batches, pictures_each = _SETTLING
    for _ in range(batches):
        digits = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=pictures_each)]
        generator([rng.standard_normal((pictures_each, LATENT), dtype=np.float32), digits], training=True)


def _say(words: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(words)
        sys.stderr.flush()


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the digits generator.")
    parser.add_argument(
        "--data", choices=("fonts", "mnist"), default="fonts", help="what to learn from (default: fonts)"
    )
    parser.add_argument(
        "--fonts", type=Path, metavar="FOLDER", help="font files (default: those of the Debian packages)"
    )
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--batch-size", type=int, default=Plan().batch_size)
    parser.add_argument("--seed", type=int, default=Plan().seed)
    parser.add_argument("--output", type=Path, default=Path("digits.keras"))
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="keep the state here, and go on from it")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Train as the command line says, and save the generator."""
    options = _arguments(argv)
    plan = Plan(steps=options.steps, batch_size=options.batch_size, seed=options.seed)
    images, digits = mnist_pictures() if options.data == "mnist" else font_pictures(options.fonts, plan.seed)
    train(images, digits, plan, options.checkpoint).save(options.output)
    sys.stdout.write(f"{options.output}\n")


if __name__ == "__main__":
    main()
