"""Operator, version and types to the first runtime release that runs it.

The version number in a file is not always the truth: some tools leave a lower one on an operator
whose weights they made int8, and an old runtime that believes it computes nonsense in silence. So the
version that an operator *needs* is derived from its tensors, and both are checked.

Sources: `runtime_version.cc` and `op_version.cc` of TensorFlow Lite; the lies were found by loading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.graph import Operator, operator_code, operators, operators_of, parse, serialize
from edge_aigc.errors import CompatibilityError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.profile import Runtime

_Release = tuple[int, int]

RELEASES: Mapping[Runtime, tuple[str, _Release]] = {
    # What each runtime's kernels are, as a release of TensorFlow Lite.
    "litert": ("ai-edge-litert 2.1 and later", (2, 21)),
    "tflite": ("tflite-runtime 2.14", (2, 14)),
}

_FIRST_RELEASE: Mapping[str, Mapping[int, _Release]] = {
    # runtime_version.cc; only the versions that the oldest supported runtime, 2.14, lacks.
    "BROADCAST_TO": {4: (2, 23)},
    "CONV_2D": {8: (2, 15)},
    "DEPTHWISE_CONV_2D": {8: (2, 15)},
    "EMBEDDING_LOOKUP": {4: (2, 18), 5: (2, 21)},
    "FULLY_CONNECTED": {11: (2, 15), 12: (2, 17), 13: (2, 18), 14: (2, 21)},
    "GELU": {3: (2, 23)},
    "SOFTMAX": {4: (2, 23)},
    "TRANSPOSE_CONV": {5: (2, 15)},
    "STABLEHLO_RNG_BIT_GENERATOR": {1: (2, 15)},
    "STABLEHLO_SCATTER": {1: (2, 15)},
    "STABLEHLO_GATHER": {1: (2, 16)},
    "STABLEHLO_REDUCE_WINDOW": {1: (2, 16)},
    "STABLEHLO_COMPOSITE": {1: (2, 17)},
}

_HYBRID_VERSIONS: Mapping[str, tuple[int, int]] = {
    # op_version.cc: float activations with int8 weights; one scale for all, one for each channel.
    "FULLY_CONNECTED": (9, 12),
    "CONV_2D": (2, 5),
    "DEPTHWISE_CONV_2D": (4, 6),
}
_WEIGHTS_AT = {"TRANSPOSE_CONV": 1}
"""Position of the weights among the inputs, where it is not 1 beside activations at 0."""
_ACTIVATIONS_AT = {"TRANSPOSE_CONV": 2}

_HYBRID_TRANSPOSE_CONV: _Release = (2, 15)
"""Its version number says 2.2; tflite-runtime 2.14 refuses it when it plans (transpose_conv.cc:299)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incompatibility:
    """One operator that a runtime cannot run."""

    operator: str
    reason: str


def is_hybrid(operator: Operator) -> bool:
    """Return whether an operator has int8 weights beside float activations."""
    weights = _tensor_at(operator, _WEIGHTS_AT.get(operator.kind, 1))
    activations = _tensor_at(operator, _ACTIVATIONS_AT.get(operator.kind, 0))
    known = operator.kind in _HYBRID_VERSIONS or operator.kind in _WEIGHTS_AT
    return known and (weights, activations) == ("INT8", "FLOAT32")


def needed_version(operator: Operator) -> int:
    """Return the version that an operator's tensors call for: at least the one that it states."""
    if not is_hybrid(operator) or operator.kind not in _HYBRID_VERSIONS:
        return operator.version
    weights = operator.inputs[1]
    assert weights is not None
    return max(operator.version, _HYBRID_VERSIONS[operator.kind][weights.scales > 1])


def stamp_versions(flatbuffer: bytes) -> bytes:
    """Return the flatbuffer with every operator's version at least what its tensors call for."""
    model = parse(flatbuffer)
    entries = model.subgraphs[0].operators
    for entry, operator in zip(entries, operators_of(model), strict=True):
        needed = needed_version(operator)
        if needed != operator.version:
            entry.opcodeIndex = operator_code(model, operator.kind, needed)
    return serialize(model)


def incompatibilities(flatbuffer: bytes, runtime: Runtime) -> list[Incompatibility]:
    """Return what a runtime cannot run, one entry for each kind of operator and reason."""
    _, release = RELEASES[runtime]
    found: dict[tuple[str, str], Incompatibility] = {}
    for operator in operators(flatbuffer):
        first, what = _first_release(operator)
        if first > release:
            reason = f"{what} needs TensorFlow Lite {first[0]}.{first[1]}"
            found[operator.kind, reason] = Incompatibility(operator=operator.kind, reason=reason)
    return list(found.values())


def require(flatbuffer: bytes, runtimes: Sequence[Runtime], *, recipe: str) -> None:
    """Refuse a model that one of the runtimes cannot run.

    Raises:
        CompatibilityError: Names the operators.
    """
    for runtime in runtimes:
        problems = incompatibilities(flatbuffer, runtime)
        if problems:
            raise CompatibilityError(
                f"The recipe {recipe} does not run on {RELEASES[runtime][0]}: "
                + "; ".join(problem.reason for problem in problems)
                + ".",
                remedy="Choose another recipe"
                + (", or `--runtime litert` if the device has it." if runtime == "tflite" else "."),
            )


def _first_release(operator: Operator) -> tuple[_Release, str]:
    version = needed_version(operator)
    if operator.kind == "TRANSPOSE_CONV" and is_hybrid(operator):
        return _HYBRID_TRANSPOSE_CONV, "TRANSPOSE_CONV with int8 weights and float activations"
    first = _FIRST_RELEASE.get(operator.kind, {}).get(version, (0, 0))
    return first, f"{operator.kind} version {version}"


def _tensor_at(operator: Operator, position: int) -> str | None:
    if position >= len(operator.inputs):
        return None
    tensor = operator.inputs[position]
    return tensor.dtype if tensor is not None else None
