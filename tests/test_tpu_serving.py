"""A bundle that is compiled for an Edge TPU, opened and served: on it, and on the CPU where it is not there."""

from __future__ import annotations

import json

import numpy as np
import pytest
import standin_tpu
from bundles import GOLDEN_SEEDS, tiny_bundle, tpu_bundle
from daemons import daemon
from probe import as_json, probe

from edge_aigc.cli import run
from edge_aigc.generator import open_bundle
from edge_aigc.tpu import TpuSettings

SEED = 7


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """Its golden vectors and seeds 0 and 7 are what the stand-in for the Edge TPU can make."""
    path = tpu_bundle(tmp_path)
    known = (*GOLDEN_SEEDS, 0, SEED)
    monkeypatch.setenv("STANDIN_TPU_RECORD", str(standin_tpu.record(path, known, tmp_path / "record")))
    return path


@pytest.fixture
def library():
    return str(standin_tpu.library())


def test_the_edge_tpu_proves_itself_and_makes_the_samples(bundle, library):
    generator = open_bundle(bundle, tpu=TpuSettings(library=library, device="usb"))
    assert generator.runtime.endswith(f"on the Edge TPU ({library}, usb)")
    assert generator.fallback == ""
    assert generator.proof.vectors == len(GOLDEN_SEEDS)
    on_cpu = open_bundle(bundle, tpu=TpuSettings(library=None)).generate(seed=SEED)
    assert np.array_equal(generator.generate(seed=SEED).array, on_cpu.array)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("absent", "No Edge TPU can be used"),
        ("idle", "unresolved custom op: edgetpu-custom-op"),
        ("wrong", "does not prove itself"),
    ],
)
def test_without_an_edge_tpu_that_works_the_cpu_serves_and_says_why(bundle, library, monkeypatch, caplog, mode, reason):
    monkeypatch.setenv("STANDIN_TPU_MODE", mode)
    generator = open_bundle(bundle, tpu=TpuSettings(library=library))
    assert "Edge TPU" not in generator.runtime
    assert generator.fallback.startswith("not on the Edge TPU: ")
    assert reason in generator.fallback
    assert generator.proof.vectors == len(GOLDEN_SEEDS)
    assert f"tiny runs on the CPU, {generator.fallback}" in caplog.text
    assert generator.generate(seed=99).array.shape == (8, 8, 1)


def test_the_cpu_serves_without_a_word_where_it_was_asked_for(bundle, caplog):
    assert open_bundle(bundle, tpu=TpuSettings(library=None)).fallback == ""
    assert caplog.text == ""


def test_a_bundle_that_is_not_compiled_loads_no_library(tmp_path):
    assert open_bundle(tiny_bundle(tmp_path), tpu=TpuSettings(library="libnowhere.so")).fallback == ""


def test_generate_tells_where_it_ran(bundle, library, tmp_path, capfd):
    out = str(tmp_path / "x.png")
    common = ["generate", str(bundle), "--seed", str(SEED), "-o", out, "--json"]
    assert run([*common, "--delegate", library, "--tpu", "usb:0", "--tpu-option", "Performance=Low"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert "on the Edge TPU" in told["runtime"]
    assert told["fallback"] is None
    assert run([*common, "--delegate", "libnowhere.so"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert "Edge TPU" not in told["runtime"]
    assert "libnowhere.so: cannot open" in told["fallback"]
    assert run([*common, "--delegate", "none"]) == 0
    assert json.loads(capfd.readouterr().out)["fallback"] is None


def test_bench_tells_where_it_ran(bundle, library, monkeypatch, capfd):
    # Samples of fresh seeds are timed, which the stand-in has no answers to: any will do.
    common = ["bench", str(bundle), "--rounds", "10", "--warm-up", "1", "--json"]
    monkeypatch.setenv("STANDIN_TPU_MODE", "any")
    assert run([*common, "--delegate", library]) == 0
    told = json.loads(capfd.readouterr().out)
    assert "on the Edge TPU" in told["runtime"]
    assert told["fallback"] is None
    assert run([*common, "--delegate", "libnowhere.so"]) == 0
    told, words = capfd.readouterr()
    assert "libnowhere.so" in json.loads(told)["fallback"]
    assert "It ran on the CPU, not on the Edge TPU" in words


def test_options_that_would_be_ignored_are_misuse(bundle, capfd):
    assert run(["generate", str(bundle), "--tpu-option", "Performance=Max", "--json"]) == 2
    assert "`--tpu usb:0`" in json.loads(capfd.readouterr().out)["error"]["remedy"]


def served(broker, bundle, *arguments):
    """Serve one request; return what info and health tell, what the daemon said, and the sample's bytes."""
    with daemon(broker.url, bundle, *arguments, device="coral") as running, probe(broker.url) as listener:
        info = as_json(listener.wait(lambda m: m.topic == "edge-aigc/coral/info"))
        health = as_json(listener.wait(lambda m: m.topic == "edge-aigc/coral/health"))
        listener.publish("edge-aigc/coral/request/tiny", {"seed": SEED})
        made = bytes(listener.wait(lambda m: m.topic == "edge-aigc/coral/out/tiny/image").payload)
    assert made.startswith(b"\x89PNG")
    return info["models"][0]["runtime"], health, "".join(running.words)


def test_the_daemon_serves_on_the_edge_tpu(broker, bundle, library):
    runtime, health, words = served(broker, bundle, "--delegate", library)
    assert runtime.endswith(f"on the Edge TPU ({library})")
    assert health["state"] == "ok"
    assert "tiny proved itself on ai-edge-litert" in words


def test_the_daemon_serves_on_the_cpu_and_health_says_why(broker, bundle):
    runtime, health, words = served(broker, bundle, "--delegate", "libnowhere.so")
    assert "not on the Edge TPU" in runtime
    assert health["state"] == "degraded"
    (problem,) = health["problems"]
    assert problem.startswith("tiny runs on the CPU, not on the Edge TPU: The Edge TPU's library cannot be loaded")
    assert "tiny runs on the CPU, not on the Edge TPU" in words


def test_a_library_that_takes_the_process_down_is_given_up(broker, bundle, library, monkeypatch):
    monkeypatch.setenv("STANDIN_TPU_MODE", "crash")
    runtime, health, _ = served(broker, bundle, "--delegate", library)
    assert runtime.startswith("ai-edge-litert")
    (problem,) = health["problems"]
    assert "the process that loaded its library was killed by SIGABRT" in problem
    assert health["restarts"] == 1


def test_a_daemon_told_to_use_the_cpu_has_nothing_to_say(broker, bundle):
    runtime, health, _ = served(broker, bundle, "--delegate", "none")
    assert "Edge TPU" not in runtime
    assert health["state"] == "ok"
