"""The child process, spoken to as the daemon does."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundles import bundle_with_wrong_goldens

import edge_aigc
from edge_aigc.devices.child import Child
from edge_aigc.devices.frames import Answer, Failed, FrameReader, Made, Ready, Refused, Work, packed
from edge_aigc.devices.settings import ChildSettings
from edge_aigc.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator


def next_answers(child: Child, *, seconds: float = 20.0) -> tuple[list[Answer], str | None]:
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        select.select([child], [], [], 0.1)
        answers, gone = child.receive(time.monotonic())
        if answers or gone:
            return answers, gone
        child.flush()
    raise AssertionError("it says nothing")


def work(ticket: int, **changes: object) -> Work:
    fields: dict[str, object] = {"seed": 7, "controls": {"digit": 3}, "format": "png", "pictures": {}}
    return Work(ticket=ticket, **(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def child(tiny: Path) -> Iterator[Child]:
    started = Child(tiny, ChildSettings(sample_s=0.5))
    started.start(time.monotonic())
    try:
        answers, _ = next_answers(started)
        assert isinstance(answers[0], Ready)
        yield started
    finally:
        started.stop()


def test_it_makes_what_the_generator_makes(child: Child, tiny: Path):
    child.send(work(1), time.monotonic())
    (made,), _ = next_answers(child)
    assert isinstance(made, Made)
    assert made.content == edge_aigc.open(tiny).generate(seed=7, digit=3).encode("png")
    assert made.gen_ms > made.invoke_ms > 0
    assert made.encode_ms > 0


def test_a_callers_error_costs_the_child_nothing(child: Child):
    for ticket, changes in enumerate([{"controls": {"digit": 77}}, {"format": "gif"}, {"pictures": {"x": b""}}]):
        child.send(work(ticket, **changes), time.monotonic())
        (refused,), gone = next_answers(child)
        assert isinstance(refused, Refused)
        assert refused.code == "input"
        assert gone is None
    assert child.outstanding == 0


def test_it_reports_a_bundle_that_does_not_prove_itself(tmp_path: Path):
    child = Child(bundle_with_wrong_goldens(tmp_path), ChildSettings())
    child.start(time.monotonic())
    answers, gone = next_answers(child)
    assert isinstance(answers[0], Failed)
    if gone is None:
        _, gone = next_answers(child)
    assert child.end(time.monotonic()) == "ended with code 1"


def test_it_leaves_the_terminals_signals_to_the_daemon(child: Child):
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(child.pid or 0, number)
    child.send(work(1), time.monotonic())
    (made,), _ = next_answers(child)
    assert isinstance(made, Made)


def test_it_is_the_first_to_go_when_memory_runs_out(child: Child):
    assert Path(f"/proc/{child.pid}/oom_score_adj").read_text(encoding="ascii").strip() == "500"


def test_a_killed_child_says_by_what(child: Child):
    os.kill(child.pid or 0, signal.SIGSEGV)
    _, gone = next_answers(child)
    assert gone is not None
    assert child.end(time.monotonic()) == "was killed by SIGSEGV"


def test_a_child_that_takes_too_long_is_killed(child: Child):
    os.kill(child.pid or 0, signal.SIGSTOP)
    now_s = time.monotonic()
    child.send(work(1), now_s)
    assert not child.kill_if_late(now_s + 0.4)
    assert child.kill_if_late(now_s + 0.6)
    _, gone = next_answers(child)
    assert gone is not None
    assert "longer than 0.5 s" in child.end(time.monotonic())


def test_only_a_child_that_dies_again_for_nothing_is_waited_with(child: Child):
    waits_s = []
    for _ in range(4):
        os.kill(child.pid or 0, signal.SIGKILL)
        while next_answers(child)[1] is None:
            pass
        child.end(100.0)
        assert child.restart_at_s is not None
        waits_s.append(round(child.restart_at_s - 100.0, 6))
        child.start(time.monotonic())
    assert waits_s == [0.0, 0.1, 0.2, 0.4]
    assert child.restarts == 4


def test_eight_megabytes_go_through_without_blocking(negative: Path):
    child = Child(negative, ChildSettings())
    child.start(time.monotonic())
    try:
        next_answers(child)
        started_s = time.monotonic()
        child.send(work(1, controls={}, pictures={"photo": bytes(8 << 20)}), started_s)
        assert time.monotonic() - started_s < 1
        (refused,), _ = next_answers(child)
        assert isinstance(refused, Refused)
        assert "cannot be read" in refused.message
    finally:
        child.stop()


def test_frames_come_whole_out_of_any_pieces():
    frames = [work(1), work(2, pictures={"photo": bytes(1000)}, seed=2**64 - 1)]
    stream = b"".join(packed(frame) for frame in frames)
    for size in (1, 3, 1000, len(stream)):
        reader = FrameReader(Work)
        found = [frame for start in range(0, len(stream), size) for frame in reader.feed(stream[start : start + size])]
        assert found == frames


@pytest.mark.parametrize(
    "stream",
    [
        b"\xff\xff\xff\xff",
        packed(Failed(code="a", message="b", remedy="c")),
        b"\x01\x00\x00\x00\xc1",
        b"\x05\x00\x00\x00\x85hello",
    ],
)
def test_nonsense_on_the_socket_is_an_error(stream: bytes):
    with pytest.raises(WorkerError):
        list(FrameReader(Work).feed(stream))
