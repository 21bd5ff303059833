"""What the verbs that can measure on another machine have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_aigc.cli.figures import Figure
from edge_aigc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.devices.ssh.conversation import SshTarget

Command = TypeVar("Command", bound="Callable[..., Any]")

_LONGEST_S = 86_400
_NEEDS_ON = ("identity", "ssh_config", "ssh_option", "remote_command", "remote_folder")


def ssh_options(command: Command) -> Command:
    """Add `--on` and what belongs to it."""
    options = (
        click.option(
            "--on",
            metavar="[USER@]HOST[:PORT]",
            help="Measure there, over ssh; edge-aigc must be installed there. Your ssh configuration holds.",
        ),
        click.option("--identity", type=click.Path(path_type=Path), metavar="FILE", help="As ssh -i."),
        click.option("--ssh-config", type=click.Path(path_type=Path), metavar="FILE", help="As ssh -F."),
        click.option(
            "--ssh-option", multiple=True, metavar="NAME=VALUE", help="As ssh -o, for example ProxyJump=gate."
        ),
        click.option(
            "--remote-command",
            metavar="WORDS",
            help="edge-aigc there, for example '~/venv/bin/edge-aigc'; default: it is looked for.",
        ),
        click.option(
            "--remote-folder",
            metavar="DIR",
            help="Where the copy lies there meanwhile; default: where temporary files are.",
        ),
        click.option(
            "--timeout",
            "timeout_s",
            type=Figure(1, _LONGEST_S),
            default=900.0,
            show_default=True,
            metavar="SECONDS",
            help="For everything there. A machine that does not answer any more is given up after 15 seconds, a "
            "program there that says nothing after 60.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def target_of(options: dict[str, Any]) -> SshTarget | None:
    """Return the machine that the options above name, or None without `--on`.

    Raises:
        UsageError: It cannot be read, or options that belong to `--on` were given without it.
    """
    if options["on"] is None:
        for name in _NEEDS_ON:
            if options[name]:
                flag = f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"`{flag}` belongs to `--on`, which was not given.", remedy="Say where: `--on pi@attic`."
                )
        return None
    from edge_aigc.devices.ssh.conversation import SshTarget

    return SshTarget.parse(
        options["on"],
        identity=options["identity"],
        config=options["ssh_config"],
        options=options["ssh_option"],
        command=options["remote_command"],
        folder=options["remote_folder"],
    )
