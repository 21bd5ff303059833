"""Bundles: whole, deterministic, and refused when anything is off."""

from __future__ import annotations

import io
import json
import zipfile

import msgspec
import pytest
from bundles import tiny_bundle

from edge_aigc.bundle import entry_of, pack, read_bundle, read_manifest
from edge_aigc.errors import BundleError


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path)


def rewritten(path, change):
    """Write the bundle again by hand, after `change(names, contents)`, with a right digest at its end."""
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    options = change(entries) or {}
    return sealed(path, list(entries.items()), **options)


def sealed(path, entries, compression=zipfile.ZIP_STORED):
    import hashlib

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
        archive.comment = bytes(64)
    body = buffer.getvalue()[:-64]
    path.write_bytes(body + hashlib.sha256(body).hexdigest().encode())
    return path


def manifest_change(**changes):
    def change(entries):
        entries["manifest.json"] = json.dumps(json.loads(entries["manifest.json"]) | changes).encode()

    return change


def test_a_bundle_reads_back_what_was_written(bundle):
    loaded = read_bundle(bundle)
    assert loaded.manifest == read_manifest(bundle)
    assert loaded.flatbuffer[4:8] == b"TFL3"
    assert pack(loaded.manifest, loaded.content) == bundle.read_bytes()


def test_the_manifest_is_the_first_entry_and_nothing_is_compressed(bundle):
    with zipfile.ZipFile(bundle) as archive:
        infos = archive.infolist()
        assert archive.testzip() is None
    assert infos[0].filename == "manifest.json"
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}


def test_every_single_changed_byte_is_noticed(bundle, tmp_path):
    content = bundle.read_bytes()
    changed = tmp_path / "changed.aigc"
    step = max(1, len(content) // 600)
    # Every byte of zip's own records at both ends, and one in some twenty between.
    places = {*range(300), *range(0, len(content), step), *range(len(content) - 600, len(content))}
    for place in sorted(places):
        changed.write_bytes(content[:place] + bytes([content[place] ^ 0x01]) + content[place + 1 :])
        with pytest.raises(BundleError):
            read_bundle(changed)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("model.keras", "a Keras model"), ("Model.ONNX", "an ONNX model"), ("model.tflite", "a TFLite model")],
)
def test_a_model_is_not_a_bundle_and_convert_is_named(tmp_path, name, kind):
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(BundleError) as caught:
        read_manifest(path)
    assert caught.value.message == f"{path} is {kind}, not a bundle."
    assert f"`edge-aigc convert {path} --profile NAME`" in caught.value.remedy


def test_a_saved_model_is_not_a_bundle_and_convert_is_named(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(BundleError, match="a TensorFlow SavedModel, not a bundle"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.9999])
def test_a_truncated_bundle_is_refused(bundle, share):
    content = bundle.read_bytes()
    bundle.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BundleError):
        read_bundle(bundle)


def test_another_format_version_is_refused_by_number(bundle):
    rewritten(bundle, manifest_change(format=2))
    with pytest.raises(BundleError, match="format 2; this edge-aigc reads format 1"):
        read_manifest(bundle)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"surprise": 1}, "surprise"),
        ({"name": "other"}, "contradicts itself"),
        ({"name": "../x"}, "damaged"),
        ({"threads": 0}, "damaged"),
        ({"format": "1"}, "damaged"),
        ({"files": {}}, "disagree"),
        ({"files": {"../evil": {"sha256": "0" * 64, "bytes": 1}}}, "disagree"),
    ],
)
def test_a_wrong_manifest_is_refused(bundle, changes, words):
    rewritten(bundle, manifest_change(**changes))
    with pytest.raises(BundleError, match=words):
        read_bundle(bundle)


def test_a_file_that_the_manifest_does_not_list_is_refused(bundle):
    rewritten(bundle, lambda entries: entries.update({"extra.bin": b"x"}))
    with pytest.raises(BundleError, match=r"extra\.bin"):
        read_bundle(bundle)


def test_a_file_with_another_hash_is_refused(bundle):
    def change(entries):
        entries["golden.npz"] = bytes(len(entries["golden.npz"]))

    rewritten(bundle, change)
    with pytest.raises(BundleError, match="hash"):
        read_bundle(bundle)


def test_a_file_of_another_size_is_refused(bundle):
    rewritten(bundle, lambda entries: entries.update({"golden.npz": b"short"}))
    with pytest.raises(BundleError, match="5 B"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["../evil.tflite", "/etc/evil", "a/../../evil", "c:evil"])
def test_a_path_that_leaves_the_folder_is_refused(bundle, name):
    def change(entries):
        manifest = json.loads(entries["manifest.json"])
        manifest["files"][name] = msgspec.to_builtins(entry_of(b"x"))
        entries["manifest.json"] = json.dumps(manifest).encode()
        entries[name] = b"x"

    rewritten(bundle, change)
    with pytest.raises(BundleError, match="outside itself"):
        read_bundle(bundle)


def test_a_compressed_bundle_is_refused_before_it_unfolds(bundle):
    rewritten(bundle, lambda _: {"compression": zipfile.ZIP_DEFLATED})
    with pytest.raises(BundleError, match="compressed"):
        read_bundle(bundle)


def test_an_entry_twice_is_refused(bundle):
    with zipfile.ZipFile(bundle) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with pytest.warns(UserWarning, match="Duplicate name"):
        sealed(bundle, [*entries, entries[-1]])
    with pytest.raises(BundleError):
        read_bundle(bundle)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle_is_said_not_to_be(tmp_path, content):
    path = tmp_path / "x.aigc"
    path.write_bytes(content)
    with pytest.raises(BundleError):
        read_bundle(path)


def test_a_missing_bundle_is_said_to_be_missing(tmp_path):
    with pytest.raises(BundleError, match="No such file"):
        read_manifest(tmp_path / "none.aigc")
    with pytest.raises(BundleError, match="directory"):
        read_manifest(tmp_path)
