"""Pictures divided once: what calibrates never verifies."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from edge_aigc.converters.calibrate import read_pictures, sample_inputs
from edge_aigc.errors import SpecError
from edge_aigc.spec import GeneratorSpec, Output, Picture

SPEC = GeneratorSpec(
    name="p",
    inputs=(Picture(name="photo", shape=(1, 8, 8, 3), range=(-1.0, 1.0)),),
    outputs=(Output(name="out", shape=(1, 4), media="raw"),),
)


def fill(folder, shades, size=(20, 16)):
    for index, shade in enumerate(shades):
        Image.new("RGB", size, (shade,) * 3).save(folder / f"{index:02}.png")


def shades(pictures):
    return {picture.getpixel((0, 0))[0] for picture in pictures}


def test_pictures_that_verify_did_not_calibrate(tmp_path):
    fill(tmp_path, range(10, 19))
    pictures = read_pictures(tmp_path, (8, 8))
    assert shades(pictures.calibrate).isdisjoint(shades(pictures.verify))
    assert len(pictures.calibrate) + len(pictures.verify) == 9
    assert len(pictures.verify) >= 2


def test_the_same_picture_twice_is_on_one_side_only(tmp_path):
    fill(tmp_path, [10, 10, 20, 20])
    pictures = read_pictures(tmp_path, (8, 8))
    assert shades(pictures.calibrate).isdisjoint(shades(pictures.verify))


def test_of_a_single_picture_the_lower_part_verifies(tmp_path):
    fill(tmp_path, [10], size=(8, 40))
    pictures = read_pictures(tmp_path, (8, 8))
    assert pictures.calibrate[0].height == 30
    assert pictures.verify[0].height == 10


@pytest.mark.parametrize("size", [(7, 20), (20, 7)])
def test_pictures_that_are_too_small_are_counted(tmp_path, size):
    fill(tmp_path, [10, 11], size=size)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(SpecError, match="3 picture files, 2 of them readable, none at least 8x8"):
        read_pictures(tmp_path, (8, 8))


def test_no_folder_and_an_empty_one_are_refused(tmp_path):
    with pytest.raises(SpecError, match="not a folder"):
        read_pictures(tmp_path / "none", (8, 8))
    with pytest.raises(SpecError, match="0 picture files"):
        read_pictures(tmp_path, (8, 8))


def test_a_single_picture_that_cannot_be_divided_is_refused(tmp_path):
    fill(tmp_path, [10], size=(20, 12))
    with pytest.raises(SpecError, match="cannot be divided"):
        read_pictures(tmp_path, (8, 8))


def test_crops_are_repeatable_and_within_the_range(tmp_path):
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "a.png")
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "b.png")
    pictures = read_pictures(tmp_path, (8, 8)).calibrate
    first = sample_inputs(SPEC, pictures, first_seed=5, count=6)
    again = sample_inputs(SPEC, pictures, first_seed=5, count=6)
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one["photo"], two["photo"])
    assert not np.array_equal(first[0]["photo"], first[1]["photo"])
    assert all(inputs["photo"].min() >= -1 and inputs["photo"].max() <= 1 for inputs in first)
