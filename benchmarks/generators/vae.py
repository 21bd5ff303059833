"""The decoder of a convolutional VAE: transposed convolutions, batch norm, leaky ReLU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_CHANNELS = (512, 256, 128, 64, 32)


def _up(layers: Layers, x: Tensor, channels: int) -> Tensor:
    return layers.act(layers.batch_norm(layers.conv_transpose(x, channels, 3, 2)), "leaky_relu", 0.01)


def _build(layers: Layers, latent: Tensor) -> list[Tensor]:
    x = layers.dense_maps(latent, 2, _CHANNELS[0])
    for channels in (*_CHANNELS[1:], _CHANNELS[-1]):
        x = _up(layers, x, channels)
    return [layers.act(layers.conv(x, 3, 3, gain=1.0), "tanh")]


VAE = Net(
    name="vae-64",
    source="Kingma and Welling 2013, as in PyTorch-VAE (Subramanian 2020): 512 to 32 channels, to 64x64x3",
    inputs=(Fact(name="latent", shape=(128,)),),
    build=_build,
)
