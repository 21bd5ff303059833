"""Measure on another machine over ssh: bundles for `bench --on`, candidates for `convert --on`."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from edge_aigc.bundle import FILE_LIMIT_BYTES
from edge_aigc.devices.bench.fresh import error_of
from edge_aigc.devices.bench.orders import Failed
from edge_aigc.devices.ssh.conversation import talk
from edge_aigc.devices.ssh.there import (
    PROTOCOL,
    Benched,
    BenchThere,
    Hello,
    Life,
    Request,
    Said,
    SentFile,
    TimedCosts,
    TimeThere,
)
from edge_aigc.devices.ssh.words import by_hand
from edge_aigc.errors import SshError
from edge_aigc.files import read_whole
from edge_aigc.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edge_aigc.cost import Cost
    from edge_aigc.devices.bench.report import Plan, Report
    from edge_aigc.devices.ssh.conversation import SshTarget, Talk
    from edge_aigc.profile import Runtime

Expected = TypeVar("Expected", Benched, TimedCosts)

LIMIT_S = 900.0
"""For a whole measurement, unless the user says otherwise."""
_BEGIN = b"edge-aigc:begin"
_MISSING = b"edge-aigc:missing"
_NOISE_LINES = 200
"""What a login shell there may print before our script has its turn."""
_VERSION = re.compile(rb"^edge-aigc, version (\S{1,40})$")
_LOOK_FOR_IT = (
    # An ssh command gets a short PATH: pip's and pipx's folder is often not in it.
    "if command -v edge-aigc >/dev/null 2>&1; then set -- edge-aigc; "
    'elif [ -x "$HOME/.local/bin/edge-aigc" ]; then set -- "$HOME/.local/bin/edge-aigc"; '
    'elif python3 -c "import edge_aigc" >/dev/null 2>&1; then set -- python3 -m edge_aigc.cli; '
    'else echo "edge-aigc:missing $(python3 --version 2>&1)"; exit 127; fi; '
)
_STATED = 'set -- {command}; command -v "$1" >/dev/null 2>&1 || {{ echo "edge-aigc:missing $1"; exit 127; }}; '
_START = 'echo edge-aigc:begin; "$@" --version </dev/null && exec "$@" bench --serve'


class TimedThere:
    """A `CostMeter` that times on another machine, in turns, in one run there."""

    shortlist = 8
    """Each is copied there."""

    def __init__(
        self,
        target: SshTarget,
        *,
        runtime: Runtime | None = None,
        tell: Callable[[str], None] = lambda _: None,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Choose the machine and the runtime; None takes the first that is installed there."""
        self._target = target
        self._runtime = runtime
        self._tell = tell
        self._limit_s = limit_s

    def reach(self) -> str:
        """Return the version of edge-aigc there: what can be refused is refused before anything is made.

        Raises:
            SshError: The machine cannot be reached, or has no edge-aigc that we can speak with.
        """
        with talk(self._target, _script(self._target), limit_s=self._limit_s) as talking:
            return _hello(self._target, talking).version

    def measure(self, flatbuffers: Mapping[str, bytes], *, threads: int) -> dict[str, Cost]:
        """Return the median latency and the peak memory of each.

        Raises:
            BundleError: The runtime there refuses one of them.
            SshError: The machine cannot be reached, or has no edge-aigc that we can speak with.
            EdgeAigcError: Any other reason that the machine gives.
        """
        if not flatbuffers:
            return {}
        order = TimeThere(threads=threads, runtime=self._runtime)
        _, answer = _exchange(self._target, order, flatbuffers, TimedCosts, tell=self._tell, limit_s=self._limit_s)
        if set(answer.costs) != set(flatbuffers):
            raise _nonsense(self._target, "the figures of other models than were sent")
        return {
            name: replace(cost, where=cost.where.replace("this machine", self._target.name, 1))
            for name, cost in answer.costs.items()
        }


def bench_there(
    target: SshTarget,
    bundle: Path,
    plan: Plan,
    *,
    tell: Callable[[str], None] = lambda _: None,
    limit_s: float = LIMIT_S,
) -> tuple[str, Report]:
    """Copy a bundle to another machine, measure it there, and leave nothing there.

    Returns:
        The version of edge-aigc there, and its report.

    Raises:
        SshError: The machine cannot be reached, or has no edge-aigc that we can speak with.
        EdgeAigcError: Any other reason that the machine gives, such as a bundle that does not prove itself there.
    """
    content = read_whole(bundle, limit_bytes=FILE_LIMIT_BYTES, what="bundle")
    order = BenchThere(plan=plan)
    hello, answer = _exchange(target, order, {bundle.name: content}, Benched, tell=tell, limit_s=limit_s)
    if [row.threads for row in answer.report.rows] != list(plan.threads):
        raise _nonsense(target, "figures for other numbers of threads than were asked for")
    return hello.version, answer.report


def _exchange(
    target: SshTarget,
    order: BenchThere | TimeThere,
    contents: Mapping[str, bytes],
    expected: type[Expected],
    *,
    tell: Callable[[str], None],
    limit_s: float,
) -> tuple[Hello, Expected]:
    """Send a request with its files, and return the hello and the answer."""
    files = tuple(
        SentFile(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    request = Request(order=order, files=files, limit_s=limit_s, folder=target.folder)
    tell(f"connecting to {target.name}")
    with talk(target, _script(target), limit_s=limit_s) as talking:
        hello = _hello(target, talking)
        tell(f"copying {sum(map(len, contents.values())):,} B to {target.name}")
        talking.send(msgspec.json.encode(request) + b"\n")
        for content in contents.values():
            talking.send(content)
        return hello, _awaited(target, talking, expected, tell)


def _script(target: SshTarget) -> str:
    find = _LOOK_FOR_IT if target.command is None else _STATED.format(command=target.command)
    # Whatever the login shell there is, it can start sh.
    return f"exec sh -c {shlex.quote(find + _START)}"


def _hello(target: SshTarget, talking: Talk) -> Hello:
    """Return what edge-aigc there says first.

    Raises:
        SshError: It is not there, or of a version that we cannot speak with.
    """
    for _ in range(_NOISE_LINES):
        line = talking.line()
        if line.startswith(_MISSING):
            raise _missing(target, line[len(_MISSING) :].decode(errors="replace").strip())
        if line.endswith(_BEGIN):
            break
    else:
        raise _nonsense(target, f"{_NOISE_LINES} lines before edge-aigc was started")
    stated = _VERSION.match(talking.line())
    if stated is None:
        raise _nonsense(target, "no version")
    version = stated[1].decode(errors="replace")
    try:
        said = msgspec.json.decode(talking.line(), type=Said)
    except (SshError, msgspec.MsgspecError) as exc:
        if isinstance(exc, SshError) and version == __version__:
            raise
        raise _other_version(target, version) from exc
    if not isinstance(said, Hello) or said.protocol != PROTOCOL:
        raise _other_version(target, version)
    return said


def _awaited(target: SshTarget, talking: Talk, expected: type[Expected], tell: Callable[[str], None]) -> Expected:
    while True:
        line = talking.line()
        try:
            said = msgspec.json.decode(line, type=Said)
        except msgspec.MsgspecError as exc:
            raise _nonsense(target, f"{line[:80]!r} ({exc})") from exc
        if isinstance(said, Failed):
            raise error_of(said.code, f"On {target.name}: {said.message}", said.remedy)
        if isinstance(said, expected):
            return said
        if not isinstance(said, Life):
            raise _nonsense(target, f"a {type(said).__name__} that was not asked for")
        tell(f"{target.name}: {said.doing}")


def _missing(target: SshTarget, found: str) -> SshError:
    if target.command is not None:
        return SshError(
            f"There is no {target.command!r} on {target.name}.",
            remedy="Give `--remote-command` the path that it has there, such as `~/venv/bin/edge-aigc`.",
        )
    return SshError(
        f"There is no edge-aigc on {target.name}, which has {found or 'no Python'}; 3.10 or newer is needed.",
        remedy=f"Install it: `{by_hand(target.name)} python3 -m pip install 'edge-aigc[litert]=={__version__}'` (in a "
        "virtual environment where pip wants one), or say where it is with `--remote-command`.",
    )


def _other_version(target: SshTarget, version: str) -> SshError:
    return SshError(
        f"{target.name} has edge-aigc {version}, which measures in another way than this one, {__version__}.",
        remedy="Install the same on both: `python3 -m pip install --upgrade "
        f"'edge-aigc[litert]=={__version__}'` there, or `'edge-aigc=={version}'` here.",
    )


def _nonsense(target: SshTarget, what: str) -> SshError:
    return SshError(
        f"{target.name} answered what is no answer of edge-aigc: {what}.",
        remedy=f"Try `{by_hand(target.name)} edge-aigc --version`, and install the same edge-aigc on both machines.",
    )
