"""Build the wheel, look inside, install it in a fresh environment, run the tests against it.

    python tests/wheel.py

Dependencies are borrowed from the environment that runs this, so that only our own files are new.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTED = ("test_bundle.py", "test_catalog.py", "test_generator.py", "test_priors.py", "test_spec.py")
"""Tests that touch every kind of file in the wheel and need no TensorFlow."""
EXPECTED = (
    "edge_aigc/py.typed",
    "edge_aigc/converters/fidelity/features.npz",
    "edge_aigc/converters/models/digits.keras",
    "edge_aigc/converters/report/templates/report.html",
    "edge_aigc/converters/report/templates/style.css",
    "edge_aigc/converters/targets/edgetpu/operators.toml",
    "edge_aigc/devices/emulate/count.c",
    "edge_aigc/devices/emulate/counts/cortex-a72-x4-as-cortex-a72-ai-edge-litert-2.3.0-python-3.11.json",
    "edge_aigc/devices/profiles/rpi4.toml",
    "edge_aigc/devices/doctor/probe.tflite",
)


def main() -> None:
    """Build, look, install, test; raises on the first thing that is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        wheel = build(work)
        look_inside(wheel)
        python = install(wheel, work / "venv")
        run_tests(python, work)
    print("wheel: its only top-level name is edge_aigc; installed, its tests pass")  # noqa: T201 - a script


def build(work: Path) -> Path:
    """Return the wheel, built from a copy so that the checkout stays clean."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout.decode().split("\0")  # fmt: skip
    for name in filter(None, tracked):
        target = work / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(work), str(work / "source")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(work.glob("*.whl"))


def look_inside(wheel: Path) -> None:
    """Raise if the wheel brings another top-level name, or lacks a data file."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if tops != {"edge_aigc"}:
        raise SystemExit(f"the wheel's top-level names are {sorted(tops)}, not edge_aigc alone")
    missing = [name for name in EXPECTED if name not in names]
    if missing:
        raise SystemExit(f"the wheel lacks {', '.join(missing)}")


def install(wheel: Path, place: Path) -> Path:
    """Return the interpreter of a fresh environment that holds the wheel."""
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", str(wheel)]
    subprocess.run(command, check=True)
    site = next((place / "lib").glob("python*/site-packages"))
    # A path, not an environment: the borrowed folder's own .pth files, and so its editable install, stay out.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run_tests(python: Path, work: Path) -> None:
    """Run tests from a copy, so that nothing but the installed wheel can be imported."""
    shutil.copytree(ROOT / "tests", work / "tests")
    shutil.copy(ROOT / "setup.cfg", work / "setup.cfg")
    tests = [str(work / "tests" / name) for name in TESTED]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    check = "import edge_aigc, sys; sys.exit(not edge_aigc.__file__.startswith(sys.prefix))"
    subprocess.run([str(python), "-c", check], check=True, cwd=work, env=environment)
    subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], check=True, cwd=work, env=environment
    )


if __name__ == "__main__":
    main()
