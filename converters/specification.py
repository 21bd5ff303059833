"""What the model tells and what the user states, together: a complete specification.

Nothing is guessed. What neither tells is named in the error, all of it at once, each with the flag
that states it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_aigc.choices import choices
from edge_aigc.errors import SpecError
from edge_aigc.spec import GeneratorSpec, spec_from
from edge_aigc.spec_words import MEDIA, PRIORS, check_flags, check_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.sources.source import TensorFact

_RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0)}
"""What an output's last activation says of its range."""
_PICTURE_RANK = 4
_ROW_RANK = 2
"""Of tokens: the batch and their number."""
_EVERY = ""
"""The key of a flag that names no tensor and holds for all pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What the user says of the model."""

    file: Mapping[str, Any] = field(default_factory=dict)
    """A specification in part or whole, as TOML was read."""
    origin: str = "the flags"
    name: str | None = None
    family: str | None = None
    priors: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By tensor name; the empty name means every picture or sound whose range is not told."""
    sample_rate: int | None = None
    """Of every sound, hertz."""

    def __post_init__(self) -> None:
        """Refuse words that no specification has, before a model is loaded.

        Raises:
            SpecError: The first of them.
        """
        check_words(self.file, origin=self.origin)
        check_words({"family": self.family}, origin="`--family`")
        check_flags("--prior", self.priors, PRIORS)
        check_flags("--media", self.media, MEDIA)


def complete(
    inputs: Sequence[TensorFact], outputs: Sequence[TensorFact], stated: Statement, *, default_name: str
) -> GeneratorSpec:
    """Return the specification of a generator.

    Args:
        inputs: What the source tells of them.
        outputs: What the source tells of them.
        stated: What the user says; it wins where the source leaves a choice.
        default_name: When the user gives no name.

    Raises:
        SpecError: Something is missing, contradicts the model, or names a tensor that it has not.
    """
    _check_flags(inputs, outputs, stated)
    missing: list[str] = []
    fields: dict[str, object] = {
        "name": stated.name or stated.file.get("name") or default_name,
        "family": stated.family or stated.file.get("family") or _family(inputs),
        "inputs": [_input(fact, _entry(stated, "inputs", fact), stated, missing) for fact in inputs],
        "outputs": [_output(fact, _entry(stated, "outputs", fact), stated, missing) for fact in outputs],
    }
    if "loop" in stated.file:
        fields["loop"] = stated.file["loop"]
    _refuse_unused_range(fields, stated)
    _refuse_rest(stated, {"inputs": inputs, "outputs": outputs})
    if missing:
        loop = " A model that reads tokens and writes more of them: `--family autoregressive`."
        raise SpecError(
            "The model does not tell " + "; nor ".join(missing) + ".",
            remedy="State it with those flags, or in a file given with `--spec`."
            + (loop if _looks_like_a_writer(inputs, outputs) else ""),
        )
    return spec_from(fields, origin=stated.origin)


def _input(fact: TensorFact, entry: dict[str, Any], stated: Statement, missing: list[str]) -> dict[str, Any]:
    entry = {"name": fact.name, "shape": fact.shape, "dtype": fact.dtype, **entry}
    if fact.name in stated.classes:
        entry |= {"prior": "choice", "classes": stated.classes[fact.name]}
    if fact.name in stated.priors:
        entry["prior"] = stated.priors[fact.name]
    if "prior" not in entry and fact.prior is not None:
        entry["prior"] = fact.prior
    if "prior" not in entry and _looks_like_a_picture(fact):
        entry["prior"] = "image"
    if "prior" not in entry:
        missing.append(
            f"where the values of its input {fact.name!r} {list(fact.shape)} come from"
            f" (`--prior {fact.name}=normal`, `uniform`, `constant`, `image`, or `--classes {fact.name}=A,B,C`)"
        )
    elif entry["prior"] == "choice":
        _complete_choice(fact, entry, missing)
    elif entry["prior"] == "image":
        _complete_range(fact, entry, stated, missing)
    elif fact.name in stated.ranges:
        _apply_range(fact, entry, stated)
    return entry


def _complete_choice(fact: TensorFact, entry: dict[str, Any], missing: list[str]) -> None:
    if "classes" not in entry:
        missing.append(f"the classes of its input {fact.name!r} (`--classes {fact.name}=A,B,C`)")
    elif "encoding" not in entry:
        entry["encoding"] = "index" if fact.dtype.startswith("int") else "onehot"


def _apply_range(fact: TensorFact, entry: dict[str, Any], stated: Statement) -> None:
    if entry["prior"] != "uniform":
        raise SpecError(
            f"A range was given for the input {fact.name!r}, whose prior is {entry['prior']!r}.",
            remedy="Ranges belong to pictures and to uniform inputs: leave it out.",
        )
    entry["low"], entry["high"] = stated.ranges[fact.name]


def _output(fact: TensorFact, entry: dict[str, Any], stated: Statement, missing: list[str]) -> dict[str, Any]:
    entry = {"name": fact.name, "shape": fact.shape, "dtype": fact.dtype, **entry}
    entry.pop("dtype")
    if fact.name in stated.media:
        entry["media"] = stated.media[fact.name]
    if "media" not in entry and _has_picture_shape(fact):
        entry["media"] = "image"
    if "media" not in entry:
        missing.append(_what_is_it(fact))
    elif entry["media"] in {"image", "audio"} or fact.name in stated.ranges:
        _complete_range(fact, entry, stated, missing)
    if entry.get("media") == "audio":
        if stated.sample_rate is not None:
            entry["sample_rate"] = stated.sample_rate
        if "sample_rate" not in entry:
            missing.append(f"the sample rate of its output {fact.name!r} (`--sample-rate 16000`)")
    return entry


def _complete_range(fact: TensorFact, entry: dict[str, Any], stated: Statement, missing: list[str]) -> None:
    if fact.name in stated.ranges:
        entry["range"] = stated.ranges[fact.name]
    if "range" in entry:
        return
    told = _RANGES.get(fact.activation or "") or stated.ranges.get(_EVERY)
    if told is None:
        ends = "loudest" if entry.get("media") == "audio" else "black and white"
        missing.append(f"which values are {ends} in {fact.name!r} (`--range {fact.name}=0,1` or `-1,1`)")
    else:
        entry["range"] = told


def _refuse_unused_range(fields: Mapping[str, Any], stated: Statement) -> None:
    """Refuse a range without a name that nobody takes: it is for pictures whose range the model does not tell."""
    meant = stated.ranges.get(_EVERY)
    told = [entry for entry in (*fields["inputs"], *fields["outputs"]) if "range" in entry]
    if meant is None or not told or any(tuple(entry["range"]) == tuple(meant) for entry in told):
        return
    low, high = meant
    known = ", ".join(f"{entry['name']} from {entry['range'][0]:g} to {entry['range'][1]:g}" for entry in told)
    raise SpecError(
        f"`--range {low:g},{high:g}` is for pictures whose range the model does not tell, and it tells all: {known}.",
        remedy=f"Leave it out, or name what it is for: `--range {told[-1]['name']}={low:g},{high:g}`.",
    )


def _what_is_it(fact: TensorFact) -> str:
    if fact.activation == "softmax":
        return (
            f"what it generates: its output {fact.name!r} {list(fact.shape)} ends in softmax, as a classifier's does"
            f" (`--media {fact.name}=raw` if you want these numbers)"
        )
    return (
        f"what its output {fact.name!r} {list(fact.shape)} is; it has no picture's shape, perhaps the model is a"
        f" classifier (`--media {fact.name}=audio` for a sound, `points`, `raw` for plain numbers)"
    )


def _family(inputs: Sequence[TensorFact]) -> str:
    return "image-to-image" if all(_looks_like_a_picture(fact) for fact in inputs) else "other"


def _has_picture_shape(fact: TensorFact) -> bool:
    return len(fact.shape) == _PICTURE_RANK and fact.shape[-1] in {1, 3, 4}


def _looks_like_a_picture(fact: TensorFact) -> bool:
    # One channel of a fixed size may as well be a noise map: then the user says which.
    return _has_picture_shape(fact) and (fact.open_size or fact.shape[-1] != 1)


def _looks_like_a_writer(inputs: Sequence[TensorFact], outputs: Sequence[TensorFact]) -> bool:
    """Return whether a row of whole numbers goes in, or of scores for every place of a row comes out."""
    rows = [fact for fact in inputs if len(fact.shape) == _ROW_RANK]
    scores = {fact.shape[:-1] for fact in outputs if len(fact.shape) == _ROW_RANK + 1 and fact.shape[-1] > 1}
    return any(fact.dtype.startswith("int") or (fact.shape[1] > 1 and fact.shape in scores) for fact in rows)


def _entry(stated: Statement, side: str, fact: TensorFact) -> dict[str, Any]:
    for entry in _entries(stated, side):
        if entry.get("name") == fact.name:
            shape = entry.get("shape")
            if shape is not None and tuple(shape) != fact.shape:
                raise SpecError(
                    f"{stated.origin} gives {fact.name!r} the shape {list(shape)}; the model has {list(fact.shape)}.",
                    remedy="Correct the shape, or leave it out: the model tells it.",
                )
            return dict(entry)
    return {}


def _entries(stated: Statement, side: str) -> list[dict[str, Any]]:
    entries = stated.file.get(side, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SpecError(f"{stated.origin} has {side!r} that are not tables.", remedy=f"Write them as `[[{side}]]`.")
    return entries


def _refuse_rest(stated: Statement, sides: Mapping[str, Sequence[TensorFact]]) -> None:
    for side, facts in sides.items():
        for entry in _entries(stated, side):
            _require_known(str(entry.get("name")), [fact.name for fact in facts], f"{stated.origin}: {side[:-1]}")


def _check_flags(inputs: Sequence[TensorFact], outputs: Sequence[TensorFact], stated: Statement) -> None:
    taken, made = [fact.name for fact in inputs], [fact.name for fact in outputs]
    for flag, names, known in (
        ("--prior", stated.priors, taken),
        ("--classes", stated.classes, taken),
        ("--media", stated.media, made),
        ("--range", stated.ranges, [*taken, *made, _EVERY]),
    ):
        for name in names:
            _require_known(name, known, flag)


def _require_known(name: str, known: Sequence[str], where: str) -> None:
    if name in known:
        return
    raise SpecError(
        f"{where} names {name!r}, which the model does not have.",
        remedy=choices(name, [entry for entry in known if entry], lead="It has"),
    )
