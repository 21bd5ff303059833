"""What a model in a loop tells of its specification: tokens, logits, and which output feeds which input."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_aigc.bundle import read_bundle
from edge_aigc.converters.loops.wanted import Wanted
from edge_aigc.errors import BundleError, SpecError
from edge_aigc.files import read_whole
from edge_aigc.vocabulary import VOCABULARY_LIMIT_BYTES, parse_vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edge_aigc.converters.sources.source import TensorFact
    from edge_aigc.converters.specification import Statement

NEXT = "_next"
"""An output of this name more feeds the input of the name without it."""
_VOCABULARY = "vocabulary.json"


def wants_loop(stated: Statement) -> bool:
    """Whether the user says that the model runs in a loop."""
    family = stated.family or stated.file.get("family")
    return family == "autoregressive" or "loop" in stated.file


def wanted_of(stated: Statement, *, window: int | None, context: int | None) -> Wanted:
    """Return what is asked of the loop, by flags and by the specification; flags win."""
    table = _table(stated)
    return Wanted(window=window or table.get("window"), context=context or table.get("context"))


def looped_statement(
    stated: Statement, inputs: Sequence[TensorFact], outputs: Sequence[TensorFact], wanted: Wanted
) -> Statement:
    """Return the statement with everything that the model tells of its loop.

    Args:
        stated: By the user; it wins.
        inputs: Of the step graph or the window.
        outputs: Of it; the first holds the logits.
        wanted: State or window.

    Raises:
        SpecError: There is no input that takes tokens.
    """
    table = dict(_table(stated))
    states = table.get("state") or _states(inputs, outputs)
    tokens = _tokens(stated, inputs, states)
    if states:
        table["state"] = states
        cache = _places(inputs, states)
        if cache is not None:
            table.setdefault("context", cache)
    else:
        table["window"] = wanted.window or tokens.shape[-1]
    told: dict[str, dict[str, Any]] = {name: {"prior": "constant"} for name in states}
    told[tokens.name] = {"prior": "tokens", "size": outputs[0].shape[-1], "vocabulary": _VOCABULARY}
    media = {fact.name: "raw" for fact in outputs} | {outputs[0].name: "text"}
    entries_in = [told.get(name, {}) | entry for name, entry in _entries(stated, "inputs", inputs).items()]
    entries_out = [{"media": media[n]} | entry for n, entry in _entries(stated, "outputs", outputs).items()]
    file = {**stated.file, "loop": table, "inputs": entries_in, "outputs": entries_out, "family": "autoregressive"}
    return replace(stated, file=file)


def read_vocabulary(stated: Statement, size: int, *, given: Path | None, folder: Path) -> tuple[str, bytes]:
    """Return the vocabulary's name in the bundle and its content.

    Args:
        stated: As `looped_statement` left it.
        size: Tokens of the model.
        given: The file that the user names, or a bundle that carries one; None: the one that the specification names,
            in `folder`.
        folder: Of the specification, or of the model where there is none.

    Raises:
        SpecError: It is not there.
        BundleError: It is not a vocabulary, or not of this model.
    """
    (entry,) = (entry for entry in stated.file["inputs"] if entry.get("prior") == "tokens")
    name = str(entry["vocabulary"])
    path = given or folder / name
    if not path.is_file():
        raise SpecError(
            f"The vocabulary {path} is not there.",
            remedy='Give it with `--vocabulary FILE`: JSON such as {"kind": "characters", "tokens": ["<stop>", "a"], '
            '"stop": 0}, a token for each of the model\'s.',
        )
    if path.suffix == ".aigc":
        content = _carried(path)
    else:
        content = read_whole(path, limit_bytes=VOCABULARY_LIMIT_BYTES, what="vocabulary")
    parse_vocabulary(content, origin=path.name, size=size)
    return name, content


def _carried(path: Path) -> bytes:
    bundle = read_bundle(path)
    if bundle.manifest.spec.loop is None:
        raise BundleError(f"{path} carries no vocabulary: it writes no text.", remedy="Give a bundle that does.")
    return bundle.content[bundle.manifest.spec.tokens.vocabulary]


def _table(stated: Statement) -> Mapping[str, Any]:
    table = stated.file.get("loop", {})
    if not isinstance(table, dict):
        raise SpecError(f"{stated.origin} has a 'loop' that is not a table.", remedy="Write it as `[loop]`.")
    return table


def _entries(stated: Statement, side: str, facts: Sequence[TensorFact]) -> dict[str, dict[str, Any]]:
    """Return what is stated of each tensor, in the model's order."""
    entries = stated.file.get(side, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SpecError(f"{stated.origin} has {side!r} that are not tables.", remedy=f"Write them as `[[{side}]]`.")
    known = {fact.name for fact in facts}
    unknown = [entry.get("name") for entry in entries if entry.get("name") not in known]
    if unknown:
        raise SpecError(
            f"{stated.origin} names {unknown[0]!r} among its {side}, which the model does not have.",
            remedy=f"It has {', '.join(repr(name) for name in sorted(known))}.",
        )
    by_name = {entry["name"]: entry for entry in entries}
    return {fact.name: {"name": fact.name, **by_name.get(fact.name, {})} for fact in facts}


def _states(inputs: Sequence[TensorFact], outputs: Sequence[TensorFact]) -> dict[str, str]:
    made = {fact.name for fact in outputs}
    return {fact.name: fact.name + NEXT for fact in inputs if fact.name + NEXT in made}


def _tokens(stated: Statement, inputs: Sequence[TensorFact], states: Mapping[str, str]) -> TensorFact:
    entries = _entries(stated, "inputs", inputs)
    named = [fact for fact in inputs if entries[fact.name].get("prior") == "tokens"]
    likely = [fact for fact in inputs if fact.name not in states and fact.dtype in {"int32", "int64"}]
    found = named or likely
    if len(found) != 1:
        raise SpecError(
            f"{len(found)} inputs of the model could take its tokens; it has "
            f"{', '.join(f'{fact.name!r} {list(fact.shape)} {fact.dtype}' for fact in inputs)}.",
            remedy="A model that writes takes whole numbers; name that input in a `--spec` file with "
            '`prior = "tokens"`.',
        )
    return found[0]


def _places(inputs: Sequence[TensorFact], states: Mapping[str, str]) -> int | None:
    """Return how many tokens an attention keeps; None where nothing counts them."""
    return next((fact.shape[-1] for fact in inputs if fact.name == "seen" and fact.name in states), None)
