"""What OpenSSH says when it fails, as errors with remedies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge_aigc.errors import SshError

if TYPE_CHECKING:
    from collections.abc import Callable

_SSH_FAILED = 255
"""ssh(1): "exits with the exit status of the remote command or with 255 if an error occurred"."""
_TAIL_CHARS = 300


def by_hand(where: str, program: str = "ssh") -> str:
    """Return the command that a person types: ``ssh -p 2222 pi@attic`` for ``pi@attic:2222``."""
    host, colon, port = where.rpartition(":")
    if not colon or not port.isdecimal():
        return f"{program} {where}"
    return f"{program} -p {port} {host.translate({ord('['): None, ord(']'): None})}"


def ended(where: str, code: int | None, words: str) -> SshError:
    """Return the error for an `ssh` that ended before it was to.

    Args:
        where: [user@]host[:port].
        code: Its exit code; None: it runs on, but closed its output.
        words: What it, or the program there, wrote to stderr.
    """
    if code == _SSH_FAILED:
        for pattern, error in _FAILURES:
            if found := re.search(pattern, words):
                return error(where, found[0].rstrip("."))
        return SshError(
            f"ssh to {where} failed: {_tail(words) or 'it does not say why'}.",
            remedy=f"See what `{by_hand(where)} true` says.",
        )
    said = f": {_tail(words)}" if words.strip() else "."
    return SshError(
        f"edge-aigc on {where} ended with code {code} before it had answered{said}",
        remedy=f"Try `{by_hand(where)} edge-aigc --version`.",
    )


def not_there() -> SshError:
    """Return the error for a host without OpenSSH."""
    return SshError("There is no `ssh` on this machine.", remedy="Install it: `apt-get install -y openssh-client`.")


def silent(where: str, silence_s: float) -> SshError:
    """Return the error for a machine that gives no sign of life."""
    return SshError(
        f"{where} gave no sign of life for {silence_s:g} s.",
        remedy=f"See whether it is overloaded or out of memory: `{by_hand(where)} uptime`.",
    )


def too_long(where: str, limit_s: float) -> SshError:
    """Return the error for a measurement that takes longer than the user allows."""
    return SshError(
        f"{where} was not done after {limit_s:g} s.", remedy="Allow more with `--timeout`, or ask for fewer `--rounds`."
    )


def too_much(where: str, received: int) -> SshError:
    """Return the error for a machine that sends far more than an answer."""
    return SshError(
        f"{where} sent {received:,} B that are no answer of edge-aigc.",
        remedy=f"See what its shell prints when nobody is at a terminal: `{by_hand(where)} true`.",
    )


def _unknown_host(where: str, said: str) -> SshError:
    del said
    return SshError(
        f"The host key of {where} is not known here, so who answers there is not known either.",
        remedy=f"Connect once by hand and compare the key's fingerprint: `{by_hand(where)}`.",
    )


def _changed_key(where: str, said: str) -> SshError:
    del said
    return SshError(
        f"{where} answers with another host key than before: it was installed anew, or is not the machine it was.",
        remedy="When you know why, forget the old key: `ssh-keygen -R HOST`, and connect once by hand.",
    )


def _refused(where: str, said: str) -> SshError:
    return SshError(
        f"{where} does not let us in: {said}.",
        remedy=f"Put your key there, `{by_hand(where, 'ssh-copy-id')}`, or name another with `--identity`; "
        "passwords are never asked for.",
    )


def _unreachable(where: str, said: str) -> SshError:
    return SshError(
        f"{where} cannot be reached: {said}.",
        remedy="Check that it is on, its name and port, and that it runs an ssh server: `sudo systemctl status ssh`.",
    )


def _lost(where: str, said: str) -> SshError:
    return SshError(
        f"The connection to {where} was lost: {said}.", remedy="Check its power and network, and measure again."
    )


def _misused(where: str, said: str) -> SshError:
    return SshError(f"ssh to {where} refuses its options: {said}.", remedy="Check `--ssh-option` and your ssh config.")


_FAILURES: tuple[tuple[str, Callable[[str, str], SshError]], ...] = (
    # The messages of OpenSSH: ssh.c, sshconnect.c, sshconnect2.c, clientloop.c, readconf.c; the graver first.
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED|host key for \S+ has changed", _changed_key),
    (r"Host key verification failed", _unknown_host),
    (r"Permission denied \([^)]*\)|Too many authentication failures|UNPROTECTED PRIVATE KEY FILE", _refused),
    (r"(?i:Bad configuration option): \S+|Bad owner or permissions on \S+|keyword \S+ extra arguments[^\n]*", _misused),
    (
        r"Could not resolve hostname [^\n:]+: [^\n]*[^\n.\r]|connect to (?:host|address) [^\n]+: [^\n]*[^\n.\r]",
        _unreachable,
    ),
    (r"Connection timed out during banner exchange", _unreachable),
    (
        r"Timeout, server \S+ not responding|Connection (?:to \S+ )?(?:closed|reset) by [^\n\r]*",
        _lost,
    ),
    (r"client_loop: [^\n\r]*", _lost),
    (r"kex_exchange_identification: [^\n\r]*|Broken pipe", _lost),
)


def _tail(words: str) -> str:
    return words.strip()[-_TAIL_CHARS:].rstrip(".")
