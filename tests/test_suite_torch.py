"""The suite's other process; needs the extra `torch`, here or in the Python that EDGE_AIGC_TORCH_PYTHON names."""

from __future__ import annotations

import pytest
from contest.entrants import on_onnxruntime, on_torch
from contest.forms import forms_of
from contest.torch_side import TorchSide, torch_python
from generators import NETS

from edge_aigc.errors import RuntimeMissingError

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def torch():
    with TorchSide(torch_python()) as side:
        yield side


@pytest.mark.parametrize("name", ["gru-step", "vae-64", "dcgan-64"])
def test_pytorch_and_its_onnx_file_compute_what_keras_does(torch, name, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))
    forms = forms_of(NETS[name], lambda _: None)
    entrant = on_torch(torch, forms)
    assert entrant.error < 1e-4
    assert all(ms > 0 for ms in entrant.turn(0.01, 3))
    session, wrong = on_onnxruntime(torch.onnx, forms)
    assert not wrong
    assert session is not None
    assert session.error < 1e-4


def test_what_fails_there_is_told_here(torch):
    with pytest.raises(RuntimeMissingError, match="nothing-of-the-kind"):
        torch.time("nothing-of-the-kind", seconds=0.1, most=1)
