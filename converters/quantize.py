"""Recipes carried out: a float flatbuffer in, the same generator in other number types out."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_aigc.converters.compat import stamp_versions
from edge_aigc.converters.costs.work import price_with_starts
from edge_aigc.converters.float16 import to_float16
from edge_aigc.converters.quantizer.calibration import Calibration
from edge_aigc.converters.quantizer.mixed import mix
from edge_aigc.converters.quantizer.paired import Pairs
from edge_aigc.converters.recipes import NAMED
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from edge_aigc.converters.quantizer.mixed import Price
    from edge_aigc.converters.quantizer.scales import Narrow
    from edge_aigc.converters.recipes import Ranges, Recipe
    from edge_aigc.profile import RecipeName

Inputs: TypeAlias = "list[NDArray[Any]]"
"""One sample's inputs, in the flatbuffer's order."""

_BITS = 8
_BORDERS: Mapping[RecipeName, Narrow] = {"int8": "INT8", "mixed": "INT8", "int16x8": "INT16"}
_PAIRED = 12
"""Calibration inputs that forms are compared on, evenly spread: choices among forms of one net need no more."""
_MARGIN_DB = 1.5
"""What is found on inputs that calibrated is lower on others: 1.1 to 1.4 dB with ESRGAN x2 on photographs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What forms are judged by before they are verified."""

    ranges: tuple[tuple[float, float] | None, ...] = ()
    """Of the outputs: what they are clipped to, whose width is the peak; None takes the span."""
    minimum_db: float = 30.0
    """Paired PSNR that ``mixed`` reaches."""
    cuts: tuple[Ranges, ...] = ("min-max", "mse")
    """Ranges that int8 chooses among."""
    price: Price = price_with_starts
    """What operators cost, in any unit."""


def quantize(
    flatbuffer: bytes,
    recipe: RecipeName,
    *,
    calibration: Iterable[Inputs] | Calibration,
    int8_borders: bool,
    older_kernels: bool = False,
    aim: Aim | None = None,
) -> bytes:
    """Return the generator in the types of a recipe; the same arguments give the same bytes.

    Args:
        flatbuffer: Float.
        recipe: ``float32``: as it is. ``float16``: weights halved. ``dynamic``, ``int4``: weights of 8 or 4 bits,
            activations quantized as they come. ``int8``: all of it, with ranges from the calibration. ``int16x8``:
            activations of 16 bits. ``mixed``: int8 but for the operators that err most.
        calibration: Inputs of several samples, or what the flatbuffer did on them; only int8, int16x8 and mixed
            read it.
        int8_borders: Inputs and outputs are as narrow as what they go into, as an Edge TPU wants them.
        older_kernels: In the form that kernels before TensorFlow Lite 2.17 run, too.
        aim: What ``int8`` and ``mixed`` choose by.

    Raises:
        ConversionError: It cannot be quantized: a weight or an activation is not finite.
    """
    if recipe == "float32":
        return flatbuffer
    if recipe == "float16":
        return to_float16(flatbuffer)
    if recipe == "dynamic":
        return _dynamic(flatbuffer, older_kernels=older_kernels)
    borders = _BORDERS.get(recipe) if int8_borders else None
    plan = replace(NAMED[recipe], older_kernels=older_kernels, borders=borders)
    if not isinstance(calibration, Calibration):
        calibration = Calibration(flatbuffer, list(calibration))
    return _own(calibration, plan, aim or Aim())


def _own(calibration: Calibration, recipe: Recipe, aim: Aim) -> bytes:
    """Choose the ranges of int8 by paired fidelity, and with ``mixed`` what stays float."""
    if recipe.types != "int8":
        return calibration.quantized(recipe).flatbuffer
    samples = calibration.samples[:: max(1, len(calibration.samples) // _PAIRED)]
    pairs = Pairs(calibration.flatbuffer, samples, aim.ranges)
    forms = [replace(recipe, ranges=ranges) for ranges in aim.cuts]
    best = forms[0]
    if len(forms) > 1:
        best = min(forms, key=lambda form: pairs.error(calibration.quantized(form).flatbuffer))
    if recipe.name == "mixed":
        best = mix(calibration, pairs, best, minimum_db=aim.minimum_db + _MARGIN_DB, price=aim.price).recipe
    return calibration.quantized(best).flatbuffer


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
    task = quantizer.Quantizer(flatbuffer)
    task.load_quantization_recipe(plan.get_quantization_recipe())
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its sizes
            result = task.quantize()
    # What it refuses (1-D transposed convolutions, for one) it tells as any of these.
    except (ValueError, RuntimeError, NotImplementedError, KeyError) as exc:
        raise ConversionError(
            f"litert-quantizer cannot make this model dynamic: {exc}.", remedy="Choose another `--recipe`."
        ) from exc
    # litert-quantizer leaves the float versions on operators that now have int8 weights.
    return stamp_versions(bytes(result.quantized_model))
