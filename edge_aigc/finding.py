"""What an examination of a machine finds, and how checks are run so that none of them holds up the rest."""

from __future__ import annotations

import os
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Severity: TypeAlias = Literal["ok", "note", "problem"]
Check: TypeAlias = "Callable[[], Sequence[Finding]]"

_ORDER: Mapping[Severity, int] = {"problem": 0, "note": 1, "ok": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    id: str
    """Stable, for programs: what is wrong, or what was looked at and is in order."""
    severity: Severity
    """`problem` keeps something from working; a `note` is good to know."""
    message: str
    """What is wrong, with the numbers."""
    remedy: str | None = None
    """A line for the shell that mends it; None where no command can, and the message says what can."""


def gather(checks: Mapping[str, Check], *, limit_s: float) -> list[Finding]:
    """Run checks side by side and return what they find, problems first.

    A check that is not done in time, or that this machine is too odd for, becomes a note that says so.

    Args:
        checks: By the id that such a note gets.
        limit_s: For all of them together.
    """
    found: dict[str, list[Finding]] = {}

    def run(name: str, check: Check) -> None:
        try:
            found[name] = list(check())
        # Machines are odd in ways that nobody lists: a program that is too slow, a file that ends early.
        except Exception as exc:  # noqa: BLE001 - told as a note
            found[name] = [_unknown(name, f"{type(exc).__name__}: {exc}")]

    # Nothing waits for a thread that hangs, as on a file system whose server is gone.
    threads = [threading.Thread(target=run, args=entry, daemon=True) for entry in checks.items()]
    for thread in threads:
        thread.start()
    deadline_s = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    findings = [
        finding for name in checks for finding in found.get(name, [_unknown(name, f"no answer in {limit_s:g} s")])
    ]
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def as_root(command: str) -> str:
    """Return a command as whoever runs this must type it to have it run by root."""
    return command if os.geteuid() == 0 else f"sudo {command}"


def install(*packages: str) -> str:
    """Return the command that installs packages of Debian's."""
    return as_root(f"apt-get install -y {' '.join(packages)}")


def command_in(words: str) -> str | None:
    """Return the first command that a remedy quotes in backticks, or None; one word alone is a name or an option.

    >>> command_in("Install one: `pip install x`, or another.")
    'pip install x'
    >>> command_in("Raise `max_packet_size`, or try `--runtime`.")
    """
    quoted = re.search(r"`([A-Za-z/][^`\s]*\s[^`]+)`", words)
    return quoted[1] if quoted else None


def _unknown(name: str, why: str) -> Finding:
    return Finding(id=name, severity="note", message=f"Unknown: {why}.")
