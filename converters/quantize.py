"""Recipes: a float flatbuffer in, the same generator in other number types out."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, TypeAlias

from edge_aigc.converters.compat import stamp_versions
from edge_aigc.converters.float16 import to_float16
from edge_aigc.converters.graph import parse
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from edge_aigc.profile import RecipeName

    Inputs: TypeAlias = list[NDArray[np.generic]]
    """One sample's inputs, in the flatbuffer's order."""

_BITS = 8


def quantize(
    flatbuffer: bytes,
    recipe: RecipeName,
    *,
    calibration: Iterable[Inputs],
    int8_borders: bool,
    older_kernels: bool = False,
) -> bytes:
    """Return the generator in the types of a recipe.

    Args:
        flatbuffer: Float.
        recipe: ``float32``: as it is. ``float16``: weights halved. ``dynamic``: int8 weights, activations
            quantized as they come. ``int8``: all of it, with ranges from the calibration.
        calibration: Inputs of several samples; only ``int8`` reads them.
        int8_borders: With ``int8``: inputs and outputs are int8 too, as an Edge TPU wants them.
        older_kernels: With ``dynamic``: in the form that kernels before TensorFlow Lite 2.17 run, too.

    Raises:
        ConversionError: The quantizer refuses the model.
    """
    if recipe == "float16":
        return to_float16(flatbuffer)
    if recipe == "dynamic":
        return _dynamic(flatbuffer, older_kernels=older_kernels)
    if recipe == "int8":
        return _int8(flatbuffer, calibration, int8_borders=int8_borders)
    return flatbuffer


def _dynamic(flatbuffer: bytes, *, older_kernels: bool) -> bytes:
    from litert_quantizer import qtyping, quantizer, recipe_manager

    names, granularity = qtyping.TFLOperationName, qtyping.QuantGranularity
    plan = recipe_manager.RecipeManager()
    plan.add_dynamic_config(".*", names.ALL_SUPPORTED, num_bits=_BITS)
    if older_kernels:
        # One scale for all channels is FULLY_CONNECTED version 9 (TensorFlow Lite 2.3) instead of 12 (2.17). A
        # transposed convolution keeps int8 weights in the file only: a DEQUANTIZE before it runs once, at the start.
        plan.add_dynamic_config(".*", names.FULLY_CONNECTED, num_bits=_BITS, granularity=granularity.TENSORWISE)
        plan.add_weight_only_config(".*", names.CONV_2D_TRANSPOSE, num_bits=_BITS)
    work = quantizer.Quantizer(flatbuffer)
    work.load_quantization_recipe(plan.get_quantization_recipe())
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its sizes
        result = work.quantize()
    # litert-quantizer leaves the float versions on operators that now have int8 weights.
    return stamp_versions(bytes(result.quantized_model))


def _int8(flatbuffer: bytes, calibration: Iterable[Inputs], *, int8_borders: bool) -> bytes:
    # TensorFlow's own quantizer: litert-quantizer wraps several operators of decoders in DEQUANTIZE.
    if len(parse(flatbuffer).subgraphs) > 1:
        # Its calibrator (2.21.0) dies with SIGSEGV on a WHILE.
        raise ConversionError(
            "TensorFlow's quantizer cannot make a model with loops int8.",
            remedy="Choose `--recipe dynamic` or `float16`, or unroll the layer: `LSTM(…, unroll=True)`.",
        )
    import tensorflow as tf
    from tensorflow.lite.python.optimize import calibrator

    def samples() -> Iterator[Inputs]:
        yield from calibration

    border = tf.int8 if int8_borders else tf.float32
    try:
        work = calibrator.Calibrator(flatbuffer)
        return bytes(work.calibrate_and_quantize(samples, border, border, False, tf.int8))
    except (ValueError, RuntimeError) as exc:
        raise ConversionError(
            f"TensorFlow's quantizer cannot make this model int8: {exc}.",
            remedy="Choose `--recipe dynamic` or `float16`.",
        ) from exc
