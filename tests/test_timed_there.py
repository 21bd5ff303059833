"""`TimedThere`, the meter of `convert --on`, over a real OpenSSH server."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import msgspec
import nets
import pytest
from bundles import DATA
from sshd import script

from edge_aigc.cli import run
from edge_aigc.devices.ssh.conversation import SshTarget
from edge_aigc.devices.ssh.remote import TimedThere
from edge_aigc.devices.ssh.there import PROTOCOL, Hello
from edge_aigc.errors import BundleError, SshError
from edge_aigc.version import __version__


def test_candidates_are_timed_in_turns_and_weighed_in_one_run_there(server):
    flatbuffer = (DATA / "tiny.tflite").read_bytes()
    costs = TimedThere(server.ssh_target).measure({"float32": flatbuffer, "int8": flatbuffer}, threads=1)
    assert list(costs) == ["float32", "int8"]
    for cost in costs.values():
        assert cost.how == "measured"
        assert cost.where.startswith(server.target)
        assert cost.latency_ms > 0
        assert cost.peak_ram_bytes is not None


def test_a_candidate_that_the_runtime_there_refuses_is_told_in_its_words(server):
    with pytest.raises(BundleError, match=rf"On {server.target}: .*refuses the model"):
        TimedThere(server.ssh_target).measure({"broken": b"\0" * 100}, threads=1)


def test_nothing_to_time_needs_no_connection():
    assert TimedThere(SshTarget(destination="nowhere.invalid")).measure({}, threads=1) == {}


def test_a_machine_that_hangs_is_given_up(server, tmp_path):
    hanging = script(
        tmp_path / "hanging", f'[ "$1" = --version ] && echo "edge-aigc, version {__version__}" || cat >/dev/null'
    )
    target = replace(server.ssh_target, command=str(hanging), silence_s=1.0)
    with pytest.raises(SshError, match="no sign of life for 1 s"):
        TimedThere(target).measure({"x": b"x"}, threads=1)


def test_a_machine_that_stops_answering_while_we_copy_is_given_up(server):
    def stop(doing):
        if doing.startswith("copying"):
            server.signal_sessions(signal.SIGSTOP)

    target = replace(server.ssh_target, options=("ServerAliveInterval=1", *server.options))
    try:
        with pytest.raises(SshError, match=r"was lost: Timeout, server 127\.0\.0\.1 not responding"):
            TimedThere(target, tell=stop).measure({"x": bytes(64 << 20)}, threads=1)
    finally:
        server.signal_sessions(signal.SIGCONT)


def test_a_program_there_that_takes_no_more_while_we_copy_is_given_up(server, tmp_path):
    said = msgspec.json.encode(Hello(protocol=PROTOCOL, version=__version__, python="3", machine="x")).decode()
    full = script(
        tmp_path / "full",
        f'if [ "$1" = --version ]; then echo "edge-aigc, version {__version__}"; else echo \'{said}\'; sleep 60; fi',
    )
    target = replace(server.ssh_target, command=str(full), silence_s=2.0)
    with pytest.raises(SshError, match="no sign of life for 2 s"):
        TimedThere(target).measure({"x": bytes(64 << 20)}, threads=1)


def test_how_long_a_silent_machine_is_waited_for_is_what_the_command_says(server):
    words = " ".join(server.ssh_target.arguments("true"))
    assert "ServerAliveInterval=5 -o ServerAliveCountMax=3" in words
    assert "ConnectTimeout=10" in words


def test_a_machine_is_reached_before_anything_is_made_for_it(server):
    assert TimedThere(server.ssh_target).reach() == __version__
    with pytest.raises(SshError, match="no '/nowhere'"):
        TimedThere(replace(server.ssh_target, command="/nowhere")).reach()


def test_convert_times_its_candidates_on_the_board_that_was_named(capfd, server, tmp_path):
    model = nets.gan(tmp_path)
    flags = ["--prior", "latent=normal", "--classes", "kind=a,b,c", "-o", str(tmp_path / "out")]
    code = run(["convert", str(model), "--profile", "rpi4", *flags, *server.arguments(), "--json"])
    captured = capfd.readouterr()
    (bundle,) = json.loads(captured.out)["bundles"]
    assert code == 0
    assert bundle["latency_ms"]["where"].startswith(f"{server.target} (")
    assert bundle["latency_ms"]["how"] == "measured"
    assert f"rpi4: timed on {server.target} (" in captured.err


def test_convert_refuses_a_machine_that_does_not_answer_before_it_begins(capfd, tmp_path):
    folder = tmp_path / "out"
    code = run(["convert", "--profile", "rpi4", "--on", "pi@nowhere.invalid", "-o", str(folder), "--json"])
    assert code == 1
    assert json.loads(capfd.readouterr().out)["error"]["code"] == "ssh"
    assert not folder.exists()


def test_one_machine_cannot_stand_for_two_profiles(capfd):
    assert run(["convert", "--profile", "rpi4", "--profile", "rpi5", "--on", "pi@attic"]) == 2
    assert "2 profiles" in capfd.readouterr().err
