"""Instructions of a bundle's model, shown by operator: where the host's splitting meets the device's counting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge_aigc.converters.costs.tally import Counted, Tally
    from edge_aigc.devices.emulate.counting import EmulatedCounter
    from edge_aigc.profile import DeviceProfile, Image, Runtime


def count_instructions(
    bundle: Path,
    profile: DeviceProfile,
    runtime: Runtime,
    *,
    image: Image | None,
    timeout_s: float,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Return the instructions of one invocation of a bundle's model, whole and by operator, for `--json`.

    Args:
        bundle: Its path.
        profile: Of the board; ``host`` is this machine under QEMU.
        runtime: Which of the board's.
        image: One of the board's systems; None takes the first with the runtime.
        timeout_s: Of every guest.
        tell: Told what is being done.

    Raises:
        BundleError: It is damaged, or the runtime refuses it.
        EmulationError: It cannot be counted here.
    """
    from edge_aigc.bundle import read_bundle
    from edge_aigc.converters.costs.tally import tally
    from edge_aigc.devices.emulate.counting import EmulatedCounter

    opened = read_bundle(bundle)
    counter = EmulatedCounter(profile, runtime, image=image, tell=tell, timeout_s=timeout_s)
    return _result(counter, tally(opened.flatbuffer, counter, whole=True))


def _result(counter: EmulatedCounter, counted: Tally) -> dict[str, Any]:
    return {
        "instructions": counted.whole,
        "operators": [_operator(operator) for operator in counted.operators],
        "around": counted.around,
        "sum": counted.instructions,
        "counted_on": counter.place,
    }


def _operator(operator: Counted) -> dict[str, Any]:
    single = operator.single
    return {
        "kind": single.kind,
        "shape_in": single.shape_in,
        "weights": single.weights,
        "shape": single.shape,
        "dtype": single.dtype,
        "instructions": operator.instructions,
    }


def shown(result: dict[str, Any]) -> str:
    """Return the table that a person reads."""
    rows = list(_rows(result))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}  {d:>7}".rstrip() for a, b, c, d in rows]
    return "\n".join([*lines, f"one invocation on one thread of {result['counted_on']}; a count is not a time"])


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    yield "operator", "shape", "instructions", "share"
    for operator in result["operators"]:
        shapes = " > ".join("x".join(map(str, operator[end])) for end in ("shape_in", "shape") if operator[end])
        kernel = "x".join(map(str, operator["weights"][1:-1]))
        yield (
            f"{operator['kind']} {kernel}".rstrip(),
            f"{shapes} {operator['dtype'].lower()}",
            *_figures(operator["instructions"], result["sum"]),
        )
    yield "around them", "", *_figures(result["around"], result["sum"])
    yield "sum", "", f"{result['sum']:,}", ""
    yield "counted as one", "", f"{result['instructions']:,}", ""


def _figures(instructions: int, total: int) -> tuple[str, str]:
    return f"{instructions:,}", f"{instructions / total:.1%}"
