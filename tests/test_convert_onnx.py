"""`edge-aigc convert --onnx`: the form in the bundle makes what the golden vectors say."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import onnxruntime
import pytest
from nets import gan, saved

from edge_aigc.bundle import pack, read_bundle
from edge_aigc.cli import run
from edge_aigc.converters.models import DIGITS, DIGITS_SPEC
from edge_aigc.errors import BundleError
from edge_aigc.golden import prove
from edge_aigc.manifest import Tolerance

GAN = ("--prior", "latent=normal", "--classes", "kind=a,b,c", "--range", "-1,1")


def convert(capfd, *arguments):
    code = run(["convert", *map(str, arguments)])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


def run_onnx(bundle):
    session = onnxruntime.InferenceSession(
        bundle.content[bundle.manifest.onnx.file], providers=["CPUExecutionProvider"]
    )
    names = [tensor.name for tensor in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, dict(inputs)), strict=True))


def prove_form(bundle, tolerance):
    """Run the form's own golden vectors through onnxruntime."""
    from msgspec.structs import replace

    golden = replace(bundle.manifest.onnx.golden, tolerance=tolerance)
    return prove(replace(bundle, manifest=replace(bundle.manifest, golden=golden)), run_onnx(bundle))


@pytest.mark.parametrize(
    "recipe",
    ["int8", pytest.param("float32", marks=pytest.mark.heavy), pytest.param("float16", marks=pytest.mark.heavy)],
)
def test_the_digits_in_onnx_make_the_golden_digits(capfd, tmp_path, recipe):
    path = tmp_path / "digits.aigc"
    arguments = (DIGITS, "--spec", DIGITS_SPEC, "--profile", "jetson-orin-nano", "--recipe", recipe, "--onnx")
    assert convert(capfd, *arguments, "-o", path)[0] == 0
    proof = prove_form(read_bundle(path), Tolerance(rms=1e-5, largest=1e-4))
    assert proof.vectors == 4
    assert proof.largest < 1e-5


def test_the_form_is_repeatable_to_the_byte(capfd, tmp_path):
    model = gan(tmp_path)
    arguments = (model, "--profile", "jetson-nano", "--recipe", "float32", "--onnx", "--bundle-version", "1")
    contents = []
    for name in ("one.aigc", "two.aigc"):
        assert convert(capfd, *arguments, *GAN, "-o", tmp_path / name)[0] == 0
        contents.append(read_bundle(tmp_path / name).content)
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"model.tflite", "golden.npz", "model.onnx", "golden-onnx.npz"}


def test_without_the_flag_there_is_no_form_and_a_gpu_is_pointed_out(capfd, tmp_path):
    code, _, err = convert(
        capfd, gan(tmp_path), *GAN, "--profile", "jetson-nano", "--recipe", "float32", "-o", tmp_path
    )
    assert code == 0
    assert "jetson-nano has a GPU: with `--onnx`" in err
    assert read_bundle(tmp_path / "gan-jetson-nano.aigc").manifest.onnx is None


def test_what_onnx_cannot_express_is_refused_by_operator_and_nothing_is_written(capfd, tmp_path):
    import keras

    keras.utils.set_random_seed(1)
    latent = keras.Input((16,), name="latent")
    x = keras.layers.Conv1D(4, 3, padding="same")(keras.layers.Reshape((16, 1))(latent))
    x = keras.ops.clip(x, -1.0, 1.0)
    model = saved(keras.Model(latent, keras.layers.Reshape((8, 8, 1), name="image")(x)), tmp_path / "clipped.keras")
    arguments = ("--prior", "latent=normal", "--range", "-1,1", "--profile", "jetson-nano", "--recipe", "float32")
    code, _, err = convert(capfd, model, *arguments, "--onnx", "-o", tmp_path / "out")
    assert code == 1
    assert "CONV_2D with RELU_N1_TO_1" in err
    assert "Leave `--onnx` out" in err
    assert not (tmp_path / "out").exists()
    assert convert(capfd, model, *arguments, "-o", tmp_path / "out")[0] == 0


def test_a_missing_extra_is_named_before_anything_is_loaded(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr("edge_aigc.converters.onnx.form.PACKAGES", ("onnx", "absent_for_this_test"))
    code, _, err = convert(capfd, gan(tmp_path), *GAN, "--profile", "jetson-nano", "--onnx", "-o", tmp_path)
    assert code == 1
    assert "absent-for-this-test" in err
    assert "edge-aigc[convert,onnx]" in err


def test_a_changed_form_is_noticed(capfd, tmp_path):
    path = tmp_path / "gan.aigc"
    arguments = ("--profile", "jetson-nano", "--recipe", "float32", "--onnx", "-o", path)
    assert convert(capfd, gan(tmp_path), *GAN, *arguments)[0] == 0
    bundle = read_bundle(path)
    packed = pack(bundle.manifest, bundle.content)
    position = packed.index(bundle.content["model.onnx"]) + 100
    path.write_bytes(packed[:position] + bytes([packed[position] ^ 1]) + packed[position + 1 :])
    with pytest.raises(BundleError, match="does not have the hash"):
        read_bundle(path)


def test_a_form_that_the_manifest_names_and_the_bundle_lacks_is_noticed(capfd, tmp_path):
    from msgspec.structs import replace

    path = tmp_path / "gan.aigc"
    arguments = ("--profile", "jetson-nano", "--recipe", "float32", "--onnx", "-o", path)
    assert convert(capfd, gan(tmp_path), *GAN, *arguments)[0] == 0
    bundle = read_bundle(path)
    manifest = replace(bundle.manifest, onnx=replace(bundle.manifest.onnx, file="other.onnx"))
    path.write_bytes(pack(manifest, bundle.content))
    with pytest.raises(BundleError, match=r"names 'other\.onnx' but does not hold it"):
        read_bundle(path)


def test_inspect_shows_the_form(capfd, tmp_path):
    path = tmp_path / "gan.aigc"
    arguments = ("--profile", "jetson-nano", "--recipe", "float32", "--onnx", "-o", path)
    assert convert(capfd, gan(tmp_path), *GAN, *arguments)[0] == 0
    assert run(["inspect", str(path)]) == 0
    assert "onnx        model.onnx, opset 13" in capfd.readouterr().out
    assert zipfile.ZipFile(path).testzip() is None
    vectors = np.load(io.BytesIO(read_bundle(path).content["golden-onnx.npz"]))
    assert "0.outputs.image" in vectors
