"""Small nets of many operators, each a float flatbuffer: what compatibility is proven on.

TensorFlow functions over seeded weights rather than Keras files, so that the operators are those named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SEED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A float flatbuffer and what to run it on."""

    flatbuffer: bytes
    samples: tuple[tuple[np.ndarray, ...], ...]
    """Inputs of several runs, each in the flatbuffer's order."""


@dataclass(frozen=True, slots=True)
class _Weights:
    """Seeded weights: a different array for every call."""

    generator: np.random.Generator

    def __call__(self, *shape: int) -> np.ndarray:
        fan_in = int(np.prod(shape[:-1])) or 1
        return (self.generator.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


def _gru(weights: _Weights) -> Callable[..., Any]:
    """A loop: WHILE with the step in a subgraph of its own."""
    return _recurrent("GRU", weights, unroll=False)


def _lstm_unrolled(weights: _Weights) -> Callable[..., Any]:
    return _recurrent("LSTM", weights, unroll=True)


def _recurrent(layer: str, weights: _Weights, *, unroll: bool) -> Callable[..., Any]:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(_SEED)
    cells = getattr(keras.layers, layer)(16, unroll=unroll)
    cells.build((1, 6, 8))
    out = weights(16, 8)
    return lambda steps: tf.tanh(cells(steps) @ out)


def _attention(weights: _Weights) -> Callable[..., Any]:
    """One head of attention with layer norm and GELU: BATCH_MATMUL, SOFTMAX, MEAN, RSQRT."""
    import tensorflow as tf

    query, key, value, up, down = (weights(16, 16) for _ in range(5))
    up, down = weights(16, 32), weights(32, 16)

    def call(tokens: Any) -> Any:
        shares = tf.nn.softmax(tf.matmul(tokens @ query, tokens @ key, transpose_b=True) / 4.0)
        mixed = tokens + tf.matmul(shares, tokens @ value)
        centred = mixed - tf.reduce_mean(mixed, -1, keepdims=True)
        normed = centred * tf.math.rsqrt(tf.reduce_mean(centred**2, -1, keepdims=True) + 1e-5)
        return normed + tf.nn.gelu(normed @ up) @ down

    return call


def _matching(weights: _Weights) -> Callable[..., Any]:
    """BATCH_MATMUL of two activations and little else."""
    import tensorflow as tf

    query, key = weights(16, 16), weights(16, 16)
    return lambda tokens: tf.matmul(tokens @ query, tokens @ key, transpose_b=True)


def _gelu(weights: _Weights) -> Callable[..., Any]:
    import tensorflow as tf

    first, second = weights(12, 32), weights(32, 10)
    return lambda latent: tf.nn.softmax(tf.nn.gelu(latent @ first, approximate=True) @ second)


def _mobile(weights: _Weights) -> Callable[..., Any]:
    """Depthwise convolutions between bilinear and nearest resizing."""
    import tensorflow as tf

    depthwise, point, last = weights(3, 3, 8, 1), weights(1, 1, 8, 8), weights(3, 3, 8, 3)

    def call(features: Any) -> Any:
        x = tf.nn.relu6(tf.nn.depthwise_conv2d(features, depthwise, [1, 1, 1, 1], "SAME"))
        x = tf.compat.v1.image.resize_bilinear(x, [8, 8], half_pixel_centers=True)
        x = tf.nn.relu(tf.nn.conv2d(x, point, 1, "SAME"))
        x = tf.compat.v1.image.resize_nearest_neighbor(x, [16, 16])
        return tf.nn.sigmoid(tf.nn.conv2d(x, last, 1, "SAME"))

    return call


def _dcgan(weights: _Weights) -> Callable[..., Any]:
    """Leaky activations between transposed convolutions."""
    import keras
    import tensorflow as tf

    dense, bias = weights(12, 4 * 4 * 16), weights(4 * 4 * 16)
    up, last = weights(4, 4, 8, 16), weights(4, 4, 1, 8)
    slope = keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(0.2), shared_axes=[1, 2])
    slope.build((1, 8, 8, 8))

    def call(latent: Any) -> Any:
        x = tf.reshape(tf.nn.leaky_relu(latent @ dense + bias), [1, 4, 4, 16])
        x = slope(tf.nn.conv2d_transpose(x, up, [1, 8, 8, 8], 2, "SAME"))
        return tf.tanh(tf.nn.conv2d_transpose(x, last, [1, 16, 16, 1], 2, "SAME"))

    return call


def _subpixel(weights: _Weights) -> Callable[..., Any]:
    """SPACE_TO_DEPTH, DEPTH_TO_SPACE and a mirrored border."""
    import tensorflow as tf

    first, last = weights(3, 3, 12, 16), weights(3, 3, 16, 12)

    def call(picture: Any) -> Any:
        x = tf.nn.space_to_depth(picture, 2)
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="REFLECT")
        x = tf.nn.relu(tf.nn.conv2d(x, first, 1, "VALID"))
        return tf.nn.depth_to_space(tf.nn.conv2d(x, last, 1, "SAME"), 2)

    return call


def _tokens(weights: _Weights) -> Callable[..., Any]:
    """An embedding with a mask: GATHER, CAST, BROADCAST_TO, SELECT_V2."""
    import tensorflow as tf

    table, out = weights(20, 16), weights(16, 20)

    def call(words: Any) -> Any:
        known = tf.gather(table, words)
        mask = tf.broadcast_to(tf.cast(tf.cast(words, tf.int16), tf.float32)[..., None], [1, 6, 16])
        kept = tf.where(mask > 3.0, known, tf.zeros_like(known))
        return tf.reshape(tf.reshape(kept, [6, 16]) @ out, [1, 6, 20])

    return call


def _vocoder(weights: _Weights) -> Callable[..., Any]:
    """Sound: dilated and transposed convolutions along time."""
    import tensorflow as tf

    dilated, up, last = weights(3, 8, 8), weights(4, 8, 8), weights(5, 8, 1)

    def call(frames: Any) -> Any:
        x = tf.nn.leaky_relu(tf.nn.conv1d(frames, dilated, 1, "SAME", dilations=2))
        x = tf.nn.leaky_relu(tf.nn.conv1d_transpose(x, up, [1, 32, 8], 2, "SAME"))
        return tf.tanh(tf.nn.conv1d(x, last, 1, "SAME"))

    return call


def _elementwise(weights: _Weights) -> Callable[..., Any]:
    """Mathematics of flows and samplers: EXP, LOG, SIN, POW, comparisons, reductions, a sorted choice."""
    import tensorflow as tf

    scale = weights(16)

    def call(values: Any) -> Any:
        x = tf.exp(tf.minimum(values * scale, 2.0)) + tf.abs(values)
        x = tf.math.log(x + 1.0) + tf.sin(values) * tf.cos(values) - tf.floor(values)
        x = tf.pow(tf.abs(x) + 0.5, 1.5) / (tf.sqrt(tf.abs(values) + 1.0) + tf.math.squared_difference(values, x))
        best, _ = tf.math.top_k(x, 4)
        return tf.concat([x, best, tf.reduce_max(x, -1, keepdims=True), tf.cumsum(x, -1)], -1)

    return call


def _shapes(weights: _Weights) -> Callable[..., Any]:
    """Moves of five axes and more: TRANSPOSE, PACK, UNPACK, SPLIT, STRIDED_SLICE, TILE, REVERSE."""
    import tensorflow as tf

    last = weights(2, 8)

    def call(picture: Any) -> Any:
        x = tf.transpose(tf.reshape(picture, [1, 4, 4, 2, 2, 3]), [0, 1, 3, 2, 4, 5])
        x = tf.reverse(tf.reshape(x, [1, 8, 8, 3]), [1])
        red, _, blue = tf.split(x, 3, -1)
        x = tf.stack([tf.squeeze(red, -1), tf.squeeze(blue, -1)], -1)
        rows = tf.unstack(x[:, ::2, 1:, :], axis=1)
        return tf.tile(tf.stack(rows[:3], 1), [1, 2, 1, 1]) @ last

    return call


def _video(weights: _Weights) -> Callable[..., Any]:
    """Frames: CONV_3D_TRANSPOSE, whose weights no recipe makes int8 dynamically."""
    import tensorflow as tf

    up = weights(3, 3, 3, 4, 8)
    return lambda noise: tf.tanh(tf.nn.conv3d_transpose(noise, up, [1, 4, 8, 8, 4], 2, "SAME"))


_BUILDERS: Mapping[str, tuple[Callable[[_Weights], Callable[..., Any]], tuple[int, ...], str]] = {
    # How it is built, the shape of its one input, and its type.
    "gru": (_gru, (1, 6, 8), "float32"),
    "lstm-unrolled": (_lstm_unrolled, (1, 6, 8), "float32"),
    "attention": (_attention, (1, 6, 16), "float32"),
    "matching": (_matching, (1, 6, 16), "float32"),
    "gelu": (_gelu, (1, 12), "float32"),
    "mobile": (_mobile, (1, 4, 4, 8), "float32"),
    "dcgan": (_dcgan, (1, 12), "float32"),
    "subpixel": (_subpixel, (1, 8, 8, 3), "float32"),
    "tokens": (_tokens, (1, 6), "int32"),
    "vocoder": (_vocoder, (1, 16, 8), "float32"),
    "elementwise": (_elementwise, (1, 16), "float32"),
    "shapes": (_shapes, (1, 8, 8, 3), "float32"),
    "video": (_video, (1, 2, 4, 4, 8), "float32"),
}
NAMES = tuple(_BUILDERS)


def net(name: str) -> Net:
    """Build a net by name; the same name gives the same one."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    build, shape, dtype = _BUILDERS[name]
    generator = np.random.default_rng(_SEED)
    function = tf.function(build(_Weights(generator)), autograph=False)
    traced = function.get_concrete_function(tf.TensorSpec(shape, dtype, name="x"))
    frozen = convert_variables_to_constants_v2(traced)
    flatbuffer = bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())
    drawn = (
        generator.integers(0, 20, (16, *shape)) if dtype == "int32" else generator.standard_normal((16, *shape))
    ).astype(dtype)
    return Net(flatbuffer=flatbuffer, samples=tuple((sample,) for sample in drawn))
