"""Kinds of kernels, between which instructions a cycle differ, and the bytes that an operator moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edge_aigc.converters.costs.net import Node

Family = Literal["gemm", "deconvolution", "depthwise", "copy", "elementwise", "reference"]
Numbers = Literal["f32", "f16", "qd8", "qs8"]
"""What is multiplied: float32, float16, int8 weights with activations rounded as they come, int8 all the way."""

_FAMILIES: dict[str, Family] = {
    "CONV_2D": "gemm",
    "FULLY_CONNECTED": "gemm",
    "BATCH_MATMUL": "gemm",
    "TRANSPOSE_CONV": "deconvolution",
    "DEPTHWISE_CONV_2D": "depthwise",
    "CONCATENATION": "copy",
    "DEPTH_TO_SPACE": "copy",
    "EXPAND_DIMS": "copy",
    "PAD": "copy",
    "RESHAPE": "copy",
    "SLICE": "copy",
    "SPACE_TO_DEPTH": "copy",
    "SPLIT": "copy",
    "STRIDED_SLICE": "copy",
    "TRANSPOSE": "copy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kind of kernel."""

    family: Family
    numbers: Numbers

    @property
    def names(self) -> tuple[str, ...]:
        """Return the keys under which a profile may state its instructions a cycle, the nearest first.

        ``gemm-qd8`` before ``qd8`` before ``qs8``, whose kernels multiply alike, before ``any``.
        """
        alike = {"qd8": ("qs8",), "f16": ("f32",)}.get(self.numbers, ())
        families = {"deconvolution": ("deconvolution", "gemm"), "depthwise": ("depthwise", "gemm")}
        exact = [f"{family}-{self.numbers}" for family in families.get(self.family, (self.family,))]
        return (*exact, self.numbers, *alike, "any")


def kernel_of(node: Node, *, float16: bool) -> Kernel:
    """Return the kind of kernel that runs an operator.

    Args:
        node: The operator.
        float16: Whether XNNPACK computes float operators in float16: the flatbuffer allows it and the
            processor has the instructions.
    """
    if node.runs_on == "builtin":
        return Kernel(family="reference", numbers=_numbers(node, float16=False))
    return Kernel(family=_FAMILIES.get(node.kind, "elementwise"), numbers=_numbers(node, float16=float16))


def bytes_moved(node: Node) -> int:
    """Return what an operator reads and writes: its weights as packed, once, and its activations.

    What lies where it did before moves nothing.
    """
    if node.free and node.runs_on == "xnnpack":
        return 0
    weights = 0 if node.weights is None else node.weights.size_bytes
    return weights + activation_bytes(node)


def activation_bytes(node: Node) -> int:
    """Return the size of what an operator takes and makes, weights apart."""
    return sum(value.size_bytes for value in (*node.activations, *node.outputs))


def _numbers(node: Node, *, float16: bool) -> Numbers:
    if node.hybrid:
        return "qd8"
    if any(value.dtype in {"INT8", "UINT8"} for value in (*node.activations, *node.outputs)):
        return "qs8"
    return "f16" if float16 else "f32"
