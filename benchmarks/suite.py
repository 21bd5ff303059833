"""The suite: generators at their published sizes, ours against what else their users would run, one thread.

    python benchmarks/suite.py [--net NAME]… [--json FILE] [--seconds N] [--without-torch] [--runtime tflite]
    python benchmarks/suite.py --counted rpi4 --counted rpi5     instructions on boards' cores instead of time here

Contenders take turns, in one process and, for PyTorch, one beside it; a figure is the median over the
rounds of each turn's median, its spread the distance between the quartiles. Of ONNX Runtime and of PyTorch
the fastest form counts (exported from PyTorch or translated from the flatbuffer; eager or frozen). A
multiplication of large matrices takes part, so that each net's own multiplications can be held against it.
With `--runtime tflite` ours and the flatbuffers of others are timed under tflite-runtime, too.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: sgemm runs on one thread, too

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from contest import clock
from contest.forms import forms_of
from contest.rounds import Row, measure
from contest.table import geometric_means, print_row, print_summary, record
from contest.tflite_side import TfliteSide, tflite_python
from contest.torch_side import TorchSide, torch_python
from generators import NETS

from edge_aigc.errors import EdgeAigcError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 20.0


def main(argv: Sequence[str] | None = None) -> int:
    """Print a block for each net and the geometric means."""
    arguments = _parsed(argv)
    os.environ[clock.VARIABLE] = arguments.clock  # for PyTorch's process, too
    try:
        if arguments.counted:
            from contest.counted import count_suite

            found = count_suite(arguments.counted, arguments.nets, _tell)
        else:
            found = _timed(arguments)
    except EdgeAigcError as exc:
        print(f"suite: {exc}", file=sys.stderr)
        return exc.exit_code
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", action="append", dest="nets", choices=NETS, help="only these; default: all")
    parser.add_argument("--json", type=Path, help="write the figures")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="a net, at least five rounds")
    parser.add_argument("--without-torch", action="store_true", help="neither PyTorch nor ONNX files exported by it")
    parser.add_argument("--runtime", choices=("tflite",), help="time under it, too, in an environment of its own")
    parser.add_argument("--counted", action="append", metavar="PROFILE", help="count instructions on its cores")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: where others use the machine")
    arguments = parser.parse_args(argv)
    arguments.nets = arguments.nets or list(NETS)
    return arguments


def _timed(arguments: argparse.Namespace) -> dict[str, object]:
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        torch = None if arguments.without_torch else stack.enter_context(TorchSide(torch_python()))
        tflite = stack.enter_context(TfliteSide(tflite_python())) if arguments.runtime else None
        for name in arguments.nets:
            row = measure(forms_of(NETS[name], _tell), torch, tflite, seconds=arguments.seconds, tell=_tell)
            print_row(row)
            rows.append(row)
    print_summary(rows)
    return {"nets": {row.net.name: record(row) for row in rows}, "geomean": geometric_means(rows)}


def _tell(words: str) -> None:
    print(f"# {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
