"""The Edge TPU's settings, and its library loaded as the runtimes load it: a stand-in built with the C compiler."""

from __future__ import annotations

import numpy as np
import pytest
import standin_tpu
from bundles import tpu_bundle

from edge_aigc.bundle import read_bundle
from edge_aigc.errors import BundleError, RuntimeMissingError, UsageError
from edge_aigc.interpreter import Interpreter
from edge_aigc.priors import draw
from edge_aigc.tpu import TpuSettings, tpu_settings


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A bundle with a compiled model, whose answers to the seeds 1, 2 and 7 the stand-in knows."""
    path = tpu_bundle(tmp_path)
    monkeypatch.setenv("STANDIN_TPU_RECORD", str(standin_tpu.record(path, (1, 2, 7), tmp_path / "record")))
    monkeypatch.setenv("STANDIN_TPU_LOG", str(tmp_path / "options"))
    return read_bundle(path)


def on_tpu(bundle, **settings):
    tpu = TpuSettings(library=str(standin_tpu.library()), **settings)
    return Interpreter(bundle.content["model_edgetpu.tflite"], tpu=tpu)


def inputs_of(bundle, seed):
    drawn = draw(bundle.manifest.spec, seed=seed)
    return [drawn[name] for name in bundle.manifest.model.inputs]


def test_a_compiled_model_runs_through_its_library(bundle):
    tpu, cpu = on_tpu(bundle), Interpreter(bundle.flatbuffer)
    for seed in (1, 2, 7):
        (made,), (expected,) = (each.run(inputs_of(bundle, seed)) for each in (tpu, cpu))
        assert np.array_equal(made, expected)
    assert "on the Edge TPU (" in tpu.runtime
    assert "Edge TPU" not in cpu.runtime


def test_options_reach_the_library(bundle, tmp_path):
    on_tpu(bundle, device="usb:0", options={"Performance": "Low", "Usb.MaxBulkInQueueLength": "8"})
    assert (tmp_path / "options").read_text().split() == [
        "device=usb:0",
        "Performance=Low",
        "Usb.MaxBulkInQueueLength=8",
    ]


def test_a_library_that_is_not_there_is_named(bundle):
    with pytest.raises(RuntimeMissingError, match=r"libnowhere\.so: cannot open") as refusal:
        Interpreter(bundle.content["model_edgetpu.tflite"], tpu=TpuSettings(library="libnowhere.so"))
    assert "libedgetpu1-std" in refusal.value.remedy


def test_an_edge_tpu_that_is_not_there_is_told(bundle, monkeypatch):
    monkeypatch.setenv("STANDIN_TPU_MODE", "absent")
    with pytest.raises(RuntimeMissingError, match=r"No Edge TPU can be used: .*stand-in: no Edge TPU") as refusal:
        on_tpu(bundle)
    assert "plugged in" in refusal.value.remedy


def test_a_library_that_takes_no_operator_is_refused_by_the_runtime(bundle, monkeypatch):
    monkeypatch.setenv("STANDIN_TPU_MODE", "idle")
    with pytest.raises(BundleError, match="unresolved custom op: edgetpu-custom-op"):
        on_tpu(bundle)


def test_an_edge_tpu_that_fails_while_it_runs_is_told(bundle):
    with pytest.raises(BundleError, match="these inputs are not in the record"):
        on_tpu(bundle).run(inputs_of(bundle, 99))


@pytest.mark.parametrize("device", ["usb", "pci", "usb:0", "pci:1", ":0"])
def test_devices_are_taken(device):
    assert tpu_settings(None, device, {}).delegate_options == {"device": device}


@pytest.mark.parametrize("device", ["", "usb:", "usb:x", "tpu", "0", "usb:-1"])
def test_other_words_are_no_device(device):
    with pytest.raises(UsageError, match="no Edge TPU's name"):
        tpu_settings(None, device, {})


@pytest.mark.parametrize("device", [None, "usb", "pci"])
def test_options_that_would_be_ignored_are_refused(device):
    with pytest.raises(UsageError, match="ignores Performance unless it is told which"):
        tpu_settings(None, device, {"Performance": "Max"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("Performance", "Fast"), ("Usb.AlwaysDfu", "yes"), ("Usb.MaxBulkInQueueLength", "256"), ("Speed", "Max")],
)
def test_options_that_libedgetpu_does_not_have_are_refused(name, value):
    with pytest.raises(UsageError, match=name):
        tpu_settings(None, "usb:0", {name: value})


def test_none_is_the_cpu():
    assert tpu_settings("none", None, {}).library is None
    with pytest.raises(UsageError, match="Without a delegate"):
        tpu_settings("none", "usb", {})
