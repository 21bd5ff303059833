"""This machine's speeds, found by timing what was counted: how the model is checked against a clock.

Operators of each kind are timed and counted under QEMU's model of this machine. That model need not have all of
its instructions (QEMU 7.2 has AVX2 and no AVX-512): what is counted are then the kernels of a smaller processor,
and the instructions a cycle found here make up for the difference.
"""

from __future__ import annotations

import statistics
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.converters.costs.kernels import Kernel, kernel_of
from edge_aigc.converters.costs.meter import counted, prime
from edge_aigc.converters.costs.speeds import Level, Speeds
from edge_aigc.converters.graph import add_buffer, add_operator, add_tensor, empty, operator_code, serialize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.cost import CostMeter, InstructionCounter
    from edge_aigc.profile import Cpu

PROBES = Path(__file__).with_name("probes.zip")
"""Single operators of many kinds and shapes, cut from nets that are not judged by: `benchmarks/probes.py`."""
_VISITS = 2
"""Every probe is timed so many times, alone, as its caches are its own; the least median counts: others' work on
the machine only slows down."""
_READ_INPUTS = 1024
_MOST_READ_BYTES = 256 << 20
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
    probes, reads = read_probes(), _read_probes(cpu)
    prime(probes.values(), counter)
    seconds = _seconds({**probes, **{name: flatbuffer for name, (flatbuffer, _) in reads.items()}}, timer)
    entry_s = min(seconds.values())
    clock_hz = float(cpu.clock_hz or _DEFAULT_CLOCK_HZ)
    timed = []
    for name, flatbuffer in probes.items():
        (part,) = counted(flatbuffer, counter).parts
        kernel = kernel_of(part.nodes[0], float16=False)
        timed.append(Timed(kernel=kernel, instructions=part.instructions, seconds=seconds[name] - entry_s))
    speeds = {name: size / (seconds[name] - entry_s) for name, (_, size) in reads.items()}
    caches = {"l2": cpu.l2_bytes, "l3": cpu.l3_bytes}
    return Speeds(
        clock_hz=clock_hz,
        ipc=instructions_per_cycle(timed, clock_hz),
        levels=tuple(
            Level(capacity_bytes=capacity, bytes_per_s=speeds[name]) for name, capacity in caches.items() if capacity
        ),
        memory_bytes_per_s=speeds["memory"],
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


def _seconds(flatbuffers: Mapping[str, bytes], timer: CostMeter) -> dict[str, float]:
    found: dict[str, float] = {}
    for _ in range(_VISITS):
        for name, flatbuffer in flatbuffers.items():
            cost = timer.measure({name: flatbuffer}, threads=1)[name]
            assert cost.latency_ms is not None  # it is timed
            found[name] = min(found.get(name, float("inf")), cost.latency_ms / 1e3)
    return found


def _read_probes(cpu: Cpu) -> dict[str, tuple[bytes, int]]:
    """Return dense layers whose weights fill half of each cache, or several of the last, and their bytes."""
    last = cpu.l3_bytes or cpu.l2_bytes or (8 << 20)
    sizes = {"l2": (cpu.l2_bytes or 0) // 2, "l3": (cpu.l3_bytes or 0) // 2, "memory": min(4 * last, _MOST_READ_BYTES)}
    return {name: (dense_layer(size), size) for name, size in sizes.items() if size}


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
