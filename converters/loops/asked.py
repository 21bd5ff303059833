"""A loop that the user asked for, on its way through `convert`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_aigc.converters.loops.stating import looped_statement, read_vocabulary, wanted_of, wants_loop
from edge_aigc.converters.loops.tables import places_known
from edge_aigc.errors import SpecError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_aigc.converters.loops.wanted import Wanted
    from edge_aigc.converters.sources.source import Source
    from edge_aigc.converters.specification import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopAsked:
    """What the user said of the loop."""

    statement: Statement
    wanted: Wanted
    vocabulary: Path | None
    folder: Path
    """Where a vocabulary is looked for that is not given."""

    def adapt(self, model: Any) -> Any:
        """Return a model that a loop can run: of Keras a model, of PyTorch a `loops.torch.Looped`.

        Raises:
            SourceError: It is not a model of a sequence.
            ConversionError: It cannot be run by steps.
        """
        if any(kind.__module__.startswith("torch.") for kind in type(model).__mro__):
            from edge_aigc.converters.loops import torch

            return torch.looped(model, self.wanted)
        from edge_aigc.converters.loops import keras

        return keras.looped(model, self.wanted)

    def told(self, source: Source) -> tuple[Statement, dict[str, bytes]]:
        """Return the statement with all that the model tells, and the files that the bundle carries.

        Raises:
            SpecError: No input takes tokens, or the vocabulary is not there.
            BundleError: It is not a vocabulary of this model.
        """
        stated = looped_statement(self.statement, source.inputs, source.outputs, self.wanted)
        _keep_to_tables(stated.file["loop"], source.flatbuffer, asked=self.wanted.context)
        name, content = read_vocabulary(stated, source.outputs[0].shape[-1], given=self.vocabulary, folder=self.folder)
        return stated, {name: content}


def loop_asked(stated: Statement, model: Path, options: Mapping[str, Any]) -> LoopAsked | None:
    """Return the loop that the statement and the options ask for; None where they ask for none.

    Raises:
        UsageError: An option of a loop without one.
    """
    if not wants_loop(stated):
        given = [name for name in ("vocabulary", "window", "context") if options[name] is not None]
        if given:
            raise UsageError(
                f"`--{given[0]}` belongs to a model that writes.", remedy="Say so with `--family autoregressive`."
            )
        return None
    if options["window"] is not None and options["context"] is not None:
        raise UsageError("`--window` keeps no state, so that `--context` says nothing.", remedy="Give one of the two.")
    spec_file: Path | None = options["spec_file"]
    return LoopAsked(
        statement=stated,
        wanted=wanted_of(stated, window=options["window"], context=options["context"]),
        vocabulary=options["vocabulary"],
        folder=(spec_file or model).parent,
    )


def _keep_to_tables(loop: dict[str, Any], flatbuffer: bytes, *, asked: int | None) -> None:
    """End a context where the model's tables of positions end.

    Raises:
        SpecError: A longer one was asked for.
    """
    known = places_known(flatbuffer, loop.get("state", {}))
    if known is None or loop.get("context", known) <= known:
        return
    if asked is not None:
        raise SpecError(
            f"A context of {asked} tokens was asked for; the model knows {known} positions.",
            remedy=f"Ask for at most {known} with `--context`.",
        )
    loop["context"] = known
