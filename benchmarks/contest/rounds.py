"""One net's contenders, taking turns."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contest.clock import timed
from contest.entrants import Entrant, automatic, interpreted, near, on_onnxruntime, on_tflite, on_torch
from contest.meter import meter_here
from contest.ours import narrow_forms, ours
from edge_aigc.converters.costs.work import multiplications

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from generators.net import Net

    from contest.entrants import Turn
    from contest.forms import Forms
    from contest.tflite_side import TfliteSide
    from contest.torch_side import TorchSide
    from edge_aigc.manifest import Rewrite

_TURN_S = 0.1
_MOST = 20
_LEAST_ROUNDS = 5
_SGEMM = 1024
"""Rows and columns: 12 MB, past the second cache as a net's layers are."""
NARROW = frozenset({"default_dynamic", "aeq_int8"})
"""Rivals that are not exact either: they are held against what `--recipe auto` gives."""
TFLITE = "tflite "
"""Before the names of contenders under tflite-runtime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One figure of a row."""

    ms: float
    spread_ms: float
    error: float
    """Largest distance from Keras's outputs, of the range of each."""
    decibels: float
    """PSNR of the first output against Keras's."""
    form: str
    """Which of several was the fastest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One net, measured."""

    net: Net
    multiplications: int
    sgemm_per_s: float
    """Multiplications a second."""
    contenders: Mapping[str, Contender]
    """``ours``: float32, exact. ``auto``: the fastest of our forms that reaches 35 dB."""
    missing: Mapping[str, str]
    """What cannot be run, and why."""
    rewrites: tuple[Rewrite, ...]
    """What we put in another way."""

    def ratio(self, name: str) -> float | None:
        """Return how many times longer a contender takes than our form of its kind."""
        other = self.contenders.get(name)
        where = TFLITE if name.startswith(TFLITE) else ""
        mine = self.contenders.get(where + ("auto" if name.removeprefix(where) in NARROW else "ours"))
        if mine is None:
            return None
        return None if other is None else other.ms / mine.ms

    @property
    def of_sgemm(self) -> float:
        """Return the share of sgemm's rate at which we run the original net's multiplications."""
        return self.multiplications / (self.contenders["ours"].ms / 1e3) / self.sgemm_per_s


def measure(
    forms: Forms,
    torch: TorchSide | None,
    tflite: TfliteSide | None = None,
    *,
    seconds: float,
    tell: Callable[[str], None],
) -> Row:
    """Time a net's contenders against each other and compare their outputs with Keras's.

    Args:
        forms: The net.
        torch: Where PyTorch runs; None leaves it out.
        tflite: Where tflite-runtime runs; None leaves it out.
        seconds: For all rounds; at least five are made.
        tell: Told what is done.
    """
    naive = forms.flatbuffers["naive_batch1"]
    tell(f"{forms.net.name}: compiling")
    own, rewrites = ours(naive, meter_here())
    narrow = narrow_forms(forms, own, meter_here(), lambda made: near(made, forms), older_kernels=tflite is not None)
    tell(f"{forms.net.name}: loading ONNX Runtime and PyTorch")
    entrants, missing = _entrants(own, narrow, forms, torch)
    if tflite is not None:
        entrants |= {TFLITE + name: one for name, one in on_tflite(tflite, own, narrow, forms).items()}
        missing |= {TFLITE + name: reason for name, reason in tflite.missing.items() if name in forms.flatbuffers}
    tell(f"{forms.net.name}: timing {len(entrants)} contenders")
    milliseconds = _rounds({name: one.turn for name, one in entrants.items()} | {"sgemm": _sgemm()}, seconds)
    sgemm = milliseconds.pop("sgemm")
    return Row(
        net=forms.net,
        multiplications=multiplications(naive),
        sgemm_per_s=_SGEMM**3 / (statistics.median(sgemm) / 1e3),
        contenders={name: _contender(entrants[name], found) for name, found in milliseconds.items()},
        missing=missing,
        rewrites=rewrites,
    )


def _entrants(
    own: bytes, narrow: Mapping[str, bytes], forms: Forms, torch: TorchSide | None
) -> tuple[dict[str, Entrant], dict[str, str]]:
    missing = dict(forms.missing)
    entrants: dict[str, Entrant] = {}
    for name, flatbuffer in {"ours": own, **forms.flatbuffers}.items():
        one = interpreted(flatbuffer, forms)
        if isinstance(one, str):
            missing[name] = one
        else:
            entrants[name] = one
    entrants["auto"] = automatic(entrants["ours"], narrow, forms)
    onnx = dict(forms.onnx)
    if torch is not None:
        entrants["torch"] = on_torch(torch, forms)
        missing |= torch.missing
        onnx |= torch.onnx
    session, wrong = on_onnxruntime(onnx, forms)
    if session is not None:
        entrants["onnxruntime"] = session
    return entrants, missing | wrong


def _contender(entrant: Entrant, milliseconds: list[float]) -> Contender:
    first, _, third = statistics.quantiles(milliseconds, n=4)
    return Contender(
        ms=statistics.median(milliseconds),
        spread_ms=third - first,
        error=entrant.error,
        decibels=entrant.decibels,
        form=entrant.form,
    )


def _rounds(turns: Mapping[str, Turn], seconds: float) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in turns}
    started, rounds = time.perf_counter(), 0
    while rounds < _LEAST_ROUNDS or time.perf_counter() - started < seconds:
        for name, turn in turns.items():
            found[name].append(statistics.median(turn(_TURN_S, _MOST)))
        rounds += 1
    return found


def _sgemm() -> Turn:
    dice = np.random.default_rng(0)
    left, right = (dice.standard_normal((_SGEMM, _SGEMM), dtype=np.float32) for _ in range(2))
    product = np.empty_like(left)
    return lambda seconds, most: timed(lambda: np.matmul(left, right, out=product), seconds=seconds, most=most)
