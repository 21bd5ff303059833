"""The Edge TPU's library on every runtime: the stand-in, loaded in environments of their own."""

from __future__ import annotations

import json
import subprocess

import pytest
import standin_tpu
from bundles import GOLDEN_SEEDS, tpu_bundle
from environments import clean, device_environment

from edge_aigc.converters.compat import OLDEST

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize(("runtime", "release"), [("litert", None), ("litert", OLDEST["litert"]), ("tflite", None)])
def test_a_compiled_model_runs_and_falls_back_on_every_runtime(runtime, release, tmp_path):
    bundle = tpu_bundle(tmp_path)
    record = standin_tpu.record(bundle, (*GOLDEN_SEEDS, 7), tmp_path / "record")
    command = [
        str(device_environment(runtime, release=release)),
        "-m",
        "edge_aigc.cli",
        "generate",
        str(bundle),
        "--seed",
        "7",
        "--json",
    ]

    def told(*arguments, **environment):
        done = subprocess.run(
            [*command, "-o", str(tmp_path / "out.png"), *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=clean(STANDIN_TPU_RECORD=str(record), **environment),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    library = str(standin_tpu.library())
    on_tpu, words = told("--delegate", library, "--tpu", "usb:0", "--tpu-option", "Performance=Max")
    assert f"on the Edge TPU ({library}, usb:0)" in on_tpu["runtime"]
    assert on_tpu["fallback"] is None
    assert words == ""
    for mode, reason in (("absent", "No Edge TPU can be used"), ("idle", "edgetpu-custom-op"), ("wrong", "prove")):
        on_cpu, words = told("--delegate", library, STANDIN_TPU_MODE=mode)
        assert "Edge TPU" not in on_cpu["runtime"]
        assert reason in on_cpu["fallback"]
        assert "tiny runs on the CPU, not on the Edge TPU" in words
