"""A bare `.tflite` file, described: operators, types, sizes, what runs it, and what an Edge TPU makes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters import compat
from edge_aigc.converters.damage import DAMAGED, damaged
from edge_aigc.converters.graph import inputs_and_outputs, metadata, operators
from edge_aigc.converters.targets.edgetpu import (
    CUSTOM_OPERATOR,
    LINKS,
    estimate,
    expected_parameters,
    packages,
    precheck,
    transfer,
)
from edge_aigc.converters.targets.edgetpu.target import break_words, doubt_words, expected_operators
from edge_aigc.interpreter import PACKAGES

if TYPE_CHECKING:
    from edge_aigc.converters.graph import Tensor
    from edge_aigc.converters.targets.edgetpu import Package, Precheck
    from edge_aigc.profile import Runtime
    from edge_aigc.tpu_record import TpuOperators

_WHOLE = frozenset({"INT8", "UINT8"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """An input or an output."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCount:
    """Operators of one kind and version."""

    kind: str
    version: int
    count: int
    types: tuple[str, ...]
    """Of what they take and give, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """What an Edge TPU is expected to make of a model that is not compiled yet."""

    on_tpu: int
    on_cpu: int
    first_break: str | None
    doubts: tuple[str, ...]
    """Operators that are expected to map, of which some like them have been seen to stay on the CPU."""
    operators: tuple[TpuOperators, ...]
    cached_bytes: int
    """Parameters that are expected to stay in the Edge TPU's memory."""
    streamed_bytes: int
    """Those that are expected to be sent at every invocation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a flatbuffer holds."""

    bytes: int
    inputs: tuple[Border, ...]
    outputs: tuple[Border, ...]
    operators: tuple[OperatorCount, ...]
    min_runtime_version: str | None
    """As the converter noted it: a release of TensorFlow Lite; not to be believed, see compat.py."""
    runtimes: dict[str, compat.Need]
    """Package: the first release that runs the model, and the operator that decides it."""
    compiled: tuple[Package, ...]
    """What the parts hold that are compiled for an Edge TPU."""
    edgetpu: Mapping | None
    """None where it is compiled already, or computes in float."""
    edgetpu_ms: dict[str, float]
    """An invocation's time by the link to the Edge TPU, estimated, without what runs on the CPU; of a model that is
    compiled already the transfer alone."""


def describe(flatbuffer: bytes) -> Description:
    """Describe a flatbuffer.

    Raises:
        ConversionError: It is not a TFLite model, or is damaged.
    """
    try:
        return _described(flatbuffer)
    except DAMAGED as exc:
        raise damaged(exc) from exc


def _described(flatbuffer: bytes) -> Description:
    compiled = packages(flatbuffer)
    inputs, outputs = inputs_and_outputs(flatbuffer)
    noted = metadata(flatbuffer).get("min_runtime_version")
    whole_numbers = any(t.dtype in _WHOLE for operator in operators(flatbuffer) for t in operator.outputs)
    checked = precheck(flatbuffer) if whole_numbers and not compiled else None
    return Description(
        bytes=len(flatbuffer),
        inputs=tuple(_border(tensor) for tensor in inputs),
        outputs=tuple(_border(tensor) for tensor in outputs),
        operators=_counted(flatbuffer),
        min_runtime_version=noted.rstrip(b"\0").decode(errors="replace") if noted is not None else None,
        runtimes={PACKAGES[runtime]: _need(flatbuffer, runtime, compiled=bool(compiled)) for runtime in PACKAGES},
        compiled=compiled,
        edgetpu=_mapping(checked) if checked is not None else None,
        edgetpu_ms=_edgetpu_ms(checked, compiled),
    )


def _mapping(checked: Precheck) -> Mapping:
    parameters = expected_parameters(checked)
    return Mapping(
        on_tpu=checked.on_tpu,
        on_cpu=checked.on_cpu,
        first_break=break_words(checked),
        doubts=doubt_words(checked),
        operators=expected_operators(checked.fates),
        cached_bytes=parameters.cached,
        streamed_bytes=parameters.streamed,
    )


def _need(flatbuffer: bytes, runtime: Runtime, *, compiled: bool) -> compat.Need:
    need = compat.first_release(flatbuffer, runtime)
    if not compiled or need.reason:
        return need
    reason = f"{CUSTOM_OPERATOR} needs the Edge TPU's library (libedgetpu.so.1) as delegate"
    return compat.Need(operator=CUSTOM_OPERATOR, release=need.release, reason=reason)


def _edgetpu_ms(checked: Precheck | None, compiled: tuple[Package, ...]) -> dict[str, float]:
    if compiled:
        sent = sum(p.streamed_bytes + p.instruction_bytes + sum(layer.bytes for layer in p.inputs) for p in compiled)
        received = sum(layer.bytes for package in compiled for layer in package.outputs)
        found = [transfer(link, sent_bytes=sent, received_bytes=received, macs=0) for link in LINKS.values()]
    elif checked is not None and checked.on_tpu:
        found = [estimate(checked, link) for link in LINKS.values()]
    else:
        return {}
    return {entry.link.name: round(entry.latency_ms, 2) for entry in found}


def _counted(flatbuffer: bytes) -> tuple[OperatorCount, ...]:
    counts: Counter[tuple[str, int]] = Counter()
    types: dict[tuple[str, int], set[str]] = {}
    for operator in operators(flatbuffer):
        key = operator.kind, operator.version
        counts[key] += 1
        tensors = (*operator.inputs, *operator.outputs)
        types.setdefault(key, set()).update(tensor.dtype.lower() for tensor in tensors if tensor is not None)
    return tuple(
        OperatorCount(kind=kind, version=version, count=count, types=tuple(sorted(types[kind, version])))
        for (kind, version), count in counts.items()
    )


def _border(tensor: Tensor) -> Border:
    return Border(name=tensor.name, shape=tensor.shape, dtype=tensor.dtype.lower())
