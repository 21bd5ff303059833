"""The other end of `--on`, spoken with through its pipes: what it stores, what it refuses, what it leaves."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time

import msgspec
import pytest
from disks import small_disk

from edge_aigc.devices.bench.report import Plan
from edge_aigc.devices.ssh.there import LONGEST_S, BenchThere, Request, SentFile, TimeThere, _received
from edge_aigc.errors import FileError


def asked(content, order=None, *, stated=None, **changes):
    """Return a request for one file and the file, as they are sent."""
    file = SentFile(name="x.aigc", bytes=len(content), sha256=hashlib.sha256(stated or content).hexdigest())
    order = order or BenchThere(plan=Plan(threads=(1,), rounds=10))
    request = Request(**{"order": order, "files": (file,), "limit_s": 60.0} | changes)
    return msgspec.json.encode(request) + b"\n" + content


def told(sent, *, close=False):
    """Return all lines that it answers, the hello first."""
    command = [sys.executable, "-m", "edge_aigc.cli", "bench", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(sent)
        process.stdin.flush()
        if close:
            process.stdin.close()
        lines = [json.loads(line) for line in process.stdout]
        process.stdin.close()
    assert lines[0]["type"] == "hello"
    return lines


def test_it_answers_with_a_report_and_its_copy_is_gone(tiny, tmp_path):
    *_, answer = told(asked(tiny.read_bytes(), folder=str(tmp_path)))
    assert answer["type"] == "benched"
    assert answer["report"]["rows"][0]["threads"] == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line",
    [b"{}\n", b"paint me a three\n", b"\xff\n", b"[" * 100_000 + b"\n"],
)
def test_a_request_that_is_none_is_refused(line):
    (_, answer) = told(line)
    assert (answer["type"], answer["code"]) == ("failed", "ssh")
    assert "cannot be read" in answer["message"]


def test_a_file_that_did_not_arrive_whole_is_not_measured(tiny, tmp_path):
    content = tiny.read_bytes()
    *_, answer = told(asked(content, stated=b"something else", folder=str(tmp_path)))
    assert "did not arrive as it was sent" in answer["message"]
    *_, answer = told(asked(content, folder=str(tmp_path))[:-1], close=True)
    assert "did not arrive as it was sent" in answer["message"]
    assert not list(tmp_path.iterdir())


def test_a_damaged_model_is_refused_in_the_runtimes_words(tmp_path):
    *_, answer = told(asked(bytes(100), TimeThere(threads=1), folder=str(tmp_path)))
    assert answer["code"] == "bundle"
    assert not list(tmp_path.iterdir())


def test_what_takes_too_long_is_stopped(tiny, tmp_path):
    order = BenchThere(plan=Plan(threads=(1,), rounds=1_000_000))
    *_, answer = told(asked(tiny.read_bytes(), order, limit_s=1.0, folder=str(tmp_path)))
    assert answer["code"] == "worker"
    assert "longer than" in answer["message"]


def test_a_disk_that_fills_up_while_it_is_copied_is_told(tmp_path):
    content = bytes(200 << 10)
    file = SentFile(name="x", bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (tmp_path / "sent").write_bytes(content)
    with small_disk(tmp_path / "disk") as disk, (tmp_path / "sent").open("rb") as stdin:
        folder = disk / "copy"
        folder.mkdir()
        with pytest.raises(FileError, match="204,800 B are needed"):
            _received(stdin, (file,), folder)


def test_copies_that_a_killed_run_left_are_swept_when_no_run_can_be_theirs(tiny, tmp_path):
    old, young = tmp_path / "edge-aigc-there-old", tmp_path / "edge-aigc-there-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "0").write_bytes(b"x")
    long_ago_s = time.time() - LONGEST_S - 60
    os.utime(old, (long_ago_s, long_ago_s))
    told(asked(tiny.read_bytes(), folder=str(tmp_path)))
    assert list(tmp_path.iterdir()) == [young]
