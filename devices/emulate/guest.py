"""Runs inside the guest: opens a bundle as the worker does, and tells how near its golden vectors came.

`python -m edge_aigc.devices.emulate.guest RUNTIME [BUNDLE]`; one line of JSON on stdout. Without a bundle it
imports the same and loads nothing: an idle interpreter, to compare with.
"""

from __future__ import annotations

import email.parser  # noqa: F401 - imported when a bundle is opened; an idle interpreter shall have all that
import encodings.cp437  # noqa: F401 - likewise
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
import numpy.random  # noqa: F401 - likewise

from edge_aigc.errors import EdgeAigcError
from edge_aigc.generator import open_bundle
from edge_aigc.interpreter import preload, runtime_release

if TYPE_CHECKING:
    from edge_aigc.profile import Runtime

_LAST_LOOK_S = 0.3
"""So that `watch.py` sees what QEMU itself has taken in the end, and can tell it from the guest's."""


def main(arguments: list[str]) -> None:
    """Prove a bundle, or idle; refusals are told in the JSON."""
    runtime = cast("Runtime", arguments[0])
    preload(runtime)
    told: dict[str, object] = {"runtime": runtime_release(runtime)}
    if len(arguments) > 1:
        try:
            told["golden"] = open_bundle(Path(arguments[1]), runtime=runtime).proof
        except EdgeAigcError as exc:
            told["error"] = {"code": exc.code, "message": exc.message, "remedy": exc.remedy}
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
    time.sleep(_LAST_LOOK_S)
    os._exit(0)  # taking Python down would be translated as well, after the last look
