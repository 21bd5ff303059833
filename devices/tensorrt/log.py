"""What `trtexec` says, understood: its version, what it built on, or why it failed.

It says `&&&& PASSED` or `&&&& FAILED` as its last word; errors are entries marked `[E]`, some of several
lines. The words come from trtexec.cpp and sampleEngines.cpp of TensorRT 8.2 to 10.x and from logs that
users of boards published.
"""

from __future__ import annotations

import re
import signal

from edge_aigc.errors import ConversionError

_VERSION = re.compile(r"&&&& RUNNING TensorRT\.trtexec(?: \[TensorRT v(\d+)\])?")
_PASSED = re.compile(r"^&&&& PASSED TensorRT\.trtexec", re.MULTILINE)
_DEVICE = re.compile(r"\[I\] Selected Device: (.+)")
_BUILT = re.compile(r"\[I\] Engine built in ([0-9.]+) sec")
_ENTRY = re.compile(r"^\[[0-9/:-]+\] \[([VIWEF])\] ?", re.MULTILINE)
_VERDICT = re.compile(r"^&&&& .*", re.MULTILINE)
_NODE = re.compile(r'While parsing node number \d+ \[(\w+) -> "([^"]*)"')
_IN_FUNCTION = re.compile(r".*ERROR: .*In function \w+:\s*", re.DOTALL)
_NOT_THE_REASON = re.compile(
    # What every failure says after its reason, and what surrounds the dump of a node.
    r"Failed to parse onnx file|Parsing model failed|Failed to create engine from model|Engine set up failed"
    r"|Engine could not be created from network|Building engine failed|--- (?:Begin|End) node ---"
    r"|ModelImporter\.cpp:\d+: (?:While parsing node|input:|output:|name:|op_type:)"
    r"|builder\.cpp::(?:buildSerializedNetwork|~Builder)"
)
_MEMORY = re.compile(r"out of memory|OutOfMemory|insufficient memory", re.IGNORECASE)
_MEMORY_REMEDY = (
    "Free memory and try again: stop the desktop (`sudo systemctl isolate multi-user.target`) and other programs, "
    "or add swap."
)
_SIX_DIGITS = 100_000


def version_in(log: str) -> tuple[int, int, int] | None:
    """Return the TensorRT that a log is of; zeros for one that does not say (before 8.0), None for no log of trtexec.

    NvInferVersion.h: the number is 1000 a major and 100 a minor version up to 8.6, 10,000 and 100 from 10.0 on.

    >>> version_in("&&&& RUNNING TensorRT.trtexec [TensorRT v8602] # trtexec --help")
    (8, 6, 2)
    >>> version_in("&&&& RUNNING TensorRT.trtexec [TensorRT v100300] # trtexec --help")
    (10, 3, 0)
    """
    match = _VERSION.search(log)
    if match is None:
        return None
    number = int(match[1] or 0)
    major, rest = divmod(number, 10_000 if number >= _SIX_DIGITS else 1000)
    return major, rest // 100, rest % 100


def passed(log: str) -> bool:
    """Return whether trtexec's last word is that it did what it was asked."""
    return _PASSED.search(log) is not None


def device_in(log: str) -> str:
    """Return the GPU's name."""
    match = _DEVICE.search(log)
    return match[1].strip() if match else "unknown"


def seconds_in(log: str) -> float:
    """Return how long the build took; 0 where it is not said."""
    match = _BUILT.search(log)
    return float(match[1]) if match else 0.0


def failure(code: int, log: str) -> ConversionError:
    """Return why it failed, with what to do.

    Args:
        code: The exit code, negative for a signal.
        log: Everything that it said.
    """
    reason = _reason(log)
    if code < 0:
        return ConversionError(
            f"trtexec was ended by {signal.Signals(-code).name}, as the kernel does when memory runs out.",
            remedy=_MEMORY_REMEDY,
        )
    if _MEMORY.search(log):
        return ConversionError(f"Memory ran out while the engine was built: {reason}.", remedy=_MEMORY_REMEDY)
    if "Saving engine to file failed" in log:
        return ConversionError(
            "trtexec built the engine and could not save it.", remedy="Free some space beside the bundle and try again."
        )
    if "Unknown option" in log:
        return ConversionError(
            f"This trtexec does not know our options: {reason}.", remedy="Report this with the version of TensorRT."
        )
    node = _NODE.search(log)
    if node is not None:
        return ConversionError(
            f"TensorRT cannot read the operator {node[1]} ({node[2]}): {reason}.",
            remedy="The CPU serves. A newer JetPack reads more operators.",
        )
    return ConversionError(
        f"trtexec failed (exit code {code}): {reason}.",
        remedy="The CPU serves. Run the same command with `--verbose` for the whole story.",
    )


def _reason(log: str) -> str:
    entries = _entries(log)
    telling = [text for text in entries if not _NOT_THE_REASON.search(text)]
    if telling:
        return " ".join(_IN_FUNCTION.sub("", telling[-1]).split()).rstrip(". ")
    last = log.strip().splitlines()[-1:]
    return (entries or last or ["it said nothing"])[0].rstrip(". ")


def _entries(log: str) -> list[str]:
    """Return the errors of a log, each with the lines that belong to it."""
    starts = list(_ENTRY.finditer(log))
    ends = [*(start.start() for start in starts), len(log)][1:]
    texts = [
        (start[1], _VERDICT.sub("", log[start.end() : end]).strip()) for start, end in zip(starts, ends, strict=True)
    ]
    return [text for kind, text in texts if kind in {"E", "F"} and text]
