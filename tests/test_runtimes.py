"""Bundles on every runtime that their profile lists, each in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import nets
import pytest
from environments import ROOT, clean, device_environment, folder

from edge_aigc.cli import run
from edge_aigc.converters.compat import OLDEST

pytestmark = pytest.mark.heavy

PACKAGES = {"litert": "ai-edge-litert", "tflite": "tflite-runtime 2.14.0"}
GAN = ("--prior", "latent=normal", "--classes", "kind=a,b,c")


@pytest.fixture(scope="module", params=["litert", "litert, oldest", "tflite"])
def device(request):
    """A runtime and an environment with it, the newest release and the oldest that we support."""
    runtime, _, oldest = request.param.partition(", ")
    return runtime, device_environment(runtime, release=OLDEST[runtime] if oldest else None)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Bundles in every recipe that rpi4 and coral-usb run on both runtimes, by name, and one for litert alone."""
    place = tmp_path_factory.mktemp("bundles")
    model = str(nets.gan(place))
    made = {}
    recipes = [("rpi4", recipe) for recipe in ("float32", "float16", "dynamic", "int8")]
    for profile, recipe in (*recipes, ("coral-usb", "int8")):
        path = place / f"{profile}-{recipe}.aigc"
        assert run(["convert", model, "--profile", profile, "--recipe", recipe, *GAN, "-o", str(path)]) == 0
        made[path.stem] = path
    digits = place / "digits.aigc"
    assert run(["convert", "--profile", "rpi4", "-o", str(digits)]) == 0
    made["digits"] = digits
    only_litert = place / "dynamic.aigc"
    arguments = ["--profile", "rpi4", "--recipe", "dynamic", "--runtime", "litert", *GAN, "-o", str(only_litert)]
    assert run(["convert", model, *arguments]) == 0
    return made, only_litert


def generate(python, bundle, out, **environment):
    """Run `edge-aigc generate` there, which proves the golden vectors first."""
    command = [str(python), "-m", "edge_aigc.cli", "generate", str(bundle), "--seed", "7", "-o", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out, env=clean(**environment), check=False)
    return done.returncode, json.loads(done.stdout)


def test_golden_vectors_hold_on_every_runtime_of_the_profile(device, bundles, tmp_path):
    runtime, python = device
    for name, path in bundles[0].items():
        out = tmp_path / name  # samples are named by their seed: several bundles' would be in each other's way
        out.mkdir()
        code, printed = generate(python, path, out)
        assert code == 0, (name, printed)
        assert printed["runtime"].startswith(PACKAGES[runtime])
        assert Path(printed["samples"][0]["path"]).read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def poems(tmp_path_factory):
    """The poems in every recipe that rpi4 runs on both runtimes."""
    place, example = tmp_path_factory.mktemp("poems"), ROOT / "examples" / "poems"
    made = []
    for recipe in ("float32", "float16", "dynamic", "int8"):
        made.append(place / f"{recipe}.aigc")
        options = ["--spec", str(example / "poems.toml"), "--recipe", recipe, "--min-fidelity", "70", "--meter", "here"]
        command = ["convert", str(example / "poems.keras"), "--profile", "rpi4", *options, "-o", str(made[-1])]
        assert run(command) == 0
    return made


def test_step_graphs_prove_themselves_and_write_on_every_runtime(device, poems, tmp_path):
    runtime, python = device
    for path in poems:
        command = [str(python), "-m", "edge_aigc.cli", "generate", str(path), "--seed", "7", "--prompt", "春", "--json"]
        texts = []
        for _ in range(2):
            done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=clean(), check=False)
            printed = json.loads(done.stdout)
            assert done.returncode == 0, printed
            assert printed["runtime"].startswith(PACKAGES[runtime])
            texts.append(printed["samples"][0]["text"])
        assert texts[0] == texts[1]
        assert texts[0].startswith("春")


def test_the_core_passes_its_tests_there(device, tmp_path):
    _, python = device
    tests = [str(ROOT / "tests" / f"test_{name}.py") for name in ("priors", "bundle", "generator", "spec", "controls")]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "setup.cfg"), *tests]
    done = subprocess.run(command, cwd=tmp_path, env=clean(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_bundle_for_another_runtime_is_refused_in_words(bundles, tmp_path):
    code, printed = generate(device_environment("tflite"), bundles[1], tmp_path)
    assert code == 1
    assert printed["error"]["code"] == "bundle"
    assert "tflite-runtime 2.14.0 refuses the model" in printed["error"]["message"]
    assert "--runtime tflite" in printed["error"]["remedy"]


def test_tflite_runtime_beside_numpy_2_is_explained(bundles, tmp_path):
    python = device_environment("tflite")
    newer = folder() / "numpy-2"
    if not (newer / "numpy").exists():
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(newer), "numpy>=2,<3"], check=True)
    code, printed = generate(python, bundles[0]["digits"], tmp_path, PYTHONPATH=str(newer))
    assert code == 1
    assert printed["error"]["code"] == "runtime"
    assert "pip install 'numpy<2'" in printed["error"]["remedy"]
