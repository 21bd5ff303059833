"""pix2pix: a U-Net of strided and transposed convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_DOWN = (64, 128, 256, 512, 512, 512, 512)
"""Channels after each halving, from 128x128 to 1x1: `unet_128` of the authors' code."""


def _build(layers: Layers, picture: Tensor) -> list[Tensor]:
    x = layers.conv(picture, _DOWN[0], 4, stride=2, pad=1)
    skips = []
    for index, channels in enumerate(_DOWN[1:]):
        skips.append(x)
        innermost = index == len(_DOWN) - 2
        x = layers.conv(layers.act(x, "leaky_relu"), channels, 4, stride=2, pad=1, bias=innermost)
        x = x if innermost else layers.batch_norm(x)
    for skip, channels in zip(reversed(skips), reversed(_DOWN[:-1]), strict=True):
        x = layers.batch_norm(layers.conv_transpose(layers.act(x, "relu"), channels, 4, 2, bias=False))
        x = layers.concat([skip, x])
    return [layers.act(layers.conv_transpose(layers.act(x, "relu"), 3, 4, 2), "tanh")]


PIX2PIX = Net(
    name="pix2pix-128",
    source="Isola et al. 2017, the U-Net for 128x128x3: 64 to 512 channels",
    inputs=(Fact(name="picture", shape=(128, 128, 3), kind="uniform", maps=True),),
    build=_build,
)
