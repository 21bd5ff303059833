"""HiFi-GAN: 1-D transposed convolutions and sums of dilated residual blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_WIDTH = 128
_FRAMES = 32
_SLOPE = 0.1


def _block(layers: Layers, x: Tensor, channels: int, kernel: int) -> Tensor:
    for dilation in (1, 3, 5):
        y = layers.conv(layers.act(x, "leaky_relu", _SLOPE), channels, kernel, dilation=dilation, rank=1, gain=1.0)
        y = layers.conv(layers.act(y, "leaky_relu", _SLOPE), channels, kernel, rank=1, gain=0.5)
        x = x + y
    return x


def _build(layers: Layers, mel: Tensor) -> list[Tensor]:
    channels = _WIDTH
    x = layers.conv(mel, channels, 7, rank=1, gain=1.0)
    for stride in (8, 8, 2, 2):
        channels //= 2
        x = layers.conv_transpose(layers.act(x, "leaky_relu", _SLOPE), channels, 2 * stride, stride, rank=1)
        first, second, third = (_block(layers, x, channels, kernel) for kernel in (3, 7, 11))
        x = layers.times(first + second + third, 1 / 3)
    x = layers.conv(layers.act(x, "leaky_relu", 0.01), 1, 7, rank=1, gain=1.0)
    return [layers.act(x, "tanh")]


HIFIGAN = Net(
    name="hifigan-v2",
    source="Kong et al. 2020, V2: 128 channels, kernels 3, 7, 11, dilations 1, 3, 5; 32 mel frames to 8,192 samples",
    inputs=(Fact(name="mel", shape=(_FRAMES, 80), maps=True),),
    build=_build,
)
