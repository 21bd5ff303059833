"""CycleGAN: reflected borders, instance norm, residual blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_WIDTH = 64
_BLOCKS = 9


def _normed(layers: Layers, x: Tensor) -> Tensor:
    return layers.act(layers.instance_norm(x), "relu")


def _block(layers: Layers, x: Tensor) -> Tensor:
    y = _normed(layers, layers.conv(layers.reflect(x, 1), 4 * _WIDTH, 3, pad=0))
    y = layers.instance_norm(layers.conv(layers.reflect(y, 1), 4 * _WIDTH, 3, pad=0))
    return x + y


def _build(layers: Layers, picture: Tensor) -> list[Tensor]:
    x = _normed(layers, layers.conv(layers.reflect(picture, 3), _WIDTH, 7, pad=0))
    for factor in (2, 4):
        x = _normed(layers, layers.conv(x, factor * _WIDTH, 3, stride=2, pad=1))
    for _ in range(_BLOCKS):
        x = _block(layers, x)
    for factor in (2, 1):
        x = _normed(layers, layers.conv_transpose(x, factor * _WIDTH, 3, 2))
    x = layers.conv(layers.reflect(x, 3), 3, 7, pad=0, gain=1.0)
    return [layers.act(x, "tanh")]


CYCLEGAN = Net(
    name="cyclegan-128",
    source="Zhu et al. 2017: 9 blocks of 256 channels, 128x128x3 to 128x128x3",
    inputs=(Fact(name="picture", shape=(128, 128, 3), kind="uniform", maps=True),),
    build=_build,
)
