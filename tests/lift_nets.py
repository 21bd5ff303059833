"""The suite's generators, small: what `lift` is held against the interpreter on, whole."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from contest.forms import _converted
from generators import NETS
from generators.keras_layers import keras_model
from generators.net import Weights

from edge_aigc.converters.ir import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from generators.net import Net

    from edge_aigc.converters.ir import Graph

_SMALL: Mapping[str, Mapping[str, Any]] = {
    "cyclegan": {"_WIDTH": 4, "_BLOCKS": 1},
    "stylegan2": {"_WIDTH": 8, "_CHANNELS": {4: 8, 8: 8, 16: 8, 32: 4, 64: 4}},
    "transformer": {"_BLOCKS": 1, "_HEADS": 2, "_WIDTH": 8, "_LENGTH": 6},
    "gru": {"_UNITS": 12},
    "vqvae": {"_WIDTH": 8},
    "hifigan": {"_WIDTH": 32},
    "pix2pix": {"_DOWN": (4, 4, 6, 6, 8, 8, 8)},
    "vae": {"_CHANNELS": (16, 8, 8, 6, 4)},
    "wavegan": {"_WIDTH": 2},
    "wgan": {"_WIDTH": 8},
}
"""What is set in a net's file, by the file."""
_INPUTS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "cyclegan-128": {"picture": (16, 16, 3)},
    "esrgan-x2": {"picture": (12, 12, 3)},
    "hifigan-v2": {"mel": (4, 80)},
    "stylegan2-64": {"latent": (8,)},
    "transformer-step": {f"{kind}{block}": (2, 6, 4) for block in range(6) for kind in ("keys", "values")},
    "gru-step": {"state": (12,)},
    "vqvae-128": {"indices": (4, 4)},
}
"""The smaller shapes of inputs."""


def small(name: str, monkeypatch: pytest.MonkeyPatch) -> Net:
    """Return a generator of the suite with few channels and small maps, its weights drawn."""
    net = NETS[name]
    module = net.build.__module__
    for constant, value in _SMALL.get(module.rpartition(".")[2], {}).items():
        monkeypatch.setattr(f"{module}.{constant}", value)
    shapes = _INPUTS.get(name, {})
    inputs = tuple(dataclasses.replace(fact, shape=shapes.get(fact.name, fact.shape)) for fact in net.inputs)
    if name == "transformer-step":
        inputs = (*(dataclasses.replace(fact, below=6) for fact in inputs[:2]), *inputs[2:4])
    build = net.build
    if name == "dcgan-64":  # its channels have no names
        net = dataclasses.replace(net, build=lambda layers, x: build(_Narrow(layers), x))
    return dataclasses.replace(net, inputs=inputs, weights=Weights)


class _Narrow:
    """Layers that make a 32nd of the channels."""

    def __init__(self, layers: Any) -> None:
        self._layers = layers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layers, name)

    def conv_transpose(self, x: Any, filters: int, *rest: Any, **options: Any) -> Any:
        return self._layers.conv_transpose(x, max(filters // 32, 3), *rest, **options)


def graph_of(net: Net) -> Graph:
    """Return a net's graph as TensorFlow's converter writes it, batch 1."""
    return read(_converted(net, keras_model(net, batch=1), batch=1))


def draws(net: Net, graph: Graph, count: int = 3) -> list[list[Any]]:
    """Return samples in the order of the graph's inputs."""
    names = [fact.name for fact in net.inputs]
    drawn = [dict(zip(names, net.draw(seed), strict=True)) for seed in range(count)]
    return [[sample[name] for name in graph.input_names] for sample in drawn]
