"""Arm and x86 processors through XNNPACK, which every runtime of ours has on by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.graph import operators
from edge_aigc.converters.rewrites.catalogue import alternatives_for
from edge_aigc.converters.targets.target import Compiled
from edge_aigc.errors import CompatibilityError

if TYPE_CHECKING:
    from edge_aigc.converters.rewrites.rewrite import Alternative
    from edge_aigc.converters.targets.target import CompileOrder
    from edge_aigc.profile import DeviceProfile, RecipeName


class Xnnpack:
    """The CPU."""

    int8_borders = False

    def alternatives(self, recipe: RecipeName) -> tuple[Alternative, ...]:
        """Return all that there are for the recipe's types."""
        return alternatives_for(recipe)

    def prepare(self, flatbuffer: bytes) -> bytes:
        """Return it as it is: what XNNPACK lacks, the runtimes compute themselves."""
        return flatbuffer

    def check(self, flatbuffer: bytes) -> None:
        """Refuse transposed convolutions whose output shape is computed at run time.

        XNNPACK takes only constant shapes (xnnpack_delegate.cc, CheckTensorStaticAllocation); on the
        fallback kernel such an operator was 2.4 times slower in float32 and 70 times in dynamic range.

        Raises:
            CompatibilityError: There is such an operator.
        """
        for operator in operators(flatbuffer):
            shape = operator.inputs[0] if operator.inputs else None
            if operator.kind == "TRANSPOSE_CONV" and shape is not None and not shape.constant:
                raise CompatibilityError(
                    f"TRANSPOSE_CONV {operator.outputs[0].name!r} computes its output shape at run time; "
                    "XNNPACK refuses it and the fallback is up to 70 times slower.",
                    remedy="Give the model fixed sizes, for example with `--input-size`.",
                )

    def fit(self, flatbuffer: bytes) -> bytes:
        """Return it as it is: the runtimes read what the converter writes."""
        return flatbuffer

    def compile(self, flatbuffer: bytes, profile: DeviceProfile, order: CompileOrder) -> Compiled:
        """Compile nothing: XNNPACK packs the weights when the model is loaded."""
        del flatbuffer, profile, order
        return Compiled()
