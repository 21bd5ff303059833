"""The student while it learns: a lifted graph under a loss and an optimizer, on whichever backend Keras runs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from edge_aigc.converters.distill.lessons import rows, rows_of_steps
from edge_aigc.converters.distill.losses import loss_of, spread
from edge_aigc.converters.lift import lift

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edge_aigc.converters.distill.fake import Rounding
    from edge_aigc.converters.distill.lessons import Lesson
    from edge_aigc.converters.distill.memory import Memory
    from edge_aigc.converters.ir import Graph
    from edge_aigc.converters.lift import Lifted
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

_CLIP = 1.0
"""The gradient's largest norm, all weights together: a batch that errs widely shall not throw back what was learnt."""


class Student:
    """A graph whose weights learn."""

    def __init__(
        self,
        graph: Graph,
        outputs: Sequence[Output],
        taps: Sequence[str],
        tap_weight: float,
        rounding: Rounding | None,
        *,
        memory: Memory | None = None,
    ) -> None:
        """Lift it.

        Args:
            graph: Is not touched.
            outputs: What its outputs are.
            taps: Names of values between the operators that are corrected, too.
            tap_weight: How much they count, all together, beside the outputs.
            rounding: Has it compute as it will when it is quantized; None: in floats.
            memory: Its states, if it learns from passages: it reads them with states of its own.

        Raises:
            ConversionError: An operator cannot be lifted.
        """
        self.lifted: Lifted = lift(graph)
        self._memory = memory
        losses = [loss_of(output, primary=outputs[0]) for output in outputs]

        def total(teacher: Sequence[Any], student: Sequence[Any]) -> Any:
            count = len(losses)
            parts = [loss(a, b) for loss, a, b in zip(losses, teacher[:count], student[:count], strict=True)]
            between = [spread(a, b) for a, b in zip(teacher[count:], student[count:], strict=True)]
            return sum(parts) + (tap_weight * sum(between) / len(between) if between else 0.0)

        def forward(inputs: Sequence[Any]) -> list[Any]:
            weights = None if rounding is None else rounding.weights(self.lifted.weights)
            through = None if rounding is None else rounding.through
            made, tapped = self.lifted(inputs, taps, weights, through=through)
            return [*made, *tapped]

        self._model = _model(
            forward if memory is None else _along(forward, memory), total, list(self.lifted.weights.values())
        )
        self._optimizer = keras.optimizers.Adam(learning_rate=0.0, global_clipnorm=_CLIP)
        # Compiling convolutions whole took three times as long as TensorFlow's own kernels, on CPUs.
        self._model.compile(self._optimizer, jit_compile=keras.backend.backend() == "jax")
        self._optimizer.build(self._model.trainable_variables)

    def learn(self, lesson: Lesson, rate: float) -> float:
        """Take one step; return the loss before it.

        Args:
            lesson: A batch.
            rate: The learning rate.
        """
        self._optimizer.learning_rate = rate
        fed, stacked = ({}, rows) if self._memory is None else (self._memory.fed, rows_of_steps)
        inputs = [rows(values) if place in fed else stacked(values) for place, values in enumerate(lesson.inputs)]
        targets = [stacked(values) for values in (*lesson.outputs, *lesson.tapped)]
        return float(self._model.train_on_batch(inputs, targets))

    @property
    def weights(self) -> list[Array]:
        """The weights as they are, in the order of the lifted graph's."""
        return [np.array(ops.convert_to_numpy(variable)) for variable in self.lifted.weights.values()]

    @weights.setter
    def weights(self, values: Sequence[Array]) -> None:
        for variable, value in zip(self.lifted.weights.values(), values, strict=True):
            variable.assign(value)

    @property
    def moments(self) -> list[Array]:
        """What the optimizer remembers."""
        return [np.array(ops.convert_to_numpy(variable)) for variable in self._optimizer.variables]

    @moments.setter
    def moments(self, values: Sequence[Array]) -> None:
        for variable, value in zip(self._optimizer.variables, values, strict=True):
            variable.assign(value)

    def written(self, weights: Sequence[Array]) -> Graph:
        """Return the graph with some weights in it.

        Args:
            weights: In the order of `weights`.
        """
        own = self.weights
        self.weights = list(weights)
        graph = self.lifted.write()
        self.weights = own
        return graph


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Have the backend give the same numbers every time, and leave it as it was."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from tensorflow.python.framework import config

        was = config.is_op_determinism_enabled()
        config.enable_op_determinism()
        try:
            yield
        finally:
            if not was:
                config.disable_op_determinism()
    elif backend == "torch":
        import torch

        was = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode=was)
    else:
        yield


def _along(forward: Callable[[Sequence[Any]], list[Any]], memory: Memory) -> Callable[[Sequence[Any]], list[Any]]:
    """Return a function that runs a step along a passage, ``[n s0, steps, …]``, and tells what all steps make."""

    def read(inputs: Sequence[Any]) -> list[Any]:
        states = {place: inputs[place] for place in memory.fed}
        made = []
        for step in range(memory.steps):
            made.append(
                forward([states[place] if place in states else given[:, step] for place, given in enumerate(inputs)])
            )
            states = {place: made[-1][left] for place, left in memory.fed.items()}
        return [ops.stack(values, axis=1) for values in zip(*made, strict=True)]

    return read


def _model(forward: Any, total: Any, variables: list[Any]) -> Any:
    class Learner(keras.Model):  # type: ignore[misc]
        """Keras's own training step around our function and our loss."""

        def __init__(self) -> None:
            super().__init__()
            self.learnt = variables

        def call(self, inputs: Any) -> Any:
            return forward(inputs)

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            del x, sample_weight, training
            return total(y, y_pred)

    return Learner()
