"""What distilling is at after a step, in one file, so that a run that was interrupted goes on as if it had not been."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.errors import FileError
from edge_aigc.files import read_whole, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Array: TypeAlias = NDArray[Any]

_VERSION = 1
_LIMIT_BYTES = 16 << 30


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
    figures: Mapping[str, Any]
    """Plain values: the curve, what the average has seen."""
    arrays: Mapping[str, Sequence[Array]]
    """Weights, the optimizer's moments, the average, the best."""


def fingerprint(*parts: bytes) -> str:
    """Return a hash of several byte strings, told apart."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def save(path: Path, state: State) -> None:
    """Write a state whole or not at all.

    Raises:
        FileError: The file system refused.
    """
    words = {
        "of": state.of,
        "steps": state.steps,
        "looks": state.looks,
        "rate": state.rate,
        "done": state.done,
        "figures": dict(state.figures),
        "counts": {name: len(values) for name, values in state.arrays.items()},
    }
    arrays: dict[str, Any] = {
        f"{name}/{place}": one for name, values in state.arrays.items() for place, one in enumerate(values)
    }
    file = io.BytesIO()
    arrays[f"words {_VERSION}"] = np.frombuffer(json.dumps(words).encode(), np.uint8)
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
            words = json.loads(held[f"words {_VERSION}"].tobytes())
            arrays = {
                name: [np.array(held[f"{name}/{place}"]) for place in range(count)]
                for name, count in words.pop("counts").items()
            }
            return State(arrays=arrays, **words)
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as exc:
        raise FileError(
            f"{path} is no checkpoint that this release can go on from.", remedy="Delete it to begin anew."
        ) from exc
