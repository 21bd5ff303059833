"""Programs of others that start more: all of it is gone when its time is over."""

from __future__ import annotations

import subprocess

import pytest
from leftovers import gone
from sshd import script

from edge_aigc.processes import await_end, said_by


def test_what_a_program_says_on_both_outputs_comes_back(tmp_path):
    assert said_by([script(tmp_path / "says", "echo one; echo two >&2")], limit_s=60) == b"one\ntwo\n"
    with pytest.raises(OSError, match="No such file"):
        said_by([tmp_path / "absent"], limit_s=60)


@pytest.mark.parametrize("ending", ["sleep 600", "exit 0"])
def test_what_it_started_is_killed_with_it_even_where_it_ended_first(tmp_path, ending):
    pid = tmp_path / "pid"
    program = script(tmp_path / "starts", f"sleep 600 & echo $! >{pid}; {ending}")
    with pytest.raises(subprocess.TimeoutExpired):
        said_by([program], limit_s=1)
    assert gone(pid)


def test_what_a_program_leaves_behind_goes_when_it_ends(tmp_path):
    pid = tmp_path / "pid"
    program = script(tmp_path / "leaves", f"sleep 600 >/dev/null 2>&1 & echo $! >{pid}; exit 3")
    with subprocess.Popen([program], start_new_session=True) as process:
        assert await_end(process) == 3
    assert gone(pid)
