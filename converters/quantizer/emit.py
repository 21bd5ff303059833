"""A plan written: the flatbuffer whose operators compute in the types that were decided."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_aigc.converters.compat import stamped
from edge_aigc.converters.graph import add_buffer, add_operator, operator_code, operators_of, serialize
from edge_aigc.converters.quantizer.kinds import KINDS
from edge_aigc.converters.quantizer.scales import Params, of_bias, room_for_bias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.graph import Operator
    from edge_aigc.converters.quantizer.constants import Constants
    from edge_aigc.converters.quantizer.plan import Plan, Scene, Step
    from edge_aigc.converters.quantizer.scales import Narrow


_FLOAT = Params(dtype="FLOAT32", scales=())
_HALF = Params(dtype="FLOAT16", scales=())
_SMALLEST_HALF = 16
"""Elements: below this a DEQUANTIZE takes more room than halving saves."""
_BIAS = {"INT8": "INT32", "INT16": "INT64"}
"""TFLite 8-bit quantization specification; int16 activations sum in 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted:
    """A quantized model."""

    flatbuffer: bytes
    operators: tuple[Operator, ...]
    """Of the main subgraph."""


def emit(scene: Scene, plan: Plan, constants: Constants, *, borders: Narrow | None = None) -> Emitted:
    """Write a plan.

    Args:
        scene: The float model; used up.
        plan: Of that model.
        constants: Of that model.
        borders: What inputs and outputs are; None leaves them float.
    """
    writer = _Writer(scene, plan, constants, borders=borders)
    for step in plan.steps:
        writer.write(step)
    return writer.finish()


class _Writer:
    """The main subgraph, written anew tensor by tensor."""

    def __init__(self, scene: Scene, plan: Plan, constants: Constants, *, borders: Narrow | None) -> None:
        self._scene, self._plan, self._model = scene, plan, scene.model
        self._constants, self._borders = constants, borders
        self._old = scene.graph.tensors
        self._graph = copy.copy(scene.graph)
        self._graph.tensors, self._graph.operators = [], []
        self._have: dict[tuple[int, Params], int] = {}
        self._made: dict[int, int] = {}
        self._names: set[bytes] = set()
        for tensor in scene.inputs:
            self._produce(tensor, self._border(tensor))

    def write(self, step: Step) -> None:
        """Write one operator."""
        dtype = self._plan.dtype(step.index)
        entry = copy.copy(self._scene.graph.operators[step.index])
        entry.builtinOptions = copy.copy(entry.builtinOptions)
        if dtype is not None:
            entry.inputs, outputs = self._narrow(step, entry, dtype)
        else:
            entry.inputs, outputs = self._wide(step), [_FLOAT] * len(step.outputs)
        made = [self._produce(tensor, form) for tensor, form in zip(step.outputs, outputs, strict=True)]
        entry.outputs = made
        self._graph.operators.append(entry)

    def finish(self) -> Emitted:
        """Write the border and return the whole."""
        old_inputs, old_outputs = self._scene.inputs, self._scene.outputs
        self._graph.inputs = [self._made[tensor] for tensor in old_inputs]
        outputs = [self._get(tensor, self._border(tensor)) for tensor in old_outputs]
        self._graph.outputs = outputs
        self._name_borders(old_outputs, outputs)
        self._model.subgraphs[0] = self._graph
        moved = dict(zip((*old_inputs, *old_outputs), (*self._graph.inputs, *outputs), strict=True))
        for signature in self._model.signatureDefs or ():
            if signature.subgraphIndex == 0:
                for entry in (*signature.inputs, *signature.outputs):
                    entry.tensorIndex = moved[entry.tensorIndex]
        model = stamped(self._model)
        return Emitted(operators=operators_of(model), flatbuffer=serialize(model))

    def _border(self, tensor: int) -> Params:
        if self._borders is not None and self._scene.is_float(tensor):
            return self._plan.params[tensor, self._borders]
        return _FLOAT

    def _name_borders(self, old: Sequence[int], new: Sequence[int]) -> None:
        """Give outputs the names that they had; what held one takes the other's."""
        by_name = {bytes(tensor.name): tensor for tensor in self._graph.tensors}
        for before, after in zip(old, new, strict=True):
            wanted, tensor = bytes(self._old[before].name or b""), self._graph.tensors[after]
            holder = by_name.get(wanted, tensor)
            holder.name, tensor.name = tensor.name, wanted
            by_name[bytes(holder.name)], by_name[wanted] = holder, tensor

    # -- operators ---------------------------------------------------------------------------------------------

    def _wide(self, step: Step) -> list[int]:
        types = self._plan.types[step.index]
        forms: dict[int, Params] = {}
        if types in {"dynamic", "int4"}:
            row, dtype = KINDS[step.kind], "INT8" if types == "dynamic" else "INT4"
            weights = step.inputs[row.weights]
            forms[weights] = self._constants.weights(weights, row.axis, dtype)
        inputs = [self._get(tensor, forms.get(tensor, _FLOAT)) for tensor in step.inputs]
        if types == "float16":
            inputs = [self._halved(tensor, found) for tensor, found in zip(step.inputs, inputs, strict=True)]
        return inputs

    def _narrow(self, step: Step, entry: Any, dtype: Narrow) -> tuple[list[int], list[Params]]:
        row, params = KINDS[step.kind], self._plan.params
        outputs = [params[tensor, dtype] for tensor in step.outputs]
        forms: dict[int, Params] = {}
        for tensor in step.operands:
            form = params[tensor, dtype]
            if row.role == "moves":
                form = outputs[0]
            elif self._scene.constant(tensor) and row.symmetric:
                form = self._constants.weights(tensor, None, dtype)
            forms[tensor] = form
        if row.role == "weighs":
            forms |= self._weighed(step, forms[step.operands[0]], outputs[0])
            if hasattr(entry.builtinOptions, "quantizedBiasType"):
                entry.builtinOptions.quantizedBiasType = getattr(schema.TensorType, _BIAS[dtype])
        if hasattr(entry.builtinOptions, "potScaleInt16"):
            entry.builtinOptions.potScaleInt16 = False
        return [self._get(tensor, forms.get(tensor, _FLOAT)) for tensor in step.inputs], outputs

    def _weighed(self, step: Step, taken: Params, given: Params) -> dict[int, Params]:
        """Return the forms of weights and bias."""
        row = KINDS[step.kind]
        at = step.inputs[row.bias] if row.bias < len(step.inputs) else -1
        bias = self._constants.values(at) if at >= 0 else None
        weights = self._constants.weights(step.inputs[row.weights], row.axis, "INT8")
        weights = room_for_bias(weights, bias, taken.scale, given.scale)
        forms = {step.inputs[row.weights]: weights}
        if at >= 0:
            forms[at] = of_bias(weights, taken.scale, _BIAS[taken.dtype])
        return forms

    # -- tensors -----------------------------------------------------------------------------------------------

    def _produce(self, tensor: int, form: Params) -> int:
        """Add the tensor that an operator makes, or an input."""
        if not self._scene.is_float(tensor):
            form = _FLOAT
        self._made[tensor] = self._have[tensor, form] = self._add(tensor, form, 0)
        return self._made[tensor]

    def _get(self, tensor: int, form: Params) -> int:
        """Return a tensor in a form, converted if there is none yet."""
        if tensor < 0:
            return -1
        if not self._scene.is_float(tensor):
            form = _FLOAT
        if (tensor, form) in self._have:
            return self._have[tensor, form]
        if self._scene.constant(tensor) or tensor not in self._made:
            return self._stored(tensor, form)
        added = self._add(tensor, form, 0)
        kind = "DEQUANTIZE" if form == _FLOAT else "QUANTIZE"
        add_operator(
            self._graph,
            operator_code(self._model, kind, 1),
            [self._made[tensor]],
            [added],
            len(self._graph.operators),
        )
        self._have[tensor, form] = added
        return added

    def _stored(self, tensor: int, form: Params) -> int:
        if form != _FLOAT:
            return self._constant(tensor, form)
        self._have[tensor, form] = self._add(tensor, form, self._old[tensor].buffer)
        return self._have[tensor, form]

    def _constant(self, tensor: int, form: Params) -> int:
        if (tensor, form) not in self._have:
            content = self._constants.content(tensor, form)
            self._have[tensor, form] = self._add(tensor, form, add_buffer(self._model, content))
        return self._have[tensor, form]

    def _halved(self, tensor: int, found: int) -> int:
        if tensor < 0 or not (self._scene.is_float(tensor) and self._scene.constant(tensor)):
            return found
        values = self._constants.values(tensor)
        if values.size < _SMALLEST_HALF:
            return found
        key = (tensor, _HALF)
        if key not in self._have:
            stored = self._add(tensor, _HALF, add_buffer(self._model, values.astype("<f2").tobytes()))
            self._have[key] = self._add(tensor, _FLOAT, 0)
            code = operator_code(self._model, "DEQUANTIZE", 3)
            add_operator(self._graph, code, [stored], [self._have[key]], 0)
        return self._have[key]

    def _add(self, tensor: int, form: Params, buffer: int) -> int:
        entry = copy.copy(self._old[tensor])
        name = bytes(entry.name or b"")
        entry.buffer = buffer
        if form != _FLOAT:
            entry.type = getattr(schema.TensorType, form.dtype)
            entry.quantization = _quantization(form) if form.scales else None
        while name in self._names:
            name += b"/" + form.dtype.lower().encode()
        self._names.add(name)
        entry.name = name
        self._graph.tensors.append(entry)
        return len(self._graph.tensors) - 1


def _quantization(form: Params) -> Any:
    quantization = schema.QuantizationParametersT()
    quantization.scale = np.asarray(form.scales, dtype=np.float32)
    quantization.zeroPoint = np.full(len(form.scales), form.zero, dtype=np.int64)
    quantization.quantizedDimension = form.axis
    return quantization
