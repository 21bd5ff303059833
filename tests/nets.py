"""Small Keras models, saved: generators and what is not one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def gan(folder: Path, *, width: int = 8, leaky: bool = False) -> Path:
    """A conditional DCGAN, latent 8 and 3 classes to 8x8x1."""
    import keras

    keras.utils.set_random_seed(1)
    latent, kind = keras.Input((8,), name="latent"), keras.Input((3,), name="kind")
    x = keras.layers.Dense(4 * 4 * width)(keras.layers.Concatenate()([latent, kind]))
    x = keras.layers.Reshape((4, 4, width))(x)
    x = keras.layers.LeakyReLU()(x) if leaky else keras.layers.ReLU()(x)
    x = keras.layers.Conv2DTranspose(1, 4, 2, "same", activation="tanh", name="image")(x)
    return saved(keras.Model([latent, kind], x), folder / "gan.keras")


def dcgan(folder: Path, *, leaky: bool = False, as_maximum: bool = False) -> Path:
    """A DCGAN, latent 16 to 32x32x1, with batch norm and three transposed convolutions.

    Args:
        folder: Where.
        leaky: With LeakyReLU in place of ReLU.
        as_maximum: Where leaky: written as max(x, 0.3 x).
    """
    import keras

    def normed(x: Any) -> Any:
        x = keras.layers.BatchNormalization()(x)
        if leaky and as_maximum:
            return keras.layers.Maximum()([x, x * 0.3])
        return keras.layers.LeakyReLU()(x) if leaky else keras.layers.ReLU()(x)

    keras.utils.set_random_seed(3)
    latent = keras.Input((16,), name="latent")
    x = normed(keras.layers.Dense(4 * 4 * 16, use_bias=False)(latent))
    x = keras.layers.Reshape((4, 4, 16))(x)
    for channels in (8, 4):
        x = normed(keras.layers.Conv2DTranspose(channels, 4, 2, "same", use_bias=False)(x))
    x = keras.layers.Conv2DTranspose(1, 4, 2, "same", activation="tanh", name="image")(x)
    return saved(keras.Model(latent, x), folder / "dcgan.keras")


def upscaler(folder: Path) -> Path:
    """A picture of any size in, one twice as large out; its ranges cannot be told."""
    import keras

    keras.utils.set_random_seed(2)
    small = keras.Input((None, None, 3), name="small")
    x = keras.layers.UpSampling2D(2)(small)
    x = keras.layers.Conv2D(3, 3, padding="same", name="large")(x)
    return saved(keras.Model(small, x), folder / "upscaler.keras")


def esrgan(folder: Path, *, width: int = 8) -> Path:
    """The layers of an ESRGAN generator, few and untrained: dense blocks, nearest upsampling, a residual around it."""
    import keras

    keras.utils.set_random_seed(4)
    small = keras.Input((None, None, 3), name="small")
    convolution = keras.layers.Conv2D
    first = x = convolution(width, 3, padding="same")(small)
    for _ in range(2):
        block = [x]
        for _ in range(2):
            joined = keras.layers.Concatenate()(block) if len(block) > 1 else block[0]
            block.append(convolution(width, 3, padding="same", activation="relu")(joined))
        x = keras.layers.Add()([x, convolution(width, 3, padding="same")(keras.layers.Concatenate()(block))])
    x = keras.layers.UpSampling2D(2)(keras.layers.Add()([first, x]))
    x = convolution(width, 3, padding="same", activation="relu")(x)
    return saved(keras.Model(small, convolution(3, 3, padding="same", name="large")(x)), folder / "esrgan.keras")


def classifier(folder: Path) -> Path:
    """What is not a generator."""
    import keras

    picture = keras.Input((8, 8, 3), name="picture")
    x = keras.layers.Dense(10, activation="softmax", name="label")(keras.layers.Flatten()(picture))
    return saved(keras.Model(picture, x), folder / "classifier.keras")


def overflowing(folder: Path) -> Path:
    """A generator whose weights float16 cannot hold."""
    import keras

    latent = keras.Input((8,), name="latent")
    initial = keras.initializers.Constant(1e6)
    x = keras.layers.Dense(64, activation="tanh", kernel_initializer=initial)(latent)
    x = keras.layers.Reshape((8, 8, 1), name="image")(x)
    return saved(keras.Model(latent, x), folder / "overflowing.keras")


def saved(model: Any, path: Path) -> Path:
    """Save a model and return its path."""
    model.save(path)
    return path


def two_outputs(folder: Path) -> Path:
    """Outputs in a dictionary whose keys are not in the order of the alphabet: zeros and ones."""
    import keras

    latent = keras.Input((4,), name="latent")
    zeros, ones = (
        keras.layers.Dense(4, kernel_initializer="zeros", bias_initializer=value, name=name)(latent)
        for name, value in (("zeros", "zeros"), ("ones", "ones"))
    )
    return saved(keras.Model({"latent": latent}, {"zeros": zeros, "ones": ones}), folder / "two.keras")


def ballooning(side: int = 3072) -> bytes:
    """Return a flatbuffer of a few hundred bytes whose tensors take 460 MB: 8 numbers, spread out and gathered."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 8), tf.float32)])
    def net(latent: Any) -> Any:
        small = tf.reshape(latent, (1, 2, 2, 2))
        large = tf.image.resize(small, (side, side))
        return tf.nn.avg_pool2d(large, side // 8, side // 8, "VALID")

    converter = tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()])
    flatbuffer: bytes = converter.convert()
    return flatbuffer


def vast(folder: Path) -> Path:
    """Small weights, pictures of 2000x2000 with 32 channels inside: half a gigabyte for each of two."""
    import keras

    keras.utils.set_random_seed(3)
    latent = keras.Input((8,), name="latent")
    x = keras.layers.Reshape((5, 5, 1))(keras.layers.Dense(25)(latent))
    x = keras.layers.UpSampling2D(400, interpolation="bilinear")(x)
    for _ in range(2):
        x = keras.layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(3, 3, padding="same", activation="tanh", name="image")(x)
    return saved(keras.Model(latent, x), folder / "vast.keras")


def spreading(folder: Path) -> Path:
    """Eight numbers spread out to 3072x3072 and gathered again: 453 MB in float32 and a flatbuffer of 2 kB."""
    import keras

    keras.utils.set_random_seed(4)
    latent = keras.Input((8,), name="latent")
    x = keras.layers.Reshape((2, 2, 2))(latent)
    x = keras.layers.UpSampling2D(1536, interpolation="bilinear")(x)
    x = keras.layers.Conv2D(1, 1, activation="tanh", name="image")(keras.layers.AveragePooling2D(384)(x))
    return saved(keras.Model(latent, x), folder / "spreading.keras")


def sounds(folder: Path) -> Path:
    """Latent 8 to 256 samples of sound in [-1, 1], as WaveGAN grows them."""
    import keras

    keras.utils.set_random_seed(5)
    latent = keras.Input((8,), name="latent")
    x = keras.layers.Reshape((16, 8))(keras.layers.Dense(128, activation="relu")(latent))
    x = keras.layers.Conv1DTranspose(4, 9, 4, "same", activation="relu")(x)
    x = keras.layers.Conv1DTranspose(1, 9, 4, "same", activation="tanh", name="sound")(x)
    return saved(keras.Model(latent, x), folder / "sounds.keras")


def cloud(folder: Path) -> Path:
    """Latent 8 to a cloud of 64 points."""
    import keras

    keras.utils.set_random_seed(6)
    latent = keras.Input((8,), name="latent")
    x = keras.layers.Dense(64 * 3)(keras.layers.Dense(16, activation="relu")(latent))
    return saved(keras.Model(latent, keras.layers.Reshape((64, 3), name="cloud")(x)), folder / "cloud.keras")
