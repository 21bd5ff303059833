"""One step of a character model with a gated recurrent unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.net import Fact, Net

if TYPE_CHECKING:
    from generators.net import Layers, Tensor

_UNITS = 1024
_VOCABULARY = 66


def _build(layers: Layers, token: Tensor, state: Tensor) -> list[Tensor]:
    state = layers.gru(layers.embedding(token, _VOCABULARY, 256), state, _UNITS)
    return [layers.dense(state, _VOCABULARY, gain=1.0), state]


GRU = Net(
    name="gru-step",
    source="TensorFlow's text generation tutorial: embeddings of 256, 1,024 units, 66 characters; one step",
    inputs=(Fact(name="token", shape=(1,), kind="index", below=_VOCABULARY), Fact(name="state", shape=(_UNITS,))),
    build=_build,
    maps_out=False,
)
