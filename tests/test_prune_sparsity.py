"""Zeros in kernels: stored as sparse tensors, taken only where they cost less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sparsity import control

from edge_aigc.converters.graph import operators, parse
from edge_aigc.converters.ir import Builder, Graph, Value, write
from edge_aigc.converters.order import Order, PruneOrder
from edge_aigc.converters.prune.sparsity import sparse, sparse_if_cheaper
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate.counting import EmulatedCounter
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import Interpreter
from tests.planning import Priced, students_of
from tests.pruning import conv
from tests.rewriting import graph_of, normal


def _net() -> Graph:
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        y = conv(build, conv(build, x, rng, 10, activation="RELU"), rng, 6, size=1)
        return build.fully_connected(build.reshape(y, (1, 96)), normal(rng, (5, 96)), normal(rng, (5,)))

    return graph_of((1, 4, 4, 7), make)


def _thinned(graph: Graph, thin) -> Graph:
    changed = graph.copy()
    for node in changed.nodes:
        if node.kind in {"CONV_2D", "FULLY_CONNECTED"}:
            node.input(1).data = thin(node.input(1).data)
    return changed


def _smallest(values, share):
    kept = values.ravel().copy()
    kept[np.argsort(np.abs(kept))[: round(share * kept.size)]] = 0
    return kept.reshape(values.shape)


def test_a_sparse_model_computes_what_the_full_one_does_with_its_smallest_weights_zero():
    graph = _net()
    x = normal(np.random.default_rng(1), (1, 4, 4, 7))
    found = Interpreter(sparse(write(graph), zeros=0.8)).run([x])[0]
    expected = Interpreter(write(_thinned(graph, lambda values: _smallest(values, 0.8)))).run([x])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_of_four_weights_side_by_side_the_two_larger_stay():
    graph = _net()

    def thin(values):
        depth = values.shape[-1] // 4 * 4
        thinned = values.copy()
        fours = thinned[..., :depth].reshape(-1, 4)
        for four in fours:
            four[np.argsort(np.abs(four))[:2]] = 0
        thinned[..., :depth] = fours.reshape(*values.shape[:-1], depth)
        return thinned

    x = normal(np.random.default_rng(1), (1, 4, 4, 7))
    found = Interpreter(sparse(write(graph), zeros=0.5, pattern="2:4")).run([x])[0]
    expected = Interpreter(write(_thinned(graph, thin))).run([x])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_zeros_are_not_stored():
    full = write(_net())
    thin = sparse(full, zeros=0.9)
    assert [operator.kind for operator in operators(thin)].count("DENSIFY") == 3
    stored = [tensor for tensor in parse(thin).subgraphs[0].tensors if tensor.sparsity is not None]
    assert len(stored) == 3
    model = parse(thin)
    for tensor in stored:
        size = len(model.buffers[tensor.buffer].data) // 4
        assert size == pytest.approx(0.1 * np.prod(tensor.shape), abs=1)


def _costs(full: float, thin: float):
    return lambda forms: dict(zip(forms, (full, thin), strict=True))


def _entered() -> bytes:
    """A net whose first convolution is where XNNPACK's sparse kernels may begin."""
    rng = np.random.default_rng(0)

    def make(build: Builder, x: Value) -> Value:
        return conv(build, conv(build, x, rng, 8, stride=(2, 2), activation="RELU"), rng, 8, size=1)

    return write(graph_of((1, 8, 8, 3), make))


def test_zeros_that_gain_nothing_are_refused_with_both_figures():
    words = "on a Pi 4: with 80% of the weights zero the generator takes 1,234 instructions, with all of them 1,240"
    with pytest.raises(ConversionError, match=words) as caught:
        sparse_if_cheaper(
            _entered(), _costs(1240, 1234), zeros=0.8, pattern="unstructured", where="a Pi 4", unit="instructions"
        )
    assert "--prune" in caught.value.remedy


def test_zeros_that_gain_are_kept():
    found = sparse_if_cheaper(_entered(), _costs(100, 40), zeros=0.8, pattern="unstructured", where="here", unit="ms")
    assert found == sparse(_entered(), zeros=0.8)


def test_a_net_without_a_place_for_them_is_refused_without_measuring():
    def measure(forms):
        raise AssertionError(forms.keys())

    with pytest.raises(ConversionError, match=r"this generator has none\. Counted on Cortex-A72: .* 6,541 with none"):
        sparse_if_cheaper(write(_net()), measure, zeros=0.5, pattern="2:4", where="a Pi 4", unit="instructions")


def test_what_is_counted_operator_by_operator_cannot_tell(tmp_path):
    class Counted(Priced):
        def measure(self, flatbuffers, *, threads):
            costs = super().measure(flatbuffers, threads=threads)
            return {name: replace(cost, instructions=1000) for name, cost in costs.items()}

    (tmp_path / "entered.tflite").write_bytes(_entered())
    fields = {"inputs": [{"name": "x", "prior": "normal"}], "outputs": [{"name": "y", "media": "raw"}]}
    order = Order(prune=PruneOrder(zeros=0.9, distill_minutes=0))
    _, students = students_of(load(tmp_path / "entered.tflite", Wish()), fields, order, meter=Counted(1.0))
    with pytest.raises(ConversionError, match=r"cannot be counted: .* operator by operator") as caught:
        students.variants()
    assert "--on user@host" in caught.value.remedy


@pytest.mark.heavy
def test_on_a_pi_4_zeros_gain_where_xnnpack_has_kernels_for_them_and_nowhere_else():
    full, other = control(), write(_net())
    forms = {
        f"{name} {zeros}": sparse(net, zeros=zeros)
        for name, net in (("full", full), ("other", other))
        for zeros in (0.0, 0.9)
    }
    counts = EmulatedCounter(find_profile("rpi4"), "litert").count(forms)
    assert counts["full 0.9"] < 0.3 * counts["full 0.0"]
    assert counts["other 0.9"] > 0.97 * counts["other 0.0"]
