"""What `edgetpu_compiler` prints, read.

Its wording is that of versions 14.1 to 16.0, as quoted in the issues of google-coral/edgetpu.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

MAPPED = "Mapped to Edge TPU"
Verdict: TypeAlias = Literal["compiled", "refused", "too large", "failed"]
"""`refused`: it will say so again. `too large`: a part may compile. `failed`: another try may succeed."""

_REFUSALS = (
    # Issues 79, 168, 313, 845; 829 and 831.
    ("Model not quantized", "the model is not int8 throughout"),
    ("Model could not be parsed", "it does not read the model"),
    ("Invalid model", "it does not take the model"),
    ("Model failed in Tflite interpreter", "the model does not load in its interpreter"),
)
_TOO_LARGE = (
    # Issues 449, 608, 653; 686.
    ("large activation tensors", "the activations are too large for the Edge TPU"),
    ("Compilation timeout", "it ran out of its time, usually over large activations"),
)
_ROW = re.compile(r"^([A-Za-z][\w-]*)\s+(\d+)\s+(\S.*?)\s*$")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table of operators."""

    kind: str
    count: int
    status: str

    @property
    def on_tpu(self) -> bool:
        """Whether these run on the Edge TPU."""
        return self.status == MAPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What one run of the compiler said; of several attempts within it, the last. None: it did not say."""

    verdict: Verdict
    """By its words alone; the file must be there too."""
    reason: str
    """Why there is no compiled model."""
    version: str | None
    rows: tuple[Row, ...]
    on_tpu: int | None
    on_cpu: int | None
    subgraphs: int | None
    on_chip_bytes: int | None
    off_chip_bytes: int | None


def parse_log(text: str, *, operators: str = "") -> Log:
    """Read what a run printed.

    Args:
        text: Standard output and error.
        operators: The operation log that it writes beside its output; the table is taken from there if it is.
    """
    verdict, reason = _verdict(text)
    rows = _rows(operators) or _rows(text)
    mapped, total = (
        _number(text, "Number of operations that will run on Edge TPU"),
        _number(text, "Total number of operations"),
    )
    if mapped is None and rows:
        # It leaves the line out when everything maps.
        mapped = sum(row.count for row in rows if row.on_tpu)
    on_cpu = _number(text, "Number of operations that will run on CPU")
    if on_cpu is None and mapped is not None and total is not None:
        on_cpu = total - mapped
    return Log(
        verdict=verdict,
        reason=reason,
        version=_last(re.findall(r"Edge TPU Compiler version (\S+)", text)),
        rows=rows,
        on_tpu=mapped,
        on_cpu=on_cpu,
        subgraphs=_number(text, "Number of Edge TPU subgraphs"),
        on_chip_bytes=_size(text, "On-chip memory used for caching model parameters"),
        off_chip_bytes=_size(text, "Off-chip memory used for streaming uncached model parameters"),
    )


def _verdict(text: str) -> tuple[Verdict, str]:
    if "compiled successfully" in text:
        return "compiled", ""
    for words, reason in _REFUSALS:
        if words in text:
            return "refused", _with_detail(reason, text)
    for words, reason in _TOO_LARGE:
        if words in text:
            return "too large", reason
    return "failed", _last_words(text)


def _with_detail(reason: str, text: str) -> str:
    """Add the error that names the operator, where there is one."""
    detail = _last(re.findall(r"Didn't find op for builtin opcode '\w+' version '\d+'", text))
    return f"{reason}: {detail}" if detail else reason


def _rows(text: str) -> tuple[Row, ...]:
    """Return the last table of operators."""
    table: list[Row] = []
    inside = False
    for line in text.splitlines():
        # Quoted by programs that run the compiler, its lines come indented.
        plain = line.strip()
        if re.match(r"Operator\s+Count\s+Status$", plain):
            inside, table = True, []
        elif inside and (match := _ROW.match(plain)):
            table.append(Row(kind=match[1], count=int(match[2]), status=match[3]))
        elif plain:
            inside = False
    return tuple(table)


def _last_words(text: str) -> str:
    plain = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [
        line for line in plain if not line.startswith(("Edge TPU Compiler version", "Started a", "Compilation "))
    ]
    return (telling or plain or ["nothing"])[-1].rstrip("!. ")


def _number(text: str, label: str) -> int | None:
    found = _last(re.findall(rf"{label}:\s*(\d+)", text))
    return int(found) if found is not None else None


def _size(text: str, label: str) -> int | None:
    found = re.findall(rf"{label}:\s*([\d.]+)\s*([KMG]i)?B", text)
    if not found:
        return None
    value, unit = found[-1]
    return round(float(value) * _UNITS[f"{unit}B"])


def _last(found: list[str]) -> str | None:
    return found[-1] if found else None
