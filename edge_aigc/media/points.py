"""Clouds of points: arrays to PLY, binary or text."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[np.generic]

_HEADER = """ply
format {kind} 1.0
element vertex {count}
property float x
property float y
property float z
end_header
"""


def encode(values: Array, output: Output, name: str) -> bytes:
    """Return a PLY file of the points, in the order of the tensor.

    Args:
        values: Shape (1, points, 3), clipped to the output's range here, where it has one.
        output: States the range.
        name: ``ply`` (binary, little endian) or ``ply-ascii``.
    """
    points = values[0].astype(np.float32)
    if output.range is not None:
        points = np.clip(points, *output.range)
    if name == "ply":
        header = _HEADER.format(kind="binary_little_endian", count=len(points))
        body: bytes = points.astype("<f4").tobytes()
        return header.encode() + body
    # Nine digits hold every float32 exactly.
    rows = "".join(" ".join(f"{axis:.9g}" for axis in point) + "\n" for point in points)
    return (_HEADER.format(kind="ascii", count=len(points)) + rows).encode()
