"""`inspect` of a bare flatbuffer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from bundles import DATA
from edgetpu_files import coral_model

from edge_aigc.cli import run


@pytest.fixture
def file(tmp_path):
    """Write a model beside others, as a user has it."""

    def write(content, name="model.tflite"):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


def test_a_float_model_is_shown_with_what_runs_it(capfd):
    assert run(["inspect", str(DATA / "tiny.tflite")]) == 0
    shown = capfd.readouterr().out
    assert "operator " in shown
    assert "ai-edge-litert 1.4.0 and later" in shown
    assert "tflite-runtime 2.14.0 and later" in shown
    assert "edge tpu" not in shown


def test_an_int8_model_is_shown_with_what_an_edge_tpu_would_make_of_it(file, capfd):
    assert run(["inspect", file(coral_model("deeplabv3_mnv2_dm05_pascal_quant"))]) == 0
    shown = capfd.readouterr().out
    assert "  38 CONV_2D 1  (int32, uint8)" in shown
    assert "64 of 72 operators are expected to map" in shown
    assert "stops at RESIZE_BILINEAR" in shown
    assert "estimated from pycoral's benchmarks" in shown


def test_a_compiled_model_is_shown_with_what_was_mapped(file, capfd):
    assert run(["inspect", file(coral_model("deeplabv3_mnv2_dm05_pascal_quant_edgetpu"))]) == 0
    shown = capfd.readouterr().out
    assert "   1 edgetpu-custom-op 1" in shown
    assert "needs Edge TPU runtime 12 or newer" in shown
    assert "parameters 766,720 B cached on the Edge TPU, 0 B streamed; 160,672 B of instructions" in shown
    assert "takes MobilenetV2/MobilenetV2/input [513, 513, 3] uint8, 789,512 B" in shown
    assert "libedgetpu.so.1" in shown


def test_json_holds_all_of_it(file, capfd):
    assert run(["inspect", file(coral_model("keras_lstm_mnist_ptq_edgetpu")), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["operators"][0]["kind"] == "edgetpu-custom-op"
    assert [entry["kind"] for entry in found["compiled"][0]["executables"]][1] == "caches parameters"
    assert found["edgetpu"] is None


def test_what_is_no_flatbuffer_is_refused(file, capfd):
    assert run(["inspect", file(b"not a flatbuffer"), "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["error"]["code"] == "conversion"


def test_a_missing_file_is_refused(tmp_path, capfd):
    assert run(["inspect", str(tmp_path / "none.tflite")]) == 1
    assert "none.tflite" in capfd.readouterr().err


def test_without_the_readers_it_says_what_to_install(file):
    path = file((DATA / "tiny.tflite").read_bytes())
    # None in sys.modules is how Python itself marks a module that is not to be found.
    code = (
        "import sys; sys.modules['ai_edge_litert'] = None\nfrom edge_aigc.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code, "inspect", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs ai-edge-litert" in done.stderr
    assert "pip install 'edge-aigc[convert]'" in done.stderr
