"""The Edge TPU: the pre-check, and the compiler driven and its log read."""

from __future__ import annotations

import os

import nets
import pytest

from edge_aigc.cli import run
from edge_aigc.converters.quantize import quantize
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.converters.targets import edgetpu

# What edgetpu_compiler 16 prints with --show_operations, as its documentation shows it.
LOG = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 52 ms.

Input model: model.tflite
Input size: 342.00KiB
Output model: model_edgetpu.tflite
Output size: 500.00KiB
On-chip memory used for caching model parameters: 350.25KiB
On-chip memory remaining for caching model parameters: 7.35MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 8
Operation log: model_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 7
Number of operations that will run on CPU: 1

Operator                       Count      Status

CONCATENATION                  1          Mapped to Edge TPU
TRANSPOSE_CONV                 2          Mapped to Edge TPU
"""


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Put a program on PATH that answers as the compiler does; the real one is closed and not to be had here."""

    def install(log, *, makes_file):
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / edgetpu.COMPILER
        copy = 'for last; do :; done; cp "$last" "${last%.tflite}_edgetpu.tflite"' if makes_file else ":"
        program.write_text(f"#!/bin/sh\n{copy}\ncat <<'END'\n{log}END\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return install


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A ReLU and a LeakyReLU generator, int8 in and out."""
    folder = tmp_path_factory.mktemp("nets")
    made = {}
    for name, leaky in (("relu", False), ("leaky", True)):
        (folder / name).mkdir()
        source = load_keras(nets.gan(folder / name, leaky=leaky))
        import numpy as np

        calibration = [[np.ones(fact.shape, np.float32) for fact in source.inputs]]
        made[name] = quantize(source.flatbuffer, "int8", calibration=calibration, int8_borders=True)
        made[f"{name}-float"] = source.flatbuffer
    return made


def test_a_relu_generator_maps_whole(models):
    assert edgetpu.precheck(models["relu"]) == {}


def test_leaky_relu_is_refused_with_what_to_do(models):
    refused = edgetpu.precheck(models["leaky"])
    assert list(refused) == ["LEAKY_RELU"]
    assert "ReLU" in refused["LEAKY_RELU"]


def test_float_tensors_are_refused_by_name(models):
    assert "float32; the Edge TPU computes in int8" in edgetpu.precheck(models["relu-float"])["FULLY_CONNECTED"]


def test_the_log_of_the_compiler_is_read():
    found = edgetpu.parse_log(LOG, refused={})
    assert found.compiled
    assert found.compiler == "16.0.384591198"
    assert (found.on_tpu, found.on_cpu, found.subgraphs) == (7, 1, 1)
    assert found.on_chip_bytes == round(350.25 * 1024)
    assert found.off_chip_bytes == 0


def test_a_compiled_model_travels_beside_the_one_for_the_cpu(compiler, models):
    compiler(LOG, makes_file=True)
    compiled = edgetpu.EdgeTpuTarget().compile(models["relu"])
    assert compiled.edgetpu.compiled
    assert compiled.files == {edgetpu.COMPILED_FILE: models["relu"]}


def test_the_words_without_the_file_are_no_success(compiler, models):
    compiler(LOG, makes_file=False)
    compiled = edgetpu.EdgeTpuTarget().compile(models["relu"])
    assert not compiled.edgetpu.compiled
    assert compiled.files == {}


def test_a_failure_keeps_the_compilers_last_words(compiler, models):
    compiler("Edge TPU Compiler version 16.0.384591198\nInternal compiler error. Aborting!\n", makes_file=False)
    edgetpu_facts = edgetpu.EdgeTpuTarget().compile(models["relu"]).edgetpu
    assert "Internal compiler error. Aborting!" in edgetpu_facts.reason
    assert edgetpu_facts.compiler == "16.0.384591198"


def test_convert_drives_the_compiler(compiler, tmp_path, capfd):
    compiler(LOG, makes_file=True)
    model = nets.gan(tmp_path)
    flags = ["--prior", "latent=normal", "--classes", "kind=a,b,c", "-o", str(tmp_path / "x.aigc")]
    assert run(["convert", str(model), "--profile", "coral-usb", *flags]) == 0
    assert "compiled by 16.0.384591198" in capfd.readouterr().err
    assert run(["inspect", str(tmp_path / "x.aigc")]) == 0
    assert "model_edgetpu.tflite" in capfd.readouterr().out
    assert run(["generate", str(tmp_path / "x.aigc"), "--seed", "1", "-o", str(tmp_path / "x.png")]) == 0
