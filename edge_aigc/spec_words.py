"""The words of specifications, checked before anything is inferred from them.

A key that is not known would else be met as something that is missing: `prio = "normal"` as an input without a
prior. Values that are one of a few words are checked here too, for the flags of `convert` as for files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from edge_aigc.choices import choices
from edge_aigc.errors import SpecError
from edge_aigc.loop_spec import Loop
from edge_aigc.spec import GeneratorSpec, Input, Output
from edge_aigc.tensors import Family, Media

if TYPE_CHECKING:
    import msgspec

_KINDS = {str(kind.__struct_config__.tag): kind for kind in get_args(Input)}
PRIORS = tuple(_KINDS)
MEDIA: tuple[str, ...] = get_args(Media)
_FAMILIES: tuple[str, ...] = get_args(Family)
_EVERY_INPUT = tuple(dict.fromkeys(("prior", *(name for kind in _KINDS.values() for name in kind.__struct_fields__))))


def check_words(fields: Mapping[str, object], *, origin: str) -> None:
    """Refuse keys and words that no specification has; what is not a table is left to who reads it.

    Args:
        fields: A specification, whole or in part, as TOML was read.
        origin: Where it came from, for messages.

    Raises:
        SpecError: The first of them, with what was likely meant and what there is.
    """
    _check_keys(fields, _fields(GeneratorSpec), origin)
    _check_value(fields, "family", _FAMILIES, origin)
    for place, entry in _tables(fields, "inputs", origin):
        _check_value(entry, "prior", PRIORS, place)
        kind = _KINDS.get(str(entry.get("prior")))
        _check_keys(entry, _EVERY_INPUT if kind is None else ("prior", *_fields(kind)), place)
    for place, entry in _tables(fields, "outputs", origin):
        _check_keys(entry, _fields(Output), place)
        _check_value(entry, "media", MEDIA, place)
    loop = fields.get("loop")
    if isinstance(loop, Mapping):
        _check_keys(loop, _fields(Loop), f"{origin}, [loop]")


def check_flags(flag: str, values: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Refuse a flag's word that no specification has.

    Args:
        flag: ``--prior`` or ``--media``.
        values: By tensor name.
        known: The words that there are.

    Raises:
        SpecError: The first of them, with what was likely meant and what there is.
    """
    for name, value in values.items():
        _check_value({flag[2:]: value}, flag[2:], known, f"`{flag} {name}={value}`")


def _fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return kind.__struct_fields__


def _tables(fields: Mapping[str, object], side: str, origin: str) -> list[tuple[str, Mapping[str, object]]]:
    entries = fields.get(side)
    if not isinstance(entries, list | tuple):
        return []
    return [
        (f"{origin}, {side[:-1]} {entry.get('name', number)!r}", entry)
        for number, entry in enumerate(entries, start=1)
        if isinstance(entry, Mapping)
    ]


def _check_keys(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise SpecError(f"{where}: there is no key {key!r}.", remedy=choices(key, known, lead="The keys are"))


def _check_value(table: Mapping[str, object], key: str, known: tuple[str, ...], where: str) -> None:
    value = table.get(key)
    if isinstance(value, str) and value not in known:
        raise SpecError(f"{where}: there is no {key} {value!r}.", remedy=choices(value, known))
