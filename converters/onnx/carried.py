"""What a bundle carries for accelerators that compile where they are: the float generator as ONNX, proven here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_aigc.converters.onnx.form import OPSET, PACKAGES, prove_onnx, to_onnx
from edge_aigc.golden import unpack
from edge_aigc.manifest import Golden, OnnxForm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.workbench import Workbench
    from edge_aigc.manifest import Tolerance

FILE = "model.onnx"
GOLDEN_FILE = "golden-onnx.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerated:
    """What the ONNX form adds to a bundle; nothing where none was asked for."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    onnx: OnnxForm | None = None
    tools: Mapping[str, str] = field(default_factory=dict)
    """Package: version."""


def with_onnx(bench: Workbench, float_form: bytes, exact: Tolerance, engine: Tolerance) -> Accelerated:
    """Return the ONNX form of a workbench's source with golden vectors of its own.

    A generator whose states lost places is translated as it is: its loop feeds both forms alike.

    The bundle's other vectors are those of the recipe that the CPU runs, perhaps int8: a float engine
    is held against what the float generator makes.

    Args:
        bench: Its source's flatbuffer is translated.
        float_form: What the bundle's model was made of.
        exact: How far the ONNX form may lie from the flatbuffer here, both in float32.
        engine: How far an engine may lie from it on the device, in float16.

    Raises:
        CompatibilityError: An operator that ONNX lacks.
        ConversionError: The translation fails, or makes something else.
    """
    from importlib.metadata import version

    spec = bench.spec_of(float_form)
    flatbuffer = bench.source.flatbuffer if spec == bench.made_spec else float_form
    content = to_onnx(flatbuffer)
    seeds, golden = bench.golden(flatbuffer)
    prove_onnx(content, spec, unpack(golden, spec, seeds), exact)
    return Accelerated(
        files={FILE: content, GOLDEN_FILE: golden},
        onnx=OnnxForm(file=FILE, opset=OPSET, golden=Golden(file=GOLDEN_FILE, seeds=seeds, tolerance=engine)),
        tools={package: version(package) for package in PACKAGES},
    )
