"""A bundle opened: samples, pictures in, files out."""

from __future__ import annotations

import io

import numpy as np
import pytest
from bundles import bundle_with_wrong_goldens, negative_bundle, tiny_bundle
from PIL import Image

import edge_aigc
from edge_aigc.errors import BundleError, InputError


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return edge_aigc.open(tiny_bundle(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def negative(tmp_path_factory):
    return edge_aigc.open(negative_bundle(tmp_path_factory.mktemp("negative")))


def picture(size=(8, 8), mode="RGB", kind="PNG"):
    buffer = io.BytesIO()
    Image.effect_noise(size, 80).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def test_the_same_seed_gives_the_same_sample(generator):
    first, again, other = (generator.generate(seed=seed, digit=3) for seed in (7, 7, 8))
    assert np.array_equal(first.array, again.array)
    assert not np.array_equal(first.array, other.array)
    assert first.seed == 7


def test_a_control_changes_the_sample(generator):
    assert not np.array_equal(generator.generate(seed=7, digit=3).array, generator.generate(seed=7, digit="4").array)


def test_samples_lie_within_the_stated_range(generator):
    values = generator.generate().array
    assert values.shape == (8, 8, 1)
    assert -1 <= values.min() <= values.max() <= 1


@pytest.mark.parametrize(("suffix", "kind"), [("png", "PNG"), ("webp", "WEBP"), ("jpg", "JPEG"), ("jpeg", "JPEG")])
def test_a_sample_is_saved_in_the_format_of_the_suffix(generator, tmp_path, suffix, kind):
    path = generator.generate(seed=1).save(tmp_path / f"one.{suffix}")
    with Image.open(path) as image:
        image.load()
        assert (image.format, image.size) == (kind, (8, 8))


def test_lossless_files_hold_the_very_pixels(generator):
    sample = generator.generate(seed=1)
    expected = np.rint((sample.array[..., 0] + 1) / 2 * 255).astype(np.uint8)
    for kind in ("png", "webp"):
        with Image.open(io.BytesIO(sample.encode(kind))) as image:
            assert np.array_equal(np.asarray(image.convert("L")), expected)


def test_an_unknown_format_is_refused_with_the_known_ones(generator, tmp_path):
    with pytest.raises(InputError, match="png, webp, jpeg"):
        generator.generate(seed=1).save(tmp_path / "one.tiff")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_pictures_of_any_mode_go_in(negative, kind, mode):
    if (kind, mode) == ("JPEG", "RGBA"):
        mode = "CMYK"
    values = negative.generate(inputs={"photo": picture(mode=mode, kind=kind)}).array
    assert values.shape == (8, 8, 3)


def test_the_picture_is_what_the_model_sees(negative):
    content = picture()
    pixels = np.asarray(Image.open(io.BytesIO(content)), dtype=np.float32) / 255
    assert np.allclose(negative.generate(inputs={"photo": content}).array, 1 - pixels, atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "needs a picture for its input 'photo'"),
        ({"photo": b""}, "cannot be read"),
        ({"photo": b"GIF89a" + bytes(50)}, "PNG, JPEG or WEBP"),
        ({"photo": picture((9, 8))}, "--input-size 8x9"),
        ({"photo": picture()[:60]}, "cannot be read"),
        ({"face": picture()}, "takes no picture 'face'"),
    ],
)
def test_a_wrong_picture_is_refused(negative, inputs, words):
    with pytest.raises(InputError) as caught:
        negative.generate(inputs=inputs)
    assert words in str(caught.value)


def test_a_picture_bomb_is_refused_by_its_header(negative):
    # A PNG that says 100,000 x 100,000: nothing may be decoded.
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    import zlib

    content = header + zlib.crc32(header[12:]).to_bytes(4, "big") + bytes(64)
    with pytest.raises(InputError):
        negative.generate(inputs={"photo": content})


def test_a_bundle_that_makes_other_things_does_not_open(tmp_path):
    path = bundle_with_wrong_goldens(tmp_path)
    with pytest.raises(BundleError, match="does not prove itself here"):
        edge_aigc.open(path)
    assert edge_aigc.open(path, prove=False).proof is None


def test_opening_proves_the_golden_vectors(generator):
    assert generator.proof.vectors == 2
    assert generator.proof.largest < 0.02
