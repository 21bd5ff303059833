"""Every kind of operator that we quantize, on kernels of both sorts: it computes what the float one does."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as Native
from ai_edge_litert.interpreter import OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st
from quantizer_cases import BUILDS, case

from edge_aigc.converters.graph import operators
from edge_aigc.converters.quantizer.calibration import Calibration
from edge_aigc.converters.quantizer.kinds import KINDS
from edge_aigc.converters.recipes import Recipe
from edge_aigc.interpreter import Interpreter

CASES = 8
"""Of each kind and type: some 850 nets."""
RESOLVERS = (OpResolverType.AUTO, OpResolverType.BUILTIN_REF)
"""XNNPACK's kernels where it has one, and TFLite's reference kernels."""
NOT_AMONG_REFERENCE = frozenset({"DEPTH_TO_SPACE", "ELU", "SUM", "TILE"})
"""`register_ref.cc` has not these in int8, and a SUM that is wrong; the runtime's own kernels have."""
STEPS = {"INT8": 2.01, "INT16": 40}
"""How far an output may be off, in steps of its scale: rounding of operands and output."""
TABLES = {"EXP": 256, "RSQRT": 256, "RESIZE_BILINEAR": 128}
"""In int16 they come from tables of 512 entries, or weights of 10 bits."""
SCALED = frozenset({"MUL", "DIV"})
"""A rounded constant among the operands is off by half a step, which the other operand multiplies."""
WEIGHED = 0.03
"""In shares of the range, where weights are rounded too."""


def run(flatbuffer, resolver, inputs):
    """Return outputs as reals, with their scales and the ends of their ranges; inputs are given as reals."""
    native = Native(model_content=flatbuffer, experimental_op_resolver_type=resolver)
    native.allocate_tensors()
    for info, values in zip(native.get_input_details(), inputs, strict=True):
        scale, zero = info["quantization"]
        limits = np.iinfo(info["dtype"])
        native.set_tensor(
            info["index"], np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(info["dtype"])
        )
    native.invoke()
    outputs = []
    for info in native.get_output_details():
        scale, zero = info["quantization"]
        limits = np.iinfo(info["dtype"])
        ends = (limits.min - zero) * scale, (limits.max - zero) * scale
        outputs.append(((native.get_tensor(info["index"]).astype(np.float64) - zero) * scale, scale, ends))
    return outputs


def snapped(flatbuffer, inputs):
    """Return inputs as a quantized model sees them: rounded, and cut where its type ends."""
    found = []
    for values, info in zip(inputs, Native(model_content=flatbuffer).get_input_details(), strict=True):
        scale, zero = info["quantization"]
        limits = np.iinfo(info["dtype"])
        steps = np.clip(np.rint(values / scale) + zero, limits.min, limits.max) - zero
        found.append((steps * scale).astype(np.float32))
    return found


def test_every_kind_has_a_case():
    assert set(BUILDS) == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "dtype"), [(kind, dtype) for kind, row in KINDS.items() for dtype in sorted(row.types)]
)
def test_a_narrow_operator_computes_what_the_float_one_does(kind, dtype):
    types = {"INT8": "int8", "INT16": "int16x8"}[dtype]

    @settings(max_examples=CASES, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 1 << 20))
    def check(seed):
        net = case(kind, seed)
        recipe = Recipe(name="test", types=types, borders=dtype)
        form = Calibration(net.flatbuffer, net.samples).quantized(recipe).flatbuffer
        assert {"QUANTIZE", "DEQUANTIZE"}.isdisjoint(operator.kind for operator in operators(form))
        inputs = snapped(form, net.samples[0])
        expected = Interpreter(net.flatbuffer).run(inputs)
        for resolver in RESOLVERS[: 1 if kind in NOT_AMONG_REFERENCE else 2]:
            for one, (other, scale, ends) in zip(expected, run(form, resolver, inputs), strict=True):
                # A rounded input may lie beyond what was calibrated, and its output where the range has ended.
                apart = np.abs(np.clip(one, *ends) - other).max(initial=0)
                allowed = (TABLES.get(kind, STEPS[dtype]) if dtype == "INT16" else STEPS[dtype]) * scale
                if dtype == "INT8" and kind in SCALED:
                    allowed *= 2
                if KINDS[kind].role == "weighs" or kind == "BATCH_MATMUL":
                    allowed += WEIGHED * max(np.ptp(one), np.abs(one).max())
                assert apart <= allowed, (kind, dtype, resolver, seed, apart / scale)

    check()
