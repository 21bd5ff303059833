"""Sounds and clouds of points: bytes that other programs read back as what they were."""

from __future__ import annotations

import io
import wave

import msgspec
import numpy as np
import pytest

from edge_aigc.media.encode import encode
from edge_aigc.spec import GeneratorSpec, Output, Uniform

SOUND = Output(name="sound", shape=(1, 400, 1), media="audio", range=(-1.0, 1.0), sample_rate=8000)
CLOUD = Output(name="cloud", shape=(1, 50, 3), media="points")


def test_a_sound_survives_wav_to_a_16_bit_step():
    values = np.sin(np.arange(400, dtype=np.float32) / 5).reshape(1, 400, 1)
    with wave.open(io.BytesIO(encode(values, SOUND)), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        read = np.frombuffer(file.readframes(400), "<i2") / 32767
    assert np.abs(read - values.ravel()).max() <= 0.5001 / 32767


def test_what_is_louder_than_the_range_is_clipped_and_never_wraps():
    with wave.open(io.BytesIO(encode(np.array([[[9.0], [-9.0], [0.0]]]), SOUND)), "rb") as file:
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [32767, -32767, 0]


def test_two_channels_stay_two():
    stereo = msgspec.structs.replace(SOUND, shape=(1, 4, 2))
    with wave.open(io.BytesIO(encode(np.zeros((1, 4, 2)), stereo)), "rb") as file:
        assert (file.getnchannels(), file.getnframes()) == (2, 4)


@pytest.mark.parametrize("name", ["ply", "ply-ascii"])
def test_points_survive_ply_exactly(name):
    values = np.random.default_rng(1).standard_normal((1, 50, 3)).astype(np.float32)
    header, _, body = encode(values, CLOUD, name).partition(b"end_header\n")
    assert b"element vertex 50\n" in header
    if name == "ply":
        read = np.frombuffer(body, "<f4").reshape(50, 3)
    else:
        read = np.array([[np.float32(word) for word in row.split()] for row in body.decode().splitlines()])
    assert np.array_equal(read, values[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sample_rate": None}, "sample_rate"),
        ({"range": None}, "range"),
        ({"shape": (1, 1, 400, 1)}, "samples"),
        ({"shape": (1, 400, 3)}, "1 | 2"),
        ({"media": "raw"}, "no audio"),
        ({"media": "points", "sample_rate": None, "shape": (1, 400, 2)}, "points, 3"),
    ],
)
def test_what_cannot_be_a_sound_or_points_is_refused(changes, words):
    with pytest.raises(ValueError, match=words.replace("|", r"\|")):
        GeneratorSpec(
            name="net",
            inputs=(Uniform(name="latent", shape=(1, 8)),),
            outputs=(msgspec.structs.replace(SOUND, **changes),),
        )
