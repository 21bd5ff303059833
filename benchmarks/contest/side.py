"""The suite's end of a pipe to a process, which may live in another environment: a line of JSON each way."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_aigc.errors import RuntimeMissingError

if TYPE_CHECKING:
    from typing_extensions import Self

BENCHMARKS = Path(__file__).resolve().parents[1]


class Side:
    """A context: the process lives as long as it."""

    def __init__(self, python: str, module: str, *, what: str, without: str) -> None:
        """Start it.

        Args:
            python: The interpreter.
            module: What it runs.
            what: What is there, in words.
            without: The words that leave it out.
        """
        self._module, self._what, self._without = module, what, without
        search = [str(BENCHMARKS), str(BENCHMARKS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [python, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(search), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.__exit__(None, None, None)  # closes the pipes and waits: the worker ends with its input

    def time(self, form: str, *, seconds: float, most: int) -> list[float]:
        """Return milliseconds of some runs of a form, measured there."""
        return list(self._ask(do="time", form=form, seconds=seconds, most=most)["ms"])

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        reply: dict[str, Any] = json.loads(line) if line else {"error": f"it ended with {self._process.wait()}"}
        if "error" in reply:
            raise RuntimeMissingError(
                f"{self._what}'s side failed at {request}: {reply['error']}.",
                remedy=f"Run `python -m {self._module}` by hand, or leave {self._what} out{self._without}.",
            )
        return reply
