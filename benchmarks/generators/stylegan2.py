"""StyleGAN2: a mapping network, modulated convolutions, noise, skip outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_WIDTH = 512
_CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256}
"""min(512, 16384 / size): `channel_base=16384` of the authors' code."""
_TAPS = (0.25, 0.75, 0.75, 0.25)
"""[1, 3, 3, 1] / 8, doubled because upsampling puts a zero beside each value."""


def _styled(layers: Layers, x: Tensor, style: Tensor, noise: Tensor, size: int, *, up: bool) -> Tensor:
    x = layers.modulated(x, style, _CHANNELS[size], 3, up=up)
    if up:
        x = layers.fir(x, _TAPS, 1, 1)
    x = layers.channel_bias(x + layers.scaled(noise))
    return layers.times(layers.act(x, "leaky_relu"), 2**0.5)


def _to_rgb(layers: Layers, x: Tensor, style: Tensor, skip: Tensor | None) -> Tensor:
    x = layers.channel_bias(layers.modulated(x, style, 3, 1, demodulate=False))
    return x if skip is None else x + layers.fir(layers.zero_insert(skip), _TAPS, 2, 1)


def _build(layers: Layers, latent: Tensor, *noises: Tensor) -> list[Tensor]:
    style = layers.pixel_norm(latent)
    for _ in range(8):
        style = layers.act(layers.dense(style, _WIDTH), "leaky_relu")
    waiting = iter(noises)
    x = _styled(layers, layers.constant(4, _WIDTH), style, next(waiting), 4, up=False)
    skip = _to_rgb(layers, x, style, None)
    for size in (8, 16, 32, 64):
        x = _styled(layers, x, style, next(waiting), size, up=True)
        x = _styled(layers, x, style, next(waiting), size, up=False)
        skip = _to_rgb(layers, x, style, skip)
    return [skip]


_NOISES = (4, *(size for size in (8, 16, 32, 64) for _ in range(2)))
STYLEGAN2 = Net(
    name="stylegan2-64",
    source="Karras et al. 2020, 64x64x3 with `channel_base` 16384: 512 channels, 256 at 64x64",
    inputs=(
        Fact(name="latent", shape=(_WIDTH,)),
        *(Fact(name=f"noise{i}", shape=(size, size, 1), maps=True) for i, size in enumerate(_NOISES)),
    ),
    build=_build,
)
