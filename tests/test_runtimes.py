"""Bundles on every runtime that their profile lists, each in an environment of its own.

The environments are kept under `.cache/`, so that only the first run downloads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import nets
import pytest

from edge_aigc.cli import run

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = ROOT / ".cache" / "environments"
PACKAGES = {"litert": "ai-edge-litert", "tflite": "tflite-runtime 2.14.0"}
GAN = ("--prior", "latent=normal", "--classes", "kind=a,b,c")


def install(runtime):
    """Return the interpreter of an environment with `edge-aigc[RUNTIME]` from this checkout."""
    place = ENVIRONMENTS / f"{runtime}-{sys.version_info.major}.{sys.version_info.minor}"
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"{ROOT}[{runtime}]", "pytest"], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(ROOT)], check=True)
    return python


@pytest.fixture(scope="module", params=["litert", "tflite"])
def device(request):
    """A runtime and its environment."""
    return request.param, install(request.param)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Bundles in every recipe that rpi4 and coral-usb run on both runtimes, by name."""
    folder = tmp_path_factory.mktemp("bundles")
    model = str(nets.gan(folder))
    made = {}
    for profile, recipe in (("rpi4", "float32"), ("rpi4", "float16"), ("rpi4", "int8"), ("coral-usb", "int8")):
        path = folder / f"{profile}-{recipe}.aigc"
        assert run(["convert", model, "--profile", profile, "--recipe", recipe, *GAN, "-o", str(path)]) == 0
        made[path.stem] = path
    digits = folder / "digits.aigc"
    assert run(["convert", "--profile", "rpi4", "-o", str(digits)]) == 0
    made["digits"] = digits
    only_litert = folder / "dynamic.aigc"
    arguments = ["--profile", "rpi4", "--recipe", "dynamic", "--runtime", "litert", *GAN, "-o", str(only_litert)]
    assert run(["convert", model, *arguments]) == 0
    return made, only_litert


def clean_environment(**more):
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more


def generate(python, bundle, folder, **environment):
    """Run `edge-aigc generate` there, which proves the golden vectors first."""
    command = [str(python), "-m", "edge_aigc.cli", "generate", str(bundle), "--seed", "7", "-o", str(folder), "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=clean_environment(**environment), check=False
    )
    return done.returncode, json.loads(done.stdout)


def test_golden_vectors_hold_on_every_runtime_of_the_profile(device, bundles, tmp_path):
    runtime, python = device
    for name, path in bundles[0].items():
        code, printed = generate(python, path, tmp_path)
        assert code == 0, (name, printed)
        assert printed["runtime"].startswith(PACKAGES[runtime])
        assert Path(printed["samples"][0]["path"]).read_bytes().startswith(b"\x89PNG")


def test_the_core_passes_its_tests_there(device, tmp_path):
    _, python = device
    tests = [str(ROOT / "tests" / f"test_{name}.py") for name in ("priors", "bundle", "generator", "spec", "controls")]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "setup.cfg"), *tests]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_bundle_for_another_runtime_is_refused_in_words(bundles, tmp_path):
    code, printed = generate(install("tflite"), bundles[1], tmp_path)
    assert code == 1
    assert printed["error"]["code"] == "bundle"
    assert "tflite-runtime 2.14.0 refuses the model" in printed["error"]["message"]
    assert "--runtime tflite" in printed["error"]["remedy"]


def test_tflite_runtime_beside_numpy_2_is_explained(bundles, tmp_path):
    python = install("tflite")
    newer = ENVIRONMENTS / "numpy-2"
    if not (newer / "numpy").exists():
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(newer), "numpy>=2,<3"], check=True)
    code, printed = generate(python, bundles[0]["digits"], tmp_path, PYTHONPATH=str(newer))
    assert code == 1
    assert printed["error"]["code"] == "runtime"
    assert "pip install 'numpy<2'" in printed["error"]["remedy"]
