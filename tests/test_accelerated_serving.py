"""A daemon whose child runs the engine beside its bundle, on a stand-in for a Jetson's software."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from bundles import accelerable_bundle
from daemons import daemon
from probe import as_json, probe

from edge_aigc.cli import run


@pytest.fixture
def board_bundle(jetson, capfd, tmp_path, monkeypatch):
    path = accelerable_bundle(tmp_path)
    assert run(["accelerate", str(path)]) == 0
    capfd.readouterr()
    # What the daemon starts finds the stand-ins as a board's own software.
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, jetson.environment[name])
    return path


def served(broker, bundle, *arguments):
    """Serve one request; return the runtime that info tells, what the daemon said, and the sample's bytes."""
    with daemon(broker.url, bundle, *arguments, device="board") as running, probe(broker.url) as listener:
        info = as_json(listener.wait(lambda m: m.topic == "edge-aigc/board/info"))
        listener.publish("edge-aigc/board/request/tiny", {"seed": 7})
        made = listener.wait(lambda m: m.topic == "edge-aigc/board/out/tiny/image")
        content = bytes(made.payload)
    return info["models"][0]["runtime"], "".join(running.words), content


def test_the_daemon_serves_on_the_gpu_and_says_so(broker, board_bundle):
    runtime, words, content = served(broker, board_bundle)
    assert runtime == "TensorRT 10.3.0"
    assert "tiny proved itself on TensorRT 10.3.0" in words
    assert content.startswith(b"\x89PNG")
    on_cpu, _, _ = served(broker, board_bundle, "--runtime", "litert")
    assert on_cpu.startswith("ai-edge-litert")


def test_an_engine_that_fails_leaves_the_daemon_serving_on_the_cpu_and_saying_why(broker, board_bundle, jetson):
    jetson.set(fails=1)
    runtime, words, content = served(broker, board_bundle)
    assert runtime.startswith("ai-edge-litert")
    assert "not on the GPU: TensorRT 10.3.0 failed while it ran the model" in runtime
    assert "tiny runs on the CPU, not on the GPU" in words
    assert content.startswith(b"\x89PNG")


def dies_after(jetson, runs):
    path = jetson.folder / "runs"
    path.write_text(f"{runs}\n")
    jetson.set(dies=path)


def test_an_engine_that_takes_its_process_down_at_the_start_is_given_up(broker, board_bundle, jetson):
    dies_after(jetson, 0)
    runtime, words, content = served(broker, board_bundle)
    assert runtime.startswith("ai-edge-litert")
    assert "was killed by SIGABRT; starting it again without its engine" in words
    assert "EDGE_AIGC_ENGINES=off" in runtime
    assert content.startswith(b"\x89PNG")


def test_an_engine_that_takes_its_process_down_again_and_again_is_given_up(broker, board_bundle, jetson):
    # Two golden vectors and the sample that warms up at each start pass; the first request does not.
    dies_after(jetson, 3)
    with daemon(broker.url, board_bundle, device="board") as running, probe(broker.url) as listener:
        listener.publish("edge-aigc/board/request/tiny", {"seed": 7})
        listener.error(code="worker")
        listener.wait(lambda m: m.topic == "edge-aigc/board/info" and b"ai-edge-litert" in m.payload)
        listener.publish("edge-aigc/board/request/tiny", {"seed": 7})
        listener.wait(lambda m: m.topic == "edge-aigc/board/out/tiny/image")
    assert "starting it again without its engine" in "".join(running.words)


def test_a_daemon_that_is_told_to_use_the_engine_refuses_to_start_without_it(board_bundle, jetson, capfd):
    jetson.set(sm="72")
    code = run(["run", str(board_bundle), "--broker", "mqtt://127.0.0.1:1", "--runtime", "tensorrt", "--json"])
    assert code == 1
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert "was built by another TensorRT or for another GPU" in lines[-1]["error"]["message"]


def test_bench_times_the_engine_and_says_so(board_bundle, jetson):
    command = [sys.executable, "-m", "edge_aigc.cli", "bench", str(board_bundle), "--rounds", "10", "--json"]
    environment = jetson.environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runtime"] == "TensorRT 10.3.0"
    command += ["--runtime", "litert"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert json.loads(done.stdout)["runtime"].startswith("ai-edge-litert")
