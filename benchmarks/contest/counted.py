"""The suite in instructions: on the cores of boards that are not here, whatever this machine is and does.

Each distinct operator is counted once, under its CPU model, and remembered; a net's figure is their sum.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generators import NETS

from contest.entrants import near
from contest.forms import forms_of
from contest.ours import narrow_forms, ours
from contest.table import geometric_mean
from edge_aigc.converters.costs.meter import CountedMeter
from edge_aigc.converters.costs.speeds import speeds_of
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate.counting import EmulatedCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from contest.forms import Forms
    from edge_aigc.cost import CostMeter

NAIVE = "naive float32"
OURS = "ours float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedRow:
    """One net on one core."""

    net: str
    instructions: dict[str, int]
    """By form: the naive one, ours in float32, and ours in each recipe that it was tried in."""

    @property
    def best(self) -> str:
        """Return the form of ours that takes the fewest."""
        return min((name for name in self.instructions if name != NAIVE), key=self.instructions.__getitem__)

    def fewer(self, name: str) -> float:
        """Return how many times fewer instructions a form takes than the naive one."""
        return self.instructions[NAIVE] / self.instructions[name]


def count_suite(profiles: Sequence[str], nets: Iterable[str], tell: Callable[[str], None]) -> dict[str, Any]:
    """Print a table for each board and return the figures.

    Raises:
        EmulationError: The board cannot be counted here.
    """
    nets = list(nets)
    return {"counted": {name: _count_board(name, nets, tell) for name in profiles}}


def _count_board(name: str, nets: Sequence[str], tell: Callable[[str], None]) -> dict[str, Any]:
    profile = find_profile(name)
    counter = EmulatedCounter(profile, tell=tell)
    meter = CountedMeter(counter, speeds_of(profile), where=f"{name}, counted on {counter.place}")
    print(
        f"\n{counter.place}\n{'thousand instructions':20} {'naive float32':>15} {'ours float32':>15} {'ours, best':>15}"
    )
    rows = []
    for net in nets:
        started = time.perf_counter()
        made = forms_of(NETS[net], tell)
        costs = meter.measure(_forms(made, meter), threads=1)
        row = CountedRow(net=net, instructions={form: cost.instructions or 0 for form, cost in costs.items()})
        _print(row, time.perf_counter() - started)
        rows.append(row)
    means = {
        "float32": geometric_mean([row.fewer(OURS) for row in rows]),
        "best": geometric_mean([row.fewer(row.best) for row in rows]),
    }
    print(f"geometric mean of fewer: float32 {means['float32']:.2f}x, best {means['best']:.2f}x", flush=True)
    return {
        "nets": {row.net: {"instructions": row.instructions, "best": row.best} for row in rows},
        "geomean": means,
    }


def _forms(made: Forms, meter: CostMeter) -> dict[str, bytes]:
    """Return the naive form, ours in float32, and ours in other types as far as they reach 35 dB."""
    naive = made.flatbuffers["naive_batch1"]
    own, _ = ours(naive, meter)
    narrow = narrow_forms(made, own, meter, lambda form: near(form, made), formed_for=("int8",))
    return {NAIVE: naive, OURS: own, **{f"ours {name}": flatbuffer for name, flatbuffer in narrow.items()}}


def _print(row: CountedRow, seconds: float) -> None:
    naive, ours, best = (row.instructions[name] / 1e3 for name in (NAIVE, OURS, row.best))
    print(
        f"{row.net:20} {naive:15,.0f} {ours:15,.0f} {best:15,.0f}  "
        f"{row.fewer(OURS):5.2f}x {row.fewer(row.best):5.2f}x  {row.best} ({seconds:.0f} s)",
        flush=True,
    )
