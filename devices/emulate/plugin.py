"""The counting plugin for QEMU: built with this machine's compiler when it is first needed."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from edge_aigc.errors import EmulationError
from edge_aigc.files import cache_folder, write_whole

_SOURCE = Path(__file__).with_name("count.c")
_FLAGS = ("-O2", "-shared", "-fPIC", "-fvisibility=hidden")
_SECOND_API_SINCE = 9
"""QEMU 9.0 takes version 2 and later of the API, QEMU 8.2 and older version 1: `QEMU_PLUGIN_MIN_VERSION`."""
_COMPILE_LIMIT_S = 120.0


def plugin_for(qemu: str) -> Path:
    """Return the plugin for a program of QEMU's user mode; built once, kept in the cache folder.

    Args:
        qemu: The program, for example ``qemu-aarch64``.

    Raises:
        EmulationError: It is not here or takes no plugins, or there is no compiler.
    """
    api = 1 if qemu_release(qemu)[0] < _SECOND_API_SINCE else 2
    key = hashlib.sha256(_SOURCE.read_bytes() + repr((_FLAGS, api, platform.machine())).encode())
    place = cache_folder() / "plugins" / f"count-{key.hexdigest()[:16]}.so"
    if not place.exists():
        write_whole(place, _built(api))
    return place


def qemu_release(qemu: str) -> tuple[int, ...]:
    """Return the release of a program of QEMU's that takes plugins, for example ``(7, 2, 22)``.

    Raises:
        EmulationError: It is not here or takes no plugins.
    """
    words = _said(qemu, "--version")
    release = re.search(r"version (\d+)\.(\d+)(?:\.(\d+))?", words)
    if release is None:
        raise EmulationError(
            f"{qemu} does not say its release but {words[:80]!r}.", remedy="Install QEMU: `apt-get install qemu-user`."
        )
    if "-plugin" not in _said(qemu, "-h"):
        raise EmulationError(
            f"{qemu} {release[0]} takes no plugins, and instructions are counted by one.",
            remedy="Install a QEMU that does: `qemu-user` of Debian 12 and Ubuntu, not `qemu-user-static`; Debian 13's "
            "is static, so there build QEMU with `--enable-plugins` and put it first in PATH.",
        )
    return tuple(int(number) for number in release.groups(default="0"))


def _said(qemu: str, option: str) -> str:
    try:
        return subprocess.run([qemu, option], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError as exc:
        raise EmulationError(
            f"{qemu} is not installed here.", remedy="Install QEMU's user mode: `apt-get install qemu-user`."
        ) from exc


def _built(api: int) -> bytes:
    compiler = os.environ.get("CC") or next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if compiler is None:
        raise EmulationError(
            "There is no C compiler here, and the plugin that counts instructions is built when it is first needed.",
            remedy="Install one: `apt-get install gcc libc6-dev`.",
        )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "count.so"
        command = [*compiler.split(), *_FLAGS, f"-DAPI_VERSION={api}", "-o", str(place), str(_SOURCE)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_LIMIT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise _failed(compiler, str(exc)) from exc
        if done.returncode != 0:
            raise _failed(compiler, done.stderr.strip())
        return place.read_bytes()


def _failed(compiler: str, words: str) -> EmulationError:
    return EmulationError(
        f"{compiler} did not build the plugin that counts instructions: {words[-400:]}",
        remedy="Install a working compiler, `apt-get install gcc libc6-dev`, or name another in the variable CC.",
    )
