"""TensorFlow functions brought to a float flatbuffer: what Keras models and SavedModels have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edge_aigc.converters.sources.source import first_line
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_aigc.converters.sources.source import TensorFact

_UNTRANSLATED = re.compile(r"'(tf\.\w+)' op is neither")
_PLACE = re.compile(r'"([^"]+)"')


def flatbuffer_of(call: Callable[..., list[Any]], inputs: Sequence[TensorFact], what: str) -> bytes:
    """Trace a function at a batch of 1, freeze its variables into constants and convert it.

    Args:
        call: Takes a tensor for each input and returns its outputs.
        inputs: Their shapes and types.
        what: The model, in words.

    Raises:
        ConversionError: It cannot be traced, or has operators that TFLite lacks.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    try:
        specs = [tf.TensorSpec(fact.shape, fact.dtype, name=fact.name) for fact in inputs]
        traced = tf.function(call, autograph=False).get_concrete_function(*specs)
        frozen = convert_variables_to_constants_v2(traced)
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())
    # The converter raises its own type, and whatever layers raise while they are traced.
    except Exception as exc:
        raise _refused(exc, what) from exc


def _refused(exc: Exception, what: str) -> ConversionError:
    missing: dict[str, str] = {}
    for line in str(exc).splitlines():
        for kind in _UNTRANSLATED.findall(line):
            places = [place for place in _PLACE.findall(line) if "/" in place]
            missing.setdefault(kind, places[-1] if places else "")
    if missing:
        listed = "; ".join(f"{kind} at {place}" if place else kind for kind, place in missing.items())
        return ConversionError(
            f"{what} uses operators that TFLite lacks: {listed}.",
            remedy="Write those parts with other operators, or build the model without them for inference.",
        )
    return ConversionError(
        f"TensorFlow cannot convert {what}: {first_line(exc)}.",
        remedy="Replace the operator that it names, or build the model without it for inference.",
    )
