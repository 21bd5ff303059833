"""A Jetson's software where there is none: trtexec replays recorded logs, engines are computed by onnxruntime."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

STAND_INS = Path(__file__).parent / "stand_ins"
LOGS = Path(__file__).parent / "data" / "trtexec"
PASSED = LOGS / "8.2-nano-passed.log"


class Board:
    """What the tests turn: environment variables of the stand-ins."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.trtexec = folder / "bin" / "trtexec"
        self._monkeypatch = monkeypatch

    def set(self, **variables: object) -> None:
        """Set STAND_IN_NAME for each; what has imported the module forgets it."""
        for name, value in variables.items():
            self._monkeypatch.setenv(f"STAND_IN_{name.upper()}", str(value))
        self._monkeypatch.delitem(sys.modules, "tensorrt", raising=False)

    @property
    def environment(self) -> dict[str, str]:
        """For processes of their own."""
        root = STAND_INS.parent.parent
        return {
            **os.environ,
            "PYTHONPATH": f"{STAND_INS}{os.pathsep}{root}",
            "LD_LIBRARY_PATH": str(self.folder),
            "PATH": f"{self.trtexec.parent}{os.pathsep}{os.environ['PATH']}",
        }


def board(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """Put the stand-ins in their places: trtexec on PATH, libcudart.so, the module tensorrt."""
    library = folder / "libcudart.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, STAND_INS / "cudart.c"], check=True, timeout=60)
    made = Board(folder, monkeypatch)
    made.trtexec.parent.mkdir()
    made.trtexec.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_INS / "trtexec.py"} "$@"\n', encoding="utf-8")
    made.trtexec.chmod(0o755)
    monkeypatch.setenv("PATH", f"{made.trtexec.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("edge_aigc.cuda._LIBRARIES", (str(library),))
    monkeypatch.syspath_prepend(str(STAND_INS))
    made.set(log=PASSED)
    yield made
    sys.modules.pop("tensorrt", None)
