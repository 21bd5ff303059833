"""One form of a generator held against its source: a plain value that another process can run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

from edge_aigc.converters import calibrate
from edge_aigc.converters.fidelity import Evidence, compare, examine
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.samples import Samples
    from edge_aigc.manifest import Fidelity
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How alike a form and its source are: a plain value that another process can run."""

    flatbuffer: bytes
    samples: Samples
    references: Sequence[Sequence[Array]]
    """The source's own outputs of each sample."""
    outputs: tuple[Output, ...]
    minimum: float | None
    on_pictures: bool

    def __call__(self) -> Fidelity:
        """Run the form on every sample and compare."""
        return compare(
            self.references,
            self._founds(),
            self.outputs,
            minimum=self.minimum,
            first_sample=calibrate.VERIFY_FIRST_SEED,
            on_pictures=self.on_pictures,
        )

    def examined(self, fidelity: Fidelity) -> Evidence:
        """Return all that can be told of how alike they are, and the samples that show it.

        Args:
            fidelity: What the comparison told.
        """
        return examine(fidelity, self.references, self._founds(), self.outputs)

    def _founds(self) -> list[list[Array]]:
        interpreter = Interpreter(self.flatbuffer)
        return [interpreter.run(list(inputs)) for inputs in self.samples(interpreter)]
