"""The child process: opens one bundle, proves it, generates and encodes.

`python -m edge_aigc.devices.worker FD BUNDLE RUNTIME THREADS TPU`; frames come and go on socket FD, words go to
stderr, stdout stays unused. The process ends when the socket does.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from edge_aigc.devices.frames import Failed, FrameReader, Made, Ready, Refused, Work, packed
from edge_aigc.devices.leash import die_with_parent
from edge_aigc.errors import EdgeAigcError
from edge_aigc.tpu import TpuSettings

if TYPE_CHECKING:
    from edge_aigc.generator import Generator
    from edge_aigc.profile import AnyRuntime

_PIECE_BYTES = 256 << 10
_OOM_SCORE = "500"
"""When memory runs out the kernel takes the child, which comes back, and not the daemon."""


def main(arguments: list[str]) -> int:
    """Serve one bundle until the daemon goes away; return the exit code."""
    descriptor, bundle, runtime, threads, tpu = arguments
    _yield_to_parent()
    from edge_aigc.generator import open_bundle  # after the above: what it imports takes its time

    with socket.socket(fileno=int(descriptor)) as daemon, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        try:
            chosen = cast("AnyRuntime | None", runtime or None)
            settings = msgspec.json.decode(tpu, type=TpuSettings)
            generator = open_bundle(Path(bundle), runtime=chosen, threads=int(threads) or None, tpu=settings)
            _warm(generator)
        except EdgeAigcError as exc:
            daemon.sendall(packed(Failed(code=exc.code, message=exc.message, remedy=exc.remedy)))
            return 1
        gc.freeze()  # as in the daemon
        runtime_words = f"{generator.runtime} ({generator.fallback})" if generator.fallback else generator.runtime
        ready = Ready(manifest=generator.manifest, runtime=runtime_words, fallback=generator.fallback)
        daemon.sendall(packed(ready))
        serve(generator, daemon)
    return 0


def serve(generator: Generator, daemon: socket.socket) -> None:
    """Make what is asked for, one sample after another, until the socket ends."""
    reader = FrameReader(Work)
    while piece := daemon.recv(_PIECE_BYTES):
        for work in reader.feed(piece):
            daemon.sendall(packed(answer(generator, work)))


def answer(generator: Generator, work: Work) -> Made | Refused:
    """Make one sample and encode it, or say what is wrong with the request."""
    try:
        sample = generator.generate(seed=work.seed, inputs=work.pictures, **work.controls)
        started = time.perf_counter()
        content = sample.encode(work.format)
    except EdgeAigcError as exc:
        return Refused(ticket=work.ticket, code=exc.code, message=exc.message, remedy=exc.remedy)
    return Made(
        ticket=work.ticket,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        gen_ms=sample.gen_ms,
        invoke_ms=sample.invoke_ms,
        encode_ms=(time.perf_counter() - started) * 1e3,
    )


def _warm(generator: Generator) -> None:
    """Make one sample for nobody: Pillow loads its encoders at the first, which takes 20 ms here."""
    if not generator.spec.pictures:
        generator.generate(seed=0, **generator.opening).encode()


def _yield_to_parent() -> None:
    """Leave signals to the daemon, which terminals and systemd send them to as well; never outlive it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    die_with_parent()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
