"""What of a model stays: as a manifest records it, as a cut takes it, and as an interrupted run finds it again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_aigc.converters.variants import Variant
from edge_aigc.errors import FileError
from edge_aigc.files import cache_folder, read_whole, write_whole
from edge_aigc.prune_record import Coarsest, CutGroup, Pruning
from edge_aigc.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_aigc.converters.ir import Array
    from edge_aigc.converters.prune.prune import Pruned
    from edge_aigc.converters.workbench import Workbench

_PLAN_LIMIT_BYTES = 16 << 20
_MODEL_LIMIT_BYTES = 4 << 30


class _Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pruning: Pruning
    model_sha256: str
    """Of the student beside it."""


def recorded(pruned: Pruned, *, asked: float) -> Pruning:
    """Return the record of a cut: enough to make it again.

    Args:
        pruned: With the units that it keeps.
        asked: Share of the multiplications that was to be removed.
    """
    record = pruned.record
    return Pruning(
        asked=asked,
        removed=record.ratio,
        coarsest=None if record.coarsest is None else Coarsest(group=record.coarsest[0], share=record.coarsest[1]),
        multiplications=record.multiplications,
        groups=tuple(
            CutGroup(name=name, units=len(mask), kept=np.packbits(mask).tobytes().hex())
            for name, mask in pruned.keep.items()
            if not mask.all()
        ),
        repaired=bool(record.repaired),
    )


def masks_of(pruning: Pruning) -> dict[str, Array]:
    """Return by group which of its units stay; groups that are whole are not named.

    Args:
        pruning: A record.

    Raises:
        FileError: It has not a bit for each unit.
    """
    return {group.name: _mask(group) for group in pruning.groups}


class Plans:
    """The students of one source for one place that earlier runs began, in the cache folder."""

    def __init__(self, bench: Workbench, where: Sequence[str], *, course: str) -> None:
        """Choose the source.

        Args:
            bench: Of it.
            where: All that a cut depends on beside the source: the place, and who tells what things cost there.
            course: What training depends on beside the student: equal students of several places learn once.
        """
        assets = (f"{name} {hashlib.sha256(data).hexdigest()}" for name, data in sorted(bench.order.assets.items()))
        of = (
            __version__,
            bench.source.sha256,
            hashlib.sha256(bench.source.flatbuffer).hexdigest(),
            msgspec.json.encode(bench.spec).decode(),
            *bench.pictures_sha256,
            *assets,
        )
        self._cuts = _hash(*of, course, *where)
        self._courses = _hash(*of, course)

    def held(self, key: str, note: Callable[[str], None]) -> Variant | None:
        """Return the student that an earlier run cut, as it was before it learnt; None where there is none.

        Args:
            key: What was asked for.
            note: Told of one that is damaged: it is as good as none.
        """
        try:
            return _student(self._folder(key))
        except FileError as exc:
            if not isinstance(exc.__cause__, FileNotFoundError):
                note(f"The student that an earlier run cut is cut anew. {exc.message}")
            return None

    def hold(self, key: str, student: Variant, note: Callable[[str], None]) -> None:
        """Keep a student that was cut; the plan is written last, so that where it is, all is.

        Args:
            key: What was asked for.
            student: As it is before it learns.
            note: Told where it cannot be kept: the run goes on.
        """
        folder, model = self._folder(key), student.flatbuffer
        assert student.pruning is not None
        plan = _Plan(pruning=student.pruning, model_sha256=hashlib.sha256(model).hexdigest())
        try:
            write_whole(folder / "student.tflite", model)
            write_whole(folder / "plan.json", msgspec.json.encode(plan))
        except FileError as exc:
            note(f"The run goes on, but the student that was cut is not kept if it is interrupted. {exc}")

    def forget(self, key: str) -> None:
        """Have a student cut anew the next time."""
        (self._folder(key) / "plan.json").unlink(missing_ok=True)

    def checkpoint(self, student: Variant, types: str) -> Path:
        """Return where a student's training is kept: by what it starts from and the types that it learns in."""
        begin = hashlib.sha256(student.flatbuffer).hexdigest()[:16]
        return cache_folder() / "students" / self._courses / f"{begin}-{types}.npz"

    def _folder(self, key: str) -> Path:
        return cache_folder() / "students" / self._cuts / key.replace(" ", "-")


def _hash(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


def _student(folder: Path) -> Variant:
    """Return a student that was kept in a folder.

    Raises:
        FileError: There is none, or it is damaged.
    """
    path = folder / "plan.json"
    content = read_whole(path, limit_bytes=_PLAN_LIMIT_BYTES, what="plan")
    remedy = f"Remove {folder} and begin anew."
    try:
        plan = msgspec.json.decode(content, type=_Plan)
        masks_of(plan.pruning)
    except (msgspec.DecodeError, FileError) as exc:
        words = exc.message if isinstance(exc, FileError) else f"{exc}."
        raise FileError(f"{path} is no plan: {words}", remedy=remedy) from exc
    path = folder / "student.tflite"
    if not path.exists():
        raise FileError(f"{path} is missing.", remedy=remedy)
    model = read_whole(path, limit_bytes=_MODEL_LIMIT_BYTES, what="student")
    if hashlib.sha256(model).hexdigest() != plan.model_sha256:
        raise FileError(f"{path} is damaged: its {len(model):,} B are not those of the plan.", remedy=remedy)
    return Variant(flatbuffer=model, pruning=plan.pruning)


def _mask(group: CutGroup) -> Array:
    packed = bytes.fromhex(group.kept)
    if len(packed) != -(-group.units // 8):
        raise FileError(
            f"The record of {group.name} holds {8 * len(packed)} bits for {group.units} units.",
            remedy="It was changed by hand: convert anew.",
        )
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=group.units).astype(bool)
