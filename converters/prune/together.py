"""Weights that several layers of a cut graph read, refitted once, on the rows of all their readers.

Given:   layers y₁ = W x₁ + b, y₂ = W x₂ + b, …; x' what is left of what each read in the original
Result:  one W', and one b' where they share it, with the least mean of |W' x' + b' - y|² over all of them

What one of them makes another often reads, as in a recurrent net: what it reads in the cut graph hangs on the weights
that are looked for. So rows are those of the original, less the channels that are gone; layers that come after and
have weights of their own are refitted on what is truly there.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from edge_aigc.converters.prune.layers import drawn, line_of, readings
from edge_aigc.converters.prune.patches import Patches, bias_of, input_of
from edge_aigc.converters.prune.ridge import Line, fit
from edge_aigc.converters.prune.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edge_aigc.converters.ir import Array
    from edge_aigc.converters.prune.layers import Bare, Layer
    from edge_aigc.converters.prune.ridge import Fit, Part, Parts


def fitted_together(
    family: Sequence[Layer],
    teacher: Bare,
    student: Bare,
    left: Callable[[str], Array],
    samples: Sequence[Sequence[Array]],
) -> Fit | None:
    """Return the fit of weights that several layers read; None where they lose nothing, or stay as they were cut.

    They stay where something else reads them, too, as a tied table of words, and where more than the last axis of what
    they read is cut.

    Args:
        family: Layers of the student that read the same weights.
        teacher: The original.
        student: What is left of it.
        left: As in `repair`.
        samples: Inputs of the original.
    """
    targets = {layer.name: layer for layer in teacher.layers}
    if any(layer.name not in targets for layer in family) or readings(student.graph, family[0]) > len(family):
        return None
    pairs = [(targets[layer.name], layer) for layer in family]
    if not all(_cut_by_channel(target, layer, left) for target, layer in pairs):
        return None
    if all(input_of(target.node).shape == input_of(layer.node).shape for target, layer in pairs):
        return None
    has_one_bias = len({id(bias_of(layer.node)) for layer in family}) == 1
    walk = Walk(teacher.graph, samples)
    stacked = [_rows(target, layer, walk, left, 1 / len(family), with_bias=has_one_bias) for target, layer in pairs]
    start = line_of(family[0].node)
    if not has_one_bias:
        start = Line(weights=start.weights, bias=None)
    return fit(_chained(stacked), start, free_below_zero=has_one_bias and all(layer.free for layer in family))


def _cut_by_channel(target: Layer, layer: Layer, left: Callable[[str], Array]) -> bool:
    """Return whether what a layer reads and makes is what the original's does, but for channels."""
    borders = ((input_of(target.node), input_of(layer.node)), (target.node.output, layer.node.output))
    names = (input_of(target.node).name, target.name)
    return all(
        now.shape == (*before.shape[:-1], len(left(name))) for (before, now), name in zip(borders, names, strict=True)
    )


def _rows(
    target: Layer, layer: Layer, walk: Walk, left: Callable[[str], Array], share: float, *, with_bias: bool
) -> Parts:
    taken, channels = left(input_of(target.node).name), left(target.name)
    now = [values[..., taken] for values in walk.reach(input_of(target.node))]
    bias = None if with_bias else line_of(layer.node).bias
    wanted = [values[..., channels].reshape(-1, len(channels)) for values in walk.reach(target.node.output)]
    if bias is not None:
        wanted = [values - bias for values in wanted]
    return drawn(Patches.of(layer.node), now, wanted, share=share)


def _chained(stacked: Sequence[Parts]) -> Parts:
    def parts() -> Iterator[Part]:
        return itertools.chain.from_iterable(each() for each in stacked)

    return parts
