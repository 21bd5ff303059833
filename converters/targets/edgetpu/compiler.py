"""Google's closed `edgetpu_compiler`, driven: tried again where that helps, held to a time, judged by what it made."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edge_aigc.converters.targets.edgetpu.log import Log, parse_log
from edge_aigc.errors import ConversionError
from edge_aigc.processes import said_by

COMPILER = "edgetpu_compiler"
HOW_TO_GET = (
    f"Put {COMPILER} (x86-64 only: package `edgetpu-compiler` of the Coral repository) on PATH and convert again; or "
    f"unpack model.tflite from the bundle, run `{COMPILER} model.tflite` wherever it is, and convert again with "
    "`--edgetpu-model model_edgetpu.tflite`."
)
_GRACE_S = 30
"""After the compiler's own time, before it is killed."""
_SEARCH_LIMITS = 10
"""While it searches for a part that compiles, it has its time for every attempt; we give it this many in all."""
OLDEST_RUNTIME, OLDEST_INT8_RUNTIME, NEWEST_RUNTIME = 10, 12, 14
"""libedgetpu, api/runtime_version.h: kMinValidRuntimeVersion, kWithInt8HostDataTypeSupport, kCurrent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerOptions:
    """How the compiler is run."""

    min_runtime: int | None = None
    """The oldest Edge TPU runtime that shall run the result, 12 to 14; None leaves it to the compiler."""
    timeout_s: int = 180
    """The compiler's own limit (`--timeout_sec`)."""
    tries: int = 5
    """\"Internal compiler error\" may not come again: google-coral/edgetpu issues 173, 206 and 211."""

    def __post_init__(self) -> None:
        """Refuse a runtime with which int8 models do not map.

        Raises:
            ConversionError: It is out of range.
        """
        oldest = self.min_runtime
        if oldest is not None and not OLDEST_INT8_RUNTIME <= oldest <= NEWEST_RUNTIME:
            raise ConversionError(
                f"Edge TPU runtime {oldest} cannot be compiled for: int8 needs {OLDEST_INT8_RUNTIME} "
                f"(libedgetpu of 2019 and later), and the newest is {NEWEST_RUNTIME}.",
                remedy=f"Choose {OLDEST_INT8_RUNTIME} to {NEWEST_RUNTIME}.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a model."""

    compiled: bytes | None
    """The compiled flatbuffer; None where there is none."""
    log: Log
    attempts: int
    """Runs of the compiler."""


def find_compiler() -> str | None:
    """Return the program's path, or None where it is not on PATH."""
    return shutil.which(COMPILER)


def compile_model(program: str, flatbuffer: bytes, options: CompilerOptions) -> Outcome:
    """Run the compiler until it has compiled the model or trying again makes no sense.

    Its exit codes are undocumented: only the words "compiled successfully" together with the file are success.
    Where the whole is too large for the Edge TPU, it is asked once to search for a part that is not.
    """
    attempts = 0
    outcome = Outcome(compiled=None, log=parse_log(""), attempts=0)
    while attempts < options.tries:
        attempts += 1
        outcome = _attempt(program, flatbuffer, options, attempts, search=False)
        if outcome.log.verdict != "failed":
            break
    if outcome.log.verdict == "too large":
        outcome = _attempt(program, flatbuffer, options, attempts + 1, search=True)
    return outcome


def _attempt(program: str, flatbuffer: bytes, options: CompilerOptions, number: int, *, search: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"
        source.write_bytes(flatbuffer)
        text = _run(_command(program, source, options, search=search), options.timeout_s, search=search)
        log = parse_log(text, operators=_text_of(source.with_name("model_edgetpu.log")))
        made = source.with_name("model_edgetpu.tflite")
        if log.verdict == "compiled" and made.is_file():
            return Outcome(compiled=made.read_bytes(), log=log, attempts=number)
    return Outcome(compiled=None, log=log, attempts=number)


def _command(program: str, source: Path, options: CompilerOptions, *, search: bool) -> list[str]:
    command = [program, "--show_operations", "--timeout_sec", str(options.timeout_s), "--out_dir", str(source.parent)]
    if options.min_runtime is not None:
        command += ["--min_runtime_version", str(options.min_runtime)]
    if search:
        command.append("--search_delegate")
    return [*command, str(source)]


def _run(command: list[str], timeout_s: int, *, search: bool) -> str:
    limit_s = timeout_s * (_SEARCH_LIMITS if search else 1) + _GRACE_S
    try:
        said = said_by(command, limit_s=limit_s)
    except OSError as exc:
        return f"it cannot be started: {exc.strerror}"
    except subprocess.TimeoutExpired:
        return f"Compilation timeout: no answer within {limit_s} s"
    return said.decode(errors="replace")


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
