"""The suite under tflite-runtime, in an environment of its own, which is made if no Python with it is named."""

from __future__ import annotations

import json

import pytest
import suite
from contest.entrants import on_tflite
from contest.forms import forms_of
from contest.tflite_side import TfliteSide, tflite_python
from test_suite import PICTURE, STEP

from edge_aigc.converters.quantize import quantize
from edge_aigc.errors import RuntimeMissingError

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def tflite():
    with TfliteSide(tflite_python()) as side:
        yield side


@pytest.fixture
def forms(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))
    return forms_of(PICTURE, lambda _: None)


def test_the_same_flatbuffers_run_there_and_agree(tflite, forms):
    naive = forms.flatbuffers["naive_batch1"]
    old = quantize(naive, "dynamic", calibration=(), int8_borders=False, older_kernels=True)
    entrants = on_tflite(tflite, naive, {"dynamic for older kernels": old}, forms)
    assert set(entrants) >= {"ours", "auto", "naive_batch1", "naive_batch_none"}
    assert all(entrants[name].error < 1e-4 for name in ("ours", "naive_batch1", "naive_batch_none"))
    assert all(ms > 0 for one in entrants.values() for ms in one.turn(0.01, 3))


def test_what_it_refuses_is_told_and_the_rest_runs(tflite, forms):
    naive = forms.flatbuffers["naive_batch1"]
    newer = quantize(naive, "dynamic", calibration=(), int8_borders=False)
    outputs = tflite.load({"naive": naive, "newer": newer}, forms)
    assert set(outputs) == {"naive"}
    assert "tflite-runtime 2.14.0 refuses" in tflite.missing["newer"]


def test_what_fails_there_is_told_here(tflite):
    with pytest.raises(RuntimeMissingError, match="nothing-of-the-kind"):
        tflite.time("nothing-of-the-kind", seconds=0.1, most=1)


def test_the_suite_prints_a_table_of_its_own_for_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EDGE_AIGC_TFLITE_PYTHON", tflite_python())
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))
    monkeypatch.setattr(suite, "NETS", {STEP.name: STEP})
    found = tmp_path / "found.json"
    assert suite.main(["--without-torch", "--seconds", "0", "--runtime", "tflite", "--json", str(found)]) == 0
    told = json.loads(found.read_text())
    assert told["geomean"]["tflite naive_batch1"] > 0
    assert told["nets"]["tiny-step"]["contenders"]["tflite ours"]["error"] < 1e-4
    assert "under tflite-runtime" in capsys.readouterr().out
