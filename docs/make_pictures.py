"""Make the pictures of the README.

    python docs/make_pictures.py digits
    python docs/make_pictures.py esrgan MODEL.keras

`digits` converts the generator that ships and shows twelve seeds of every class. `esrgan` converts a
doubling ESRGAN to float32 and int8, calibrated on photographs of scikit-image, and shows both on one that was
not used for calibration, with their difference eight times enlarged.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

import edge_aigc

DOCS = Path(__file__).parent
SIZE = 64
CALIBRATION = ("chelsea", "coffee", "rocket", "retina", "hubble_deep_field", "immunohistochemistry", "colorwheel")
FACE = (56, 176)
"""Row and column of the crop of `astronaut`, which calibrates nothing."""
ROWS = 6
ENLARGED = 3


def digits() -> None:
    """Write docs/digits.png."""
    with tempfile.TemporaryDirectory() as folder:
        path = convert("--profile", "rpi4", folder=folder, name="digits")
        generator = edge_aigc.open(path)
    rows = [
        np.concatenate(
            [
                generator.generate(seed=seed * 2 + half, digit=digit).array[..., 0]
                for half in (0, 1)
                for digit in range(10)
            ],
            1,
        )
        for seed in range(ROWS)
    ]
    pixels = np.rint((np.concatenate(rows) + 1) / 2 * 255).astype(np.uint8)
    sheet = Image.fromarray(pixels)
    sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.BICUBIC).save(DOCS / "digits.png", optimize=True)


def esrgan(model: str) -> None:
    """Write docs/esrgan-x2-int8.png and print the figures of the conversion."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for name in CALIBRATION:
            Image.fromarray(getattr(skimage.data, name)()[..., :3]).save(photos / f"{name}.png")
        flags = ("--profile", "rpi4", "--range", "0,1", "--input-size", f"{SIZE}x{SIZE}", "--calibration", str(photos))
        paths = {
            recipe: convert(model, *flags, "--recipe", recipe, folder=folder, name=recipe)
            for recipe in ("float32", "int8")
        }
        top, left = FACE
        photo = Image.fromarray(skimage.data.astronaut()[top : top + SIZE, left : left + SIZE])
        photo.save(Path(folder) / "face.png")
        made = {
            recipe: edge_aigc.open(path).generate(inputs={"LR": Path(folder) / "face.png"}).array
            for recipe, path in paths.items()
        }
    error = made["int8"] - made["float32"]
    decibels = -10 * np.log10(np.mean(error**2))
    print(f"int8 against float32 on the face: {decibels:.1f} dB")  # noqa: T201 - a script
    panels = {
        f"input, {SIZE}x{SIZE}": np.asarray(photo.resize((2 * SIZE, 2 * SIZE), Image.Resampling.NEAREST)) / 255,
        "float32": made["float32"],
        f"int8, {decibels:.1f} dB": made["int8"],
        "difference, 8 times": 0.5 + 8 * error,
    }
    labelled(panels).save(DOCS / "esrgan-x2-int8.png", optimize=True)


def labelled(panels: dict[str, np.ndarray]) -> Image.Image:
    """Return the panels in a row, enlarged, each with its name above."""
    side, head = 2 * SIZE * ENLARGED, 22
    sheet = Image.new("RGB", (len(panels) * (side + 6) - 6, side + head), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (name, values) in enumerate(panels.items()):
        picture = Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))
        left = index * (side + 6)
        sheet.paste(picture.resize((side, side), Image.Resampling.NEAREST), (left, head))
        pen.text((left + 2, 2), name, fill="black", font_size=14)
    return sheet


def convert(*arguments: str, folder: str, name: str) -> Path:
    """Run `edge-aigc convert` and return the bundle's path."""
    path = Path(folder) / f"{name}.aigc"
    subprocess.run([sys.executable, "-m", "edge_aigc.cli", "convert", *arguments, "-o", str(path)], check=True)
    return path


if __name__ == "__main__":
    {"digits": digits, "esrgan": esrgan}[sys.argv[1]](*sys.argv[2:])
