"""Which bundle proves itself on which board, under emulation: agreement and peak memory, as a Markdown table.

    python benchmarks/emulation_matrix.py [MODEL.keras …] [--profile NAME …]

Without MODEL: the digits generator that ships. A model that takes pictures of any size is given 64x64 and
calibrated on photographs of scikit-image. Each is converted in int8 and in the profile's first recipe, and opened
on every runtime and image that the profile lists, with the very wheel that it names.

Boards of the same core, runtime release, Python and bundle compute the same: such a run is made once and listed for
each of them. No time is told, for an emulated one means nothing.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import skimage.data
from PIL import Image

from edge_aigc.bundle import read_manifest
from edge_aigc.devices.catalog import find_profile, profile_names
from edge_aigc.devices.emulate.machine import Machine
from edge_aigc.devices.emulate.proving import Proven, prove_emulated
from edge_aigc.errors import EdgeAigcError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_aigc.profile import DeviceProfile

PHOTOS = ("chelsea", "coffee", "rocket")
PICTURES = ("--range", "0,1", "--input-size", "64x64")
HEAD = "| board | core | model | recipe | runtime | Python | vectors | rms | largest | peak RAM, B |"
"""rms and largest: of the difference from the golden vectors, in shares of the output's range."""


@dataclass(frozen=True)
class Row:
    """One cell of the matrix, and what came of it."""

    machine: Machine
    model: str
    recipe: str
    outcome: Proven | EdgeAigcError
    shared: bool

    def __str__(self) -> str:
        """Return a line of the table."""
        major, minor = self.machine.release.python
        python = f"{major}.{minor}" + (f" for {_dotted(self.machine.python)}" if self.machine.stands_in else "")
        profile, kind = self.machine.profile, self.machine.runtime
        start = f"| {profile.name} | {profile.cpu.core} | {self.model} | {self.recipe} |"
        if isinstance(self.outcome, EdgeAigcError):
            return f"{start} {kind} | {python} | {self.outcome.message} | | | |"
        golden = self.outcome.golden
        return (
            f"{start} {self.outcome.runtime} | {python} | {golden.vectors} | {golden.rms:.1e} | {golden.largest:.1e} "
            f"| {self.outcome.peak_ram_bytes:,}{' (shared)' if self.shared else ''} |"
        )


def main() -> None:
    """Print the table; exit 1 if a bundle does not prove itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--profile", action="append", help="default: every board that QEMU has a model for")
    options = parser.parse_args()
    profiles = [find_profile(name) for name in options.profile or profile_names() if name != "host"]
    rows = []
    print(f"{HEAD}\n|{' --- |' * HEAD.count(' |')}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for row in matrix([None, *options.models], profiles, Path(folder)):
            print(row, flush=True)
            rows.append(row)
    failed = sum(isinstance(row.outcome, EdgeAigcError) for row in rows)
    ran = sum(not row.shared for row in rows)
    print(f"\n{len(rows) - failed} of {len(rows)} prove themselves; {ran} runs.")
    sys.exit(failed > 0)


def matrix(models: list[Path | None], profiles: list[DeviceProfile], folder: Path) -> Iterator[Row]:
    """Yield a row for every profile, model, recipe, runtime and image."""
    known: dict[str, Proven | EdgeAigcError] = {}
    for profile, model in itertools.product(profiles, models):
        for recipe in dict.fromkeys((profile.auto_recipes[0], "int8")):
            path = bundle(model, profile, recipe, folder)
            for machine in machines(profile):
                key = likeness(machine, path)
                shared = key in known
                if not shared:
                    known[key] = proven(machine, path)
                name = "digits" if model is None else model.stem
                yield Row(machine=machine, model=name, recipe=recipe, outcome=known[key], shared=shared)


def machines(profile: DeviceProfile) -> Iterator[Machine]:
    """Yield the board under every runtime that it lists, on every image that has a wheel of it."""
    for runtime in profile.runtimes:
        for image in profile.images:
            if runtime in image.wheels:
                yield Machine(profile, runtime, image=image)


def likeness(machine: Machine, path: Path) -> str:
    """Return the same words for runs that compute the same."""
    cpu, manifest = machine.profile.cpu, read_manifest(path)
    board = (cpu.core, cpu.qemu, cpu.cores, machine.release)
    wheel = (machine.runtime, machine.image.wheels[machine.runtime], machine.image.glibc)
    return repr((board, wheel, manifest.model, manifest.files))


def proven(machine: Machine, path: Path) -> Proven | EdgeAigcError:
    """Open a bundle on a board; return what came of it."""
    try:
        return prove_emulated(machine, path)
    except EdgeAigcError as exc:
        return exc


def bundle(model: Path | None, profile: DeviceProfile, recipe: str, folder: Path) -> Path:
    """Return a bundle of a model; profiles that take the same flatbuffer share one."""
    photos = folder / "photos"
    if not photos.exists():
        photos.mkdir()
        for name in PHOTOS:
            Image.fromarray(getattr(skimage.data, name)()[..., :3]).save(photos / f"{name}.png")
    stem = "digits" if model is None else model.stem
    path = folder / f"{stem}-{profile.target}-{'-'.join(profile.runtimes)}-{recipe}.aigc"
    if not path.exists():
        command = [sys.executable, "-m", "edge_aigc.cli", "convert", "--profile", profile.name, "--recipe", recipe]
        pictures = () if model is None else (str(model), *PICTURES, "--calibration", str(photos))
        subprocess.run([*command, *pictures, "-o", str(path)], check=True, stdout=subprocess.DEVNULL)
    return path


def _dotted(release: tuple[int, int]) -> str:
    return f"{release[0]}.{release[1]}"


if __name__ == "__main__":
    main()
