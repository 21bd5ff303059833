"""The layers in Keras 3, channels last, as a user would write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers, ops

from generators.net import RELU_GAIN, Activation, Net, Tensor, Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPSILON = 1e-5


def keras_model(net: Net, *, batch: int | None) -> Any:
    """Return a functional model.

    Args:
        net: A generator.
        batch: 1, or None for any.
    """
    tensors = [
        keras.Input(fact.shape, batch_size=batch, name=fact.name, dtype="int32" if fact.kind == "index" else "float32")
        for fact in net.inputs
    ]
    return keras.Model(tensors, net.build(KerasLayers(net.weights(), any_batch=batch is None), *tensors), name=net.name)


class KerasLayers:
    """`Layers` that build a functional model."""

    def __init__(self, weights: Weights, *, any_batch: bool) -> None:
        """Begin a net.

        Args:
            weights: Not drawn from yet.
            any_batch: Modulated convolutions scale activations instead of kernels, which would differ by sample.
        """
        self._weights, self._any_batch = weights, any_batch

    def conv(  # noqa: PLR0913 - what a convolution is
        self,
        x: Tensor,
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        pad: int | None = None,
        rank: int = 2,
        bias: bool = True,
        gain: float = RELU_GAIN,
    ) -> Tensor:
        """Convolve maps."""
        padding = "same"
        if pad is not None and not _same_pads(x.shape[1], kernel, stride, pad):
            padding = "valid"
            x = (layers.ZeroPadding2D if rank == 2 else layers.ZeroPadding1D)(pad)(x) if pad else x
        kind = layers.Conv2D if rank == 2 else layers.Conv1D
        layer = kind(filters, kernel, stride, padding, dilation_rate=dilation, use_bias=bias)
        channels = x.shape[-1]
        weights = [self._weights.kernel((*[kernel] * rank, channels, filters), channels * kernel**rank, gain)]
        return _with(layer, x, weights + ([self._weights.small(filters)] if bias else []))

    def conv_transpose(  # noqa: PLR0913 - what a convolution is
        self, x: Tensor, filters: int, kernel: int, stride: int, *, same: bool = True, rank: int = 2, bias: bool = True
    ) -> Tensor:
        """Convolve transposed."""
        kind = layers.Conv2DTranspose if rank == 2 else layers.Conv1DTranspose
        layer = kind(filters, kernel, stride, "same" if same else "valid", use_bias=bias)
        channels = x.shape[-1]
        fan_in = channels * max(1.0, kernel / stride) ** rank if same else channels
        weights = [self._weights.kernel((*[kernel] * rank, filters, channels), fan_in, RELU_GAIN)]
        return _with(layer, x, weights + ([self._weights.small(filters)] if bias else []))

    def dense(self, x: Tensor, units: int, *, gain: float = RELU_GAIN, center: float = 0.0) -> Tensor:
        """Multiply the last axis."""
        width = x.shape[-1]
        weights = [self._weights.kernel((width, units), width, gain), self._weights.small(units, center)]
        return _with(layers.Dense(units), x, weights)

    def dense_maps(self, x: Tensor, size: int, channels: int, *, rank: int = 2) -> Tensor:
        """Multiply and reshape."""
        return layers.Reshape((*[size] * rank, channels))(self.dense(x, size**rank * channels))

    def batch_norm(self, x: Tensor) -> Tensor:
        """Normalize by stored statistics."""
        channels = x.shape[-1]
        near, small = self._weights.near_one, self._weights.small
        weights = [near(channels), small(channels), small(channels), near(channels)]
        return _with(layers.BatchNormalization(epsilon=_EPSILON), x, weights)

    def instance_norm(self, x: Tensor) -> Tensor:
        """Normalize each channel."""
        weights = [self._weights.near_one(x.shape[-1]), self._weights.small(x.shape[-1])]
        return _with(layers.GroupNormalization(groups=-1, epsilon=_EPSILON), x, weights)

    def layer_norm(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        weights = [self._weights.near_one(x.shape[-1]), self._weights.small(x.shape[-1])]
        return _with(layers.LayerNormalization(epsilon=_EPSILON), x, weights)

    def act(self, x: Tensor, kind: Activation, slope: float = 0.2) -> Tensor:
        """Apply an activation."""
        return layers.LeakyReLU(slope)(x) if kind == "leaky_relu" else layers.Activation(kind)(x)

    def up_nearest(self, x: Tensor) -> Tensor:
        """Double height and width."""
        return layers.UpSampling2D(2)(x)

    def reflect(self, x: Tensor, size: int) -> Tensor:
        """Pad by mirrored borders."""
        return ops.pad(x, [[0, 0], [size, size], [size, size], [0, 0]], mode="reflect")

    def concat(self, xs: Sequence[Tensor]) -> Tensor:
        """Join by channel."""
        return layers.Concatenate()(list(xs))

    def zero_insert(self, x: Tensor) -> Tensor:
        """Put zeros after each value."""
        height, width, channels = x.shape[1:]
        x = ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, channels]])
        x = ops.pad(ops.reshape(x, (-1, height, 1, 2 * width * channels)), [[0, 0], [0, 0], [0, 1], [0, 0]])
        return ops.reshape(x, (-1, 2 * height, 2 * width, channels))

    def fir(self, x: Tensor, taps: Sequence[float], before: int, after: int) -> Tensor:
        """Filter each channel."""
        filters = np.repeat(np.outer(taps, taps)[..., None, None], x.shape[-1], axis=2).astype(np.float32)
        x = layers.ZeroPadding2D(((before, after), (before, after)))(x)
        return _with(layers.DepthwiseConv2D(len(taps), use_bias=False), x, [filters])

    def constant(self, size: int, channels: int) -> Tensor:
        """Return learned maps."""
        return self._weights.kernel((1, size, size, channels), 1.0, 1.0)

    def modulated(
        self, x: Tensor, style: Tensor, filters: int, kernel: int, *, up: bool = False, demodulate: bool = True
    ) -> Tensor:
        """Convolve with kernels scaled by a style."""
        channels = x.shape[-1]
        scales = self.dense(style, channels, gain=1.0, center=1.0)
        weights = self._weights.kernel((kernel, kernel, channels, filters), channels * kernel**2, 1.0)
        layer = ModulatedConv(filters, kernel, up=up, demodulate=demodulate, any_batch=self._any_batch)
        y = layer(x, scales)
        layer.set_weights([weights])
        return y

    def times(self, x: Tensor, factor: float) -> Tensor:
        """Multiply by a fixed number."""
        return layers.Rescaling(factor)(x)

    def scaled(self, x: Tensor) -> Tensor:
        """Multiply by a number."""
        return _with(Learned(multiplies=True), x, [self._weights.small(1)])

    def channel_bias(self, x: Tensor) -> Tensor:
        """Add a number to each channel."""
        return _with(Learned(multiplies=False), x, [self._weights.small(x.shape[-1])])

    def pixel_norm(self, x: Tensor) -> Tensor:
        """Scale to unit power."""
        return ops.multiply(x, ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-8))

    def embedding(self, tokens: Tensor, entries: int, width: int) -> Tensor:
        """Look up rows."""
        table = self._weights.kernel((entries, width), 1.0, 1.0)
        return ops.reshape(_with(layers.Embedding(entries, width), tokens, [table]), (-1, width))

    def embedding_maps(self, tokens: Tensor, entries: int, width: int) -> Tensor:
        """Look up maps."""
        return _with(layers.Embedding(entries, width), tokens, [self._weights.kernel((entries, width), 1.0, 1.0)])

    def gru(self, x: Tensor, state: Tensor, units: int) -> Tensor:
        """Return the next state."""
        width = x.shape[-1]
        cell = layers.GRUCell(units, reset_after=True)
        cell.build((None, width))
        inner, outer = (
            self._weights.kernel((width, 3 * units), width, 1.0),
            self._weights.kernel((units, 3 * units), units, 1.0),
        )
        cell.set_weights([inner, outer, np.stack([self._weights.small(3 * units), self._weights.small(3 * units)])])
        return cell(x, [state])[0]

    def attend(self, x: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attend to the cache."""
        _, heads, length, width = keys.shape
        parts = ops.reshape(x, (-1, 3, heads, 1, width))
        query, key, value = (parts[:, part] for part in range(3))
        at = position[0, 0]
        keys, values = (ops.slice_update(cache, (0, 0, at, 0), new) for cache, new in ((keys, key), (values, value)))
        scores = ops.matmul(query, ops.transpose(keys, (0, 1, 3, 2)))
        scores = ops.where(ops.less_equal(np.arange(length, dtype=np.int32), at), self.times(scores, width**-0.5), -1e9)
        return ops.reshape(ops.matmul(ops.softmax(scores), values), (-1, heads * width)), keys, values


def _with(layer: Any, x: Tensor, weights: list[Any]) -> Tensor:
    y = layer(x)
    layer.set_weights(weights)
    return y


def _same_pads(size: int, kernel: int, stride: int, pad: int) -> bool:
    """Return whether TensorFlow's "same" pads so on both sides."""
    return (-(-size // stride) - 1) * stride + kernel - size == 2 * pad


@keras.saving.register_keras_serializable(package="suite")
class ModulatedConv(layers.Layer):
    """StyleGAN2's convolution: kernels scaled by a style."""

    def __init__(self, filters: int, size: int, *, up: bool, demodulate: bool, any_batch: bool, **options: Any) -> None:
        """Choose its geometry.

        Args:
            filters: Channels that it makes.
            size: Of its kernels.
            up: Transposed, of stride 2.
            demodulate: Scale its outputs to unit variance.
            any_batch: Scale what goes in and out instead of the kernels, which would differ by sample.
            options: Of every layer.
        """
        super().__init__(**options)
        self.options = {"filters": filters, "size": size, "up": up, "demodulate": demodulate, "any_batch": any_batch}

    def build(self, x_shape: Any, scales_shape: Any) -> None:
        """Make the kernel."""
        del x_shape  # unknown where the maps are constant
        size = self.options["size"]
        self.kernel = self.add_weight(shape=(size, size, scales_shape[-1], self.options["filters"]), name="kernel")

    def call(self, x: Tensor, scales: Tensor) -> Tensor:
        """Convolve; `scales` is one number a sample and channel."""
        channels, filters = self.kernel.shape[2:]
        if self.options["any_batch"]:
            power = ops.matmul(ops.square(scales), ops.sum(ops.square(self.kernel), (0, 1)))
            y = self._convolved(x * ops.reshape(scales, (-1, 1, 1, channels)), self.kernel)
            return y * ops.reshape(ops.rsqrt(power + 1e-8), (-1, 1, 1, filters)) if self.options["demodulate"] else y
        kernels = self.kernel * ops.reshape(scales, (1, 1, channels, 1))
        if self.options["demodulate"]:
            kernels = kernels * ops.rsqrt(ops.sum(ops.square(kernels), (0, 1, 2), keepdims=True) + 1e-8)
        return self._convolved(x, kernels)

    def _convolved(self, x: Tensor, kernels: Tensor) -> Tensor:
        if self.options["up"]:
            return ops.conv_transpose(x, ops.transpose(kernels, (0, 1, 3, 2)), 2, "valid")
        return ops.conv(x, kernels, 1, "same")

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), **self.options}


@keras.saving.register_keras_serializable(package="suite")
class Learned(layers.Layer):
    """Multiply by a learned number, or add one to each channel."""

    def __init__(self, *, multiplies: bool, **options: Any) -> None:
        """Choose."""
        super().__init__(**options)
        self.multiplies = multiplies

    def build(self, shape: Any) -> None:
        """Make the numbers."""
        self.numbers = self.add_weight(shape=(1 if self.multiplies else shape[-1],), name="numbers")

    def call(self, x: Tensor) -> Tensor:
        """Apply them."""
        return x * self.numbers if self.multiplies else x + self.numbers

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "multiplies": self.multiplies}
