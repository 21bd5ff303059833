"""Environments of their own for other runtimes and releases, kept by what is installed in them.

They lie in `environments` of the cache folder, so that only the first run downloads.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import platform
import shutil
import subprocess
import venv
from pathlib import Path

from edge_aigc.files import cache_folder
from edge_aigc.interpreter import PACKAGES

ROOT = Path(__file__).parent.parent


def environment(*requirements: str) -> Path:
    """Return the interpreter of an environment with these requirements and what the device side needs."""
    wanted = sorted((*requirements, *_listed("options", "install_requires")))
    key = hashlib.sha256("\n".join([platform.python_version(), platform.machine(), *wanted]).encode()).hexdigest()[:16]
    place = folder() / key
    if not (place / "ready").exists():
        shutil.rmtree(place, ignore_errors=True)  # half of one, from a run that was stopped
        venv.create(place, with_pip=True)
        pip = [str(_python(place)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted], check=True)
        (place / "ready").write_text("\n".join(wanted))
    return _python(place)


def device_environment(runtime: str, *, release: str | None = None) -> Path:
    """Return the interpreter of an environment with `edge-aigc[RUNTIME]`, this checkout installed anew.

    Args:
        runtime: The name of the extra.
        release: Of its package; None takes the newest that the extra allows.
    """
    pinned = [f"{PACKAGES[runtime]}=={release}"] if release else []
    python = environment(*_listed("options.extras_require", runtime), *pinned, "pytest")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(ROOT)], check=True)
    return python


def folder() -> Path:
    """Return where the environments lie."""
    return cache_folder() / "environments"


def clean(**more: str) -> dict[str, str]:
    """Return this process's variables without what would shine through into another environment."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in hidden} | more


def _python(place: Path) -> Path:
    return place / "bin" / "python"


def _listed(section: str, key: str) -> list[str]:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    lines = [line.strip() for line in setup[section][key].splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
