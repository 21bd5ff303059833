"""Any model in: the framework is told by what the model is, not by a flag."""

from __future__ import annotations

import importlib
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_aigc.converters.sources.flatbuffer import renamed
from edge_aigc.converters.sources.source import Source, Wish, first_line
from edge_aigc.errors import RuntimeMissingError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_TAKEN = (
    "A Keras 3 file (.keras), a SavedModel folder, .pt2, .onnx, .tflite, or `package.module:function` "
    "returning a module or a Keras model"
)
_PICKLE_REMEDY = (
    "A pickle could run any code and is never opened. "
    "Save it with `torch.export.save(torch.export.export(module, inputs), 'name.pt2')`, or write a function that "
    "builds the module, and give `package.module:function`."
)
_FOREIGN = {
    ".pt": _PICKLE_REMEDY,
    ".pth": _PICKLE_REMEDY,
    ".ckpt": _PICKLE_REMEDY,
    ".h5": "Save it with `model.save('name.keras')` from Keras 3.",
    ".hdf5": "Save it with `model.save('name.keras')` from Keras 3.",
    ".safetensors": "It holds weights without a model: write a function that builds the model and loads them, "
    "and give `package.module:function`.",
    ".aigc": "It is a bundle already, for one device: give the model that it was made from.",
    ".pb": "Give the folder of the SavedModel, not the file.",
}


def is_function(model: str) -> bool:
    """Return whether the user means `package.module:function`."""
    return _FUNCTION.fullmatch(model) is not None and not Path(model).exists()


def load(model: str | Path, wish: Wish | None = None, *, adapt: Callable[[Any], Any] | None = None) -> Source:
    """Load a model of any framework and bring it to a float flatbuffer.

    Args:
        model: A file, a folder, or `package.module:function`.
        wish: What the user says of it; None: nothing.
        adapt: What makes another model of a Keras model or a PyTorch module before it is converted, as a loop needs
            one. Files of the other kinds stay as they are: theirs is the graph of a step already.

    Raises:
        FileError: It cannot be read.
        RuntimeMissingError: What its framework needs is not installed.
        SourceError: It is of no known kind, damaged, or leaves a size open.
        ConversionError: It cannot be made into a flatbuffer.
    """
    wish = wish or Wish()
    if is_function(str(model)):
        return _returned(str(model), wish, adapt)
    path = Path(model)
    kind = _kind(path)
    if kind == "keras":
        from edge_aigc.converters.sources.keras import load_keras

        return load_keras(path, wish, adapt=adapt)
    return _loader(kind)(path, wish)


def _loader(kind: str) -> Callable[[Path, Wish], Source]:
    if kind == "saved_model":
        from edge_aigc.converters.sources.saved_model import load_saved_model

        return load_saved_model
    if kind == "pt2":
        from edge_aigc.converters.sources.torch import load_pt2

        return load_pt2
    if kind == "onnx":
        from edge_aigc.converters.sources.onnx import load_onnx

        return load_onnx
    from edge_aigc.converters.sources.tflite import load_tflite

    return load_tflite


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            return "saved_model"
        raise SourceError(f"The folder {path} holds no saved_model.pb.", remedy=f"{_TAKEN} can be converted.")
    if path.exists():
        told = _told_by_content(path)
        if told is not None:
            return told
    if suffix in {".keras", ".pt2", ".onnx", ".tflite"}:
        return suffix[1:]
    if suffix in _FOREIGN:
        raise SourceError(f"{path.name} is not a kind of model that is read.", remedy=_FOREIGN[suffix])
    if not path.exists():
        hint = " Did you mean `package.module:function`?" if ":" in str(path) else ""
        raise SourceError(f"There is no {path}.{hint}", remedy=f"{_TAKEN} can be converted.")
    raise SourceError(f"{path.name} is no model of a kind that is known.", remedy=f"{_TAKEN} can be converted.")


def _told_by_content(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            head = file.read(8)
        if head[4:8] == b"TFL3":
            return "tflite"
        if head[:4] != b"PK\x03\x04":
            _refuse_pickle(path, head)
            return None
        names = zipfile.ZipFile(path).namelist()
    except (OSError, zipfile.BadZipFile):
        return None
    if "config.json" in names:
        return "keras"
    inner = {name.partition("/")[2] for name in names}
    if "archive_format" in inner or "serialized_exported_program.json" in names:
        return "pt2"
    if "data.pkl" in inner:
        raise SourceError(
            f"{path.name} is a pickle of PyTorch's: opening it could run any code, so it is not opened.",
            remedy=_PICKLE_REMEDY,
        )
    return None


def _refuse_pickle(path: Path, head: bytes) -> None:
    # Pickle protocols 2 to 5 begin with PROTO and their number: Python, pickletools.
    if head[:1] == b"\x80" and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"} and path.suffix.lower() != ".onnx":
        raise SourceError(
            f"{path.name} is a pickle: opening it could run any code, so it is not opened.", remedy=_PICKLE_REMEDY
        )


def _returned(name: str, wish: Wish, adapt: Callable[[Any], Any] | None) -> Source:
    """Call a function of the user's and load what it returns."""
    made = _called(name)
    module, examples = made if isinstance(made, tuple) and len(made) == 2 else (made, ())  # noqa: PLR2004 - a pair
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(module).__mro__}
    if "torch.nn.modules.module.Module" in kinds:
        from edge_aigc.converters.sources.torch import load_module

        if adapt is not None:
            step = adapt(module)
            return renamed(load_module(step.module, step.examples, wish, name), step.inputs, step.outputs)
        return load_module(module, _listed(examples, name), wish, name)
    if any(kind.startswith("keras.") and kind.endswith(".Model") for kind in kinds):
        from edge_aigc.converters.sources.keras import source_of

        return source_of(module, wish, file_name=name, adapt=adapt)
    raise SourceError(
        f"{name} returned {type(made).__module__}.{type(made).__qualname__}, which is no model.",
        remedy="Return a `torch.nn.Module`, a pair of it and its example inputs, or a `keras.Model`.",
    )


def _listed(examples: Any, name: str) -> Sequence[Any]:
    listed = list(examples) if isinstance(examples, (tuple, list)) else [examples]
    if not all(hasattr(example, "detach") for example in listed):
        raise SourceError(
            f"{name} returned example inputs that are no tensors.",
            remedy="Return `(module, example)` or `(module, (example, …))`, in the order of `forward`.",
        )
    return listed


def _function(module: Any, name: str) -> Callable[[], Any]:
    found = getattr(module, name, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise SourceError(
            f"{module.__name__} has no function {name!r}.",
            remedy=f"It has {', '.join(known[:8])}." if known else "Write one that returns the model.",
        )
    return found  # type: ignore[no-any-return]  # whatever the user wrote


def _called(name: str) -> Any:
    place, _, function = name.partition(":")
    # As `python -m` does: what lies in the current folder can be named.
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(place)
        return _function(module, function)()
    except SourceError:
        raise
    except ModuleNotFoundError as exc:
        if exc.name is not None and not place.startswith(exc.name):
            raise RuntimeMissingError(
                f"{place} imports {exc.name}, not installed here.", remedy=f"Install it: `pip install {exc.name}`."
            ) from exc
        raise SourceError(
            f"There is no module {place!r} here.", remedy="Call edge-aigc from the folder that the package lies in."
        ) from exc
    # The function is the user's own: it may raise anything.
    except Exception as exc:
        raise SourceError(
            f"{name} raised {type(exc).__name__}: {first_line(exc)}.", remedy="Call it in Python to see where."
        ) from exc
    finally:
        sys.path.remove(str(Path.cwd()))
