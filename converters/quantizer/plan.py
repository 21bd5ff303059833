"""What each operator computes in, and how each tensor's numbers stand for reals; nothing is written yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from edge_aigc.converters.graph import kind_of, type_of
from edge_aigc.converters.quantizer.kinds import KINDS
from edge_aigc.converters.quantizer.scales import Params, least_scale, of_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edge_aigc.converters.quantizer.scales import Narrow
    from edge_aigc.converters.recipes import Recipe, Types

_DTYPES: Mapping[str, Narrow] = {"int8": "INT8", "int16x8": "INT16"}
_NOT_OLD = frozenset(
    {("BATCH_MATMUL", "int8"), ("FULLY_CONNECTED", "dynamic"), ("TRANSPOSE_CONV", "dynamic"), ("RSQRT", "int16x8")}
)
"""What older releases refuse or compute wrong: see `compat.toml`."""
_WORTH = frozenset({"BATCH_MATMUL", *(kind for kind, row in KINDS.items() if row.role == "weighs")})
"""What makes it worth while to go from float to narrow numbers and back."""
_SHORT_WEIGHTS = frozenset({"CONV_2D", "FULLY_CONNECTED"})
"""With kernels for float activations and weights of 4 bits (conv.cc, fully_connected.cc); others take 8."""
_SLACK = 1.001
"""How far a range may reach over a fixed one and still count as inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operator of the main subgraph."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    """-1 where one is left out."""
    outputs: tuple[int, ...]
    operands: tuple[int, ...]
    """Tensors that are activations, constants among them; empty where it has no narrow kernel."""
    name: str
    """Of its first output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Types of operators and parameters of tensors."""

    steps: tuple[Step, ...]
    types: tuple[Types, ...]
    """Of each step."""
    params: Mapping[tuple[int, Narrow], Params] = field(default_factory=dict)
    """Of each tensor in each narrow type that it is needed in."""

    def dtype(self, index: int) -> Narrow | None:
        """Return the narrow type of a step's activations, or None for float."""
        return _DTYPES.get(self.types[index])


class Scene:
    """A parsed model's main subgraph as the planner sees it."""

    def __init__(self, model: Any) -> None:
        """Read its operators."""
        self.model, self.graph = model, model.subgraphs[0]
        self.inputs = tuple(int(i) for i in self.graph.inputs)
        self.outputs = tuple(int(i) for i in self.graph.outputs)
        self.steps = tuple(self._step(index, entry) for index, entry in enumerate(self.graph.operators))

    def constant(self, tensor: int) -> bool:
        """Return whether a tensor is stored."""
        content = self.model.buffers[self.graph.tensors[tensor].buffer].data
        return content is not None and len(content) > 0

    def is_float(self, tensor: int) -> bool:
        """Return whether a tensor is float32."""
        return type_of(self.graph.tensors[tensor]) == "FLOAT32"

    def computed(self) -> list[int]:
        """Return the float tensors that operators of the main subgraph make, in order."""
        return [tensor for step in self.steps for tensor in step.outputs if self.is_float(tensor)]

    def fused(self, step: Step) -> bool:
        """Return whether an activation is fused into a step."""
        options = self.graph.operators[step.index].builtinOptions
        return bool(getattr(options, "fusedActivationFunction", 0))

    def _step(self, index: int, entry: Any) -> Step:
        kind = kind_of(self.model, entry)
        inputs = tuple(int(i) for i in (entry.inputs if entry.inputs is not None else ()))
        row = KINDS.get(kind)
        places = () if row is None else range(len(inputs)) if row.operands is None else row.operands
        outputs = tuple(int(i) for i in (entry.outputs if entry.outputs is not None else ()))
        name = bytes(self.graph.tensors[outputs[0]].name or b"").decode(errors="replace") if outputs else ""
        return Step(
            index=index,
            kind=kind,
            inputs=inputs,
            outputs=outputs,
            operands=tuple(inputs[place] for place in places if place < len(inputs)),
            name=name,
        )


def decide(scene: Scene, recipe: Recipe) -> tuple[Types, ...]:
    """Return the types of every operator: what the recipe wants where a kernel has it, and no islands."""
    wanted = [recipe.types_of(step.kind, step.name) for step in scene.steps]
    able = [_able(scene, step, types, recipe) for step, types in zip(scene.steps, wanted, strict=True)]
    types: list[Types] = [want if can else "float32" for want, can in zip(wanted, able, strict=True)]
    for step in scene.steps:
        if types[step.index] == "int4" and step.kind not in _SHORT_WEIGHTS:
            types[step.index] = "dynamic"
    if recipe.borders is None:
        _settle_islands(scene, types)
    return tuple(types)


def _able(scene: Scene, step: Step, types: Types, recipe: Recipe) -> bool:
    row = KINDS.get(step.kind)
    if row is None or (recipe.older_kernels and (step.kind, types) in _NOT_OLD):
        return False
    if row.role == "weighs" and not _weighed_by_constants(scene, step, row.weights):
        return False
    dtype = _DTYPES.get(types)
    if dtype is None:
        return types == "float16" or row.role == "weighs"
    if dtype not in row.types or not all(map(scene.is_float, (*step.operands, *step.outputs))):
        return False
    return not all(map(scene.constant, step.operands))


def _weighed_by_constants(scene: Scene, step: Step, place: int) -> bool:
    weights = step.inputs[place]
    options = scene.graph.operators[step.index].builtinOptions
    shuffled = getattr(options, "weightsFormat", 0) != 0
    bias_place = KINDS[step.kind].bias
    bias = step.inputs[bias_place] if bias_place < len(step.inputs) else -1
    known = scene.constant(weights) and (bias < 0 or scene.constant(bias))
    return known and scene.is_float(weights) and not shuffled


def _settle_islands(scene: Scene, types: list[Types]) -> None:
    """Leave regions float in which nothing is multiplied by weights: a detour through int8 costs and gains nothing."""
    narrow = [step for step in scene.steps if types[step.index] in _DTYPES]
    sets = _Sets()
    for step in narrow:
        for tensor in (*step.operands, *step.outputs):
            if not scene.constant(tensor):
                sets.join(step.outputs[0], tensor)
    busy = {sets.find(step.outputs[0]) for step in narrow if step.kind in _WORTH}
    for step in narrow:
        if sets.find(step.outputs[0]) not in busy:
            types[step.index] = "float32"


class _Sets:
    """Disjoint sets of tensors."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def find(self, tensor: int) -> int:
        """Return the set's name."""
        while (parent := self._parents.get(tensor, tensor)) != tensor:
            tensor = parent
        return tensor

    def join(self, one: int, other: int) -> None:
        """Make two sets one."""
        self._parents[self.find(other)] = self.find(one)


class _Group:
    """Tensors that share a scale."""

    def __init__(self, low: float, high: float, fixed: tuple[float, int] | None, dtype: Narrow) -> None:
        self.low, self.high, self.fixed, self.dtype = low, high, fixed, dtype

    def params(self) -> Params:
        """Return what they share."""
        if self.fixed is not None:
            return Params(dtype=self.dtype, scales=(self.fixed[0],), zero=self.fixed[1])
        return of_range(self.low, self.high, self.dtype)

    def takes(self, other: _Group) -> bool:
        """Return whether the other's values can be told in the scale of both."""
        if self.fixed is None and other.fixed is None:
            return True
        if self.fixed is not None and other.fixed is not None:
            return self.fixed == other.fixed
        bound, free = (self, other) if self.fixed is not None else (other, self)
        low, high = bound.params().range
        return low * _SLACK <= free.low and free.high <= high * _SLACK

    def grow(self, scale: float) -> None:
        """Have the scale no smaller than one, where it is not fixed."""
        if self.fixed is None and self.params().scale < scale:
            self.high = min(self.low, 0.0) + scale * (255 if self.dtype == "INT8" else 32767)

    def merge(self, other: _Group) -> None:
        """Take the other in."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.fixed = self.fixed or other.fixed


def plan(scene: Scene, types: Sequence[Types], range_of: Callable[[int, Narrow], tuple[float, float]]) -> Plan:
    """Return the parameters of every tensor that is needed in narrow numbers.

    Given:   y = CONCATENATION(a, b)      a, b of other int8 operators
    Result:  one scale for a, b and y, so that the bytes move as they are

    Args:
        scene: The model.
        types: Of every step.
        range_of: Tensor and type to its range.
    """
    params: dict[tuple[int, Narrow], Params] = {}
    for dtype in cast("Iterable[Narrow]", ("INT8", "INT16")):
        steps = [step for step in scene.steps if _DTYPES.get(types[step.index]) == dtype]
        params |= {(tensor, dtype): group.params() for tensor, group in _groups(scene, steps, range_of, dtype).items()}
    return Plan(steps=scene.steps, types=tuple(types), params=params)


def _groups(
    scene: Scene, steps: Sequence[Step], range_of: Callable[[int, Narrow], tuple[float, float]], dtype: Narrow
) -> dict[int, _Group]:
    groups: dict[int, _Group] = {}
    sets = _Sets()
    fixed = {tensor: KINDS[step.kind].fixed(dtype) for step in steps for tensor in step.outputs}
    tensors = [tensor for step in steps for tensor in (*step.operands, *step.outputs)]
    for tensor in dict.fromkeys((*tensors, *scene.inputs, *scene.outputs)):
        if scene.is_float(tensor):
            groups[tensor] = _Group(*range_of(tensor, dtype), fixed.get(tensor), dtype)
    for step in steps:
        if KINDS[step.kind].role != "moves":
            continue
        for tensor in (*step.outputs, *step.operands):
            one, other = sets.find(step.outputs[0]), sets.find(tensor)
            if one != other and groups[one].takes(groups[other]):
                groups[one].merge(groups[other])
                sets.join(one, other)
    shared = {tensor: groups[sets.find(tensor)] for tensor in groups}
    for step in steps:
        largest = max((shared[tensor].params().scale for tensor in step.operands), default=0.0)
        shared[step.outputs[0]].grow(least_scale(step.kind, largest, dtype))
    return shared
