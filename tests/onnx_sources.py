"""Small ONNX models: one operator each, and generators as exporters write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OPSET = 20
Case = tuple[str, dict[str, Any], dict[str, tuple[int, ...]], list[Any]]
"""Operator, attributes, inputs by name, and the constants that follow them (None: left out)."""


def weights(*shape: int) -> Any:
    return np.random.default_rng(sum(shape) + len(shape)).standard_normal(shape).astype(np.float32)


def model(
    nodes: Sequence[tuple[Any, ...]],
    inputs: Mapping[str, Sequence[Any]],
    outputs: Sequence[str],
    constants: Mapping[str, Any],
    *,
    opset: int = OPSET,
    kind: int = 1,
) -> Any:
    """Return a model of nodes (operator, inputs, outputs, attributes)."""
    from onnx import helper, numpy_helper, shape_inference

    made = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(kind, list(taken), list(given), name=f"{kind}_{place}", **(rest[0] if rest else {}))
                for place, (kind, taken, given, *rest) in enumerate(nodes)
            ],
            "net",
            [helper.make_tensor_value_info(name, kind, list(shape)) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, 1, None) for name in outputs],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=10,
    )
    # A checker wants the shapes of outputs; for opsets that do not exist there is none to infer.
    return made if opset > OPSET else shape_inference.infer_shapes(made)


def one(case: Case, *, opset: int = OPSET) -> Any:
    """Return a model of one operator between two 1x1 convolutions, so that channels have to lie last inside."""
    kind, attributes, inputs, constants = case
    names = [*inputs]
    held = {}
    for place, value in enumerate(constants):
        names.append("" if value is None else f"constant{place}")
        if value is not None:
            held[f"constant{place}"] = value
    count = len(attributes.get("split", [])) or attributes.pop("outputs", 1)
    outputs = [f"y{place}" for place in range(count)]
    return model([(kind, names, outputs, attributes)], inputs, outputs, held, opset=opset)


def dcgan(folder: Path, *, opset: int = OPSET, channels: int = 3) -> Path:
    """A DCGAN as PyTorch writes it: latent 16x1x1 to a picture of 16x16, channels first."""
    nodes = [
        ("ConvTranspose", ["latent", "w0"], ["a0"], {"kernel_shape": [4, 4], "strides": [1, 1]}),
        ("BatchNormalization", ["a0", "scale", "bias", "mean", "var"], ["n0"]),
        ("Relu", ["n0"], ["r0"]),
        ("ConvTranspose", ["r0", "w1"], ["a1"], {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("LeakyRelu", ["a1"], ["r1"], {"alpha": 0.2}),
        ("ConvTranspose", ["r1", "w2"], ["a2"], {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("Tanh", ["a2"], ["image"]),
    ]
    constants = {
        "w0": weights(16, 12, 4, 4),
        "w1": weights(12, 8, 4, 4) / 4,
        "w2": weights(8, channels, 4, 4) / 4,
        "scale": weights(12) + 2,
        "bias": weights(12),
        "mean": weights(12),
        "var": np.abs(weights(12)) + 0.5,
    }
    return saved(
        model(nodes, {"latent": ["batch", 16, 1, 1]}, ["image"], constants, opset=opset), folder / "dcgan.onnx"
    )


def unet(folder: Path, *, side: int | str = 16) -> Path:
    """Down, up and a skip between: a picture of any size in."""
    nodes = [
        ("Conv", ["photo", "w0", "b0"], ["d0"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("LeakyRelu", ["d0"], ["d1"], {"alpha": 0.2}),
        ("Conv", ["d1", "w1"], ["d2"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("Relu", ["d2"], ["d3"]),
        ("ConvTranspose", ["d3", "w2"], ["u0"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("Concat", ["u0", "d0"], ["u1"], {"axis": 1}),
        ("ConvTranspose", ["u1", "w3"], ["u2"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("Sigmoid", ["u2"], ["sketch"]),
    ]
    constants = {
        "w0": weights(8, 3, 4, 4) / 4,
        "b0": weights(8),
        "w1": weights(12, 8, 4, 4) / 8,
        "w2": weights(12, 8, 4, 4) / 8,
        "w3": weights(16, 3, 4, 4) / 8,
    }
    sides = [side, f"{side}2"] if isinstance(side, str) else [side, side]
    made = model(nodes, {"photo": [1, 3, *sides]}, ["sketch"], constants)
    return saved(made, folder / "unet.onnx")


def saved(made: Any, path: Path) -> Path:
    """Save a model and return its path."""
    path.write_bytes(made.SerializeToString(deterministic=True))
    return path


_PICTURE = {"x": (1, 6, 8, 9)}
_SOUND = {"x": (1, 6, 20)}
_TWO = {"x": (1, 6, 8, 9), "y": (1, 6, 8, 9)}
_ROW = {"x": (1, 24)}
_SCALES = np.array([1, 1, 2, 3], np.float32)
_UPWARDS = (
    "4 2 1 0", "3 2 1 1", "5 2 2 1", "3 1 1 0", "2 2 0 0", "3 3 0 2", "2 3 0 1", "6 4 1 0", "4 2 1 0 g2", "3 2 1 1 d2"
)  # fmt: skip
"""Kernel, stride, pad, output padding; two groups; dilated."""
_FUNCTIONS = (
    "Relu LeakyRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Gelu Erf Mish Exp Abs Neg Sin "
    "Cos Floor Ceil Round Sign"
)


def cases() -> dict[str, Case]:
    """Return every operator in the forms that generators use it in."""
    index, whole = np.int64, _PICTURE
    found: dict[str, Case] = {
        "Conv": ("Conv", {"pads": [1] * 4}, whole, [weights(4, 6, 3, 3), weights(4)]),
        "Conv strides": ("Conv", {"pads": [1] * 4, "strides": [2, 2]}, whole, [weights(4, 6, 3, 3)]),
        "Conv 4 strides": ("Conv", {"pads": [1] * 4, "strides": [2, 2]}, whole, [weights(4, 6, 4, 4)]),
        "Conv depthwise": ("Conv", {"pads": [1] * 4, "group": 6}, whole, [weights(12, 1, 3, 3)]),
        "Conv groups": ("Conv", {"pads": [1] * 4, "group": 2}, whole, [weights(4, 3, 3, 3)]),
        "Conv dilated": ("Conv", {"pads": [2] * 4, "dilations": [2, 2]}, whole, [weights(4, 6, 3, 3)]),
        "Conv same": ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, whole, [weights(4, 6, 3, 3)]),
        "Conv same lower": ("Conv", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, whole, [weights(4, 6, 3, 3)]),
        "Conv sound": ("Conv", {"pads": [2, 2], "dilations": [2]}, _SOUND, [weights(4, 6, 3)]),
        "Conv 3 axes": ("Conv", {"pads": [1] * 6}, {"x": (1, 2, 4, 5, 6)}, [weights(3, 2, 3, 3, 3), weights(3)]),
        "MaxPool": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}, whole, []),
        "MaxPool ceil": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, whole, []),
        "AveragePool": ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}, whole, []),
        "AveragePool all": (
            "AveragePool", {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}, whole, []
        ),
        "GlobalAveragePool": ("GlobalAveragePool", {}, whole, []),
        "InstanceNormalization": ("InstanceNormalization", {}, whole, [weights(6), weights(6)]),
        "LayerNormalization": ("LayerNormalization", {"axis": -1}, whole, [weights(9), weights(9)]),
        "GroupNormalization": ("GroupNormalization", {"num_groups": 3}, whole, [weights(3), weights(3)]),
        "BatchNormalization": (
            "BatchNormalization", {}, whole, [weights(6), weights(6), weights(6), np.abs(weights(6)) + 0.1]
        ),
        "Resize nearest": (
            "Resize", {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, whole, [None, _SCALES]
        ),
        "Resize nearest half": ("Resize", {}, whole, [None, _SCALES]),
        "Resize linear": ("Resize", {"mode": "linear"}, whole, [None, _SCALES]),
        "Resize corners": (
            "Resize",
            {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
            whole,
            [None, None, np.array([1, 6, 13, 20], index)],
        ),
        "Resize cubic": ("Resize", {"mode": "cubic"}, whole, [None, _SCALES]),
        "Resize sizes": (
            "Resize",
            {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
            whole,
            [None, None, np.array([1, 6, 13, 5], index)],
        ),
        "DepthToSpace DCR": ("DepthToSpace", {"blocksize": 2}, {"x": (1, 8, 3, 5)}, []),
        "DepthToSpace CRD": ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, {"x": (1, 8, 3, 5)}, []),
        "SpaceToDepth": ("SpaceToDepth", {"blocksize": 2}, {"x": (1, 3, 6, 4)}, []),
        "Gemm": ("Gemm", {"transB": 1, "alpha": 0.5, "beta": 2.0}, _ROW, [weights(7, 24), weights(7)]),
        "MatMul": ("MatMul", {}, {"x": (1, 5, 24)}, [weights(24, 7)]),
        "MatMul two": ("MatMul", {}, {"x": (1, 2, 5, 8), "y": (1, 2, 8, 3)}, []),
        "Einsum": ("Einsum", {"equation": "bchw,bdhw->bcd"}, {"x": (1, 6, 4, 5), "y": (1, 3, 4, 5)}, []),
        "Softmax": ("Softmax", {"axis": 1}, whole, []),
        "LogSoftmax": ("LogSoftmax", {"axis": -1}, whole, []),
        "ReduceMean": ("ReduceMean", {"keepdims": 0}, whole, [np.array([2, 3], index)]),
        "ReduceSum": ("ReduceSum", {}, whole, [np.array([1], index)]),
        "ReduceMax": ("ReduceMax", {}, whole, [np.array([1, 2], index)]),
        "ReduceL2": ("ReduceL2", {}, whole, [np.array([1], index)]),
        "Reshape": ("Reshape", {}, whole, [np.array([0, 3, -1, 9], index)]),
        "Reshape flat": ("Reshape", {}, whole, [np.array([1, -1], index)]),
        "Transpose": ("Transpose", {"perm": [0, 2, 3, 1]}, whole, []),
        "Flatten": ("Flatten", {}, whole, []),
        "Unsqueeze": ("Unsqueeze", {}, _SOUND, [np.array([2], index)]),
        "Concat": ("Concat", {"axis": 1}, _TWO, []),
        "Split": ("Split", {"axis": 1, "outputs": 2}, whole, [np.array([2, 4], index)]),
        "Slice": ("Slice", {}, whole, [np.array([1, 8], index), np.array([7, -10], index), np.array([2, 3], index),
                                       np.array([2, -2], index)]),
        "Gather": ("Gather", {"axis": 1}, whole, [np.array([4, 1, 1], index)]),
        "Gather one": ("Gather", {"axis": 1}, whole, [np.array(3, index)]),
        "Pad": ("Pad", {}, whole, [np.array([0, 0, 1, 2, 0, 1, 3, 0], index), np.float32(0.5)]),
        "Pad reflect": ("Pad", {"mode": "reflect"}, whole, [np.array([0, 0, 1, 2, 0, 0, 3, 1], index)]),
        "Pad edge": ("Pad", {"mode": "edge"}, whole, [np.array([0, 0, 1, 2, 0, 0, 3, 1], index)]),
        "Tile": ("Tile", {}, whole, [np.array([1, 2, 1, 3], index)]),
        "Expand": ("Expand", {}, {"x": (1, 6, 1, 1)}, [np.array([1, 6, 4, 5], index)]),
        "Clip": ("Clip", {}, whole, [np.float32(-0.3), np.float32(0.6)]),
        "Clip 6": ("Clip", {}, whole, [np.float32(0), np.float32(6)]),
        "PRelu": ("PRelu", {}, whole, [weights(6, 1, 1)]),
        "Pow": ("Pow", {}, whole, [np.float32(2)]),
        "GRU": ("GRU", {"hidden_size": 5, "linear_before_reset": 1, "outputs": 2}, {"x": (4, 1, 3)},
                [weights(1, 15, 3), weights(1, 15, 5), weights(1, 30)]),
        "GRU both ways": ("GRU", {"hidden_size": 5, "direction": "bidirectional"}, {"x": (4, 1, 3)},
                          [weights(2, 15, 3), weights(2, 15, 5), weights(2, 30)]),
        "LSTM": ("LSTM", {"hidden_size": 5, "outputs": 3}, {"x": (4, 1, 3)},
                 [weights(1, 20, 3), weights(1, 20, 5), weights(1, 40)]),
        "RNN": ("RNN", {"hidden_size": 5}, {"x": (4, 1, 3)}, [weights(1, 5, 3), weights(1, 5, 5)]),
    }  # fmt: skip
    found |= {f"ConvTranspose {words}": _transposed(words) for words in _UPWARDS}
    for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        found[kind] = (kind, {}, _TWO, [])
        found[f"{kind} channels"] = (kind, {}, whole, [weights(6, 1, 1) + 3])
    for kind in _FUNCTIONS.split():
        found[kind] = (kind, {}, whole, [])
    return found


def _transposed(words: str) -> Case:
    kernel, stride, pad, extra, *more = words.split()
    group = 2 if more == ["g2"] else 1
    attributes = {
        "strides": [int(stride)] * 2,
        "pads": [int(pad)] * 4,
        "output_padding": [int(extra)] * 2,
        "group": group,
        "dilations": [2, 2] if more == ["d2"] else [1, 1],
    }
    return "ConvTranspose", attributes, _PICTURE, [weights(6, 4 // group, int(kernel), int(kernel)), weights(4)]
