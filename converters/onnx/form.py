"""The float flatbuffer as ONNX, which TensorRT reads.

tf2onnx translates; what it leaves untranslated it writes into its file as if it were ONNX, so nothing
is taken from it unchecked: operators that it lacks are expanded here or refused by name, and the
result is run against the flatbuffer before anyone gets it.

Inputs and outputs keep their names, their order and their layout (NHWC): only the inside is transposed.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_aigc.converters.graph import fused_activations
from edge_aigc.converters.onnx.graph import canonical, expanded, unexpressed
from edge_aigc.errors import CompatibilityError, ConversionError
from edge_aigc.golden import distance
from edge_aigc.packages import require_modules
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_aigc.golden import Vector
    from edge_aigc.manifest import Tolerance
    from edge_aigc.spec import GeneratorSpec

OPSET = 13
"""The newest that TensorRT 8.0 to 8.4 read: "supports operators up to Opset 13", operators.md of onnx-tensorrt."""
PACKAGES = ("onnx", "onnxruntime", "tf2onnx")
_LOST_WHEN_FUSED = frozenset({"RELU_N1_TO_1", "SIGN_BIT"})
"""tf2onnx 1.17 drops these without a word where they are fused into another operator (tfl_math.py)."""
_REMEDY = "Leave `--onnx` out: the CPU runs it as it is."


def require_packages() -> None:
    """Refuse early where the extra is missing.

    Raises:
        RuntimeMissingError: Names what is not installed.
    """
    require_modules("The ONNX form", PACKAGES, extra="convert,onnx")


def to_onnx(flatbuffer: bytes) -> bytes:
    """Return a float flatbuffer as an ONNX file of opset 13; the same flatbuffer gives the same bytes.

    Args:
        flatbuffer: Float, static shapes, named inputs and outputs.

    Raises:
        CompatibilityError: ONNX has no operators for one of the model's; it is named.
        ConversionError: tf2onnx fails.
    """
    lost = [f"{kind} with {fused}" for kind, fused in fused_activations(flatbuffer) if fused in _LOST_WHEN_FUSED]
    model = expanded(_translated(flatbuffer))
    missing = [*unexpressed(model, OPSET), *dict.fromkeys(lost)]
    if missing:
        raise CompatibilityError(
            f"The model cannot be expressed in ONNX opset {OPSET}: {', '.join(missing)}.",
            remedy=_REMEDY,
        )
    return bytes(canonical(model).SerializeToString(deterministic=True))


def prove_onnx(content: bytes, spec: GeneratorSpec, vectors: Sequence[Vector], tolerance: Tolerance) -> None:
    """Run an ONNX form on golden inputs and compare.

    Args:
        content: The file.
        spec: Whose outputs are compared.
        vectors: Inputs, and what the flatbuffer made of them.
        tolerance: How far they may differ.

    Raises:
        ConversionError: They differ by more, or the file does not load.
    """
    run = _runner(content)
    for vector in vectors:
        outputs = run(vector.inputs)
        for output in spec.outputs:
            found, expected = outputs[output.name], vector.outputs[output.name]
            # Shapes that broadcast would hide a lost axis.
            rms, largest = distance(found, expected, output) if found.shape == expected.shape else (1.0, 1.0)
            if rms > tolerance.rms or largest > tolerance.largest:
                raise ConversionError(
                    f"The ONNX form makes an {output.name!r} that is off by {rms:.2%} of its range, in one value by "
                    f"{largest:.2%} (at most {tolerance.rms:.2%} and {tolerance.largest:.2%}).",
                    remedy="Leave `--onnx` out, and report the model: its translation to ONNX is wrong.",
                )


def _runner(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of every initializer that it folds
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    # onnxruntime raises types of its own, none of which share a base.
    except Exception as exc:
        raise ConversionError(f"onnxruntime refuses the ONNX form: {_first_line(exc)}.", remedy=_REMEDY) from exc
    names = [output.name for output in session.get_outputs()]

    def run(inputs: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        return dict(zip(names, session.run(None, dict(inputs)), strict=True))

    return run


def _translated(flatbuffer: bytes) -> Any:
    with tempfile.TemporaryDirectory() as folder, _silence(), stderr_held() as words:
        import tf2onnx

        path = Path(folder) / "model.tflite"
        path.write_bytes(flatbuffer)
        try:
            model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
        # tf2onnx raises whatever its handlers meet.
        except Exception as exc:
            raise ConversionError(
                f"tf2onnx cannot translate the model: {_first_line(exc) or words()}.",
                remedy=_REMEDY,
            ) from exc
    return model


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hold back tf2onnx's log, which tells errors and goes on; what it left untranslated is looked for instead."""
    log = logging.getLogger("tf2onnx")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _first_line(exc: BaseException) -> str:
    text = str(exc).strip()
    return text.splitlines()[0].rstrip(".") if text else type(exc).__name__
