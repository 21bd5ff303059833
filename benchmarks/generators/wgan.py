"""WGAN-GP's ResNet: nearest upsampling, convolutions, batch norm, residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_WIDTH = 128


def _block(layers: Layers, x: Tensor) -> Tensor:
    y = layers.up_nearest(layers.act(layers.batch_norm(x), "relu"))
    y = layers.act(layers.batch_norm(layers.conv(y, _WIDTH, 3)), "relu")
    y = layers.conv(y, _WIDTH, 3, gain=1.0)
    return layers.conv(layers.up_nearest(x), _WIDTH, 1, gain=1.0) + y


def _build(layers: Layers, latent: Tensor) -> list[Tensor]:
    x = layers.dense_maps(latent, 4, _WIDTH)
    for _ in range(3):
        x = _block(layers, x)
    x = layers.act(layers.batch_norm(x), "relu")
    return [layers.act(layers.conv(x, 3, 3, gain=1.0), "tanh")]


WGAN = Net(
    name="wgan-gp-32",
    source="Gulrajani et al. 2017, the CIFAR-10 ResNet: 128 channels, to 32x32x3",
    inputs=(Fact(name="latent", shape=(128,)),),
    build=_build,
)
