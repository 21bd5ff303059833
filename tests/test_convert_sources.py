"""`edge-aigc convert` on models that Keras did not write: bundles out, refusals with nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx_sources
import pytest

from edge_aigc.bundle import read_manifest
from edge_aigc.cli import run


def _convert(capfd, *arguments):
    code = run(["convert", *map(str, arguments), "--json"])
    return code, json.loads(capfd.readouterr().out)


def _refused(capfd, folder, *arguments):
    """Assert that the conversion is refused and wrote nothing; return the error."""
    code, printed = _convert(capfd, *arguments, "--profile", "rpi4", "-o", folder / "out")
    assert code == 1, printed
    assert not (folder / "out").exists()
    return printed["error"]


def test_an_onnx_generator_becomes_a_bundle(capfd, tmp_path):
    model = onnx_sources.dcgan(tmp_path)
    flags = ("--prior", "latent=normal", "--recipe", "float32", "--meter", "here")
    code, printed = _convert(capfd, model, "--profile", "rpi4", *flags, "-o", tmp_path)
    assert code == 0, printed
    (entry,) = printed["bundles"]
    assert entry["fidelity"]["value"] > 90
    manifest = read_manifest(Path(entry["path"]))
    assert manifest.provenance.framework.startswith("onnx ")
    assert manifest.spec.outputs[0].shape == (1, 16, 16, 3)


def test_of_two_outputs_the_one_that_is_no_medium_is_asked_for_by_name(capfd, tmp_path):
    nodes = [
        ("Conv", ["photo", "w"], ["a"]),
        ("Sigmoid", ["a"], ["picture"]),
        ("GlobalAveragePool", ["a"], ["b"]),
        ("Flatten", ["b"], ["score"]),
    ]
    held = {"w": onnx_sources.weights(3, 3, 1, 1)}
    model = onnx_sources.model(nodes, {"photo": (1, 3, 8, 8)}, ["picture", "score"], held)
    error = _refused(capfd, tmp_path, onnx_sources.saved(model, tmp_path / "two.onnx"), "--range", "0,1")
    assert "'score' [1, 3]" in error["message"]
    assert "--media score=" in error["message"]


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("broken.onnx", b"\x08\xff\xff", "not an ONNX model"),
        ("broken.tflite", b"\x1c\0\0\0TFL3\0", "cannot be read"),
        ("broken.pt2", b"PK\x03\x04", "damaged"),
        ("broken.keras", b"PK\x03\x04", "not a Keras 3 model"),
        ("model.pt", b"\x80\x02}q\0.", "could run any code"),
    ],
)
def test_a_damaged_or_dangerous_file_is_refused_in_words(capfd, tmp_path, name, content, word):
    path = tmp_path / name
    path.write_bytes(content)
    error = _refused(capfd, tmp_path, path)
    assert word in error["message"]
    assert error["remedy"]


def test_open_sizes_unknown_operators_and_lost_weights_are_refused(capfd, tmp_path):
    error = _refused(capfd, tmp_path, onnx_sources.unet(tmp_path, side="side"))
    assert "--input-size" in error["remedy"]
    nodes = [("NonZero", ["x"], ["a"]), ("Cast", ["a"], ["y"], {"to": 1})]
    model = onnx_sources.model(nodes, {"x": (1, 3, 8, 8)}, ["y"], {})
    assert "NonZero" in _refused(capfd, tmp_path, onnx_sources.saved(model, tmp_path / "odd.onnx"))["message"]
    held = {"w": np.full((3, 3, 1, 1), np.nan, np.float32)}
    model = onnx_sources.model([("Conv", ["x", "w"], ["y"])], {"x": (1, 3, 8, 8)}, ["y"], held)
    assert "'w'" in _refused(capfd, tmp_path, onnx_sources.saved(model, tmp_path / "nan.onnx"))["message"]
