"""WaveGAN: 1-D transposed convolutions with long kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_WIDTH = 64


def _build(layers: Layers, latent: Tensor) -> list[Tensor]:
    x = layers.act(layers.dense_maps(latent, 16, 16 * _WIDTH, rank=1), "relu")
    for factor in (8, 4, 2, 1):
        x = layers.act(layers.conv_transpose(x, factor * _WIDTH, 25, 4, rank=1), "relu")
    return [layers.act(layers.conv_transpose(x, 1, 25, 4, rank=1), "tanh")]


WAVEGAN = Net(
    name="wavegan-16384",
    source="Donahue et al. 2018: 1,024 to 64 channels, kernels of 25, to 16,384 samples",
    inputs=(Fact(name="latent", shape=(100,)),),
    build=_build,
)
