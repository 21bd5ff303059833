"""`edge-aigc accelerate` and what serves afterwards, on a stand-in for a Jetson's software.

The stand-in trtexec replays recorded logs; the stand-in engine computes by onnxruntime, in float16 at its
outputs, on addresses that a stand-in libcudart hands out. None of it has run on a board.
"""

from __future__ import annotations

import hashlib
import json
import logging
import resource
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from boards import LOGS
from bundles import accelerable_bundle, tiny_bundle
from msgspec.structs import replace

from edge_aigc.bundle import entry_of, read_bundle, write_bundle
from edge_aigc.cli import run
from edge_aigc.engines import engines_beside, read_engine, write_engine
from edge_aigc.errors import BundleError
from edge_aigc.generator import open_bundle
from edge_aigc.tensorrt import Engine

pytestmark = pytest.mark.usefixtures("jetson")


@pytest.fixture
def bundle(tmp_path):
    return accelerable_bundle(tmp_path)


def accelerate(capfd, bundle, *arguments):
    """Run the verb in this process; return the exit code and what --json printed."""
    code = run(["accelerate", str(bundle), *map(str, arguments), "--json"])
    return code, json.loads(capfd.readouterr().out)


def refused(capfd, bundle, *arguments, code=1):
    """Assert that it is refused and leaves nothing beside the bundle; return the error."""
    before = sorted(bundle.parent.iterdir())
    exit_code, printed = accelerate(capfd, bundle, *arguments)
    assert exit_code == code, printed
    assert sorted(bundle.parent.iterdir()) == before
    return printed["error"]


def test_an_engine_is_built_proven_and_put_beside_the_bundle(capfd, bundle):
    code, printed = accelerate(capfd, bundle)
    assert code == 0
    assert printed["path"] == str(bundle.with_name("tiny.trt10.3.0-sm87x8.engine"))
    assert printed["built"] is True
    engine = printed["engine"]
    assert (engine["tensorrt"], engine["gpu"], engine["precision"]) == ("10.3.0", "sm87x8", "float16")
    assert engine["device"] == "NVIDIA Tegra X1"
    assert engine["built_s"] == 184.708
    assert 0 < engine["rms"] < 0.001
    assert engine["latency_ms"] > 0
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["tiny.aigc", "tiny.trt10.3.0-sm87x8.engine"]


def test_the_engine_serves_from_then_on(capfd, bundle):
    on_cpu = open_bundle(bundle)
    assert on_cpu.runtime.startswith("ai-edge-litert")
    assert accelerate(capfd, bundle)[0] == 0
    generator = open_bundle(bundle)
    assert generator.runtime == "TensorRT 10.3.0"
    assert generator.fallback == ""
    assert generator.proof.vectors == 2
    found, expected = generator.generate(seed=7, digit="3").array, on_cpu.generate(seed=7, digit="3").array
    assert 0 < np.abs(found - expected).max() < 1e-3, "computed by another runtime, to the same picture"


def test_a_runtime_that_is_asked_for_is_what_runs(capfd, bundle):
    with pytest.raises(BundleError, match=r"There is no engine of tiny\.aigc for TensorRT 10\.3\.0 and sm87x8"):
        open_bundle(bundle, runtime="tensorrt")
    accelerate(capfd, bundle)
    assert open_bundle(bundle, runtime="tensorrt").runtime == "TensorRT 10.3.0"
    assert open_bundle(bundle, runtime="litert").runtime.startswith("ai-edge-litert")


def test_generate_says_what_ran_and_why(jetson, capfd, bundle, tmp_path):
    accelerate(capfd, bundle)
    words = ["generate", str(bundle), "digit=3", "--seed", "7", "-o", str(tmp_path / "out"), "--json"]
    assert run(words) == 0
    printed = json.loads(capfd.readouterr().out)
    assert (printed["runtime"], printed["fallback"]) == ("TensorRT 10.3.0", None)
    jetson.set(fails=1)
    assert run(words) == 0
    printed = json.loads(capfd.readouterr().out)
    assert printed["runtime"].startswith("ai-edge-litert")
    assert "not on the GPU: TensorRT 10.3.0 failed while it ran the model" in printed["fallback"]


def test_an_engine_that_is_there_is_proven_again_and_kept(jetson, capfd, bundle):
    accelerate(capfd, bundle)
    jetson.set(log=LOGS / "10.3-failed-build.log")
    code, printed = accelerate(capfd, bundle)
    assert (code, printed["built"]) == (0, False)
    assert accelerate(capfd, bundle, "--force")[0] == 1
    assert accelerate(capfd, bundle, "--precision", "float32")[0] == 1, "another precision is another engine"


def test_float32_is_not_told_to_use_fp16(jetson, capfd, bundle):
    jetson.trtexec.write_text(
        jetson.trtexec.read_text().replace("exec ", f'echo "$@" >> {jetson.folder}/arguments\nexec ', 1)
    )
    code, printed = accelerate(capfd, bundle, "--precision", "float32")
    assert (code, printed["engine"]["precision"]) == (0, "float32")
    _, build = (jetson.folder / "arguments").read_text().splitlines()
    assert build.split()[2:] == ["--skipInference"]


@pytest.mark.parametrize(
    ("variables", "arguments", "message", "remedy"),
    [
        ({"log": LOGS / "10.3-failed-parse.log"}, (), "cannot read the operator Tile", "The CPU serves"),
        ({"log": LOGS / "10.3-failed-memory.log"}, (), "Memory ran out", "add swap"),
        ({"log": LOGS / "10.3-failed-options.log"}, (), "does not know our options", "Report"),
        ({"does": "hang"}, ("--time-limit", "1"), "did not end within 1 s", "--time-limit"),
        ({"does": "die"}, (), "SIGKILL", "swap"),
        ({"does": "write nothing"}, (), "trtexec failed (exit code 0)", "--verbose"),
        ({"does": "build another"}, (), "On TensorRT 10.3.0 tiny does not prove itself here", "--precision float32"),
        ({"trtexec": "8.6.2"}, (), "is of TensorRT 8.6.2, Python's module of 10.3.0", "same JetPack"),
        ({"tensorrt": "8.2.1"}, (), "TensorRT 8.2.1 is too old", "JetPack 6"),
        ({"tensorrt": "11.1.0"}, (), "TensorRT 11.1.0 takes types", "--precision float32"),
        ({"no_gpu": "1"}, (), "CUDA sees no GPU here: no CUDA-capable device is detected", "group `video`"),
        ({"gpu_bytes": "16"}, (), "cudaMalloc failed: out of memory", "--runtime litert"),
        ({"no_start": "1"}, (), "TensorRT 10.3.0 cannot start: CUDA initialization failure", "the CPU serves"),
        ({"fails": "1"}, (), "failed while it ran the model", "the CPU serves"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(jetson, capfd, bundle, variables, arguments, message, remedy):
    jetson.set(**variables)
    code = 2 if "11.1.0" in variables.values() else 1
    error = refused(capfd, bundle, *arguments, code=code)
    assert message in error["message"]
    assert remedy in error["remedy"]
    if "tensorrt" not in variables:
        assert open_bundle(bundle).runtime.startswith("ai-edge-litert"), "the CPU serves"


def test_a_bundle_without_the_form_names_the_flag(capfd, tmp_path):
    error = refused(capfd, tiny_bundle(tmp_path))
    assert error["message"] == "tiny carries no ONNX form to build an engine from."
    assert error["remedy"] == "Convert it with `edge-aigc convert … --profile rpi4 --onnx`."


def test_without_the_module_the_package_is_named(capfd, bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    error = refused(capfd, bundle)
    assert "TensorRT's Python module is not there for Python 3." in error["message"]
    assert "apt-get install python3-libnvinfer" in error["remedy"]


def test_without_cuda_the_package_is_named(capfd, bundle, monkeypatch):
    monkeypatch.setattr("edge_aigc.cuda._LIBRARIES", ("libcudart.so.absent",))
    error = refused(capfd, bundle)
    assert "no libcudart.so" in error["message"]
    assert "nvidia-jetpack" in error["remedy"]


def test_without_trtexec_the_package_is_named(jetson, capfd, bundle, monkeypatch):
    monkeypatch.setattr("edge_aigc.devices.tensorrt.trtexec.JETPACK", jetson.folder / "absent")
    monkeypatch.setenv("PATH", "/nowhere")
    error = refused(capfd, bundle)
    assert "libnvinfer-bin" in error["remedy"]


def test_a_folder_that_cannot_be_written_is_told_before_minutes_of_building(capfd, bundle, monkeypatch):
    def deny(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("edge_aigc.devices.tensorrt.accelerate.tempfile.TemporaryDirectory", deny)
    error = refused(capfd, bundle)
    assert "Permission denied" in error["message"]
    assert "put the bundle where you may write" in error["remedy"]


def test_a_disk_that_fills_up_leaves_no_half_engine(capfd, bundle):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        error = refused(capfd, bundle)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error["code"] == "file"


@pytest.mark.parametrize("changes", [{"tensorrt": "8.6.2"}, {"sm": "72"}])
def test_an_engine_of_another_tensorrt_or_gpu_is_not_used_and_the_remedy_is_named(
    jetson, capfd, bundle, changes, caplog
):
    accelerate(capfd, bundle)
    jetson.set(**changes)
    with caplog.at_level(logging.WARNING):
        generator = open_bundle(bundle)
    assert generator.runtime.startswith("ai-edge-litert")
    assert "tiny.trt10.3.0-sm87x8.engine was built by another TensorRT or for another GPU" in generator.fallback
    assert f"edge-aigc accelerate {bundle}" in generator.fallback
    assert generator.fallback in caplog.text


def test_both_engines_of_a_bundle_that_two_boards_share_stand_beside_it(jetson, capfd, bundle):
    accelerate(capfd, bundle)
    jetson.set(sm="72")
    assert accelerate(capfd, bundle)[0] == 0
    assert [path.name for path in engines_beside(bundle)] == [
        "tiny.trt10.3.0-sm72x8.engine",
        "tiny.trt10.3.0-sm87x8.engine",
    ]
    assert open_bundle(bundle).runtime == "TensorRT 10.3.0"


def test_an_engine_of_another_bundle_of_the_same_name_is_not_used(capfd, bundle):
    accelerate(capfd, bundle)
    held = read_bundle(bundle)
    content = {**held.content, "model.onnx": held.content["model.onnx"] + b"\x00"}
    files = {name: entry_of(data) for name, data in content.items()}
    write_bundle(bundle, replace(held.manifest, files=files), content)
    assert "was built from another ONNX form" in open_bundle(bundle).fallback


@pytest.mark.parametrize("position", [3, 22, 60, -5])
def test_a_damaged_engine_is_not_used(capfd, bundle, position):
    accelerate(capfd, bundle)
    (path,) = engines_beside(bundle)
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    generator = open_bundle(bundle)
    assert generator.runtime.startswith("ai-edge-litert")
    assert "--force" in generator.fallback
    assert accelerate(capfd, bundle, "--force")[0] == 0
    assert open_bundle(bundle).runtime == "TensorRT 10.3.0"


def test_an_engine_that_no_longer_proves_itself_is_not_used(capfd, bundle):
    accelerate(capfd, bundle)
    held = read_bundle(bundle)
    strict = replace(held.manifest.onnx.golden, tolerance=replace(held.manifest.onnx.golden.tolerance, rms=1e-9))
    manifest = replace(held.manifest, onnx=replace(held.manifest.onnx, golden=strict))
    write_bundle(bundle, manifest, held.content)
    generator = open_bundle(bundle)
    assert generator.runtime.startswith("ai-edge-litert")
    assert "On TensorRT 10.3.0 tiny does not prove itself here" in generator.fallback


def test_a_plan_that_tensorrt_refuses_says_what_it_said(capfd, bundle):
    accelerate(capfd, bundle)
    (path,) = engines_beside(bundle)
    file = read_engine(path)
    with pytest.raises(BundleError, match="Version tag does not match"):
        Engine(b"stand-in plan 8.6.2\nrest", inputs=("latent", "digit"), outputs=("image",))
    with pytest.raises(BundleError, match="The engine has the tensors digit, image, latent; the bundle"):
        Engine(file.plan, inputs=("latent", "kind"), outputs=("image",))
    plan = b"stand-in plan 8.6.2\nrest"
    record = replace(file.record, plan_sha256=hashlib.sha256(plan).hexdigest(), plan_bytes=len(plan))
    write_engine(path, replace(file, record=record, plan=plan))
    assert "TensorRT 10.3.0 refuses the engine" in open_bundle(bundle).fallback


def test_a_bundle_without_engines_never_looks_for_tensorrt(bundle, monkeypatch):
    monkeypatch.setattr("edge_aigc.runners.tensorrt_here", lambda: pytest.fail("looked for TensorRT"))
    assert open_bundle(bundle).fallback == ""


def test_memory_of_the_gpu_is_given_back(capfd, bundle):
    accelerate(capfd, bundle)
    (path,) = engines_beside(bundle)
    engine = Engine(read_engine(path).plan, inputs=("latent", "digit"), outputs=("image",))
    freed = []
    engine._cuda.free = freed.append
    addresses = list(engine._addresses.values())
    engine.__del__()
    assert freed == addresses
    engine._addresses.clear()


def test_the_verb_in_a_process_of_its_own_prints_one_line(jetson, bundle):
    command = [sys.executable, "-m", "edge_aigc.cli", "accelerate", str(bundle)]
    done = subprocess.run(command, env=jetson.environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{bundle.with_name('tiny.trt10.3.0-sm87x8.engine')}  ")
    assert "float16, built in 185 s by TensorRT 10.3.0 for NVIDIA Tegra X1" in done.stdout
    assert msgspec.json.encode(read_engine(engines_beside(bundle)[0]).record)
