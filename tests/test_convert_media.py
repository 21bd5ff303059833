"""Sounds and clouds of points from a Keras file to files that play and show, each held to its own figure."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import nets
import pytest

import edge_aigc
from edge_aigc.cli import run

COMMON = ("--profile", "rpi4", "--recipe", "float16", "--meter", "here", "--prior", "latent=normal", "--json")


def convert(capfd, *arguments):
    code = run(["convert", *map(str, arguments), *COMMON])
    return code, json.loads(capfd.readouterr().out)


def test_a_sound_is_held_to_its_snr_and_comes_out_as_wav(capfd, tmp_path):
    model = nets.sounds(tmp_path)
    flags = ("--media", "sound=audio", "--sample-rate", 8000, "-o", tmp_path)
    code, printed = convert(capfd, model, *flags)
    assert code == 0
    (entry,) = printed["bundles"]
    fidelity = entry["fidelity"]
    assert (fidelity["metric"], fidelity["minimum"], fidelity["output"]) == ("snr_db", 20.0, "sound")
    assert fidelity["value"] > 40
    assert 0 <= fidelity["log_mel_db"] < 1
    assert fidelity["spread"]["features"] == "log-mel-1"
    path = edge_aigc.open(entry["path"]).generate(seed=7).save(tmp_path / "sound.wav")
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 256)
    code, printed = convert(capfd, model, *flags, "--min-fidelity", 99)
    assert code == 3
    assert "99 dB were asked for" in printed["error"]["message"]


def test_a_cloud_is_held_to_its_chamfer_distance_and_comes_out_as_ply(capfd, tmp_path):
    code, printed = convert(capfd, nets.cloud(tmp_path), "--media", "cloud=points", "-o", tmp_path)
    assert code == 0
    (entry,) = printed["bundles"]
    assert entry["fidelity"]["metric"] == "chamfer_db"
    assert entry["fidelity"]["value"] > 60
    path = edge_aigc.open(entry["path"]).generate(seed=7).save(tmp_path / "cloud.ply")
    assert Path(path).read_bytes().startswith(b"ply\nformat binary_little_endian 1.0\nelement vertex 64\n")


@pytest.mark.parametrize(("media", "words"), [("audio", "sample rate"), ("points", "1, points, 3")])
def test_what_a_sound_or_a_cloud_needs_is_asked_for(capfd, tmp_path, media, words):
    flags = ("--media", f"sound={media}", "-o", tmp_path / "out")
    code, printed = convert(capfd, nets.sounds(tmp_path), *flags)
    assert code == 1
    assert words in printed["error"]["message"]
    assert not (tmp_path / "out").exists()
