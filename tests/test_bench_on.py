"""`bench --on` over a real OpenSSH server: what comes back, what is refused, what is left there."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bundles import bundle_with_wrong_goldens
from disks import small_disk
from sshd import script, sshd

from edge_aigc.cli import run
from edge_aigc.devices.ssh.there import PROTOCOL
from edge_aigc.version import __version__

ENDLESS = ("--rounds", "1000000")


@pytest.fixture
def there(tmp_path):
    """The folder on the other machine where the copies lie."""
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def printed(capfd, *arguments):
    code = run(["bench", *map(str, arguments), "--json"])
    return code, json.loads(capfd.readouterr().out)


def refused(capfd, *arguments):
    """Return the error that a verb ends with, as JSON."""
    code, result = printed(capfd, *arguments)
    assert code == 1
    return result["error"]


def eventually(condition, seconds=20.0):
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come true")


def measuring():
    """Return the processes that measure, of this user on this machine."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = command.read_bytes().split(b"\0")
            if b"edge_aigc.devices.bench.process" in words:
                found.append(int(command.parent.name))
    return found


@contextlib.contextmanager
def endless(server, bundle, folder, *arguments):
    """Have the command measure there until it is stopped; yield it when the measuring process runs."""
    before = set(measuring())
    command = [sys.executable, "-m", "edge_aigc.cli", "bench", str(bundle), *server.arguments(), *ENDLESS, "--json"]
    command += ["--remote-folder", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            eventually(lambda: set(measuring()) - before)
            yield process
        finally:
            process.kill()
    eventually(lambda: not list(folder.iterdir()))
    eventually(lambda: not set(measuring()) - before)


def test_figures_come_back_and_nothing_stays_there(capfd, server, tiny, there):
    code, result = printed(
        capfd, tiny, *server.arguments(), "--remote-folder", there, "--rounds", 20, "--threads", "1,2"
    )
    assert code == 0
    assert result["where"].startswith(server.target)
    assert [row["threads"] for row in result["rows"]] == [1, 2]
    assert 0 < result["median_ms"] <= result["p95_ms"]
    assert 0 < result["peak_ram_bytes"] < result["peak_rss_bytes"]
    assert not list(there.iterdir())


def test_a_person_reads_where_it_was_measured(capfd, server, tiny):
    assert run(["bench", str(tiny), *server.arguments(), "--rounds", "10"]) == 0
    assert capfd.readouterr().out.startswith(server.target)


def test_an_alias_of_the_users_ssh_configuration_is_a_machine(capfd, server, tiny, tmp_path):
    config = tmp_path / "config"
    options = "\n".join(option.replace("=", " ", 1) for option in server.options)
    config.write_text(
        f"Host board\nHostName 127.0.0.1\nPort {server.port}\nIdentityFile {server.identity}\n"
        f"User {server.target.partition('@')[0]}\n{options}\n"
        # What people have there for their terminals is not for us.
        f"RemoteCommand tmux attach\nRequestTTY yes\nLocalForward {server.port} 127.0.0.1:9\nExitOnForwardFailure yes\n"
    )
    code, result = printed(
        capfd, tiny, "--on", "board", "--ssh-config", config, "--remote-command", server.command, "--rounds", 10
    )
    assert code == 0
    assert result["where"].startswith("board (")


def test_another_key_is_refused_with_the_way_to_put_ours_there(capfd, server, tiny):
    arguments = server.arguments()
    arguments[arguments.index("--identity") + 1] = str(server.folder / "stranger_key")
    error = refused(capfd, tiny, *arguments)
    assert error["code"] == "ssh"
    assert "does not let us in: Permission denied (publickey)" in error["message"]
    assert f"ssh-copy-id -p {server.port} " in error["remedy"]


def test_a_host_that_is_not_known_is_not_trusted(capfd, server, tiny, tmp_path):
    known = tmp_path / "known_hosts"
    known.touch()
    error = refused(capfd, tiny, "--ssh-option", f"UserKnownHostsFile={known}", *server.arguments())
    assert "host key" in error["message"]
    assert "fingerprint" in error["remedy"]
    assert known.read_bytes() == b""


def test_a_host_whose_key_changed_is_another_error(capfd, server, tiny, tmp_path):
    known = tmp_path / "known_hosts"
    stranger = (server.folder / "stranger_key.pub").read_text()
    known.write_text(f"[127.0.0.1]:{server.port} {stranger}")
    error = refused(capfd, tiny, "--ssh-option", f"UserKnownHostsFile={known}", *server.arguments())
    assert "another host key than before" in error["message"]
    assert "ssh-keygen -R" in error["remedy"]


def test_a_machine_that_is_off_is_told_from_one_that_has_no_name(capfd, tiny):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        error = refused(capfd, tiny, "--on", f"pi@127.0.0.1:{bound.getsockname()[1]}")
    assert "cannot be reached" in error["message"]
    assert "Connection refused" in error["message"]
    error = refused(capfd, tiny, "--on", "pi@nowhere.invalid")
    assert "Could not resolve hostname nowhere.invalid" in error["message"]


def test_a_port_where_nobody_speaks_ssh_is_given_up(capfd, tiny):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        error = refused(capfd, tiny, "--on", f"pi@127.0.0.1:{port}", "--ssh-option", "ConnectTimeout=1")
    assert "timed out" in error["message"]


def test_without_ssh_here_its_package_is_named(capfd, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "openssh-client" in refused(capfd, tiny, "--on", "pi@attic")["remedy"]


def test_a_command_that_is_not_there_is_named(capfd, server, tiny):
    error = refused(capfd, tiny, *server.arguments("/nowhere/edge-aigc"))
    assert "no '/nowhere/edge-aigc'" in error["message"]
    assert "--remote-command" in error["remedy"]


def test_a_machine_without_edge_aigc_is_told_how_to_get_it(capfd, tiny, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    script(tools / "python3", '[ "$1" = --version ] && echo Python 3.9.2 || exit 1')
    with sshd(tmp_path / "server", f"SetEnv PATH={tools} HOME={tmp_path}") as bare:
        error = refused(capfd, tiny, *bare.arguments(None))
    assert "which has Python 3.9.2; 3.10 or newer" in error["message"]
    assert f"pip install 'edge-aigc[litert]=={__version__}'" in error["remedy"]


@pytest.mark.parametrize(("folder", "path"), [("bin", "{place}:/usr/bin:/bin"), (".local/bin", "/usr/bin:/bin")])
def test_edge_aigc_is_found_on_the_path_and_where_pip_puts_it(capfd, tiny, tmp_path, folder, path):
    place = tmp_path / folder
    place.mkdir(parents=True)
    with sshd(tmp_path / "server", f"SetEnv HOME={tmp_path} PATH={path.format(place=place)}") as home:
        script(place / "edge-aigc", f'exec {home.command} "$@"')
        code, result = printed(capfd, tiny, *home.arguments(None), "--rounds", 10)
    assert code == 0, result


def test_what_a_login_shell_prints_is_not_taken_for_an_answer(capfd, tiny, tmp_path):
    chatty = 'ForceCommand echo "Welcome to attic"; printf "no newline"; eval "$SSH_ORIGINAL_COMMAND"'
    with sshd(tmp_path / "server", chatty) as running:
        code, _ = printed(capfd, tiny, *running.arguments(), "--rounds", 10)
    assert code == 0


@pytest.mark.parametrize("flood", ["yes", "cat /dev/zero"])
def test_a_machine_that_only_talks_is_given_up(capfd, tiny, tmp_path, flood):
    with sshd(tmp_path / "server", f"ForceCommand {flood}") as running:
        error = refused(capfd, tiny, *running.arguments())
    assert error["code"] == "ssh"
    assert "no answer of edge-aigc" in error["message"]


def test_an_older_edge_aigc_there_is_told_by_both_versions(capfd, server, tiny, tmp_path):
    old = script(
        tmp_path / "old",
        'if [ "$1" = --version ]; then echo "edge-aigc, version 0.0.1"; else echo "No such option" >&2; exit 2; fi',
    )
    error = refused(capfd, tiny, *server.arguments(str(old)))
    assert f"has edge-aigc 0.0.1, which measures in another way than this one, {__version__}" in error["message"]
    assert f"=={__version__}'` there" in error["remedy"]


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"type": "hello", "protocol": PROTOCOL + 1, "version": "9.0", "python": "3", "machine": "x"}, "another way"),
        ({"type": "life", "doing": "nothing"}, "another way"),
    ],
)
def test_a_newer_edge_aigc_there_is_not_guessed_at(capfd, server, tiny, tmp_path, says, words):
    newer = f'[ "$1" = --version ] && echo "edge-aigc, version 9.0" || echo \'{json.dumps(says)}\''
    assert words in refused(capfd, tiny, *server.arguments(str(script(tmp_path / "new", newer))))["message"]


@pytest.mark.parametrize("answer", ["[1, 2]", "{}", '{"type": "benched", "report": {"rows": 3}}', "Segmentation fault"])
def test_an_answer_that_is_none_is_refused(capfd, server, tiny, tmp_path, answer):
    hello = {"type": "hello", "protocol": PROTOCOL, "version": __version__, "python": "3", "machine": "x"}
    lines = f"echo '{json.dumps(hello)}'; read request; echo '{answer}'; cat >/dev/null"
    liar = f'if [ "$1" = --version ]; then echo "edge-aigc, version {__version__}"; else {lines}; fi'
    error = refused(capfd, tiny, *server.arguments(str(script(tmp_path / "liar", liar))))
    assert "no answer of edge-aigc" in error["message"]


def test_a_program_there_that_dies_is_told_with_its_last_words(capfd, server, tiny, tmp_path):
    dying = 'if [ "$1" = --version ]; then echo "edge-aigc, version 0.1"; else exit 3; fi'
    dying = dying.replace("0.1", __version__).replace("exit 3", "echo cannot allocate memory >&2; exit 3")
    error = refused(capfd, tiny, *server.arguments(str(script(tmp_path / "dying", dying))))
    assert "ended with code 3" in error["message"]
    assert "cannot allocate memory" in error["message"]


def test_a_bundle_that_does_not_prove_itself_there_is_its_own_error(capfd, server, tmp_path, there):
    wrong = bundle_with_wrong_goldens(tmp_path)
    error = refused(capfd, wrong, *server.arguments(), "--remote-folder", there)
    assert error["code"] == "bundle"
    assert f"On {server.target}: " in error["message"]
    assert "does not prove itself" in error["message"]
    assert not list(there.iterdir())


def test_a_full_disk_there_is_told_with_both_sizes(capfd, server, tiny, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        (disk / "filler").write_bytes(bytes(60 << 10))
        error = refused(capfd, tiny, *server.arguments(), "--remote-folder", disk)
        assert [path.name for path in disk.iterdir()] == ["filler"]
    assert error["code"] == "file"
    assert f"{tiny.stat().st_size:,} B are needed" in error["message"]
    assert "--remote-folder" in error["remedy"]


def test_a_folder_that_is_not_there_is_named(capfd, server, tiny):
    assert "/nowhere" in refused(capfd, tiny, *server.arguments(), "--remote-folder", "/nowhere")["message"]


def test_a_connection_that_breaks_is_told_and_what_ran_there_is_gone(server, tiny, there):
    with endless(server, tiny, there) as process:
        server.kill_sessions()
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    error = json.loads(out)["error"]
    assert error["code"] == "ssh"
    assert "was lost" in error["message"]


def test_an_interrupted_command_leaves_nothing_there(server, tiny, there):
    with endless(server, tiny, there) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130


def test_a_killed_command_leaves_nothing_there(server, tiny, there):
    with endless(server, tiny, there) as process:
        process.kill()
        process.communicate(timeout=20)


def test_a_measurement_that_takes_too_long_is_stopped_on_both_sides(server, tiny, there):
    with endless(server, tiny, there, "--timeout", "4") as process:
        out, _ = process.communicate(timeout=30)
    assert "not done after 4 s" in json.loads(out)["error"]["message"]


def test_the_other_end_never_outlives_its_input():
    command = [sys.executable, "-m", "edge_aigc.cli", "bench", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["type"] == "hello"
        process.stdin.close()
        assert process.wait(10) == 0
        assert json.loads(process.stdout.readline())["code"] == "ssh"
