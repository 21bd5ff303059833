"""Operator, version and types to the first runtime release that runs it.

The version number in a file is not always the truth: some tools leave a lower one on an operator
whose weights they made int8, and an old runtime that believes it computes nonsense in silence. So the
version that an operator *needs* is derived from its tensors too, and the higher one counts. Nor is the
`min_runtime_version` in a file's metadata: it is computed from those numbers, and never read here.

The table and its sources are in `compat.toml`. That it is true is shown by loading: `make heavy`.
"""

from __future__ import annotations

import functools
import importlib.resources
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from edge_aigc.converters.compact import compacted
from edge_aigc.converters.graph import (
    Operator,
    Tensor,
    listed_operators,
    operator_code,
    operators_of,
    parse,
    serialize,
)
from edge_aigc.errors import CompatibilityError
from edge_aigc.interpreter import PACKAGES
from edge_aigc.profile import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_aigc.converters.graph import Model
    from edge_aigc.profile import DeviceProfile

_Release: TypeAlias = tuple[int, ...]

OLDEST: Mapping[Runtime, str] = {"litert": "1.4.0", "tflite": "2.14.0"}
"""What our bundles are proven on. ai-edge-litert 1.3.0 and older refuse depthwise convolutions in float16; 1.1.0
does not take a number of threads."""
LAST_TFLITE = "2.14.0"
"""No other release of tflite-runtime will come."""
_DELEGATED = "edgetpu-custom-op"
"""Run by libedgetpu, whatever the runtime."""


class _Lie(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"first": "from"}):
    """Registered from a release on, and wrong or refused all the same before another."""

    operators: tuple[str, ...]
    types: tuple[str, ...]
    runtime: Runtime
    first: str
    before: str
    found: str


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tensorflow: dict[str, tuple[str, ...]]
    litert: dict[str, dict[str, str]]
    types: dict[str, dict[str, int]]
    operands: dict[str, tuple[int, ...]]
    lies: tuple[_Lie, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One release of a runtime's package."""

    runtime: Runtime
    release: str

    def __str__(self) -> str:
        """Return what it is called where packages are installed."""
        return f"{PACKAGES[self.runtime]} {self.release}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one operator, or a whole flatbuffer, needs of a runtime."""

    operator: str
    """Of a whole flatbuffer: the one that decides; empty when the oldest release that we support runs all."""
    release: str | None
    """The first release that runs it, as do all later ones; None: no release does."""
    reason: str
    """A clause that names operator, version and release; empty when there is nothing to say."""


def first_release(flatbuffer: bytes, runtime: Runtime) -> Need:
    """Return the first release of a runtime that runs a flatbuffer, and the operator that decides it.

    Releases older than the oldest that we support are not told apart.

    Raises:
        ConversionError: It is not a TFLite model.
    """
    needs = [need for operator in _all_operators(parse(flatbuffer)) for need in _needs(operator, runtime)]
    deciding = max(needs, key=lambda need: _order(need.release), default=None)
    if deciding is None or _order(deciding.release) <= numbers(OLDEST[runtime]):
        return Need(operator="", release=OLDEST[runtime], reason="")
    return deciding


def incompatibilities(flatbuffer: bytes, wheel: Wheel) -> list[Need]:
    """Return what a release of a runtime cannot run, one entry for each kind of operator and reason."""
    release = numbers(wheel.release)
    if release < numbers(OLDEST[wheel.runtime]):
        oldest = Wheel(runtime=wheel.runtime, release=OLDEST[wheel.runtime])
        return [Need(operator="", release=oldest.release, reason=f"bundles are proven on {oldest} and later")]
    found: dict[tuple[str, str], Need] = {}
    for operator in _all_operators(parse(flatbuffer)):
        for need in _needs(operator, wheel.runtime, release):
            found[operator.kind, need.reason] = need
    return list(found.values())


def require(flatbuffer: bytes, wheels: Sequence[Wheel], *, recipe: str) -> None:
    """Refuse a model that one of the releases cannot run.

    Raises:
        CompatibilityError: Names the operators, their versions and the first releases that run them.
    """
    for wheel in wheels:
        problems = incompatibilities(flatbuffer, wheel)
        if problems:
            raise CompatibilityError(
                f"The recipe {recipe} does not run on {wheel}: {'; '.join(need.reason for need in problems)}.",
                remedy=_remedy(wheel, problems),
            )


def wheels_of(profile: DeviceProfile, runtimes: Sequence[Runtime]) -> tuple[Wheel, ...]:
    """Return every release of the runtimes that an image of a profile installs, once each."""
    return tuple(
        dict.fromkeys(
            Wheel(runtime=runtime, release=image.wheels[runtime])
            for runtime in runtimes
            for image in profile.images
            if runtime in image.wheels
        )
    )


def needed_version(operator: Operator) -> int:
    """Return the version that an operator's tensors call for: at least the one that it states."""
    by_types = _table().types.get(operator.kind, {})
    return max(operator.version, *(by_types.get(types, 0) for types in _types(operator)), 0)


def stamp_versions(flatbuffer: bytes) -> bytes:
    """Return the flatbuffer with every operator's version at least what its tensors call for."""
    return serialize(stamped(parse(flatbuffer)))


def stamped(model: Model) -> Model:
    """Return a parsed model with every operator's version at least what its tensors call for; the model is edited."""
    for index, graph in enumerate(model.subgraphs):
        for entry, operator in zip(graph.operators, operators_of(model, index), strict=True):
            needed = needed_version(operator)
            if needed != operator.version:
                entry.opcodeIndex = operator_code(model, operator.kind, needed)
    # A runtime looks up every version that is listed, used or not.
    return compacted(model)


def registered(kind: str, version: int, runtime: Runtime) -> str | None:
    """Return the first release of a runtime whose kernels include an operator in a version; None: no release.

    Of releases older than the oldest that we support only that they are older is known.
    """
    known = _table().tensorflow.get(kind, ())
    if not 1 <= version <= len(known):
        return None
    if runtime == "tflite":
        return known[version - 1] or None
    oldest = OLDEST["litert"] if known[version - 1] else ""
    return _table().litert.get(kind, {}).get(str(version), oldest) or None


def _needs(operator: Operator, runtime: Runtime, release: _Release | None = None) -> Iterator[Need]:
    """Yield what an operator needs; with a release only what that one does not give."""
    if operator.kind == _DELEGATED:
        return
    version = needed_version(operator)
    first = registered(operator.kind, version, runtime)
    if release is None or first is None or release < numbers(first):
        yield _need(operator, f"{operator.kind} version {version}", first, runtime)
    types = _types(operator)
    for lie in _table().lies:
        told = operator.kind in lie.operators and lie.runtime == runtime and any(key in types for key in lie.types)
        if told and (release is None or numbers(lie.first) <= release < numbers(lie.before)):
            what = f"{operator.kind} with {_in_words(lie.types[0])}"
            yield _need(operator, what, lie.before, runtime, f" ({lie.found})")


def _need(operator: Operator, what: str, first: str | None, runtime: Runtime, found: str = "") -> Need:
    if first is None:
        reason = f"{what} is in no release of {PACKAGES[runtime]}"
    elif runtime == "litert":
        reason = f"{what} needs ai-edge-litert {first}"
    elif numbers(first) <= numbers(LAST_TFLITE):
        reason = f"{what} needs TensorFlow Lite {first}"
    else:
        reason = f"{what} needs TensorFlow Lite {first}; the last tflite-runtime is {LAST_TFLITE}"
        first = None
    return Need(operator=operator.kind, release=first, reason=reason + found)


def _remedy(wheel: Wheel, problems: Sequence[Need]) -> str:
    if wheel.runtime == "tflite":
        return "Choose another recipe, or `--runtime litert` if the device has it."
    newest = max(_order(need.release) for need in problems)
    if newest == _NEVER:
        return "Choose another recipe, or build the model without that operator."
    release = ".".join(map(str, newest))
    return f"Choose another recipe, or install ai-edge-litert {release} on the device and state it in its profile."


def _all_operators(model: Model) -> Iterator[Operator]:
    """Yield the operators of all subgraphs, and those that are only listed, which must be known all the same."""
    for index in range(len(model.subgraphs)):
        yield from operators_of(model, index)
    for kind, version in listed_operators(model):
        yield Operator(kind=kind, version=version, inputs=(), outputs=())


def _types(operator: Operator) -> tuple[str, ...]:
    """Return the keys under which the table may know an operator's types, from the plainest on."""
    operands = [_at(operator, place) for place in _table().operands.get(operator.kind, (0, 1))]
    first, second = (*operands, None)[:2]
    if first is None:
        return ()
    keys = [first.dtype] + [f"{first.dtype}*"] * (first.scales > 1)
    if second is None:
        return tuple(keys)
    pair = f"{first.dtype}/{second.dtype}"
    return (*keys, pair, *[f"{pair}*"] * (second.scales > 1))


def _at(operator: Operator, place: int) -> Tensor | None:
    return operator.inputs[place] if place < len(operator.inputs) else None


def _in_words(types: str) -> str:
    activations, _, weights = types.lower().partition("/")
    return f"{weights} weights and {activations} activations" if weights else activations


_NEVER: _Release = (1 << 30,)


def _order(release: str | None) -> _Release:
    return _NEVER if release is None else numbers(release)


def numbers(release: str) -> _Release:
    """Return a release as numbers, which compare in the order of releases."""
    return tuple(int(part) for part in release.split("."))


@functools.cache
def _table() -> _Table:
    content = (importlib.resources.files("edge_aigc.converters") / "compat.toml").read_bytes()
    return msgspec.convert(msgspec.toml.decode(content), _Table)
