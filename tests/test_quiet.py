"""What libraries print is held back; what is meant for people never is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_aigc.errors import BundleError
from edge_aigc.interpreter import Interpreter
from edge_aigc.quiet import stderr_held

TINY = Path(__file__).parent / "data" / "tiny.tflite"
PATIENCE_S = 120

SIDE_BY_SIDE = f"""
import sys, threading
from pathlib import Path
from edge_aigc.cli.output import say
from edge_aigc.errors import BundleError
from edge_aigc.interpreter import Interpreter

tiny, refused = Path({str(TINY)!r}).read_bytes(), []

def build(count):
    for turn in range(count):
        try:
            Interpreter(tiny if turn % 3 else tiny[:100])
        except BundleError as exc:
            refused.append(exc.message)

builders = [threading.Thread(target=build, args=(30,)) for _ in range(8)]
for one in builders:
    one.start()
for number in range(200):
    say(f"word {{number}}")
for one in builders:
    one.join()
assert len(refused) == 80, len(refused)
assert all(len(words) > 50 for words in refused), refused
sys.stderr.write("the end\\n")
"""


def run_alone(script):
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def failing():
    with stderr_held(), stderr_held():
        os.write(2, b"held\n")
        raise RuntimeError


def overlapping(first, second):
    """Hold stderr in two threads, the second taking it before the first gives it back and keeping it longer."""
    taken, given = threading.Event(), threading.Event()

    def longer():
        with stderr_held() as words:
            taken.set()
            given.wait(PATIENCE_S)
            os.write(2, b"the second's\n")
            second.append(words())

    with stderr_held() as words:
        os.write(2, b"the first's\n")
        thread = threading.Thread(target=longer)
        thread.start()
        taken.wait(PATIENCE_S)
        first.append(words())
    given.set()
    thread.join()


def test_many_threads_that_build_interpreters_lose_nothing_that_is_told():
    told = run_alone(SIDE_BY_SIDE).stderr.splitlines()
    assert told == [*(f"word {number}" for number in range(200)), "the end"]


def test_whoever_lets_go_last_brings_stderr_back(capfd):
    first, second = [], []
    overlapping(first, second)
    os.write(2, b"in sight\n")
    assert capfd.readouterr().err == "in sight\n"
    assert (first, second) == (["the first's"], ["the second's"])


def test_what_fails_while_stderr_is_held_brings_it_back(capfd):
    before = descriptors()
    for _ in range(3):
        with pytest.raises(RuntimeError):
            failing()
    os.write(2, b"in sight\n")
    assert capfd.readouterr().err == "in sight\n"
    assert descriptors() == before


def test_where_nothing_can_be_held_stderr_stays(capfd, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = descriptors()
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", full)
        with pytest.raises(OSError, match="No space"):
            failing()
    os.write(2, b"in sight\n")
    assert capfd.readouterr().err == "in sight\n"
    assert descriptors() == before


def test_an_error_holds_what_the_runtime_printed_and_nothing_from_before():
    with stderr_held():
        os.write(2, b"somebody else's\n")
        with pytest.raises(BundleError) as caught:
            Interpreter(TINY.read_bytes()[:100])
    assert "refuses the model" in caught.value.message
    assert "somebody else's" not in caught.value.message
