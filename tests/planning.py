"""Students of the digits and of a small net, where costs are those of a price list."""

from __future__ import annotations

import numpy as np

from edge_aigc.converters.candidates import Rules
from edge_aigc.converters.costs.work import price
from edge_aigc.converters.ir import Builder, Graph, Value, constant, write
from edge_aigc.converters.models import DIGITS, DIGITS_SPEC
from edge_aigc.converters.order import Order
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.converters.specification import Statement, complete
from edge_aigc.converters.students import Place, Students
from edge_aigc.converters.targets.xnnpack import Xnnpack
from edge_aigc.converters.workbench import Workbench
from edge_aigc.cost import Cost
from edge_aigc.devices.catalog import find_profile
from edge_aigc.spec import parse_toml


class Priced:
    """A `CostMeter` whose milliseconds are millions of `price`: the same on every machine, loaded or not."""

    shortlist = 4

    def __init__(self, slower):
        self._slower = slower

    def measure(self, flatbuffers, *, threads):
        del threads
        return {
            name: Cost(latency_ms=self._slower * price(one) / 1e6, spread_ms=0.0, how="estimated", where="a price list")
            for name, one in flatbuffers.items()
        }


def digits(order, **more):
    return students_of(load(DIGITS, Wish()), parse_toml(DIGITS_SPEC.read_bytes(), origin="digits.toml"), order, **more)


def students_of(source, fields, order, *, slower=1.0, recipes=("float32",), note=None, meter=None):
    stated = Statement(file=fields)
    bench = Workbench(source, complete(source.inputs, source.outputs, stated, default_name="digits"), order)
    profile = find_profile("rpi4")
    rules = Rules(target=Xnnpack(), wheels=(), limit_bytes=1 << 32, threads=1, meter=meter or Priced(slower))
    return bench, Students(bench, Place(profile=profile, recipes=recipes, rules=rules), lambda _: None, note)


def scaled(folder):
    """A flatbuffer that normalizing changes: a scale between two convolutions."""
    random = np.random.default_rng(3)
    latent = Value(name="latent", shape=(1, 8, 8, 4))
    graph = Graph(inputs=[latent], outputs=[], nodes=[], input_names=["latent"], output_names=["image"])
    builder = Builder(graph)
    kernels = [random.normal(size=(16, 3, 3, depth)).astype(np.float32) / 8 for depth in (4, 16)]
    x = builder.conv_2d(latent, kernels[0], padding="SAME", activation="RELU")
    x = builder.mul(x, constant(np.linspace(0.5, 2, 16, dtype=np.float32)))
    graph.outputs = [builder.conv_2d(x, kernels[1], padding="SAME")]
    (folder / "scaled.tflite").write_bytes(write(graph))
    return folder / "scaled.tflite"


def thin(folder):
    """A flatbuffer without a channel that could go: one convolution makes its output of its input."""
    latent = Value(name="latent", shape=(1, 8, 8, 4))
    graph = Graph(inputs=[latent], outputs=[], nodes=[], input_names=["latent"], output_names=["image"])
    kernel = np.random.default_rng(3).normal(size=(4, 3, 3, 4)).astype(np.float32)
    graph.outputs = [Builder(graph).conv_2d(latent, kernel, padding="SAME")]
    (folder / "thin.tflite").write_bytes(write(graph))
    return folder / "thin.tflite"


def small(folder, order, *, note):
    """The students of a small net, and what they noted."""
    source = load(scaled(folder), Wish())
    outputs = [{"name": fact.name, "media": "raw"} for fact in source.outputs]
    fields = {"inputs": [{"name": "latent", "prior": "normal"}], "outputs": outputs}
    return students_of(source, fields, Order(prune=order), note=note.append)[1], note
