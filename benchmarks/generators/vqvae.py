"""The decoder of a VQ-VAE: indices, residual blocks, transposed convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_WIDTH = 256
_ENTRIES = 512


def _block(layers: Layers, x: Tensor) -> Tensor:
    y = layers.act(layers.conv(layers.act(x, "relu"), _WIDTH, 3), "relu")
    return x + layers.conv(y, _WIDTH, 1, gain=1.0)


def _build(layers: Layers, indices: Tensor) -> list[Tensor]:
    x = layers.conv(layers.embedding_maps(indices, _ENTRIES, _WIDTH), _WIDTH, 3, gain=1.0)
    for _ in range(2):
        x = _block(layers, x)
    x = layers.act(layers.conv_transpose(layers.act(x, "relu"), _WIDTH, 4, 2), "relu")
    return [layers.conv_transpose(x, 3, 4, 2)]


VQVAE = Net(
    name="vqvae-128",
    source="van den Oord et al. 2017, the ImageNet decoder: 32x32 of 512 entries, 256 channels, to 128x128x3",
    inputs=(Fact(name="indices", shape=(32, 32), kind="index", below=_ENTRIES),),
    build=_build,
)
