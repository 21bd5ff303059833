"""Which channels of a model go together, for people and programs: `inspect --groups`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edge_aigc.cli.source_options import wish_from
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from pathlib import Path

    from edge_aigc.converters.ir import Graph, Value
    from edge_aigc.converters.prune.groups import Group, Member


class MemberWords(msgspec.Struct, frozen=True, kw_only=True):
    """One axis of a tensor that holds a group's channels."""

    name: str
    shape: tuple[int, ...]
    axis: int
    role: str
    """`activation`, or `state` if a step takes it from the one before or leaves it to the next; of constants `makes`,
    `takes` or `beside`."""
    copies: int
    """Places that each unit takes on that axis."""


class GroupWords(msgspec.Struct, frozen=True, kw_only=True):
    """One group."""

    name: str
    units: int
    multiplications: int
    refused: str
    """Why it cannot be cut; empty if it can."""
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    through: tuple[str, ...]
    members: tuple[MemberWords, ...]


class GroupsWords(msgspec.Struct, frozen=True, kw_only=True):
    """What `inspect --groups --json` prints."""

    file: str
    operators: int
    multiplications: int
    groups: tuple[GroupWords, ...]


def groups_of(path: Path, options: Mapping[str, Any]) -> GroupsWords:
    """Load a model as `convert` does and find its groups.

    Args:
        path: A model of any framework, or a bundle in float32.
        options: `spec_file` and those of `source_options`.

    Raises:
        EdgeAigcError: It cannot be loaded.
    """
    from edge_aigc.converters.costs.work import multiplications
    from edge_aigc.converters.ir import read, write
    from edge_aigc.converters.prune.groups import channel_groups
    from edge_aigc.converters.prune.labelled import states_of
    from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
    from edge_aigc.converters.rewrites.rewrite import normalize

    flatbuffer, states = _bundled(path) if path.suffix == ".aigc" else _loaded(path, options)
    graph = read(flatbuffer)
    normalize(graph, NORMALIZATIONS)
    groups = channel_groups(graph, states=states)
    held = {value.name for pair in states_of(graph, states).values() for value in pair}
    return GroupsWords(
        file=path.name,
        operators=len(graph.nodes),
        multiplications=multiplications(write(graph)),
        groups=tuple(_group(group, graph, held) for group in groups),
    )


def _loaded(path: Path, options: Mapping[str, Any]) -> tuple[bytes, Mapping[str, str] | None]:
    from edge_aigc.converters.loops.asked import loop_asked
    from edge_aigc.converters.loops.stating import looped_statement
    from edge_aigc.converters.sources.load import load
    from edge_aigc.converters.specification import Statement
    from edge_aigc.files import read_whole
    from edge_aigc.spec import SPEC_LIMIT_BYTES, parse_toml

    spec_file: Path | None = options["spec_file"]
    fields: dict[str, object] = {}
    if spec_file is not None:
        fields = parse_toml(read_whole(spec_file, limit_bytes=SPEC_LIMIT_BYTES, what="spec"), origin=spec_file.name)
    nothing = dict.fromkeys(("vocabulary", "window", "context"))
    loop = loop_asked(Statement(file=fields), path, {**options, **nothing})
    source = load(path, wish_from(dict(options)), adapt=loop.adapt if loop else None)
    if loop is None:
        return source.flatbuffer, None
    stated = looped_statement(loop.statement, source.inputs, source.outputs, loop.wanted)
    return source.flatbuffer, stated.file["loop"].get("state", {})


def _bundled(path: Path) -> tuple[bytes, Mapping[str, str] | None]:
    from edge_aigc.bundle import read_bundle

    bundle = read_bundle(path)
    recipe, loop = bundle.manifest.recipe, bundle.manifest.spec.loop
    if recipe.name != "float32":
        raise ConversionError(
            f"{path.name} holds {recipe.name}, and channels are cut from floats, before they are rounded.",
            remedy=f"Give what it was converted from: {bundle.manifest.provenance.source}.",
        )
    return bundle.flatbuffer, None if loop is None else loop.state


def group_rows(words: GroupsWords) -> Iterator[str]:
    """Return the lines that a person reads."""
    free = sum(not group.refused for group in words.groups)
    yield (
        f"file        {words.file}, {words.operators} operators, {words.multiplications:,} multiplications; "
        f"{free} of {len(words.groups)} groups of channels can be cut"
    )
    for group in words.groups:
        yield f"group       {group.name}"
        yield f"  units     {group.units:,} of {group.multiplications:,} multiplications{_refused(group)}"
        yield f"  made by   {_listed(group.producers)}"
        if group.consumers:
            yield f"  summed by {_listed(group.consumers)}"
        if group.through:
            yield f"  through   {', '.join(group.through)}"
        yield from (f"  {'holds   ' if not index else ' ' * 8}  {_held(m)}" for index, m in enumerate(group.members))


def _listed(operators: tuple[str, ...]) -> str:
    pairs = (operator.split(" ", 1) for operator in operators)
    return ", ".join(f"{kind} {_short(name)}" for kind, name in pairs)


def _short(name: str) -> str:
    """Return the first of the names that TensorFlow joins where it folds operators."""
    return name.partition(";")[0]


def _refused(group: GroupWords) -> str:
    return f": stays whole, for {group.refused}" if group.refused else ""


def _held(member: MemberWords) -> str:
    copies = f", {member.copies} places each" if member.copies > 1 else ""
    return f"{_short(member.name)} {list(member.shape)}, axis {member.axis} ({member.role}{copies})"


def _group(group: Group, graph: Graph, states: Container[str]) -> GroupWords:
    shapes: dict[str, Value] = {value.name: value for value in graph.values()}
    return GroupWords(
        name=group.name,
        units=group.units,
        multiplications=group.multiplications,
        refused=group.refused,
        producers=group.producers,
        consumers=group.consumers,
        through=group.through,
        # Of weights that several operators read one line tells.
        members=tuple(dict.fromkeys(_member(member, shapes[member.value_name], states) for member in group.members)),
    )


def _member(member: Member, value: Value, states: Container[str]) -> MemberWords:
    return MemberWords(
        name=member.value_name,
        shape=value.shape,
        axis=member.axis,
        role="state" if member.value_name in states else member.role,
        copies=member.places.shape[1],
    )
