"""PyTorch: modules that a function returns, and `.pt2` files; through `torch.export` and its ONNX form."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.sources.onnx import Labels, require_onnx, source_of
from edge_aigc.converters.sources.pt2 import checked
from edge_aigc.converters.sources.source import (
    LIMIT_BYTES,
    Array,
    Source,
    Wish,
    closed,
    first_line,
    not_finite,
    require_small,
)
from edge_aigc.converters.sources.torch_draws import given
from edge_aigc.errors import ConversionError, SourceError
from edge_aigc.files import read_whole
from edge_aigc.packages import require_modules
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_aigc.converters.sources.onnx_draws import Draw

_OPSET = 20
"""Has Gelu and affine grids; the exporter writes it without converting versions."""
_UNKNOWN = re.compile(r"op='([^']+)'")
_CALL = re.compile(r'File "([^"]+)", line (\d+), in (\w+)')


def load_module(module: Any, examples: Sequence[Any], wish: Wish, name: str) -> Source:
    """Bring a module to a float flatbuffer.

    Args:
        module: `torch.nn.Module`; is put into evaluation mode.
        examples: Its inputs, batch of 1; empty where ``wish`` states their shapes.
        wish: Their shapes, in PyTorch's layout.
        name: Of the model, in words.

    Raises:
        RuntimeMissingError: torch, onnxscript, onnx or onnxruntime is not installed.
        SourceError: Its inputs are not known, or it cannot be exported.
        ConversionError: It has operators that are not translated, or weights that no generator has.
    """
    require_torch()
    import torch

    module = module.eval().cpu()
    examples = [example.detach().cpu() for example in examples]
    if not examples or wish.input_shapes:
        examples = [torch.zeros(shape) for shape in wish.input_shapes]
    if not examples:
        raise SourceError(
            f"{name} returns a module alone, and nothing says what goes into it.",
            remedy="State it with `--input-shape 1x100x1x1` (once for each input, in PyTorch's layout), or return "
            "`(module, (example, …))` from the function.",
        )
    _require_sound(module.state_dict(), name)
    with _quietly():
        try:
            program = torch.export.export(module, tuple(examples), strict=False)
        # torch.export raises whatever the module and its tracer raise.
        except Exception as exc:
            raise _not_exported(exc, name) from exc
    return _source(program, lambda inputs: module(*inputs), examples, wish, name)


def load_pt2(path: Path, wish: Wish) -> Source:
    """Load a `.pt2` file and bring it to a float flatbuffer.

    Raises:
        FileError: The file cannot be read.
        RuntimeMissingError: torch, onnxscript, onnx or onnxruntime is not installed.
        SourceError: It is damaged, or holds what could run code.
        ConversionError: It has operators that are not translated, or weights that no generator has.
    """
    content = read_whole(path, limit_bytes=LIMIT_BYTES, what="model")
    archive = checked(content, path.name)
    require_torch()
    import torch

    with _quietly():
        try:
            program = torch.export.load(archive)
            module = program.module()
        # A damaged archive raises whatever the first reader meets.
        except Exception as exc:
            raise SourceError(
                f"PyTorch cannot load {path}: {first_line(exc)}.",
                remedy="Save it again with `torch.export.save(torch.export.export(module, inputs), 'name.pt2')`.",
            ) from exc
    _require_sound(program.state_dict, path.name)
    return _source(program, lambda inputs: module(*inputs), _placeholders(program, wish), wish, path.name, content)


def require_torch() -> None:
    """Refuse early where the extra is missing.

    Raises:
        RuntimeMissingError: Names what is not installed.
    """
    note = " A CPU build of torch is enough."
    require_modules("A PyTorch model", ("torch", "onnxscript"), extra="convert,torch", note=note)
    require_onnx()


def _placeholders(program: Any, wish: Wish) -> list[Any]:
    """Return zeros in the shapes of a program's inputs."""
    import torch

    named = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    examples = []
    for place, name in enumerate(program.graph_signature.user_inputs):
        value = named[name]
        sizes = [int(size) if isinstance(size, int) else None for size in value.shape]
        shape, _ = closed(name, sizes, wish, place=place)
        examples.append(torch.zeros(shape, dtype=value.dtype))
    return examples


def _source(
    program: Any, call: Any, examples: Sequence[Any], wish: Wish, name: str, content: bytes | None = None
) -> Source:
    import onnx
    import onnxruntime
    import torch

    model = _onnx_of(program, name)
    count = len(model.graph.output)
    written = model.SerializeToString(deterministic=True) if content is None else content
    labels = Labels(
        file_name=name,
        sha256=hashlib.sha256(written).hexdigest(),
        framework=f"torch {torch.__version__!s}",
        tools={"torch": str(torch.__version__), "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__},
        output_names=("output",) if count == 1 else tuple(f"output_{place}" for place in range(count)),
    )

    def run(draws: Sequence[Draw], inputs: Sequence[Array]) -> list[Array]:
        own, drawn = inputs[: len(examples)], inputs[len(examples) :]
        tensors = [torch.from_numpy(np.ascontiguousarray(x)).to(e.dtype) for x, e in zip(own, examples, strict=True)]
        with torch.no_grad(), given(draws, drawn) if draws else contextlib.nullcontext():
            made = call(tensors)
        return [tensor.numpy() for tensor in torch.utils._pytree.tree_leaves(made)]  # noqa: SLF001 - no public way

    stated = Wish(input_size=wish.input_size, input_shapes=tuple(tuple(example.shape) for example in examples))
    return source_of(model, stated, labels, lambda draws: functools.partial(run, draws))


def _onnx_of(program: Any, name: str) -> Any:
    import torch

    with _quietly():
        try:
            made = torch.onnx.export(program, dynamo=True, verbose=False, opset_version=_OPSET)
        # The exporter's own type, and whatever its decompositions raise.
        except Exception as exc:
            unknown = _UNKNOWN.findall(str(exc))
            said = f"the operator {unknown[0]} has no form that it knows" if unknown else _cause(exc)
            raise ConversionError(
                f"PyTorch's exporter cannot write {name}: {said}.",
                remedy="Write that part of the module with other operators (convolutions, products, arithmetic).",
            ) from exc
    return made.model_proto


def _require_sound(weights: dict[str, Any], name: str) -> None:
    import torch

    require_small(sum(tensor.numel() * 4 for tensor in weights.values()), name)
    wrong = [
        key for key, tensor in weights.items() if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
    if wrong:
        raise not_finite(wrong, name)


def _not_exported(exc: Exception, name: str) -> SourceError:
    places = [place for place in _CALL.findall(str(exc)) if "/torch/" not in place[0]]
    where = f" (in {places[-1][2]}, {places[-1][0]} line {places[-1][1]})" if places else ""
    return SourceError(
        f"PyTorch cannot export {name}: {_cause(exc)}{where}.",
        remedy="What depends on the values of tensors (`if x.sum() > 0`, `.item()`) has to go; "
        "`torch.export.export(module, inputs)` tells more.",
    )


def _cause(exc: BaseException) -> str:
    while exc.__cause__ is not None:
        exc = exc.__cause__
    return first_line(exc)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hold back what torch tells of itself: warnings, its log, graphs printed on stderr."""
    log = logging.getLogger("torch")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), stderr_held():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
