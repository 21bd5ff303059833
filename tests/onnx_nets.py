"""Flatbuffers of one or two operators each, for translating: every operator that generators are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_IMAGE = (1, 8, 8, 4)
_ODD = (1, 9, 9, 4)
_ROW = (1, 16)
_WORDS = (1, 5, 16)


def _weights(*shape: int) -> Any:
    import tensorflow as tf

    return tf.constant(np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32))


def flatbuffer(shape: tuple[int, ...], function: Callable[[Any], Any]) -> bytes:
    """Return a function of one float32 tensor as a float flatbuffer."""
    import tensorflow as tf

    traced = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([traced]).convert())


def nets() -> dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]]:
    """Return shape and function of each, by what it is of."""
    import tensorflow as tf

    nn, raw = tf.nn, tf.raw_ops
    pads = [[0, 0], [1, 2], [2, 1], [0, 0]]

    def upwards(kernel: int, side: int, padding: str) -> Callable[[Any], Any]:
        return lambda x: nn.conv2d_transpose(x, _weights(kernel, kernel, 6, 4), [1, side, side, 6], 2, padding)

    def variance(x: Any, axes: list[int]) -> Any:
        centred = x - tf.reduce_mean(x, axes, keepdims=True)
        return centred * tf.math.rsqrt(tf.math.reduce_variance(x, axes, keepdims=True) + 1e-3)

    return {
        "CONV_2D same": (_IMAGE, lambda x: nn.conv2d(x, _weights(3, 3, 4, 6), 1, "SAME")),
        "CONV_2D stride 2, odd": (_ODD, lambda x: nn.conv2d(x, _weights(3, 3, 4, 6), 2, "SAME")),
        "CONV_2D valid, relu": (_IMAGE, lambda x: nn.relu(nn.conv2d(x, _weights(3, 3, 4, 6), 2, "VALID"))),
        "CONV_2D dilated": (_IMAGE, lambda x: nn.conv2d(x, _weights(3, 3, 4, 6), 1, "SAME", dilations=2)),
        "CONV_2D grouped": (_IMAGE, lambda x: nn.conv2d(x, _weights(3, 3, 2, 6), 1, "SAME")),
        "CONV_2D relu6": (_IMAGE, lambda x: nn.relu6(nn.conv2d(x, _weights(3, 3, 4, 6), 1, "SAME"))),
        "CONV_3D": ((1, 4, 4, 4, 2), lambda x: nn.conv3d(x, _weights(3, 3, 3, 2, 2), [1] * 5, "SAME")),
        "DEPTHWISE_CONV_2D": (_IMAGE, lambda x: nn.depthwise_conv2d(x, _weights(3, 3, 4, 2), [1] * 4, "SAME")),
        "DEPTHWISE_CONV_2D odd": (_ODD, lambda x: nn.depthwise_conv2d(x, _weights(3, 3, 4, 1), [1, 2, 2, 1], "SAME")),
        "TRANSPOSE_CONV 2": (_IMAGE, upwards(2, 16, "SAME")),
        "TRANSPOSE_CONV 3": (_IMAGE, upwards(3, 16, "SAME")),
        "TRANSPOSE_CONV 4": (_IMAGE, upwards(4, 16, "SAME")),
        "TRANSPOSE_CONV 5": (_IMAGE, upwards(5, 16, "SAME")),
        "TRANSPOSE_CONV valid": (_IMAGE, upwards(4, 18, "VALID")),
        "TRANSPOSE_CONV bias, relu": (_IMAGE, lambda x: nn.relu(upwards(4, 16, "SAME")(x) + _weights(6))),
        "FULLY_CONNECTED": (_ROW, lambda x: nn.relu(tf.matmul(x, _weights(16, 8)) + _weights(8))),
        "FULLY_CONNECTED no bias": (_ROW, lambda x: tf.matmul(x, _weights(16, 8))),
        "FULLY_CONNECTED rank 3": (_WORDS, lambda x: tf.linalg.matmul(x, _weights(16, 8))),
        "BATCH_MATMUL": (_WORDS, lambda x: tf.linalg.matmul(x, x, transpose_b=True)),
        "RESIZE_NEAREST_NEIGHBOR": (_IMAGE, lambda x: tf.image.resize(x, [16, 16], "nearest")),
        "RESIZE_NEAREST_NEIGHBOR old": (_IMAGE, lambda x: raw.ResizeNearestNeighbor(images=x, size=[16, 16])),
        "RESIZE_BILINEAR": (_IMAGE, lambda x: tf.image.resize(x, [16, 16], "bilinear")),
        "RESIZE_BILINEAR old": (_IMAGE, lambda x: raw.ResizeBilinear(images=x, size=[16, 16])),
        "RESIZE_BILINEAR corners": (_IMAGE, lambda x: raw.ResizeBilinear(images=x, size=[15, 15], align_corners=True)),
        "RESIZE_BILINEAR down": (_IMAGE, lambda x: tf.image.resize(x, [5, 5], "bilinear")),
        "DEPTH_TO_SPACE": ((1, 4, 4, 8), lambda x: nn.depth_to_space(x, 2)),
        "SPACE_TO_DEPTH": (_IMAGE, lambda x: nn.space_to_depth(x, 2)),
        "AVERAGE_POOL_2D": (_IMAGE, lambda x: nn.avg_pool2d(x, 3, 2, "SAME")),
        "MAX_POOL_2D": (_IMAGE, lambda x: nn.max_pool2d(x, 3, 2, "SAME")),
        "ADD": (_IMAGE, lambda x: x + _weights(4)),
        "SUB": (_IMAGE, lambda x: 1.0 - x),
        "MUL": (_IMAGE, lambda x: x * _weights(4)),
        "DIV": (_IMAGE, lambda x: x / (tf.abs(_weights(4)) + 1)),
        "MAXIMUM": (_IMAGE, lambda x: tf.maximum(x, _weights(4))),
        "MINIMUM": (_IMAGE, lambda x: tf.minimum(x, _weights(4))),
        "LEAKY_RELU": (_IMAGE, lambda x: nn.leaky_relu(x, 0.2)),
        "PRELU": (_IMAGE, lambda x: nn.relu(x) - _weights(1, 1, 4) * nn.relu(-x)),
        "ELU": (_IMAGE, nn.elu),
        "RELU": (_IMAGE, nn.relu),
        "TANH": (_IMAGE, tf.tanh),
        "LOGISTIC": (_IMAGE, tf.sigmoid),
        "SOFTMAX": (_IMAGE, nn.softmax),
        "GELU": (_IMAGE, lambda x: nn.gelu(x, approximate=False)),
        "GELU approximate": (_IMAGE, lambda x: nn.gelu(x, approximate=True)),
        "HARD_SWISH": (_IMAGE, lambda x: x * nn.relu6(x + 3.0) * (1 / 6.0)),
        "RELU_N1_TO_1": (_IMAGE, lambda x: tf.clip_by_value(x, -1.0, 1.0)),
        "swish": (_IMAGE, nn.swish),
        "softplus": (_IMAGE, nn.softplus),
        "EXP": (_IMAGE, tf.exp),
        "LOG": (_IMAGE, lambda x: tf.math.log(tf.abs(x) + 1)),
        "SQRT": (_IMAGE, lambda x: tf.sqrt(tf.abs(x) + 0.1)),
        "RSQRT": (_IMAGE, lambda x: tf.math.rsqrt(tf.abs(x) + 0.1)),
        "SQUARED_DIFFERENCE": (_IMAGE, lambda x: tf.math.squared_difference(x, _weights(4))),
        "POW": (_IMAGE, lambda x: tf.pow(tf.abs(x) + 0.1, 2.2)),
        "SIN and COS": (_IMAGE, lambda x: tf.sin(x) + tf.cos(x)),
        "NEG and ABS": (_IMAGE, lambda x: tf.abs(-x + 1.0)),
        "RESHAPE": (_IMAGE, lambda x: tf.reshape(x, [1, 64, 4])),
        "TRANSPOSE": (_IMAGE, lambda x: tf.transpose(x, [0, 3, 1, 2])),
        "CONCATENATION": (_IMAGE, lambda x: tf.concat([x, tf.exp(x)], -1)),
        "SPLIT": (_IMAGE, lambda x: tf.exp(tf.split(x, 2, -1)[1])),
        "SLICE": (_IMAGE, lambda x: tf.slice(x, [0, 1, 2, 0], [1, 4, 4, 4])),
        "STRIDED_SLICE": (_IMAGE, lambda x: x[:, ::2, 1:7:3, :]),
        "PAD": (_IMAGE, lambda x: tf.pad(x, pads)),
        "MIRROR_PAD": (_IMAGE, lambda x: tf.pad(x, pads, "REFLECT")),
        "TILE": (_IMAGE, lambda x: tf.tile(x, [1, 2, 2, 1])),
        "BROADCAST_TO": ((1, 1, 1, 4), lambda x: tf.broadcast_to(x, [1, 3, 3, 4])),
        "PACK": (_IMAGE, lambda x: tf.stack([x, tf.exp(x)], 1)),
        "MEAN": (_IMAGE, lambda x: tf.reduce_mean(x, [1, 2], keepdims=True)),
        "SUM": (_IMAGE, lambda x: tf.reduce_sum(x, -1, keepdims=True)),
        "REDUCE_MAX": (_IMAGE, lambda x: tf.reduce_max(x, -1)),
        "layer norm": (_WORDS, lambda x: variance(x, [-1])),
        "instance norm": (_IMAGE, lambda x: variance(x, [1, 2])),
        "GATHER": (_ROW, lambda x: tf.gather(x, [3, 1, 2], axis=1)),
        "SELECT_V2": (_IMAGE, lambda x: tf.where(x > 0, x, tf.exp(x) - 1)),
    }
