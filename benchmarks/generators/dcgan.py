"""DCGAN: transposed convolutions, batch norm, ReLU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor


def _build(layers: Layers, latent: Tensor) -> list[Tensor]:
    x = layers.batch_norm(layers.conv_transpose(latent, 512, 4, 1, same=False, bias=False))
    for channels in (256, 128, 64):
        x = layers.conv_transpose(layers.act(x, "relu"), channels, 4, 2, bias=False)
        x = layers.batch_norm(x)
    x = layers.conv_transpose(layers.act(x, "relu"), 3, 4, 2, bias=False)
    return [layers.act(x, "tanh")]


DCGAN = Net(
    name="dcgan-64",
    source="Radford et al. 2015, in the size of PyTorch's tutorial: 512 to 64 channels, kernels of 4, to 64x64x3",
    inputs=(Fact(name="latent", shape=(1, 1, 100), maps=True),),
    build=_build,
)
