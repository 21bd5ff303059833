"""What `--on` takes, how it becomes a command line of ssh, and what ssh's words become."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_aigc.cli import run
from edge_aigc.devices.ssh.conversation import SshTarget
from edge_aigc.devices.ssh.words import by_hand, ended
from edge_aigc.errors import UsageError


@pytest.mark.parametrize(
    ("text", "destination", "port"),
    [
        ("attic", "attic", None),
        ("pi@attic", "pi@attic", None),
        ("pi@attic.local:2222", "pi@attic.local", 2222),
        ("pi@192.168.0.7:22", "pi@192.168.0.7", 22),
        ("pi@[fe80::1%eth0]:2222", "pi@fe80::1%eth0", 2222),
        ("[::1]", "::1", None),
    ],
)
def test_a_target_is_user_host_and_port(text, destination, port):
    target = SshTarget.parse(text)
    assert (target.destination, target.port) == (destination, port)
    assert target.name == text or port is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@attic",
        "pi@",
        "-oProxyCommand=reboot",
        "pi@-attic",
        "-pi@attic",
        "pi@attic:0",
        "pi@attic:70000",
        "a b",
        "a;b",
    ],
)
def test_what_is_no_target_never_reaches_ssh(text):
    with pytest.raises(UsageError, match="host"):
        SshTarget.parse(text)


def test_an_option_is_a_name_and_a_value():
    with pytest.raises(UsageError, match="no option of ssh"):
        SshTarget.parse("attic", options=("ProxyJump",))


def test_ssh_never_asks_and_the_users_options_come_before_ours():
    target = SshTarget.parse(
        "pi@attic:2222", identity=Path("key"), config=Path("config"), options=("ConnectTimeout=99", "BatchMode=no")
    )
    command = target.arguments("true")
    options = [command[index + 1] for index, word in enumerate(command) if word == "-o"]
    assert options[0] == "BatchMode=yes"
    assert options.index("ConnectTimeout=99") < options.index("ConnectTimeout=10")
    assert not any(option.startswith("StrictHostKeyChecking") for option in options)
    assert command[-3:] == ["--", "pi@attic", "true"]
    assert command[command.index("-i") + 1] == "key"
    assert command[command.index("-F") + 1] == "config"
    assert command[command.index("-p") + 1] == "2222"


def test_the_command_for_a_person_has_the_port_where_ssh_wants_it():
    assert by_hand("pi@attic") == "ssh pi@attic"
    assert by_hand("pi@attic:2222", "ssh-copy-id") == "ssh-copy-id -p 2222 pi@attic"
    assert by_hand("pi@[fe80::1]:2222") == "ssh -p 2222 pi@fe80::1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "ssh: connect to host attic port 22: No route to host\r\n",
            "connect to host attic port 22: No route to host.",
        ),
        ("ssh: Could not resolve hostname attic: Name or service not known\r\n", "attic: Name or service not known."),
        ("pi@attic: Permission denied (publickey,password).\r\n", "Permission denied (publickey,password)."),
        ("Timeout, server attic not responding.\r\n", "was lost: Timeout, server attic not responding."),
        ("client_loop: send disconnect: Broken pipe\r\n", "was lost"),
        ("command-line: line 0: Bad configuration option: colour\r\n", "refuses its options"),
        ("muxclient: master hello exchange failed\r\n", "muxclient: master hello exchange failed."),
        ("", "it does not say why"),
    ],
)
def test_what_ssh_says_is_told_with_what_to_do(words, message):
    error = ended("pi@attic", 255, words)
    assert message in error.message
    assert error.remedy.endswith((".", "`"))


def test_options_that_belong_to_on_are_misuse_without_it(capfd, tiny):
    assert run(["bench", str(tiny), "--identity", "key"]) == 2
    assert "`--identity` belongs to `--on`" in capfd.readouterr().err


def test_a_sweep_there_is_asked_for_by_its_numbers(capfd, tiny):
    assert run(["bench", str(tiny), "--on", "attic", "--sweep"]) == 2
    assert "--threads 1,2,4" in capfd.readouterr().err
