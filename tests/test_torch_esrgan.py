"""A trained net of PyTorch, whole: ESRGAN x2 as a `.pt2` for three boards; needs the extra `torch`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from generators.esrgan import ESRGAN
from PIL import Image

import edge_aigc
from edge_aigc.bundle import read_bundle
from edge_aigc.cli import run
from edge_aigc.golden import unpack_vectors

pytestmark = pytest.mark.heavy

SIDE = 64
BOARDS = ("rpi4", "coral-usb", "jetson-orin-nano")
LEAST_DB = 40.0


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        Image.fromarray(getattr(skimage.data, name)()[..., :3]).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def upscaler(tmp_path_factory):
    """The trained weights in a module, and the module; the weights' file is named by ESRGAN_X2 or lies in `shared`."""
    import torch
    from generators.torch_layers import TorchNet

    net = TorchNet(ESRGAN).eval()
    example = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        net(example)  # it makes its layers
    path = tmp_path_factory.mktemp("upscaler") / "esrgan_x2.pt2"
    torch.export.save(torch.export.export(net, (example,), strict=False), path)
    return path, net


def test_the_trained_upscaler_becomes_a_bundle_for_three_boards(capfd, tmp_path, photos, upscaler):
    path, net = upscaler
    words = [word for board in BOARDS for word in ("--profile", board)]
    flags = ["--range", "0,1", "--calibration", str(photos), "--meter", "here", "--recipe", "int8"]
    code = run(["convert", str(path), *words, *flags, "--json", "-o", str(tmp_path)])
    printed = json.loads(capfd.readouterr().out)
    assert code == 0, printed
    for entry in printed["bundles"]:
        assert entry["fidelity"]["value"] >= LEAST_DB, entry["profile"]
        assert _decibels(entry["path"], net, photos) >= LEAST_DB, entry["profile"]
        assert entry["edgetpu"] is None or entry["edgetpu"]["refused"] == {}


def _decibels(bundle, net, photos):
    """Return the PSNR of a bundle's pictures against PyTorch's own, of inputs that the file never saw."""
    import torch

    generator = edge_aigc.open(bundle)
    (taken,) = generator.spec.pictures
    errors = []
    for file in sorted(photos.iterdir()):
        pixels = np.asarray(Image.open(file))[100 : 100 + SIDE, 150 : 150 + SIDE]
        with torch.no_grad():
            (made,) = net(torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255))
        crop = io.BytesIO()
        Image.fromarray(pixels).save(crop, "PNG")
        found = generator.generate(seed=0, inputs={taken.name: crop.getvalue()}).array
        expected = np.clip(made.numpy()[0].transpose(1, 2, 0), 0, 1)
        errors.append(float(np.mean((found / 255 - expected) ** 2)))
    assert unpack_vectors(read_bundle(Path(bundle)))  # and it carries what proves it
    return -10 * np.log10(np.mean(errors))
