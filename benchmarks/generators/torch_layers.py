"""The layers in PyTorch, channels in front, as a user would write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from generators.net import RELU_GAIN, Activation, Array, Net, Tensor, Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EPSILON = 1e-5


class TorchNet(nn.Module):
    """A generator as a module; it has its layers after the first call."""

    def __init__(self, net: Net, *, fused: bool = True) -> None:
        """Begin a net.

        Args:
            net: A generator.
            fused: Modulated convolutions scale kernels, not activations; both are in use.
        """
        super().__init__()
        self.layers = nn.ModuleList()
        self._net, self._layers = net, TorchLayers(self.layers, net.weights(), fused=fused)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs."""
        self._layers.rewind()
        return tuple(self._net.build(self._layers, *tensors))


class TorchLayers:
    """`Layers` that run; each call makes its module the first time and finds it again later."""

    def __init__(self, made: nn.ModuleList, weights: Weights, *, fused: bool) -> None:
        """Begin a net; `made` takes the modules."""
        self._made, self._weights, self._fused, self._at = made, weights, fused, 0

    def rewind(self) -> None:
        """Begin the next run."""
        self._at = 0

    def _next(self, make: Callable[[], nn.Module]) -> Any:
        if self._at == len(self._made):
            self._made.append(make().eval())
        self._at += 1
        return self._made[self._at - 1]

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

        def make() -> nn.Module:
            channels = x.shape[1]
            weights = self._weights.kernel((*[kernel] * rank, channels, filters), channels * kernel**rank, gain)
            kind = nn.Conv2d if rank == 2 else nn.Conv1d
            sides = dilation * (kernel - 1) // 2 if pad is None else pad
            module = kind(channels, filters, kernel, stride, sides, dilation, bias=bias)
            return _with(module, _front(weights), self._weights.small(filters) if bias else None)

        return self._next(make)(x)

    def conv_transpose(  # noqa: PLR0913 - what a convolution is
        self, x: Tensor, filters: int, kernel: int, stride: int, *, same: bool = True, rank: int = 2, bias: bool = True
    ) -> Tensor:
        """Convolve transposed."""
        crop = kernel - stride if same else 0

        def make() -> nn.Module:
            channels = x.shape[1]
            fan_in = channels * max(1.0, kernel / stride) ** rank if same else channels
            weights = self._weights.kernel((*[kernel] * rank, filters, channels), fan_in, RELU_GAIN)
            kind = nn.ConvTranspose2d if rank == 2 else nn.ConvTranspose1d
            module = kind(channels, filters, kernel, stride, crop // 2, bias=bias)
            return _with(module, _front(weights), self._weights.small(filters) if bias else None)

        y = self._next(make)(x)
        if crop % 2:  # TensorFlow crops one more at the end, which PyTorch's padding cannot say.
            y = y[:, :, :-1, :-1] if rank == 2 else y[:, :, :-1]
        return y

    def dense(self, x: Tensor, units: int, *, gain: float = RELU_GAIN, center: float = 0.0) -> Tensor:
        """Multiply the last axis."""

        def make() -> nn.Module:
            width = x.shape[-1]
            weights = self._weights.kernel((width, units), width, gain)
            return _with(nn.Linear(width, units), weights.T, self._weights.small(units, center))

        return self._next(make)(x)

    def dense_maps(self, x: Tensor, size: int, channels: int, *, rank: int = 2) -> Tensor:
        """Multiply and reshape."""

        def make() -> nn.Module:
            width, units = x.shape[-1], size**rank * channels
            order = np.arange(units).reshape(-1, channels).T.ravel()  # channels in front
            weights = self._weights.kernel((width, units), width, RELU_GAIN)
            return _with(nn.Linear(width, units), weights.T[order], self._weights.small(units)[order])

        return self._next(make)(x).view(-1, channels, *[size] * rank)

    def batch_norm(self, x: Tensor) -> Tensor:
        """Normalize by stored statistics."""

        def make() -> nn.Module:
            channels = x.shape[1]
            module = (nn.BatchNorm2d if x.dim() == 4 else nn.BatchNorm1d)(channels, _EPSILON)
            near, small = self._weights.near_one, self._weights.small
            _with(module, near(channels), small(channels))
            module.running_mean.copy_(torch.from_numpy(small(channels)))
            module.running_var.copy_(torch.from_numpy(near(channels)))
            return module

        return self._next(make)(x)

    def instance_norm(self, x: Tensor) -> Tensor:
        """Normalize each channel."""

        def make() -> nn.Module:
            module = nn.InstanceNorm2d(x.shape[1], _EPSILON, affine=True)
            return _with(module, self._weights.near_one(x.shape[1]), self._weights.small(x.shape[1]))

        return self._next(make)(x)

    def layer_norm(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""

        def make() -> nn.Module:
            width = x.shape[-1]
            return _with(nn.LayerNorm(width, _EPSILON), self._weights.near_one(width), self._weights.small(width))

        return self._next(make)(x)

    def act(self, x: Tensor, kind: Activation, slope: float = 0.2) -> Tensor:
        """Apply an activation."""
        if kind == "leaky_relu":
            return functional.leaky_relu(x, slope)
        if kind == "gelu":
            return functional.gelu(x)
        return getattr(torch, kind)(x)

    def up_nearest(self, x: Tensor) -> Tensor:
        """Double height and width."""
        return functional.interpolate(x, scale_factor=2, mode="nearest")

    def reflect(self, x: Tensor, size: int) -> Tensor:
        """Pad by mirrored borders."""
        return functional.pad(x, [size] * 4, mode="reflect")

    def concat(self, xs: Sequence[Tensor]) -> Tensor:
        """Join by channel."""
        return torch.cat(list(xs), dim=1)

    def zero_insert(self, x: Tensor) -> Tensor:
        """Put zeros after each value."""
        _, channels, height, width = x.shape
        x = functional.pad(x.reshape(-1, channels, height, 1, width, 1), [0, 1, 0, 0, 0, 1])
        return x.reshape(-1, channels, 2 * height, 2 * width)

    def fir(self, x: Tensor, taps: Sequence[float], before: int, after: int) -> Tensor:
        """Filter each channel."""

        def make() -> nn.Module:
            channels = x.shape[1]
            module = nn.Conv2d(channels, channels, len(taps), groups=channels, bias=False)
            return _with(module, np.tile(np.outer(taps, taps)[None, None], (channels, 1, 1, 1)), None)

        return self._next(make)(functional.pad(x, [before, after, before, after]))

    def constant(self, size: int, channels: int) -> Tensor:
        """Return learned maps."""
        drawn = self._next(lambda: _Held(_to_front(self._weights.kernel((1, size, size, channels), 1.0, 1.0))))
        return drawn.value

    def modulated(
        self, x: Tensor, style: Tensor, filters: int, kernel: int, *, up: bool = False, demodulate: bool = True
    ) -> Tensor:
        """Convolve with kernels scaled by a style."""
        channels = x.shape[1]
        scales = self.dense(style, channels, gain=1.0, center=1.0)
        shape, fan_in = (kernel, kernel, channels, filters), channels * kernel**2
        weights = self._next(lambda: _Held(_front(self._weights.kernel(shape, fan_in, 1.0)))).value
        if self._fused:
            kernels = weights * scales.view(1, channels, 1, 1)
            if demodulate:
                kernels = kernels * torch.rsqrt(kernels.square().sum((1, 2, 3), keepdim=True) + 1e-8)
            return _convolved(x, kernels, up=up)
        x = _convolved(x * scales.view(-1, channels, 1, 1), weights, up=up)
        if demodulate:
            power = scales.square() @ weights.square().sum((2, 3)).T
            x = x * torch.rsqrt(power + 1e-8).view(-1, filters, 1, 1)
        return x

    def times(self, x: Tensor, factor: float) -> Tensor:
        """Multiply by a fixed number."""
        return x * factor

    def scaled(self, x: Tensor) -> Tensor:
        """Multiply by a number."""
        return x * self._next(lambda: _Held(self._weights.small(1))).value

    def channel_bias(self, x: Tensor) -> Tensor:
        """Add a number to each channel."""
        return x + self._next(lambda: _Held(self._weights.small(x.shape[1])[:, None, None])).value

    def pixel_norm(self, x: Tensor) -> Tensor:
        """Scale to unit power."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-8)

    def embedding(self, tokens: Tensor, entries: int, width: int) -> Tensor:
        """Look up rows."""
        return self._table(entries, width)(tokens).view(-1, width)

    def embedding_maps(self, tokens: Tensor, entries: int, width: int) -> Tensor:
        """Look up maps."""
        return self._table(entries, width)(tokens).permute(0, 3, 1, 2)

    def _table(self, entries: int, width: int) -> Any:
        return self._next(
            lambda: _with(nn.Embedding(entries, width), self._weights.kernel((entries, width), 1.0, 1.0), None)
        )

    def gru(self, x: Tensor, state: Tensor, units: int) -> Tensor:
        """Return the next state."""

        def make() -> nn.Module:
            width = x.shape[-1]
            # Keras keeps update, reset, new; PyTorch reset, update, new.
            order = np.concatenate([np.arange(units, 2 * units), np.arange(units), np.arange(2 * units, 3 * units)])
            module = nn.GRUCell(width, units)
            inner = self._weights.kernel((width, 3 * units), width, 1.0)
            outer = self._weights.kernel((units, 3 * units), units, 1.0)
            drawn = (inner.T[order], outer.T[order], *(self._weights.small(3 * units)[order] for _ in range(2)))
            for parameter, values in zip(module.parameters(), drawn, strict=True):
                parameter.data = torch.from_numpy(np.ascontiguousarray(values))
            return module

        return self._next(make)(x, state)

    def attend(self, x: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attend to the cache."""
        _, heads, length, width = keys.shape
        query, key, value = x.view(-1, 3, heads, 1, width).unbind(1)
        keys, values = (cache.index_copy(2, position[0].long(), new) for cache, new in ((keys, key), (values, value)))
        seen = torch.arange(length) <= position[0]
        found = functional.scaled_dot_product_attention(query, keys, values, attn_mask=seen.view(1, 1, 1, length))
        return found.reshape(-1, heads * width), keys, values


class _Held(nn.Module):
    """Learned numbers."""

    value: Tensor

    def __init__(self, value: Array) -> None:
        super().__init__()
        self.register_buffer("value", torch.from_numpy(np.ascontiguousarray(value)))


def _with(module: Any, weights: Array, bias: Array | None) -> Any:
    module.weight.data = torch.from_numpy(np.ascontiguousarray(weights, np.float32))
    if bias is not None:
        module.bias.data = torch.from_numpy(np.ascontiguousarray(bias))
    return module


def _front(weights: Array) -> Array:
    """Return a kernel of Keras in PyTorch's order: spatial axes last, the other two swapped."""
    spatial = range(weights.ndim - 2)
    return np.ascontiguousarray(weights.transpose(weights.ndim - 1, weights.ndim - 2, *spatial))


def _to_front(maps: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(maps, -1, 1))


def _convolved(x: Tensor, kernels: Tensor, *, up: bool) -> Tensor:
    if up:
        return functional.conv_transpose2d(x, kernels.transpose(0, 1), stride=2)
    return functional.conv2d(x, kernels, padding=kernels.shape[-1] // 2)
