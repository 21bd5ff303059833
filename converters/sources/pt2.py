"""`.pt2` archives, checked before PyTorch reads them: nothing in them may name code.

`torch.export.load` unpickles whatever an archive says is pickled, follows the dotted names of its
operators through PyTorch's modules, and evaluates its symbolic sizes as Python. So only archives in
which every weight is plain bytes, every operator one of PyTorch's own, and every size an expression
of names and numbers get that far; the example inputs, which are always pickled, are left out.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

from edge_aigc.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TARGET = re.compile(r"#?(torch\.ops\.(aten|prims)\.\w+(\.\w+)?|_operator\.\w+|math\.\w+|torch\.sym_\w+)")
_EXPRESSION = re.compile(r"(?!.*__)[\w\s+\-*/().,<>=!&|~']*")
_WORDS = re.compile(r"[A-Za-z_]\w*")
_KNOWN_WORD = re.compile(
    r"[su]\d+|zuf\d+|True|False|oo|int_oo|Integer|Rational|Symbol|positive|nonnegative|integer|Add|Mul|Pow|"
    r"Eq|Ne|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|"
    r"CeilToInt|FloorToInt|TruncToInt|RoundToInt|ToFloat|IntTrueDiv|FloatTrueDiv|ModularIndexing|Where|Abs|"
    r"PowByNatural|FloatPow|floor|ceiling|Identity"
)
"""What PyTorch writes into sizes (`torch.utils._sympy.functions`)."""
_REMEDY = "Save it again with `torch.export.save(torch.export.export(module, inputs), 'name.pt2')`."


def checked(content: bytes, name: str) -> io.BytesIO:
    """Return an archive that is safe to give to `torch.export.load`.

    Args:
        content: Of the file.
        name: Of the file, for the error.

    Raises:
        SourceError: It is damaged, of an older format, or holds something that could run code.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    # A damaged archive raises these, and zlib's own error.
    except Exception as exc:
        raise SourceError(f"{name} is damaged: {exc}.", remedy="Copy it again, or save it again.") from exc
    if not any(member.endswith("/models/model.json") for member in members):
        raise SourceError(f"{name} holds no exported program that this PyTorch writes.", remedy=_REMEDY)
    clean = io.BytesIO()
    with zipfile.ZipFile(clean, "w", zipfile.ZIP_STORED) as made:
        for member, data in members.items():
            made.writestr(member, _member(member, data, name))
    clean.seek(0)
    return clean


def _member(member: str, data: bytes, name: str) -> bytes:
    inner = member.partition("/")[2]
    if inner.startswith("data/sample_inputs/"):
        return b""
    if inner.startswith("data/aotinductor/") or re.fullmatch(r"data/(weights|constants)/.*\.pt", inner):
        raise _refused(name, f"compiled code or pickled weights ({inner})")
    if inner.endswith("_config.json") and inner.startswith("data/"):
        for tensor, entry in _loaded(data, name).get("config", {}).items():
            plain = re.fullmatch(r"(weight|tensor)_\d+", str(entry.get("path_name"))) and not entry.get("use_pickle")
            if not plain:
                raise _refused(name, f"the pickled object {tensor!r}")
    if inner == "models/model.json":
        _check_program(_loaded(data, name), name)
    return data


def _loaded(data: bytes, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise SourceError(f"{name} is damaged: {exc}.", remedy="Copy it again, or save it again.") from exc


def _check_program(program: Any, name: str) -> None:
    for key, value in _entries(program):
        if key == "target" and isinstance(value, str) and "." in value and not _TARGET.fullmatch(value):
            raise _refused(name, f"the operator {value!r}, which is not one of PyTorch's own")
        if key == "expr_str" and isinstance(value, str):
            words = _WORDS.findall(value)
            if not _EXPRESSION.fullmatch(value) or not all(_KNOWN_WORD.fullmatch(word) for word in words):
                raise _refused(name, f"the size {value[:60]!r}, which is no expression of sizes")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            yield from current.items()
            waiting.extend(current.values())
        elif isinstance(current, list):
            waiting.extend(current)


def _refused(name: str, what: str) -> SourceError:
    return SourceError(f"{name} holds {what}: a model file must not bring code of its own.", remedy=_REMEDY)
