"""A program that stands in for `edgetpu_compiler`, which is closed and cannot be had here: it replays its logs.

Each run takes the next line of the script `runs.json` in its own folder: what to print, and what to write.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """#!{python}
import json, pathlib, sys, time
home = pathlib.Path(__file__).parent
runs = json.loads((home / "runs.json").read_text())
done = home / "done.json"
before = json.loads(done.read_text()) if done.exists() else []
run = runs[min(len(before), len(runs) - 1)]
done.write_text(json.dumps([*before, sys.argv[1:]]))
folder = pathlib.Path(sys.argv[sys.argv.index("--out_dir") + 1])
name = pathlib.Path(sys.argv[-1]).stem + "_edgetpu"
if run["makes"]:
    (folder / (name + ".tflite")).write_bytes((home / run["makes"]).read_bytes())
print(run["says"], flush=True)
if run["hangs"]:
    time.sleep(600)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run does."""

    says: str
    makes: bytes | None = None
    hangs: bool = False


class StandIn:
    """The program, in a folder that is first on PATH."""

    def __init__(self, folder: Path, runs: list[Run]) -> None:
        """Install it."""
        folder.mkdir()
        self.path = folder / "edgetpu_compiler"
        self.path.write_text(_PROGRAM.format(python=sys.executable), encoding="utf-8")
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)
        script = []
        for index, run in enumerate(runs):
            if run.makes is not None:
                (folder / f"{index}.bin").write_bytes(run.makes)
            made = f"{index}.bin" if run.makes is not None else ""
            script.append({"says": run.says, "makes": made, "hangs": run.hangs})
        (folder / "runs.json").write_text(json.dumps(script), encoding="utf-8")
        self._done = folder / "done.json"

    @property
    def search_path(self) -> str:
        """PATH with this program first."""
        return f"{self.path.parent}{os.pathsep}{os.environ['PATH']}"

    @property
    def runs(self) -> list[list[str]]:
        """The arguments of every run so far."""
        return json.loads(self._done.read_text(encoding="utf-8")) if self._done.exists() else []
