"""Instructions of bundles on the cores of the boards: each counted three times, and by operator.

    python benchmarks/instructions.py [--profile NAME]… [BUNDLE]…

Without bundles the digits in every recipe. No clock is read: the figures are the same on every machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

from edge_aigc.bundle import read_bundle
from edge_aigc.cli import run
from edge_aigc.converters.costs.tally import tally
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate.counting import EmulatedCounter, count_in
from edge_aigc.devices.emulate.machine import Machine

PROFILES = ("rpi-zero2w", "rpi4", "rpi5")
RECIPES = ("float32", "float16", "dynamic", "int8")
ROUNDS = 3


def main() -> None:
    """Print a line for each board and bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--profile", action="append", dest="profiles")
    arguments = parser.parse_args()
    forms = {path.stem: read_bundle(path).flatbuffer for path in arguments.bundles} or digits()
    print(f"{'core':12} {'model':18} {'counted thrice':>42} {'spread':>9} {'sum over operators':>18} {'off by':>9}")
    for name in arguments.profiles or PROFILES:
        compare(name, forms)


def digits() -> dict[str, bytes]:
    """Return the digits in every recipe."""
    with tempfile.TemporaryDirectory() as folder:
        made = {recipe: Path(folder) / f"{recipe}.aigc" for recipe in RECIPES}
        for recipe, path in made.items():
            with contextlib.redirect_stdout(io.StringIO()):
                run(["convert", "--profile", "rpi5", "--runtime", "litert", "--recipe", recipe, "-o", str(path)])
        return {f"digits {recipe}": read_bundle(path).flatbuffer for recipe, path in made.items()}


def compare(name: str, forms: dict[str, bytes]) -> None:
    """Count on one board."""
    profile = find_profile(name)
    machine = Machine(profile, "litert")
    rounds = [count_in(machine, forms, qemu="qemu-aarch64", runtime="litert") for _ in range(ROUNDS)]
    for model, flatbuffer in forms.items():
        counts = [found[model] for found in rounds]
        total = tally(flatbuffer, EmulatedCounter(profile, "litert")).instructions
        spread, off = (max(counts) - min(counts)) / min(counts), total / sorted(counts)[1] - 1
        told = "  ".join(f"{count:,}" for count in counts)
        print(f"{profile.cpu.core:12} {model:18} {told:>42} {spread:9.4%} {total:18,} {off:+9.4%}", flush=True)


if __name__ == "__main__":
    main()
