"""The fresh process that measures: its figures, the model's memory, and how its death is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from bundles import DATA, bundle_with_wrong_goldens

from edge_aigc.devices.bench.fresh import ask, error_of, weigh
from edge_aigc.devices.bench.memory import Scale
from edge_aigc.devices.bench.orders import Pass, Passed, Timed, Turns
from edge_aigc.errors import BundleError, WorkerError

MEBIBYTE = 1 << 20


def test_a_pass_times_the_invocation_and_the_whole_sample(tiny):
    passed = ask(Pass(bundle=str(tiny), threads=1, rounds=20), Passed)
    assert len(passed.invoke_ms) == len(passed.make_ms) == len(passed.encode_ms) == 20
    assert min(passed.invoke_ms) > 0
    assert min(passed.encode_ms) > 0
    assert passed.format == "png"
    assert passed.warm_up.invocations >= 10 or not passed.warm_up.stable


def test_a_picture_model_is_timed_with_a_picture_to_decode(negative):
    passed = ask(Pass(bundle=str(negative), threads=1, rounds=5, format="jpeg"), Passed)
    assert passed.format == "jpeg"
    assert len(passed.make_ms) == 5


def test_the_warm_up_is_as_long_as_was_asked(tiny):
    warm_up = ask(Pass(bundle=str(tiny), threads=1, rounds=5, warm_up=13), Passed).warm_up
    assert warm_up.invocations == 13


def test_without_rounds_a_pass_ends_with_its_time(tiny):
    passed = ask(Pass(bundle=str(tiny), threads=1, budget_s=0.0), Passed)
    assert len(passed.invoke_ms) == 15


def test_memory_is_the_models_and_not_the_interpreters():
    weight = weigh(DATA / "tiny.tflite", runtime=None, threads=1)
    assert weight.idle_rss_bytes > 10 * MEBIBYTE
    assert weight.peak_rss_bytes > weight.idle_rss_bytes
    # The flatbuffer has 6 KB.
    assert weight.peak_ram_bytes < 2 * MEBIBYTE


def test_a_scale_sees_what_was_taken_and_given_back():
    scale = Scale()
    taken = os.urandom(64 * MEBIBYTE)
    del taken
    assert 63 * MEBIBYTE < scale.weigh().peak_ram_bytes < 80 * MEBIBYTE


def test_flatbuffers_take_turns():
    path = str(DATA / "tiny.tflite")
    costs = ask(Turns(flatbuffers={"a": path, "b": path}, threads=1), Timed).costs
    assert set(costs) == {"a", "b"}
    assert costs["a"].how == "measured"


def test_a_bundle_that_does_not_prove_itself_is_refused_in_the_childs_words(tmp_path):
    with pytest.raises(BundleError, match="does not prove itself"):
        ask(Pass(bundle=str(bundle_with_wrong_goldens(tmp_path)), threads=1), Passed)


def test_a_process_that_takes_too_long_is_stopped(tiny):
    with pytest.raises(WorkerError, match=r"longer than 0\.01 s"):
        ask(Pass(bundle=str(tiny), threads=1), Passed, limit_s=0.01)


def children(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text(encoding="ascii").split()]


def wait_for_child(pid, besides=()):
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        if found := set(children(pid)) - set(besides):
            return min(found)
        time.sleep(0.01)
    raise AssertionError(f"{pid} has no child")


def test_a_process_that_is_killed_is_told_by_its_signal(tiny):
    failures = []

    def measure():
        try:
            ask(Pass(bundle=str(tiny), threads=1, rounds=1_000_000), Passed)
        except WorkerError as exc:
            failures.append(str(exc))

    others = children(os.getpid())  # what earlier tests of this process left running is not ours to kill
    thread = threading.Thread(target=measure)
    thread.start()
    os.kill(wait_for_child(os.getpid(), others), signal.SIGKILL)
    thread.join(20)
    assert "killed by SIGKILL" in failures[0]
    assert "memory" in failures[0]


def test_it_dies_with_the_process_that_asked(tiny):
    script = (
        "from edge_aigc.devices.bench.fresh import ask; from edge_aigc.devices.bench.orders import Pass, Passed;"
        f"ask(Pass(bundle={str(tiny)!r}, threads=1, rounds=1000000), Passed)"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        child = wait_for_child(parent.pid)
        # Until it is past its first line it cannot be on the leash.
        time.sleep(1)
        parent.kill()
    deadline_s = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not Path(f"/proc/{child}").exists()


def test_an_order_that_is_none_is_not_guessed_at():
    command = [sys.executable, "-m", "edge_aigc.devices.bench.process"]
    done = subprocess.run(command, input=msgspec.msgpack.encode({"type": "paint"}), capture_output=True, check=False)
    assert done.returncode != 0
    assert done.stdout == b""


@pytest.mark.parametrize("code", ["memory", "remote", "of a later release"])
def test_an_error_that_cannot_be_made_again_keeps_its_words(code):
    error = error_of(code, "It died.", "Try again.")
    assert isinstance(error, WorkerError)
    assert (error.message, error.remedy) == ("It died.", "Try again.")
