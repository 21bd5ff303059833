"""Read, write and verify `.aigc` bundles: contract 2.

A bundle is a zip archive with stored entries: `manifest.json` first, then what it lists. Nothing is
taken from the archive that the manifest does not list with its size and SHA-256. The archive's comment
is the SHA-256 of all bytes before it, so that no byte can change unnoticed, not even one of zip's own.

Imports no NumPy: the daemon's parent reads manifests.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.errors import BundleError
from edge_aigc.files import write_whole
from edge_aigc.manifest import FORMAT, FileEntry, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST = "manifest.json"
MANIFEST_LIMIT_BYTES = 4 << 20
FILE_LIMIT_BYTES = 2 << 30
"""A flatbuffer's offsets are 32 bits signed, so none is larger."""
ENTRIES_LIMIT = 64

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date that zip can write: the same content gives the same bytes."""
_MODE = 0o644 << 16
_DIGEST_BYTES = 64
"""A SHA-256 in hexadecimal."""
_CHUNK_BYTES = 1 << 20
_MODELS = {
    ".keras": "a Keras model",
    ".onnx": "an ONNX model",
    ".tflite": "a TFLite model",
    ".pt2": "a PyTorch model",
    ".pt": "a PyTorch model",
    ".pth": "a PyTorch model",
}
"""What users give in place of a bundle, by suffix."""
_REMAKE = "Make it again with `edge-aigc convert`, or copy it again: this file is not what was written."


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest and the verified content of the files that it lists."""

    manifest: Manifest
    content: dict[str, bytes]

    @property
    def flatbuffer(self) -> bytes:
        """The model, usable alone with any TFLite runtime."""
        return self.content[self.manifest.model.file]


def entry_of(content: bytes) -> FileEntry:
    """Return what the manifest says of a file with this content."""
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def pack(manifest: Manifest, content: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a bundle; the same arguments give the same bytes.

    Args:
        manifest: Its `files` must list exactly the names in `content`, with their hashes.
        content: By file name.
    """
    assert manifest.files == {name: entry_of(data) for name, data in content.items()}
    text = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
    buffer = io.BytesIO()
    # The last 64 bytes are the comment: its place is taken first, for zip writes its length before it.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in [(MANIFEST, text), *sorted(content.items())]:
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.external_attr = _MODE
            archive.writestr(info, data)
        archive.comment = bytes(_DIGEST_BYTES)
    body = buffer.getvalue()[:-_DIGEST_BYTES]
    return body + hashlib.sha256(body).hexdigest().encode()


def write_bundle(path: Path, manifest: Manifest, content: Mapping[str, bytes]) -> int:
    """Write a bundle, whole or not at all, and return its size in bytes.

    Raises:
        FileError: The file system refused.
    """
    packed = pack(manifest, content)
    write_whole(path, packed)
    return len(packed)


def read_manifest(path: Path) -> Manifest:
    """Read what a bundle says of itself, without its files.

    Raises:
        BundleError: No such file, not a bundle, another format version, or a damaged manifest.
    """
    with _opened(path) as archive:
        return _manifest_of(archive, path)


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and verify every byte of it.

    Raises:
        BundleError: As `read_manifest`; or a file that is missing, not listed, compressed, too large,
            outside the archive, or whose hash is not the manifest's.
    """
    with _opened(path) as archive:
        manifest = _manifest_of(archive, path)
        listed = {MANIFEST, *manifest.files}
        found = [info.filename for info in archive.infolist()]
        if sorted(found) != sorted(listed):
            odd = sorted(set(found) ^ listed) or sorted({n for n in found if found.count(n) > 1})
            raise BundleError(f"{path} and its manifest disagree about {odd[0]!r}.", remedy=_REMAKE)
        content = {name: _verified(archive, path, name, entry) for name, entry in manifest.files.items()}
    for name in _named(manifest):
        if name not in content:
            raise BundleError(f"{path} names {name!r} but does not hold it.", remedy=_REMAKE)
    return Bundle(manifest=manifest, content=content)


def _named(manifest: Manifest) -> list[str]:
    names = [manifest.model.file, manifest.golden.file]
    if manifest.onnx is not None:
        names += [manifest.onnx.file, manifest.onnx.golden.file]
    return names


class _opened:  # noqa: N801 - reads as a function in a `with`
    """An archive, with every way it can be broken as one `BundleError`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> zipfile.ZipFile:
        _refuse_model(self._path)
        try:
            self._archive = zipfile.ZipFile(self._path)
            _check_digest(self._path, self._archive.comment)
        except OSError as exc:
            raise BundleError(
                f"Cannot read the bundle {self._path}: {exc.strerror or exc}.",
                remedy="Check the path and its permissions.",
            ) from exc
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
            raise BundleError(f"{self._path} is not a bundle: {exc}.", remedy=_REMAKE) from exc
        return self._archive

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._archive.close()
        # zipfile raises these from damaged headers, long after the archive was opened.
        damage = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
        if isinstance(error, damage):
            raise BundleError(f"{self._path} is damaged: {error}.", remedy=_REMAKE) from error


def _refuse_model(path: Path) -> None:
    saved_model = (path / "saved_model.pb").is_file()
    kind = "a TensorFlow SavedModel" if saved_model else _MODELS.get(path.suffix.lower())
    if kind is not None and path.exists():
        raise BundleError(
            f"{path} is {kind}, not a bundle.",
            remedy=f"Make a bundle of it first: `edge-aigc convert {path} --profile NAME`.",
        )


def _check_digest(path: Path, stated: bytes) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = path.stat().st_size - _DIGEST_BYTES
        while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
            digest.update(chunk)
            left -= len(chunk)
    if digest.hexdigest().encode() != stated:
        raise BundleError(f"{path} is damaged: it does not have the hash that it ends with.", remedy=_REMAKE)


def _manifest_of(archive: zipfile.ZipFile, path: Path) -> Manifest:
    entries = archive.infolist()
    if not entries or entries[0].filename != MANIFEST or len(entries) > ENTRIES_LIMIT:
        raise BundleError(
            f"{path} is not a bundle: its first entry is not {MANIFEST}.",
            remedy="Give a file that `edge-aigc convert` wrote.",
        )
    text = _stored(archive, path, entries[0], MANIFEST_LIMIT_BYTES)
    try:
        number = msgspec.json.decode(text, type=_FormatOnly).format
        if number != FORMAT:
            raise BundleError(
                f"{path} has bundle format {number}; this edge-aigc reads format {FORMAT}.",
                remedy="Install the edge-aigc that matches it, or convert the model again.",
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise BundleError(f"The manifest of {path} is damaged: {exc}.", remedy=_REMAKE) from exc
    _check_tensors(manifest, path)
    return manifest


class _FormatOnly(msgspec.Struct):
    format: int


def _check_tensors(manifest: Manifest, path: Path) -> None:
    stated = {tensor.name for tensor in manifest.spec.inputs}, {tensor.name for tensor in manifest.spec.outputs}
    held = set(manifest.model.inputs), set(manifest.model.outputs)
    if stated != held or manifest.name != manifest.spec.name:
        raise BundleError(
            f"The manifest of {path} contradicts itself about the model's tensors or name.",
            remedy=_REMAKE,
        )


def _verified(archive: zipfile.ZipFile, path: Path, name: str, entry: FileEntry) -> bytes:
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
        raise BundleError(f"{path} holds a file outside itself: {name!r}.", remedy=_REMAKE)
    info = archive.getinfo(name)
    if info.file_size != entry.bytes:
        raise BundleError(
            f"{name} in {path} has {info.file_size:,} B; the manifest says {entry.bytes:,} B.",
            remedy=_REMAKE,
        )
    content = _stored(archive, path, info, FILE_LIMIT_BYTES)
    if entry_of(content) != entry:
        raise BundleError(f"{name} in {path} does not have the hash that the manifest states.", remedy=_REMAKE)
    return content


def _stored(archive: zipfile.ZipFile, path: Path, info: zipfile.ZipInfo, limit_bytes: int) -> bytes:
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise BundleError(f"{info.filename} in {path} is compressed.", remedy=_REMAKE)
    if info.file_size > limit_bytes:
        raise BundleError(
            f"{info.filename} in {path} has {info.file_size:,} B; at most {limit_bytes:,} B are read.",
            remedy=_REMAKE,
        )
    return archive.read(info)
