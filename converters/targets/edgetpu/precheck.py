"""What the compiler will make of a model, told before it runs: operator by operator, and what would mend it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.damage import DAMAGED, damaged
from edge_aigc.converters.targets.edgetpu.limits import DOUBT, LIMITS
from edge_aigc.converters.targets.edgetpu.nodes import read_nodes
from edge_aigc.converters.targets.edgetpu.partition import compiled_part
from edge_aigc.converters.targets.edgetpu.table import COMPILER_RELEASE, refused, supported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.graph import Tensor
    from edge_aigc.converters.targets.edgetpu.nodes import Node

AFTER_THE_BREAK = "More than one subgraph is not supported"
"""The compiler's own words for what could be mapped and comes after something that was not."""
_TYPES = frozenset({"INT8", "UINT8"})
_PARAMETER_TYPES = _TYPES | {"INT32", "INT64"}
"""INT32 are biases, sizes and axes."""
_STATE_TYPES = _TYPES | {"INT16"}
"""The cell of an LSTM."""
_MOST_WIDE_DIMENSIONS = 3
"""coral.ai, tensor requirements: at most the three innermost dimensions may be larger than 1."""
_BYTES = {"INT8": 1, "UINT8": 1, "INT16": 2, "INT32": 4, "FLOAT32": 4, "INT64": 8, "BOOL": 1, "FLOAT16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """Where one operator will run, and why."""

    index: int
    kind: str
    output: str
    """Name of the first tensor that it makes."""
    shape: tuple[int, ...]
    """Of that tensor."""
    on_tpu: bool
    reason: str = ""
    """Why it runs on the CPU."""
    mend: str = ""
    """What would map in its place."""
    doubt: str = ""
    """Why it may run on the CPU all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precheck:
    """What the compiler will make of a model.

    Attributes:
        fates: Of every operator, in the order of execution.
        first_break: What ends the part that is compiled; None when nothing after it is left.
        unread: Operator: why the compiler does not read the model at all.
        parameter_bytes: Constants of the operators that map, as the model holds them.
        inputs_bytes: What goes to the Edge TPU at each invocation; states too.
        outputs_bytes: What comes back.
        macs: Multiplications with a weight, of what maps, at each invocation.
    """

    fates: tuple[Fate, ...]
    first_break: Fate | None
    unread: Mapping[str, str]
    parameter_bytes: int
    inputs_bytes: int
    outputs_bytes: int
    macs: int

    @property
    def on_tpu(self) -> int:
        """How many operators map."""
        return sum(fate.on_tpu for fate in self.fates)

    @property
    def on_cpu(self) -> int:
        """How many operators stay on the CPU."""
        return len(self.fates) - self.on_tpu

    @property
    def refused(self) -> dict[str, str]:
        """Operators that the Edge TPU refuses by themselves, each with the reason and what would mend it."""
        found = dict(self.unread)
        for fate in self.fates:
            if not fate.on_tpu and fate.reason != AFTER_THE_BREAK:
                found.setdefault(fate.kind, "; ".join(word for word in (fate.reason, fate.mend) if word))
        return found


def precheck(flatbuffer: bytes) -> Precheck:
    """Return what the compiler will make of a model.

    Raises:
        ConversionError: It is not a TFLite model.
    """
    try:
        return _checked(read_nodes(flatbuffer))
    except DAMAGED as exc:
        raise damaged(exc) from exc


def _checked(nodes: Sequence[Node]) -> Precheck:
    unread = _unread(nodes)
    refusals = [_refusal(node) for node in nodes]
    compiled, before = (set[int](), set[int]()) if unread else compiled_part(nodes, [not r for r, _ in refusals])
    fates = tuple(
        _fate(node, refusal, on_tpu=node.index in compiled, unread=unread)
        for node, refusal in zip(nodes, refusals, strict=True)
    )
    breaks = [fate for fate, (r, _) in zip(fates, refusals, strict=True) if r and fate.index not in before]
    mapped = [node for node in nodes if node.index in compiled]
    inputs_bytes, outputs_bytes = _border_bytes(nodes, mapped)
    return Precheck(
        fates=fates,
        first_break=breaks[0] if breaks else None,
        unread=unread,
        parameter_bytes=sum({n: size for node in mapped for n, size in node.bytes_by_constant.items()}.values()),
        inputs_bytes=inputs_bytes,
        outputs_bytes=outputs_bytes,
        macs=sum(_macs(node) for node in mapped),
    )


def _unread(nodes: Sequence[Node]) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in nodes:
        kind, version = node.operator.kind, node.operator.version
        row = supported().get(kind) or refused().get(kind)
        if row is not None and version > row.version:
            knows = f"it knows version {row.version}" if row.version else "it does not know the operator"
            found[kind] = (
                f"version {version} is newer than compiler {COMPILER_RELEASE}, which refuses the model: {knows}"
            )
    return found


def _refusal(node: Node) -> tuple[str, str]:
    """Return why the Edge TPU does not compute this, and what would mend it; empty where it does."""
    row = supported().get(node.operator.kind)
    if row is None:
        known = refused().get(node.operator.kind)
        return "not an operator of the Edge TPU", known.mend if known is not None else ""
    for reason in (*_tensor_reasons(node), *(LIMITS[limit](node) for limit in row.limits)):
        if reason is not None and not reason.startswith(DOUBT):
            return reason, ""
    return "", ""


def _doubt(node: Node) -> str:
    row = supported()[node.operator.kind]
    reasons = [LIMITS[limit](node) for limit in row.limits]
    return next((reason for reason in reasons if reason is not None), "")


def _tensor_reasons(node: Node) -> list[str]:
    reasons = []
    inputs = zip(node.operator.inputs, node.inputs, strict=True)
    pairs = [*inputs, *zip(node.operator.outputs, node.outputs, strict=True)]
    states = {node.inputs[position] for position in node.states}
    for tensor, number in pairs:
        if tensor is None:
            continue
        reason = _type_reason(tensor, state=number in states)
        if reason is None and number in node.open_shapes:
            reason = f"the shape of its tensor {tensor.name!r} is not fixed; convert with fixed sizes"
        if reason is None and not tensor.constant and any(size != 1 for size in tensor.shape[:-_MOST_WIDE_DIMENSIONS]):
            reason = f"its tensor {tensor.name!r} {list(tensor.shape)} is wide in more than three dimensions"
        if reason is not None:
            reasons.append(reason)
    return reasons


def _type_reason(tensor: Tensor, *, state: bool) -> str | None:
    allowed = _PARAMETER_TYPES if tensor.constant else _STATE_TYPES if state else _TYPES
    if tensor.dtype in allowed:
        return None
    return f"its tensor {tensor.name!r} is {tensor.dtype.lower()}; the Edge TPU computes in int8"


def _fate(node: Node, refusal: tuple[str, str], *, on_tpu: bool, unread: Mapping[str, str]) -> Fate:
    output = node.operator.outputs[0] if node.operator.outputs else None
    reason, mend = refusal
    if not on_tpu and not reason:
        reason = f"the compiler refuses the model for {', '.join(unread)}" if unread else AFTER_THE_BREAK
    return Fate(
        index=node.index,
        kind=node.operator.kind,
        output=output.name if output is not None else "",
        shape=output.shape if output is not None else (),
        on_tpu=on_tpu,
        reason="" if on_tpu else reason,
        mend="" if on_tpu else mend,
        doubt=_doubt(node) if on_tpu else "",
    )


def _border_bytes(nodes: Sequence[Node], mapped: Sequence[Node]) -> tuple[int, int]:
    """Return the bytes that cross into what is mapped, and out of it."""
    inside = {node.index for node in mapped}
    made = {number for node in mapped for number in node.outputs}
    used_outside = {number for node in nodes if node.index not in inside for number in node.inputs}
    used_inside = {number for node in mapped for number in node.inputs}
    entering = {
        number: tensor
        for node in mapped
        for tensor, number in zip(node.operator.inputs, node.inputs, strict=True)
        if tensor is not None and not tensor.constant and number not in made
    }
    leaving = {
        number: tensor
        for node in mapped
        for tensor, number in zip(node.operator.outputs, node.outputs, strict=True)
        if number in used_outside or number not in used_inside
    }
    states = {node.inputs[position] for node in mapped for position in node.states}
    kept = sum(_bytes(tensor) for number, tensor in entering.items() if number in states)
    return sum(map(_bytes, entering.values())), sum(map(_bytes, leaving.values())) + kept


def _macs(node: Node) -> int:
    """Return the multiplications with a weight: each weight is used once for every place that it slides to."""
    operator = node.operator
    if operator.kind in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
        return math.prod(operator.outputs[0].shape[1:3]) * _elements(operator.inputs[1])
    if operator.kind == "TRANSPOSE_CONV" and operator.inputs[2] is not None:
        return math.prod(operator.inputs[2].shape[1:3]) * _elements(operator.inputs[1])
    if operator.kind == "FULLY_CONNECTED":
        return math.prod(operator.outputs[0].shape[:-1]) * _elements(operator.inputs[1])
    if operator.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        # Weights of the inputs and of the state, four each; once for every step of (batch, time, values).
        return operator.outputs[0].shape[-2] * sum(_elements(tensor) for tensor in operator.inputs[1:9])
    return 0


def _elements(tensor: Tensor | None) -> int:
    return 0 if tensor is None else math.prod(tensor.shape)


def _bytes(tensor: Tensor) -> int:
    return math.prod(tensor.shape) * _BYTES.get(tensor.dtype, 4)
