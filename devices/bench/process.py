"""The fresh process that measures: `python -m edge_aigc.devices.bench.process`, an order on stdin, an answer on stdout.

Fresh, so that the memory is the model's and nobody's leftovers are timed. It dies with the process that asked.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_aigc.bundle import FILE_LIMIT_BYTES, read_bundle
from edge_aigc.devices.bench.memory import Scale
from edge_aigc.devices.bench.orders import Answer, Failed, Order, Pass, Passed, Timed, Turns, WarmUp, Weighed, Weighing
from edge_aigc.devices.condition import look
from edge_aigc.devices.leash import die_with_parent
from edge_aigc.devices.timing import TimedHere
from edge_aigc.errors import EdgeAigcError
from edge_aigc.files import read_whole
from edge_aigc.generator import open_bundle
from edge_aigc.golden import unpack_vectors
from edge_aigc.interpreter import Interpreter, preload
from edge_aigc.media.encode import encode
from edge_aigc.media.formats import format_named
from edge_aigc.spec import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.generator import Generator
    from edge_aigc.golden import Array
    from edge_aigc.spec import Picture

_BATCH = 5
_AGREE = 0.05
"""Two batches whose medians are this near make the warm-up stable."""
_WARM_UP_MOST = 100
_WARM_UP_S = 5.0
_LEAST_ROUNDS = 15
_ENCODERS = 2
"""Samples for nobody: Pillow loads its encoders at the first."""
_WEIGHED_INVOCATIONS = 2


def main() -> int:
    """Answer one order."""
    die_with_parent()
    # The answer's descriptor is nobody else's: native libraries print to 1 as they like.
    answers = os.dup(1)
    os.dup2(2, 1)
    order: Order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Order)
    try:
        answer = measured(order)
    except EdgeAigcError as exc:
        answer = Failed(code=exc.code, message=exc.message, remedy=exc.remedy)
    with os.fdopen(answers, "wb") as pipe:
        pipe.write(msgspec.msgpack.encode(answer))
    return 0


def measured(order: Order) -> Answer:
    """Do what an order says.

    Raises:
        EdgeAigcError: The bundle or flatbuffer is refused, or there is no runtime.
    """
    if isinstance(order, Turns):
        flatbuffers = {name: _read(path) for name, path in order.flatbuffers.items()}
        return Timed(costs=TimedHere(runtime=order.runtime).measure(flatbuffers, threads=order.threads))
    preload(order.runtime)
    scale = Scale()
    if isinstance(order, Weighing):
        return _weighed(order, scale)
    return _passed(order, scale)


def _weighed(order: Weighing, scale: Scale) -> Weighed:
    interpreter = Interpreter(_read(order.flatbuffer), runtime=order.runtime, threads=order.threads)
    interpreter.load([np.zeros(info.shape, dtype=info.dtype) for info in interpreter.inputs])
    for _ in range(_WEIGHED_INVOCATIONS):
        interpreter.invoke()
    return Weighed(weight=scale.weigh())


def _passed(order: Pass, scale: Scale) -> Passed:
    started = time.perf_counter()
    generator = open_bundle(Path(order.bundle), runtime=order.runtime, threads=order.threads, tpu=order.tpu)
    open_ms = (time.perf_counter() - started) * 1e3
    warm_up = _warmed(generator.invoke, order.warm_up)
    invoke_ms = _timed(generator.invoke, order)
    clock_hz = look().clock_hz
    model = scale.weigh()
    make_ms, encode_ms, steps = _samples(generator, order)
    return Passed(
        runtime=generator.runtime,
        fallback=generator.fallback,
        open_ms=open_ms,
        warm_up=warm_up,
        invoke_ms=invoke_ms,
        make_ms=make_ms,
        encode_ms=encode_ms,
        tokens=steps if generator.spec.loop is not None else [],
        format=format_named(generator.spec.primary.media, order.format).name,
        clock_hz=clock_hz,
        model=model,
        whole=scale.weigh(),
    )


def _warmed(invoke: Callable[[], None], asked: int | None) -> WarmUp:
    """Invoke until two batches agree, at most 100 times or 5 seconds; or as often as was asked."""
    before, done, started = 0.0, 0, time.perf_counter()
    while asked is None or done < asked:
        count = _BATCH if asked is None else min(_BATCH, asked - done)
        median = statistics.median(_elapsed(invoke) for _ in range(count))
        done += count
        stable = abs(median - before) <= _AGREE * median
        late = done >= _WARM_UP_MOST or time.perf_counter() - started > _WARM_UP_S
        if asked is None and (stable or late):
            return WarmUp(invocations=done, stable=stable)
        before = median
    return WarmUp(invocations=done, stable=True)


def _timed(action: Callable[[], object], order: Pass) -> list[float]:
    timing: list[float] = []
    started = time.perf_counter()
    while not _enough(len(timing), time.perf_counter() - started, order):
        timing.append(_elapsed(action))
    return timing


def _samples(generator: Generator, order: Pass) -> tuple[list[float], list[float], list[int]]:
    """Return how long samples took to make and to encode, and in how many steps.

    Their pictures are those of the golden vectors, and texts have the shortest prompt.
    """
    pictures = _pictures(generator, Path(order.bundle))
    encode_ms: list[float] = []
    steps: list[int] = []
    seeds = iter(range(1 << 53))

    def make() -> float:
        sample = generator.generate(seed=next(seeds), inputs=pictures, **generator.opening)
        steps.append(sample.steps)
        return _elapsed(lambda: sample.encode(order.format))

    for _ in range(_ENCODERS):
        make()
    whole_ms = _timed(lambda: encode_ms.append(make()), order)
    make_ms = [whole - encoding for whole, encoding in zip(whole_ms, encode_ms, strict=True)]
    return make_ms, encode_ms, steps[_ENCODERS:]


def _pictures(generator: Generator, bundle: Path) -> dict[str, bytes]:
    """Return a file for every picture input, so that decoding it is timed as well."""
    if not generator.spec.pictures:
        return {}
    inputs = unpack_vectors(read_bundle(bundle))[0].inputs
    return {tensor.name: _as_file(inputs[tensor.name], tensor) for tensor in generator.spec.pictures}


def _as_file(values: Array, tensor: Picture) -> bytes:
    return encode(values, Output(name=tensor.name, shape=tensor.shape, media="image", range=tensor.range), "png")


def _enough(done: int, elapsed_s: float, order: Pass) -> bool:
    if order.rounds is not None:
        return done >= order.rounds
    least = min(_LEAST_ROUNDS, order.most_rounds)
    return done >= order.most_rounds or (done >= least and elapsed_s > order.budget_s)


def _elapsed(action: Callable[[], object]) -> float:
    before = time.perf_counter()
    action()
    return (time.perf_counter() - before) * 1e3


def _read(path: str) -> bytes:
    return read_whole(Path(path), limit_bytes=FILE_LIMIT_BYTES, what="flatbuffer")


if __name__ == "__main__":
    sys.exit(main())
