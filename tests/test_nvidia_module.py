"""Our face on engines through NVIDIA's own Python module, 10.3.0 as on JetPack 6; libnvinfer and CUDA stood in for."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from boards import STAND_INS

pytestmark = pytest.mark.heavy

MODULE = "tensorrt-cu12-bindings==10.3.0"
"""The module alone: the libraries that it calls are not on the package index."""
LIBRARIES = ("libnvinfer.so.10", "libnvonnxparser.so.10", "libnvinfer_plugin.so.10")

SHAPES = {"digit": (1, 10), "latent": (1, 8), "image": (1, 8, 8, 1)}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables of a process that finds the module, and stand-ins for what it calls."""
    folder = tmp_path_factory.mktemp("nvidia")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder / "wheel", MODULE]
    subprocess.run(pip, check=True, timeout=300)
    (wheel,) = (folder / "wheel").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    # The package of the name that people import is one line around this one.
    (folder / "site" / "tensorrt.py").write_text(
        "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"
    )
    for name in LIBRARIES:
        compile_library("c++", STAND_INS / "nvinfer.cpp", folder / name)
    compile_library("cc", STAND_INS / "cudart.c", folder / "libcudart.so")
    paths = os.pathsep.join([str(folder / "site"), str(Path(__file__).parent.parent)])
    return {**os.environ, "PYTHONPATH": paths, "LD_LIBRARY_PATH": str(folder)}


def compile_library(compiler, source, target):
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, source], check=True, timeout=60)


def run(environment, script, **variables):
    """Run Python with the module; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_an_engine_computes_through_the_module(environment):
    script = """
import numpy as np
from edge_aigc.tensorrt import Engine, tensorrt_here
print(tensorrt_here())
engine = Engine(b"plan", inputs=("digit", "latent"), outputs=("image",))
print(engine.runtime, [(info.name, info.shape, str(info.dtype)) for info in (*engine.inputs, *engine.outputs)])
latent, digit = np.arange(8, dtype=np.float32)[None], 100 * np.arange(10, dtype=np.float32)[None]
expected = np.array([latent[0, i % 8] + digit[0, i % 10] for i in range(64)], np.float32).reshape(1, 8, 8, 1)
for shift in range(100):
    (image,) = engine.run([digit, latent + shift])
    assert np.array_equal(image, expected + shift)
print(image.dtype, image.shape)
"""
    assert run(environment, script) == [
        "TensorRtHere(version='10.3.0', gpu='sm87x8')",
        f"TensorRT 10.3.0 {[(name, shape, 'float32') for name, shape in SHAPES.items()]}",
        "float32 (1, 8, 8, 1)",
    ]


REFUSED = """
from edge_aigc.errors import EdgeAigcError
from edge_aigc.tensorrt import Engine
try:
    Engine(PLAN, inputs=("latent", "digit"), outputs=("image",))
except EdgeAigcError as exc:
    print(type(exc).__name__, exc.message)
"""


def test_a_plan_of_another_version_is_refused_with_the_words_of_the_log_and_nothing_on_stdout(environment):
    (line,) = run(environment, REFUSED.replace("PLAN", "b'old engine'"))
    assert line.startswith("BundleError TensorRT 10.3.0 refuses the engine: IRuntime::deserializeCudaEngine")
    assert "a warning" not in line


def test_a_runtime_that_cannot_start_is_told_from_that(environment):
    (line,) = run(environment, REFUSED.replace("PLAN", "b'plan'"), STAND_IN_NO_START="1")
    assert line.startswith("RuntimeMissingError TensorRT 10.3.0 cannot start: createInferRuntime: Error Code 6")
