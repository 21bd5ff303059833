from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import suite
from contest import entrants, forms, table
from generators import NETS
from generators.net import Fact, Net

from edge_aigc.converters.costs.work import multiplications

if TYPE_CHECKING:
    from generators.net import Layers, Tensor


def _picture(layers: Layers, latent: Tensor) -> list[Tensor]:
    x = layers.act(layers.batch_norm(layers.dense_maps(latent, 4, 8)), "relu")
    return [layers.act(layers.conv_transpose(x, 3, 4, 2), "tanh")]


def _step(layers: Layers, token: Tensor, state: Tensor) -> list[Tensor]:
    state = layers.gru(layers.embedding(token, 5, 4), state, 8)
    return [layers.dense(state, 5), state]


PICTURE = Net(name="tiny-picture", source="here", inputs=(Fact(name="latent", shape=(6,)),), build=_picture)
STEP = Net(
    name="tiny-step",
    source="here",
    inputs=(Fact(name="token", shape=(1,), kind="index", below=5), Fact(name="state", shape=(8,))),
    build=_step,
    maps_out=False,
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))
    return tmp_path


def test_the_suite_runs_two_tiny_nets_and_writes_its_figures(cache, monkeypatch, capsys):
    monkeypatch.setattr(suite, "NETS", {net.name: net for net in (PICTURE, STEP)})
    code = suite.main(["--without-torch", "--seconds", "0", "--json", str(cache / "found.json")])
    found = json.loads((cache / "found.json").read_text())
    assert code == 0, capsys.readouterr().err
    assert set(found["nets"]) == {"tiny-picture", "tiny-step"}
    for net in found["nets"].values():
        # ONNX Runtime is left out of the step: tf2onnx 1.17 translates it into something else, and that is told.
        assert set(net["contenders"]) | set(net["missing"]) >= {"ours", "auto", *forms.FLATBUFFERS}
        assert all(contender["ms"] > 0 for contender in net["contenders"].values())
        for name in ("ours", "naive_batch1", "naive_batch_none"):
            assert net["contenders"][name]["error"] < 1e-4
    assert found["nets"]["tiny-picture"]["contenders"]["onnxruntime"]["error"] < 1e-4
    assert "of the range" in found["nets"]["tiny-step"]["missing"]["tf2onnx"]
    assert set(found["geomean"]) >= {"naive_batch1", "naive_batch_none", "onnxruntime", "torch", "aeq_int8"}
    assert found["geomean"]["torch"] is None
    assert "geometric mean" in capsys.readouterr().out


@pytest.mark.usefixtures("cache")
def test_a_net_is_made_once():
    told: list[str] = []
    first = forms.forms_of(STEP, told.append)
    second = forms.forms_of(STEP, told.append)
    assert told == ["tiny-step: building it in Keras"]
    assert first.flatbuffers == second.flatbuffers


@pytest.mark.usefixtures("cache")
def test_multiplications_are_those_of_the_layers():
    naive = forms.forms_of(PICTURE, lambda _: None).flatbuffers["naive_batch1"]
    assert multiplications(naive) == 6 * 4 * 4 * 8 + 4 * 4 * 8 * 4 * 4 * 3


def test_without_pytorch_the_suite_says_how_to_have_it(monkeypatch, capsys):
    monkeypatch.delenv("EDGE_AIGC_TORCH_PYTHON", raising=False)
    monkeypatch.setattr("contest.torch_side.importlib.util.find_spec", lambda _: None)
    assert suite.main(["--net", "gru-step"]) != 0
    assert "EDGE_AIGC_TORCH_PYTHON" in capsys.readouterr().err


def test_esrgan_without_its_weights_is_refused_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ESRGAN_X2", str(tmp_path / "nowhere.keras"))
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))
    assert suite.main(["--net", "esrgan-x2", "--without-torch"]) != 0
    assert "nowhere.keras is not here" in capsys.readouterr().err


def test_distance_is_in_shares_of_the_range():
    import numpy as np

    expected = np.array([0.0, 10.0])
    assert entrants.distance([np.array([0.0, 9.0])], [expected]) == pytest.approx(0.1)


def test_the_geometric_mean_leaves_out_what_could_not_be_run():
    assert table.geometric_mean([4.0, None, 1.0]) == pytest.approx(2.0)
    assert table.geometric_mean([None]) is None


def test_every_net_of_the_suite_draws_inputs_of_its_shapes():
    for net in NETS.values():
        assert [array.shape for array in net.draw(1)] == [(1, *fact.shape) for fact in net.inputs]
