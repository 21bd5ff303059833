"""Forms chosen place by place: what is cheapest goes in, and what is written computes the same."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from edge_aigc.converters.comparison import Comparison
from edge_aigc.converters.forms import Former
from edge_aigc.converters.ir import Builder, Graph, Value, read, write
from edge_aigc.converters.places import place_key
from edge_aigc.converters.rewrites.catalogue import ALTERNATIVES
from edge_aigc.converters.samples import Samples
from edge_aigc.cost import Cost
from edge_aigc.devices.timing import TimedHere
from edge_aigc.interpreter import Interpreter
from edge_aigc.spec import Output


def _decoder(blocks: int = 2, *, seed: int = 0, size: int = 4) -> Graph:
    """Transposed convolutions of one shape after another, each followed by a ReLU."""
    rng = np.random.default_rng(seed)
    x = Value(name="x", shape=(1, size, size, 8))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    build = Builder(graph)
    y = x
    for _ in range(blocks):
        weights = rng.normal(size=(8, 4, 4, 8)).astype(np.float32)
        high = 2 * y.shape[1]
        y = build.transpose_conv(y, weights, np.zeros(8, np.float32), (high, high), stride=(2, 2), padding="SAME")
        y = build.unary("RELU", build.strided_slice(y, (0, 0, 0, 0), (1, size, size, 8), (1, 1, 1, 1)))
    graph.outputs = [y]
    return graph


def _cost(figure: float) -> Cost:
    return Cost(latency_ms=figure, spread_ms=0.0, how="measured", where="a test")


def _without(kind: str):
    """A meter to which one kind of operator is dear, everything else nearly free."""

    def measure(nets):
        asked.append(dict(nets))
        return {
            name: _cost(1.0 + 100 * sum(node.kind == kind for node in read(net).nodes)) for name, net in nets.items()
        }

    asked: list[dict[str, bytes]] = []
    measure.asked = asked
    return measure


def _same(graph: Graph, other: Graph) -> bool:
    x = [np.random.default_rng(1).normal(size=value.shape).astype(np.float32) for value in graph.inputs]
    a, b = (Interpreter(write(one)).run(x)[0] for one in (graph, other))
    return bool(np.abs(a - b).max() <= 1e-5 * np.ptp(a))


def test_what_is_dear_is_put_another_way_and_computes_the_same():
    graph = _decoder()
    former = Former(ALTERNATIVES, _without("TRANSPOSE_CONV"))
    decisions, records = former.decide(graph)
    formed = former.apply(graph, decisions)
    assert not any(node.kind == "TRANSPOSE_CONV" for node in formed.nodes)
    assert [record.times for record in records] == [2]
    assert records[0].before > records[0].after
    assert _same(graph, formed)


def test_what_is_cheap_already_stays():
    graph = _decoder()
    former = Former(ALTERNATIVES, _without("DEPTH_TO_SPACE"))
    decisions, records = former.decide(graph)
    assert (decisions, records) == ({}, ())
    assert write(former.apply(graph, decisions)) == write(graph)


def test_equal_places_are_measured_once_and_remembered():
    meter = _without("TRANSPOSE_CONV")
    former = Former(ALTERNATIVES, meter)
    former.decide(_decoder(blocks=1))
    first = len(meter.asked[0])
    former.decide(_decoder(blocks=3, seed=5))
    assert (len(meter.asked), len(meter.asked[0])) == (1, first)


def test_decisions_make_the_same_bytes_without_a_meter():
    graph = _decoder()
    former = Former(ALTERNATIVES, _without("TRANSPOSE_CONV"))
    decisions, records = former.decide(graph)
    recorded = {record.key: record.steps for record in records}

    def never(nets):
        raise AssertionError(nets)

    assert recorded == decisions
    assert write(Former(ALTERNATIVES, never).apply(graph, recorded)) == write(former.apply(graph, decisions))


def test_a_form_that_makes_the_file_grow_is_left_out_where_that_is_asked():
    class Large:
        """A ReLU as a convolution with a large kernel of zeros around one, then another activation."""

        name = "large"

        def regions(self, graph):
            return [(node,) for node in graph.nodes if node.kind == "RELU"]

        def apply(self, graph, region):
            build = Builder(graph, region[0])
            weights = np.pad(np.eye(8, dtype=np.float32).reshape(8, 1, 1, 8), ((0, 0), (10, 10), (10, 10), (0, 0)))
            graph.replace(
                region[0].output, build.conv_2d(region[0].input(0), weights, padding="SAME", activation="RELU")
            )

    former = Former([Large()], _without("RELU"))
    graph = _decoder(blocks=1)
    assert former.decide(graph)[0]
    assert not former.decide(graph, growth=1.05)[0]


def test_keys_tell_shapes_apart_and_not_weights():
    assert place_key(_decoder(seed=1)) == place_key(_decoder(seed=2))
    assert place_key(_decoder(size=4)) != place_key(_decoder(size=5))


def test_on_this_machine_the_choice_is_no_slower_place_by_place():
    graph = _decoder(blocks=1, size=16)
    meter = TimedHere()
    former = Former(ALTERNATIVES, lambda nets: meter.measure(nets, threads=1))
    _, records = former.decide(graph)
    assert all(record.after < record.before for record in records)


def test_a_comparison_runs_in_another_process():
    flatbuffer = write(_decoder())
    inputs = [[np.random.default_rng(seed).normal(size=(1, 4, 4, 8)).astype(np.float32)] for seed in range(3)]
    comparison = Comparison(
        flatbuffer=flatbuffer,
        samples=Samples(inputs=inputs),
        references=[Interpreter(flatbuffer).run(sample) for sample in inputs],
        outputs=(Output(name="y", shape=(1, 4, 4, 8), media="raw"),),
        minimum=30.0,
        on_pictures=False,
    )
    with ProcessPoolExecutor(1) as elsewhere:
        assert elsewhere.submit(comparison).result().value == pytest.approx(100.0)
