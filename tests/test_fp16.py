"""float16 bundles compute in float16 where the CPU does (Cortex-A76, and Orin's A78AE), and only there."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from edge_aigc.bundle import read_bundle
from edge_aigc.cli import run
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate.counting import EmulatedCounter
from edge_aigc.devices.emulate.machine import Machine

pytestmark = pytest.mark.heavy

PLAIN, HALF = "cortex-a72", "cortex-a76"
OUTPUTS = """
import hashlib, json, sys
from pathlib import Path
from edge_aigc.generator import open_bundle
generator = open_bundle(Path(sys.argv[1]))
digest = hashlib.sha256()
for seed in range(3):
    digest.update(generator.generate(seed=seed, digit=str(seed)).array.tobytes())
print(json.dumps([digest.hexdigest(), generator.runtime, generator.proof.rms, generator.proof.largest]))
"""


def orin(cpu):
    """Return Orin's profile, with the wheel that it names, on another CPU model."""
    profile = find_profile("jetson-orin-nano")
    return replace(profile, cpu=replace(profile.cpu, qemu=cpu))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """The digits in float32 and float16, by recipe."""
    folder = tmp_path_factory.mktemp("fp16")
    paths = {}
    for recipe in ("float32", "float16"):
        paths[recipe] = folder / f"{recipe}.aigc"
        arguments = ["--profile", "jetson-orin-nano", "--recipe", recipe, "-o", str(paths[recipe])]
        assert run(["convert", *arguments]) == 0
    return paths


@pytest.fixture(scope="module")
def made(bundles):
    """What each recipe makes on each CPU model: hash of the outputs, runtime, distance from the golden vectors."""
    results = {}
    for cpu in (PLAIN, HALF):
        for recipe, path in bundles.items():
            done = Machine(orin(cpu)).run(["-c", OUTPUTS, str(path)], timeout_s=600)
            assert done.returncode == 0, done.stderr
            results[recipe, cpu] = json.loads(done.stdout)
    return results


def test_float16_is_computed_in_float16_on_an_a76_and_not_on_an_a72(made):
    assert made["float16", HALF][0] != made["float16", PLAIN][0]


def test_float32_is_the_same_on_both(made):
    assert made["float32", HALF][0] == made["float32", PLAIN][0]


def test_the_wheel_is_the_one_that_the_profile_names(made):
    assert {runtime for _, runtime, *_ in made.values()} == {"ai-edge-litert 2.3.0"}


def test_golden_vectors_hold_and_half_precision_leaves_its_mark(made):
    distances = {key: rms for key, (_, _, rms, _) in made.items()}
    # Opening proved them within the bundle's tolerance; float16 has 11 bits of significand, 5e-4.
    assert distances["float32", HALF] < 1e-6
    assert distances["float16", PLAIN] < 1e-6
    assert 1e-6 < distances["float16", HALF] < 1e-2


def test_half_precision_takes_far_fewer_instructions_on_an_a76_and_no_fewer_on_an_a72(bundles):
    flatbuffers = {recipe: read_bundle(path).flatbuffer for recipe, path in bundles.items()}
    ratios = {}
    for cpu in (PLAIN, HALF):
        counts = EmulatedCounter(orin(cpu)).count(flatbuffers)
        ratios[cpu] = counts["float16"] / counts["float32"]
    # Counted for a DCGAN on the same release: 0.60 and 0.99.
    assert ratios[HALF] < 0.75
    assert 0.95 < ratios[PLAIN] < 1.05
