"""Contenders made ready: each with a turn that times it and its distance from Keras's outputs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from contest.clock import timed
from contest.ours import LEAST_DB
from edge_aigc.errors import BundleError
from edge_aigc.interpreter import Interpreter
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from generators.net import Array

    from contest.forms import Forms
    from contest.side import Side
    from contest.tflite_side import TfliteSide
    from contest.torch_side import TorchSide

    Turn: TypeAlias = Callable[[float, int], list[float]]
    """Takes seconds and a most number of runs; returns milliseconds."""

_PROBES = 3
_PROBE_S = 0.1
_MOST = 20
_AGREES = 1e-3
"""Of the output's range: an ONNX form further off computes something else, and its time says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """One contender, ready to run."""

    turn: Turn
    error: float
    """Largest distance from Keras's outputs, of the range of each."""
    decibels: float
    """PSNR of the first output against Keras's, its range the peak."""
    form: str = ""
    """Which of several it is."""


def interpreted(flatbuffer: bytes, forms: Forms) -> Entrant | str:
    """Return a flatbuffer in the interpreter, or why it cannot run."""
    try:
        interpreter = Interpreter(flatbuffer)
    except BundleError as exc:
        return exc.message
    by_name = dict(zip((fact.name for fact in forms.net.inputs), forms.inputs, strict=True))
    outputs = interpreter.run([by_name[info.name] for info in interpreter.inputs])
    return _entrant(lambda seconds, most: timed(interpreter.invoke, seconds=seconds, most=most), outputs, forms)


def near(flatbuffer: bytes, forms: Forms) -> bool:
    """Return whether a form of ours is near enough to its source to count."""
    one = interpreted(flatbuffer, forms)
    return isinstance(one, Entrant) and one.decibels >= LEAST_DB


def automatic(own: Entrant, narrow: Mapping[str, bytes], forms: Forms) -> Entrant:
    """Return the fastest of our forms, as `--recipe auto` chooses among those that are near enough."""
    ready = {name: interpreted(flatbuffer, forms) for name, flatbuffer in narrow.items()}
    return fastest({"float32": own, **{name: one for name, one in ready.items() if isinstance(one, Entrant)}})


def on_torch(torch: TorchSide, forms: Forms) -> Entrant:
    """Return PyTorch in its fastest form."""
    names, outputs = torch.load(forms)
    return fastest({name: _entrant(functools.partial(_turn_there, torch, name), outputs, forms) for name in names})


def on_tflite(tflite: TfliteSide, own: bytes, narrow: Mapping[str, bytes], forms: Forms) -> dict[str, Entrant]:
    """Return what there is of a net under tflite-runtime, as under LiteRT; ours was chosen by LiteRT's times."""
    able = tflite.load({"ours": own, **forms.flatbuffers, **narrow}, forms)
    ready = {name: _entrant(functools.partial(_turn_there, tflite, name), made, forms) for name, made in able.items()}
    near_enough = {name: one for name, one in ready.items() if name in narrow and one.decibels >= LEAST_DB}
    rivals = {name: one for name, one in ready.items() if name not in narrow}
    return {**rivals, "auto": fastest({"float32": ready["ours"], **near_enough})}


def on_onnxruntime(files: Mapping[str, Path], forms: Forms) -> tuple[Entrant | None, dict[str, str]]:
    """Return ONNX Runtime with the fastest of the files that compute the net, and what is wrong with the others."""
    ready = {name: _session(path, forms) for name, path in files.items()}
    wrong = {name: f"is off by {one.error:.1e} of the range" for name, one in ready.items() if one.error > _AGREES}
    able = {name: one for name, one in ready.items() if name not in wrong}
    return (fastest(able) if able else None), wrong


def fastest(entrants: Mapping[str, Entrant]) -> Entrant:
    """Return the fastest of several, found in three rounds of turns, with its name."""
    found = dict.fromkeys(entrants, math.inf)
    for _ in range(_PROBES if len(entrants) > 1 else 0):
        for name, one in entrants.items():
            found[name] = min(found[name], *one.turn(_PROBE_S, _MOST))
    best = min(found, key=found.__getitem__)
    return replace(entrants[best], form=best)


def distance(found: list[Array], expected: list[Array]) -> float:
    """Return the largest distance between outputs, of the range of each."""
    return max(
        float(np.abs(one.reshape(other.shape) - other).max() / max(np.ptp(other), 1e-9))
        for one, other in zip(found, expected, strict=True)
    )


def _entrant(turn: Turn, outputs: list[Any], forms: Forms) -> Entrant:
    arrays = [np.asarray(output) for output in outputs]
    expected = forms.reference[0].astype(np.float64)
    squares = float(np.square(arrays[0].reshape(expected.shape) - expected).mean())
    decibels = 10 * math.log10(max(float(np.ptp(expected)), 1e-9) ** 2 / max(squares, 1e-20))
    return Entrant(turn=turn, error=distance(arrays, forms.reference), decibels=decibels)


def _turn_there(side: Side, form: str, seconds: float, most: int) -> list[float]:
    return side.time(form, seconds=seconds, most=most)


def _session(path: Path, forms: Forms) -> Entrant:
    """Return ONNX Runtime on one file, inputs and outputs bound."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with stderr_held():
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    front = path.name.startswith("torch")
    binding = session.io_binding()
    held: list[Array] = []
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

    return _entrant(turn, outputs, forms)
