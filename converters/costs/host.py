"""This machine's speeds, found by timing what was counted: how the model is checked against a clock.

Operators of each kind are timed and counted under QEMU's model of this machine. That model need not have all of
its instructions (QEMU 7.2 has AVX2 and no AVX-512): what is counted are then the kernels of a smaller processor,
and the instructions a cycle found here make up for the difference.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.converters.costs.kernels import Kernel, kernel_of
from edge_aigc.converters.costs.meter import counted, prime
from edge_aigc.converters.costs.speeds import Level, Speeds
from edge_aigc.converters.graph import add_buffer, add_operator, add_tensor, empty, operator_code, serialize
from edge_aigc.files import cache_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.cost import CostMeter, InstructionCounter
    from edge_aigc.profile import Cpu

PROBES = Path(__file__).with_name("probes.zip")
"""Single operators of many kinds and shapes, cut from nets that are not judged by: `benchmarks/probes.py`."""
_VISITS = 2
"""Every probe is timed so many times; the least median counts: others' work on the machine only slows down."""
_READ_INPUTS = 1024
_MOST_READ_BYTES, _DEFAULT_CACHE_BYTES = 256 << 20, 8 << 20
_DEFAULT_CLOCK_HZ = 1e9
"""Where the clock is not known, cycles are nanoseconds: times do not depend on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One probe."""

    kernel: Kernel
    instructions: int
    seconds: float


def host_speeds(cpu: Cpu, timer: CostMeter, counter: InstructionCounter) -> Speeds:
    """Return what this machine does; takes some seconds.

    Args:
        cpu: This machine's.
        timer: Times here.
        counter: Counts under QEMU's model of this machine.

    Raises:
        EmulationError: Instructions cannot be counted here.
    """
    visits = [probe_seconds(cpu, timer) for _ in range(_VISITS)]
    return speeds_from(cpu, {name: min(visit[name] for visit in visits) for name in visits[0]}, counter)


def remembered_speeds(cpu: Cpu, timer: CostMeter, counter: InstructionCounter, *, place: str) -> Speeds:
    """Return what this machine does; found once for each place, and kept in the cache folder.

    Args:
        cpu: This machine's.
        timer: Times here.
        counter: Counts under QEMU's model of this machine.
        place: Processor, runtime and its release in words: what the speeds hold for.

    Raises:
        EmulationError: Instructions cannot be counted here.
        FileError: The cache folder cannot be written.
    """
    key = hashlib.sha256(repr((place, cpu, PROBES.read_bytes())).encode()).hexdigest()[:16]
    file = cache_folder() / "speeds" / f"{key}.json"
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        return Speeds(**{**fields, "levels": tuple(Level(**level) for level in fields["levels"])})
    except (OSError, ValueError, TypeError, KeyError):
        pass  # a cache: what cannot be read is found again
    speeds = host_speeds(cpu, timer, counter)
    write_whole(file, json.dumps(asdict(speeds), indent=1).encode())
    return speeds


def probe_seconds(cpu: Cpu, timer: CostMeter) -> dict[str, float]:
    """Return what each probe takes, by name; timed one after another, as its caches are its own."""
    seconds = {}
    for name, flatbuffer in {**read_probes(), **_reading(cpu)}.items():
        cost = timer.measure({name: flatbuffer}, threads=1)[name]
        assert cost.latency_ms is not None  # it is timed
        seconds[name] = cost.latency_ms / 1e3
    return seconds


def speeds_from(cpu: Cpu, seconds: Mapping[str, float], counter: InstructionCounter) -> Speeds:
    """Return a machine's speeds.

    Args:
        cpu: Its processor.
        seconds: As `probe_seconds` gives them.
        counter: Counts under QEMU's model of it.

    Raises:
        EmulationError: Instructions cannot be counted here.
    """
    probes, entry_s = read_probes(), min(seconds.values())
    prime(probes.values(), counter)
    clock_hz = float(cpu.clock_hz or _DEFAULT_CLOCK_HZ)
    timed = []
    for name, flatbuffer in probes.items():
        (part,) = counted(flatbuffer, counter).parts
        kernel = kernel_of(part.nodes[0], float16=False)
        timed.append(Timed(kernel=kernel, instructions=part.instructions, seconds=seconds[name] - entry_s))
    rates = {name: size / (seconds[name] - entry_s) for name, size in _read_bytes(cpu).items()}
    caches = {"l2": cpu.l2_bytes, "l3": cpu.l3_bytes}
    return Speeds(
        clock_hz=clock_hz,
        ipc=instructions_per_cycle(timed, clock_hz),
        levels=tuple(
            Level(capacity_bytes=capacity, bytes_per_s=rates[name]) for name, capacity in caches.items() if capacity
        ),
        memory_bytes_per_s=rates["memory"],
        entry_s=entry_s,
        cores=cpu.cores,
    )


def instructions_per_cycle(timed: list[Timed], clock_hz: float) -> dict[str, float]:
    """Return the median of each kind of kernel."""
    found: dict[str, list[float]] = {}
    for probe in timed:
        if probe.seconds > 0 and probe.instructions > 0:
            found.setdefault(probe.kernel.names[0], []).append(probe.instructions / probe.seconds / clock_hz)
    return {name: statistics.median(values) for name, values in sorted(found.items())}


def read_probes() -> dict[str, bytes]:
    """Return the operators that are timed, by name."""
    with zipfile.ZipFile(PROBES) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _reading(cpu: Cpu) -> dict[str, bytes]:
    return {name: dense_layer(size) for name, size in _read_bytes(cpu).items()}


def _read_bytes(cpu: Cpu) -> dict[str, int]:
    """Return sizes of dense layers: half of each cache, and several of the last."""
    last = cpu.l3_bytes or cpu.l2_bytes or _DEFAULT_CACHE_BYTES
    sizes = {"l2": (cpu.l2_bytes or 0) // 2, "l3": (cpu.l3_bytes or 0) // 2, "memory": min(4 * last, _MOST_READ_BYTES)}
    return {name: size for name, size in sizes.items() if size}


def dense_layer(weights_bytes: int) -> bytes:
    """Return a dense layer of 1,024 inputs whose float32 weights, zeros, take so many bytes."""
    outputs = weights_bytes // (4 * _READ_INPUTS)
    model = empty()
    graph = model.subgraphs[0]
    taken = add_tensor(graph, "", [1, _READ_INPUTS], "FLOAT32", 0)
    weights = add_tensor(
        graph, "", [outputs, _READ_INPUTS], "FLOAT32", add_buffer(model, bytes(4 * _READ_INPUTS * outputs))
    )
    made = add_tensor(graph, "", [1, outputs], "FLOAT32", 0)
    add_operator(graph, operator_code(model, "FULLY_CONNECTED", 1), [taken, weights], [made], 0)
    graph.inputs, graph.outputs = [taken], [made]
    return serialize(model)
