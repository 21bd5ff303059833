"""One net's contenders, taking turns."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from contest.clock import timed
from contest.meter import meter_here
from contest.ours import ours
from edge_aigc.converters.costs.work import multiplications
from edge_aigc.errors import BundleError
from edge_aigc.interpreter import Interpreter
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from generators.net import Array, Net

    from contest.forms import Forms
    from contest.torch_side import TorchSide
    from edge_aigc.manifest import Rewrite

    Turn: TypeAlias = Callable[[float, int], list[float]]
    """Takes seconds and a most number of runs; returns milliseconds."""

_TURN_S = 0.1
_MOST = 20
_LEAST_ROUNDS = 5
_PROBE_S = 0.3
_AGREES = 1e-3
"""Of the output's range: an ONNX form further off computes something else, and its time says nothing."""
_SGEMM = 1024
"""Rows and columns: 12 MB, past the second cache as a net's layers are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One figure of a row."""

    ms: float
    spread_ms: float
    error: float | None
    """Largest distance from Keras's output, of its range."""
    form: str = ""
    """Which of several was the fastest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One net, measured."""

    net: Net
    multiplications: int
    sgemm_per_s: float
    """Multiplications a second."""
    contenders: Mapping[str, Contender]
    missing: Mapping[str, str]
    """What cannot be run, and why."""
    rewrites: tuple[Rewrite, ...]
    """What we put in another way."""

    def ratio(self, name: str) -> float | None:
        """Return how many times longer a contender takes than we."""
        other = self.contenders.get(name)
        return None if other is None else other.ms / self.contenders["ours"].ms

    @property
    def of_sgemm(self) -> float:
        """Return the share of sgemm's rate at which we run the original net's multiplications."""
        return self.multiplications / (self.contenders["ours"].ms / 1e3) / self.sgemm_per_s


def measure(forms: Forms, torch: TorchSide | None, *, seconds: float, tell: Callable[[str], None]) -> Row:
    """Time a net's contenders against each other and compare their outputs with Keras's.

    Args:
        forms: The net.
        torch: Where PyTorch runs; None leaves it out.
        seconds: For all rounds; at least five are made.
        tell: Told what is done.
    """
    turns: dict[str, Turn] = {}
    errors: dict[str, float] = {}
    chosen: dict[str, str] = {}
    missing = dict(forms.missing)
    naive = forms.flatbuffers["naive_batch1"]
    tell(f"{forms.net.name}: compiling")
    own, rewrites = ours(naive, meter_here())
    for name, flatbuffer in {"ours": own, **forms.flatbuffers}.items():
        turn = _interpreted(flatbuffer, forms)
        if isinstance(turn, str):
            missing[name] = turn
        else:
            turns[name], errors[name] = turn
    tell(f"{forms.net.name}: loading ONNX Runtime and PyTorch")
    onnx = dict(forms.onnx)
    if torch is not None:
        names, outputs = torch.load(forms)
        missing |= torch.missing
        onnx |= torch.onnx
        errors["torch"] = distance(outputs, forms.reference)
        turns["torch"], chosen["torch"] = _fastest({name: _torch_turn(torch, name) for name in names})
    runs: dict[str, tuple[Turn, float]] = {}
    if onnx:
        runs = {name: _session(path, forms) for name, path in onnx.items()}
        wrong = {name: f"is off by {error:.1e} of the range" for name, (_, error) in runs.items() if error > _AGREES}
        missing |= wrong
        runs = {name: run for name, run in runs.items() if name not in wrong}
    if runs:
        turns["onnxruntime"], chosen["onnxruntime"] = _fastest({name: turn for name, (turn, _) in runs.items()})
        errors["onnxruntime"] = runs[chosen["onnxruntime"]][1]
    tell(f"{forms.net.name}: timing {len(turns)} contenders")
    milliseconds = _rounds({**turns, "sgemm": _sgemm()}, seconds)
    sgemm = milliseconds.pop("sgemm")
    return Row(
        net=forms.net,
        multiplications=multiplications(naive),
        sgemm_per_s=_SGEMM**3 / (statistics.median(sgemm) / 1e3),
        contenders={
            name: Contender(
                ms=statistics.median(found),
                spread_ms=_spread(found),
                error=errors.get(name),
                form=chosen.get(name, ""),
            )
            for name, found in milliseconds.items()
        },
        missing=missing,
        rewrites=rewrites,
    )


def distance(found: list[Array], expected: list[Array]) -> float:
    """Return the largest distance between outputs, of the range of each."""
    return max(
        float(np.abs(one.reshape(other.shape) - other).max() / max(np.ptp(other), 1e-9))
        for one, other in zip(found, expected, strict=True)
    )


def _rounds(turns: Mapping[str, Turn], seconds: float) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in turns}
    started, rounds = time.perf_counter(), 0
    while rounds < _LEAST_ROUNDS or time.perf_counter() - started < seconds:
        for name, turn in turns.items():
            found[name].append(statistics.median(turn(_TURN_S, _MOST)))
        rounds += 1
    return found


def _spread(values: list[float]) -> float:
    first, _, third = statistics.quantiles(values, n=4)
    return third - first


def _fastest(turns: Mapping[str, Turn]) -> tuple[Turn, str]:
    """Return the fastest of a framework's forms, found in three rounds of turns."""
    if len(turns) > 1:
        found: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(3):
            for name, turn in turns.items():
                found[name].append(min(turn(_PROBE_S / 3, _MOST)))
        best = min(found, key=lambda name: min(found[name]))
    else:
        best = next(iter(turns))
    return turns[best], best


def _interpreted(flatbuffer: bytes, forms: Forms) -> tuple[Turn, float] | str:
    """Return a turn of the interpreter and its error, or why there is none."""
    try:
        interpreter = Interpreter(flatbuffer)
    except BundleError as exc:
        return exc.message
    by_name = dict(zip((fact.name for fact in forms.net.inputs), forms.inputs, strict=True))
    ordered = [by_name[info.name] for info in interpreter.inputs]
    error = distance([np.asarray(output) for output in interpreter.run(ordered)], forms.reference)
    return lambda seconds, most: timed(interpreter.invoke, seconds=seconds, most=most), error


def _torch_turn(torch: TorchSide, form: str) -> Turn:
    return lambda seconds, most: torch.time(form, seconds=seconds, most=most)


def _session(path: Path, forms: Forms) -> tuple[Turn, float]:
    """Return a turn of ONNX Runtime, inputs and outputs bound, and its error."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with stderr_held():
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    front = path.name.startswith("torch")
    binding = session.io_binding()
    held: list[Any] = []
    for info, array, fact in zip(session.get_inputs(), forms.inputs, forms.net.inputs, strict=True):
        held.append(np.ascontiguousarray(np.moveaxis(array, -1, 1) if front and fact.maps else array))
        binding.bind_cpu_input(info.name, held[-1])
    for info in session.get_outputs():
        binding.bind_output(info.name)
    session.run_with_iobinding(binding)
    outputs = binding.copy_outputs_to_cpu()
    if front and forms.net.maps_out:
        outputs = [np.moveaxis(output, 1, -1) for output in outputs]

    def turn(seconds: float, most: int) -> list[float]:
        assert held  # the binding points into these arrays
        return timed(lambda: session.run_with_iobinding(binding), seconds=seconds, most=most)

    return turn, distance(outputs, forms.reference)


def _sgemm() -> Turn:
    dice = np.random.default_rng(0)
    left, right = (dice.standard_normal((_SGEMM, _SGEMM), dtype=np.float32) for _ in range(2))
    product = np.empty_like(left)
    return lambda seconds, most: timed(lambda: np.matmul(left, right, out=product), seconds=seconds, most=most)
