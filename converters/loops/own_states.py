"""Texts read by any form of a step graph with states of its own, however wide those are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.loops.rollouts import named_run
from edge_aigc.loop import Reader

if TYPE_CHECKING:
    from edge_aigc.converters.loops.rollouts import Text
    from edge_aigc.interpreter import Interpreter
    from edge_aigc.loop import Array
    from edge_aigc.spec import GeneratorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStates:
    """Reads texts with forms of one model; a plain value that another process can use."""

    spec: GeneratorSpec
    """Of the whole model, a step graph."""
    inputs: tuple[str, ...]
    """Names, in the flatbuffer's order."""
    outputs: tuple[str, ...]

    def fits(self, form: Interpreter) -> bool:
        """Return whether a form takes states as wide as the whole model's."""
        whole = {tensor.name: tensor.shape for tensor in self.spec.inputs}
        return all(info.shape == whole[name] for name, info in zip(self.inputs, form.inputs, strict=True))

    def last_inputs(self, form: Interpreter, text: Text) -> list[Array]:
        """Return what a form takes at the last step of a text, if it has read all before.

        Args:
            form: Of the model, with all of its states or with fewer places of them.
            text: Whose tokens it reads.

        Raises:
            BundleError: The runtime failed.
        """
        assert self.spec.loop is not None
        shapes = dict(zip(self.inputs, (info.shape for info in form.inputs), strict=True))
        begin = {
            tensor.name: np.full(shapes[tensor.name], getattr(tensor, "value", 0), tensor.dtype)
            for tensor in self.spec.inputs
            if tensor.name in self.spec.loop.state
        }
        reader = Reader(self.spec, named_run(form.run, list(self.inputs), list(self.outputs)), {**text.given, **begin})
        step = [reader.read(token) for token in text.tokens][-1]
        return [np.asarray(step.inputs[name]) for name in self.inputs]
