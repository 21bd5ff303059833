"""What distilling is at after a step, in one file, so that a run that was interrupted goes on as if it had not been."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_aigc.errors import FileError
from edge_aigc.files import read_whole, write_whole
from edge_aigc.manifest import Fidelity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

Array: TypeAlias = NDArray[Any]

ARRAYS = ("weights", "moments", "average", "best", "rounding")
"""Of a state: the student's, the optimizer's, the average's, the best student's, and the ranges of fake int8."""
_VERSION = 1
_LIMIT_BYTES = 16 << 30


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a look showed."""

    step: int
    fidelity: Fidelity


class Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was seen so far."""

    curve: tuple[Seen, ...]
    best: int
    """Place in the curve."""
    looks: int
    """That the average has taken."""

    def __post_init__(self) -> None:
        """Refuse a best that is not there."""
        if not 0 <= self.best < len(self.curve):
            raise ValueError(f"the best of {len(self.curve)} looks is number {self.best}")


class _Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    of: str
    steps: int
    looks: int
    rate: float
    done: int
    figures: Figures
    counts: dict[str, int]
    """Of arrays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that later steps depend on."""

    of: str
    """SHA-256 of what is distilled into what, and how."""
    steps: int
    """Of the whole run, as the rate."""
    looks: int
    """At most, over all steps."""
    rate: float
    done: int
    figures: Figures
    arrays: Mapping[str, Sequence[Array]]
    """By `ARRAYS`."""


class Checkpoint:
    """The file of one run: a convenience, for which no training is lost."""

    def __init__(self, path: Path | None, note: Callable[[str], None]) -> None:
        """Choose the file.

        Args:
            path: None keeps nothing.
            note: Called with words that must not be missed.
        """
        self.path, self._note = path, note
        self._kept: tuple[int, int] | None = None
        self._refused = False

    def load(self) -> State | None:
        """Return what the file holds; None where there is none, or, which is noted, none that can be gone on from."""
        try:
            state = None if self.path is None else load(self.path)
        except FileError as exc:
            self._note(f"The training begins anew. {exc.message}")
            return None
        if state is not None:
            self._kept = state.done, state.steps
        return state

    def save(self, state: State) -> None:
        """Write a state; that this failed is noted once, and tried again with the next."""
        if self.path is None:
            return
        try:
            save(self.path, state)
        except FileError as exc:
            if not self._refused:
                self._note(f"The training goes on, but what it reaches is not kept if it is interrupted. {exc}")
            self._refused = True
        else:
            self._kept = state.done, state.steps

    @property
    def words(self) -> str:
        """Return what is left where the run is interrupted now."""
        if self._kept is None:
            return "Interrupted: nothing of the training is kept yet, so the same command begins it anew."
        done, steps = self._kept
        return (
            f"Interrupted: the training is kept as it was after {done:,} of {steps:,} steps, and the same command "
            "goes on with it."
        )


def fingerprint(*parts: bytes) -> str:
    """Return a hash of several byte strings, told apart."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def save(path: Path, state: State) -> None:
    """Write a state whole or not at all.

    Raises:
        FileError: The file system refused.
    """
    words = _Words(
        of=state.of,
        steps=state.steps,
        looks=state.looks,
        rate=state.rate,
        done=state.done,
        figures=state.figures,
        counts={name: len(values) for name, values in state.arrays.items()},
    )
    arrays: dict[str, Any] = {
        f"{name}/{place}": one for name, values in state.arrays.items() for place, one in enumerate(values)
    }
    file = io.BytesIO()
    arrays[f"words {_VERSION}"] = np.frombuffer(json.dumps(msgspec.to_builtins(words)).encode(), np.uint8)
    np.savez(file, **arrays)
    write_whole(path, file.getvalue())


def load(path: Path) -> State | None:
    """Read a state; None where there is no file.

    Raises:
        FileError: It is no state, or of another release.
    """
    if not path.exists():
        return None
    content = read_whole(path, limit_bytes=_LIMIT_BYTES, what="checkpoint")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            words = msgspec.convert(json.loads(held[f"words {_VERSION}"].tobytes()), _Words)
            arrays = {
                name: [np.array(held[f"{name}/{place}"]) for place in range(words.counts[name])] for name in ARRAYS
            }
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as exc:
        raise FileError(
            f"{path} is no checkpoint that this release can go on from: {_why(exc)}.",
            remedy="Delete it to begin anew.",
        ) from exc
    return State(
        of=words.of,
        steps=words.steps,
        looks=words.looks,
        rate=words.rate,
        done=words.done,
        figures=words.figures,
        arrays=arrays,
    )


def _why(exc: Exception) -> str:
    return str(exc).rstrip(".") if isinstance(exc, msgspec.ValidationError) else "it is damaged"
