"""The command `edge-aigc`, one file a verb.

Result on stdout, words on stderr. Exit codes: 0 done, 1 refused, 2 misuse, 3 a promise not kept.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.choices import choices
from edge_aigc.cli.output import print_error
from edge_aigc.errors import EdgeAigcError, UsageError
from edge_aigc.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = (
    "convert",
    "inspect",
    "generate",
    "run",
    "request",
    "watch",
    "profiles",
    "bench",
    "emulate",
    "accelerate",
    "doctor",
    "demo",
)
"""Each is `edge_aigc.cli.VERB` with a click command named `command`; heavy imports inside it."""

_INTERRUPTED = 130
"""What shells report of a process that SIGINT ended: 128 + 2."""


class _Verbs(click.Group):
    """Imports a verb when it is first needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(VERBS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f"There is no verb {args[0]!r}. {choices(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"edge_aigc.cli.{cmd_name}").command
        return command


@click.command(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`edge-aigc VERB --help` explains each. Exit codes: 0 done, 1 refused, 2 misuse, 3 a promise not kept.",
)
@click.version_option(__version__, prog_name="edge-aigc")
def group() -> None:
    """Put trained generators onto small devices and serve what they make over MQTT."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit.

    Args:
        argv: Arguments without the program's name; None takes the process's own.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run the command and return its exit code; errors are told, never raised."""
    as_json = "--json" in arguments
    try:
        code: Any = group.main(arguments, prog_name="edge-aigc", standalone_mode=False)
    except EdgeAigcError as exc:
        return print_error(exc, as_json=as_json)
    except click.UsageError as exc:
        return print_error(_misuse(exc), as_json=as_json)
    except click.ClickException as exc:
        return print_error(UsageError(exc.format_message(), remedy="See `--help`."), as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our stdout left, as `head` does; without this Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _misuse(exc: click.UsageError) -> UsageError:
    verb = exc.ctx.command_path if exc.ctx else "edge-aigc"
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        return UsageError("No verb was given.", remedy=f"See `{verb} --help`.")
    return UsageError(exc.format_message(), remedy=f"See `{verb} --help`.")
