"""`edge-aigc convert`, whole: real Keras models in, bundles out, refusals with nothing written."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import nets
import numpy as np
import pytest
from disks import small_disk
from PIL import Image

import edge_aigc
from edge_aigc.bundle import read_bundle, read_manifest
from edge_aigc.cli import run
from edge_aigc.converters.graph import metadata, operators

FLAGS = ("--prior", "latent=normal", "--classes", "kind=a,b,c")


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    return str(nets.gan(tmp_path_factory.mktemp("gan")))


@pytest.fixture(scope="module")
def upscaler(tmp_path_factory):
    return str(nets.upscaler(tmp_path_factory.mktemp("upscaler")))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        Image.effect_noise((40, 40), 60 + index).convert("RGB").save(folder / f"{index}.png")
    return str(folder)


def convert(capfd, *arguments):
    """Run the verb in this process; return the exit code and what --json printed."""
    code = run(["convert", *map(str, arguments), "--json"])
    return code, json.loads(capfd.readouterr().out)


def refused(capfd, folder, *arguments, code=1):
    """Assert that the conversion is refused and wrote nothing; return the error."""
    exit_code, printed = convert(capfd, *arguments, "-o", folder / "out")
    assert exit_code == code, printed
    assert not (folder / "out").exists()
    return printed["error"]


@pytest.mark.parametrize("recipe", ["int8", pytest.param("auto", marks=pytest.mark.heavy)])
def test_three_profiles_in_one_command(capfd, tmp_path, gan, recipe):
    names = ("rpi4", "coral-usb", "jetson-orin-nano")
    profiles = [word for name in names for word in ("--profile", name)]
    code, printed = convert(capfd, gan, *profiles, "--recipe", recipe, *FLAGS, "-o", tmp_path)
    assert code == 0
    assert [entry["profile"] for entry in printed["bundles"]] == list(names)
    for entry in printed["bundles"]:
        assert Path(entry["path"]).stat().st_size == entry["bytes"]
        assert entry["fidelity"]["metric"] == "psnr_db"
        assert entry["fidelity"]["value"] >= 30
        assert entry["latency_ms"]["how"] in {"measured", "estimated"}
        assert entry["latency_ms"]["value"] > 0
        sample = edge_aigc.open(entry["path"]).generate(seed=7, kind="b")
        assert sample.array.shape == (8, 8, 1)


@pytest.mark.parametrize("recipe", ["float32", "float16", "dynamic", "int8"])
def test_every_recipe_makes_the_same_thing_as_the_source(capfd, tmp_path, gan, recipe):
    code, printed = convert(
        capfd, gan, "--profile", "rpi4", "--runtime", "litert", "--recipe", recipe, *FLAGS, "-o", tmp_path
    )
    assert code == 0
    (entry,) = printed["bundles"]
    assert entry["recipe"] == recipe
    assert entry["fidelity"]["value"] > {"float32": 80, "float16": 58, "dynamic": 40, "int8": 35}[recipe]
    # In pixels: of float32 one in thousands lies on the edge between two levels and is rounded to the other.
    manifest = read_bundle(Path(entry["path"])).manifest
    assert [(output.dtype, output.range) for output in manifest.spec.outputs] == [("uint8", (0.0, 255.0))]
    sample = edge_aigc.open(entry["path"]).generate(seed=1)
    with Image.open(io.BytesIO(sample.encode())) as picture:  # the very bytes that the model made
        assert np.array_equal(np.asarray(picture), sample.array[..., 0])


@pytest.mark.parametrize("recipe", ["auto", "int8", "mixed"])
def test_a_bundle_can_be_made_again_byte_by_byte_from_what_it_records(capfd, tmp_path, gan, recipe):
    files = []
    like = ("--like", tmp_path / "one" / "gan-rpi4.aigc")
    for folder, words in (("one", ("--recipe", recipe, *FLAGS)), ("two", like)):
        arguments = ("--profile", "rpi4", *words, "--bundle-version", 5, "-o", tmp_path / folder)
        _, printed = convert(capfd, gan, *arguments)
        files.append(read_bundle(Path(printed["bundles"][0]["path"])).content)
    assert files[0] == files[1]


def test_what_a_bundle_records_is_not_made_of_another_model(capfd, tmp_path, gan, upscaler, photos):
    bundle = tmp_path / "one.aigc"
    convert(capfd, gan, "--profile", "rpi4", "--recipe", "float32", *FLAGS, "-o", bundle)
    size = ("--calibration", photos, "--range", "0,1")
    error = refused(capfd, tmp_path, upscaler, "--profile", "rpi4", "--like", bundle, *size)
    assert "is another model" in error["message"] or "--input-size" in error["remedy"]
    wrong = ("--profile", "rpi4", "--like", bundle, "--recipe", "int8")
    assert "`--recipe`" in refused(capfd, tmp_path, gan, *wrong, *FLAGS, code=2)["message"]
    assert (
        "--profile rpi4"
        in refused(capfd, tmp_path, gan, "--profile", "rpi5", "--like", bundle, *FLAGS, code=2)["remedy"]
    )


def test_auto_prints_what_it_tried_and_why(capfd, tmp_path, gan):
    assert run(["convert", gan, "--profile", "rpi4", *FLAGS, "-o", str(tmp_path)]) == 0
    words = capfd.readouterr().err
    for recipe in ("float32", "float16", "dynamic", "int8"):
        assert recipe in words
    assert "chosen" in words
    assert "planned for the kernels of tflite-runtime 2.14" in words


def test_dynamic_is_planned_again_where_tflite_runtime_must_run_it(capfd, tmp_path, gan):
    arguments = ("--profile", "rpi4", "--recipe", "dynamic", *FLAGS, "-o")
    _, both = convert(capfd, gan, *arguments, tmp_path / "both.aigc")
    _, litert = convert(capfd, gan, *arguments, tmp_path / "litert.aigc", "--runtime", "litert")
    versions = {}
    for name, printed in (("both", both), ("litert", litert)):
        bundle = read_bundle(Path(printed["bundles"][0]["path"]))
        versions[name] = {entry.kind: entry.version for entry in operators(bundle.flatbuffer)}
        assert bundle.manifest.recipe.older_kernels is (name == "both")
    assert versions["litert"]["FULLY_CONNECTED"] == 12
    # Where another form of it is the cheapest, there is no transposed convolution left.
    assert versions["litert"].get("TRANSPOSE_CONV", 2) == 2
    assert versions["both"]["FULLY_CONNECTED"] == 9
    assert versions["both"].get("TRANSPOSE_CONV", 1) == 1
    assert "tflite-runtime 2.14" in both["bundles"][0]["candidates"][0]["verdict"]


def test_coral_is_int8_at_its_borders_and_says_that_it_is_not_compiled(capfd, tmp_path, gan):
    _, printed = convert(capfd, gan, "--profile", "coral-usb", *FLAGS, "-o", tmp_path)
    (entry,) = printed["bundles"]
    found = operators(read_bundle(Path(entry["path"])).flatbuffer)
    tensors = [tensor for operator in found for tensor in (*operator.inputs, *operator.outputs) if tensor]
    assert {tensor.dtype for tensor in tensors} <= {"INT8", "INT32", "UINT8"}
    assert {tensor.dtype for operator in found[:-1] for tensor in operator.outputs} == {"INT8"}
    assert (found[-1].kind, found[-1].outputs[0].dtype) == ("QUANTIZE", "UINT8")  # pixels
    assert entry["edgetpu"]["compiled"] is False
    assert "edgetpu_compiler is not on PATH" in entry["edgetpu"]["reason"]
    assert entry["edgetpu"]["refused"] == {}


def test_jetson_bundles_carry_reduced_precision_support(capfd, tmp_path, gan):
    _, printed = convert(capfd, gan, "--profile", "jetson-orin-nano", "--recipe", "float16", *FLAGS, "-o", tmp_path)
    (entry,) = printed["bundles"]
    assert metadata(read_bundle(Path(entry["path"])).flatbuffer)["reduced_precision_support"] == b"fp16accfp16"


def test_each_flatbuffer_runs_alone_with_nothing_but_the_interpreter(capfd, tmp_path, gan):
    script = (
        "import sys, numpy, ai_edge_litert.interpreter as runtime\n"
        "model = runtime.Interpreter(model_path=sys.argv[1])\n"
        "model.allocate_tensors()\n"
        "for tensor in model.get_input_details():\n"
        "    model.set_tensor(tensor['index'], numpy.ones(tensor['shape'], tensor['dtype']))\n"
        "model.invoke()\n"
        "print(model.get_tensor(model.get_output_details()[0]['index']).shape, [*model.get_signature_list()])\n"
    )
    profiles = ("--profile", "rpi4", "--profile", "coral-usb", "--profile", "jetson-orin-nano")
    _, printed = convert(capfd, gan, *profiles, *FLAGS, "-o", tmp_path)
    for entry in printed["bundles"]:
        model = tmp_path / "alone.tflite"
        model.write_bytes(read_bundle(Path(entry["path"])).flatbuffer)
        done = subprocess.run([sys.executable, "-c", script, model], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "(1, 8, 8, 1) ['serving_default']"


def test_a_picture_model_is_verified_on_pictures_it_was_not_calibrated_on(capfd, tmp_path, upscaler, photos):
    size = ("--input-size", "12x16", "--calibration", photos, "--range", "0,1")
    code, printed = convert(capfd, upscaler, "--profile", "rpi4", "--recipe", "int8", *size, "-o", tmp_path)
    assert code == 0
    manifest = read_manifest(Path(printed["bundles"][0]["path"]))
    assert manifest.fidelity.on == "pictures"
    assert manifest.recipe.input_size == (12, 16)
    assert len(manifest.recipe.calibration.pictures_sha256) == 2
    photo = tmp_path / "photo.png"
    Image.effect_noise((16, 12), 50).convert("RGB").save(photo)
    sample = edge_aigc.open(printed["bundles"][0]["path"]).generate(inputs={"small": photo})
    assert sample.array.shape == (24, 32, 3)
    assert np.isfinite(sample.array).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--range", "0,1", "--calibration", "PHOTOS"), "--input-size HEIGHTxWIDTH"),
        (("--range", "0,1", "--input-size", "8x8"), "pictures are needed"),
        (("--input-size", "8x8", "--calibration", "PHOTOS"), "--range small=0,1"),
        (("--range", "0,1", "--input-size", "64x64", "--calibration", "PHOTOS"), "none at least 64x64"),
        (("--range", "0,1", "--input-size", "8x8", "--calibration", "nowhere"), "not a folder"),
    ],
)
def test_a_picture_model_asks_for_what_it_needs(capfd, tmp_path, upscaler, photos, arguments, words):
    arguments = [photos if word == "PHOTOS" else word for word in arguments]
    error = refused(capfd, tmp_path, upscaler, "--profile", "rpi4", *arguments)
    assert words in f"{error['message']} {error['remedy']}"


def test_a_promise_that_is_not_kept_exits_3_and_writes_nothing(capfd, tmp_path, gan):
    arguments = ("--profile", "rpi4", "--recipe", "int8", "--min-fidelity", "99", *FLAGS)
    error = refused(capfd, tmp_path, gan, *arguments, code=3)
    assert "99 dB were asked for" in error["message"]


def test_when_one_of_several_profiles_fails_none_is_written(capfd, tmp_path, gan):
    profiles = ("--profile", "rpi4", "--profile", "coral-usb")
    error = refused(capfd, tmp_path, gan, *profiles, "--recipe", "float32", *FLAGS)
    assert "Coral USB Accelerator on a Raspberry Pi 4 does not run the recipe float32" in error["message"]


def test_a_disk_that_fills_up_leaves_no_half_bundle(capfd, tmp_path):
    model = nets.gan(tmp_path, width=256)
    arguments = ("--profile", "rpi4", "--recipe", "float32", *FLAGS)
    with small_disk(tmp_path / "small") as disk:
        code, printed = convert(capfd, model, *arguments, "-o", disk)
        assert code == 1
        assert printed["error"]["code"] == "file"
        assert "No room for" in printed["error"]["message"]
        assert not list(disk.iterdir())


def test_one_file_cannot_hold_two_profiles(capfd, tmp_path, gan):
    profiles = ("--profile", "rpi4", "--profile", "coral-usb")
    code, printed = convert(capfd, gan, *profiles, *FLAGS, "-o", tmp_path / "one.aigc")
    assert code == 2
    assert "folder" in printed["error"]["remedy"]


def test_a_classifier_is_refused(capfd, tmp_path):
    model = nets.classifier(tmp_path)
    error = refused(capfd, tmp_path, model, "--profile", "rpi4", "--range", "0,1")
    assert error["code"] == "spec"
    assert "classifier" in error["message"]


def test_weights_that_float16_cannot_hold_are_refused(capfd, tmp_path):
    model = nets.overflowing(tmp_path)
    arguments = ("--profile", "rpi4", "--recipe", "float16", "--prior", "latent=normal", "--range", "-1,1")
    error = refused(capfd, tmp_path, model, *arguments)
    assert "65,504" in error["message"]


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "scrambled", "folder"])
def test_a_model_that_cannot_be_read_is_refused(capfd, tmp_path, gan, damage):
    model = tmp_path / "model.keras"
    content = Path(gan).read_bytes()
    if damage == "folder":
        model.mkdir()
    elif damage != "missing":
        scrambled = bytearray(content)
        scrambled[len(content) // 3 : len(content) // 3 + 400] = bytes(400)
        model.write_bytes(
            {"empty": b"", "text": b"hello", "truncated": content[:-200], "scrambled": bytes(scrambled)}[damage]
        )
    error = refused(capfd, tmp_path, model, "--profile", "rpi4", *FLAGS)
    assert error["code"] in {"source", "file"}
    assert "model.keras" in error["message"]
    assert error["remedy"]


def test_an_unknown_profile_gets_the_nearest(capfd, tmp_path, gan):
    error = refused(capfd, tmp_path, gan, "--profile", "rpi6", *FLAGS)
    assert "rpi5" in error["remedy"]


def test_a_spec_that_does_not_fit_the_model_is_refused(capfd, tmp_path, gan):
    spec = tmp_path / "spec.toml"
    spec.write_text('[[inputs]]\nname = "latent"\nprior = "normal"\nshape = [1, 9]\n')
    error = refused(capfd, tmp_path, gan, "--profile", "rpi4", "--spec", spec)
    assert "spec.toml gives 'latent' the shape [1, 9]; the model has [1, 8]" in error["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--profile",),
        (),
        ("--profile", "rpi4", "--recipe", "int3"),
        ("--profile", "rpi4", "--input-size", "8by8"),
        ("--profile", "rpi4", "--range", "black"),
        ("--profile", "rpi4", "--prior", "latent"),
        ("--profile", "rpi4", "--turbo"),
    ],
)
def test_misuse_exits_2(capfd, tmp_path, gan, arguments):
    error = refused(capfd, tmp_path, gan, *arguments, code=2)
    assert error["code"] == "usage"
