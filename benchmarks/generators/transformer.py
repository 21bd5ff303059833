"""One step of a character model of attention, with key-value caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_BLOCKS, _HEADS, _WIDTH, _LENGTH = 6, 6, 384, 256
_VOCABULARY = 65


def _build(layers: Layers, token: Tensor, position: Tensor, *caches: Tensor) -> list[Tensor]:
    x = layers.embedding(token, _VOCABULARY, _WIDTH) + layers.embedding(position, _LENGTH, _WIDTH)
    written = []
    for keys, values in zip(caches[::2], caches[1::2], strict=True):
        y = layers.dense(layers.layer_norm(x), 3 * _WIDTH, gain=1.0)
        y, *rows = layers.attend(y, position, keys, values)
        written += rows
        x = x + layers.dense(y, _WIDTH, gain=0.5)
        y = layers.act(layers.dense(layers.layer_norm(x), 4 * _WIDTH), "gelu")
        x = x + layers.dense(y, _WIDTH, gain=0.5)
    return [layers.dense(layers.layer_norm(x), _VOCABULARY, gain=1.0), *written]


TRANSFORMER = Net(
    name="transformer-step",
    source="nanoGPT's character model (Karpathy 2022): 6 blocks, 6 heads, width 384, 256 positions; one step",
    inputs=(
        Fact(name="token", shape=(1,), kind="index", below=_VOCABULARY),
        Fact(name="position", shape=(1,), kind="index", below=_LENGTH),
        *(
            Fact(name=f"{kind}{block}", shape=(_HEADS, _LENGTH, _WIDTH // _HEADS))
            for block in range(_BLOCKS)
            for kind in ("keys", "values")
        ),
    ),
    build=_build,
    maps_out=False,
)
