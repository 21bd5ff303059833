"""How low a number can be and still matter: what a softmax makes nothing of need not fit into a range.

Given:   y = SOFTMAX(ADD(scores, mask))      the mask 0 or -10,000
Result:  ranges that end 10 below the scores' crest; the mask's numbers saturate there, and y stays 0

Without this a step of the sum's scale is 40, and all scores are equal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_aigc.converters.quantizer.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edge_aigc.converters.quantizer.plan import Scene, Step

_REACH = 10.0
"""exp(-10) is 5e-5: a hundredth of a step of an int8 softmax."""
_AVERAGES = frozenset({"AVERAGE_POOL_2D", "RESIZE_BILINEAR"})
"""Moves that mix numbers, so that one that is cut off shows in another."""


def floors(scene: Scene, crests: Mapping[int, float], high: Callable[[int], float]) -> dict[int, float]:
    """Return tensors with the number below which their values may be cut off.

    Args:
        scene: The float model.
        crests: Of computed tensors: the least of the largest values along the last axis.
        high: A tensor's largest value.
    """
    found: dict[int, float] = {}
    readers: dict[int, list[float | None]] = {tensor: [None] for tensor in scene.outputs}
    for step in reversed(scene.steps):
        for tensor in step.outputs:
            bounds = readers.get(tensor, [None])
            if all(bound is not None for bound in bounds):
                found[tensor] = min(bound for bound in bounds if bound is not None)
        told = dict(_asked(scene, step, found, crests, high))
        for tensor in step.inputs:
            readers.setdefault(tensor, []).append(told.get(tensor))
    for tensor, bounds in readers.items():
        if scene.constant(tensor) and all(bound is not None for bound in bounds):
            found[tensor] = min(bound for bound in bounds if bound is not None)
    return {tensor: bound for tensor, bound in found.items() if math.isfinite(bound)}


def _asked(
    scene: Scene, step: Step, found: Mapping[int, float], crests: Mapping[int, float], high: Callable[[int], float]
) -> Iterator[tuple[int, float]]:
    """Yield how low a step needs its operands."""
    if step.kind == "SOFTMAX" and step.inputs[0] in crests:
        yield step.inputs[0], crests[step.inputs[0]] - _REACH
    bound = found.get(step.outputs[0]) if step.outputs else None
    if bound is None:
        return
    if step.kind == "ADD" and not scene.fused(step):
        one, other = step.operands
        yield one, bound - high(other)
        yield other, bound - high(one)
    elif step.kind in KINDS and KINDS[step.kind].role == "moves" and step.kind not in _AVERAGES:
        for tensor in step.operands:
            yield tensor, bound
