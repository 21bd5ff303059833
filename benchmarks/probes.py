"""Cut the operators that a host's speeds are fitted on: writes `converters/costs/probes.zip`.

    python benchmarks/probes.py

From the nets that `zoo.py` calls fitted, in every recipe: of each kind of kernel up to sixteen operators, spread
over their sizes. Weights are zeros, so the archive is small.
"""

from __future__ import annotations

import zipfile

from zoo import FITTED, flatbuffers

from edge_aigc.converters.costs.host import PROBES
from edge_aigc.converters.costs.kernels import kernel_of
from edge_aigc.converters.costs.net import read_net
from edge_aigc.converters.costs.singles import split

MOST = 16
"""Of each kind."""
LEAST_NUMBERS = 2048
"""In the output of what is told to be of a kind by its speed: smaller operators are all start and end."""


def main() -> None:
    """Write the archive."""
    kinds: dict[str, dict[str, tuple[int, bytes]]] = {}
    for name, build in FITTED.items():
        for recipe, flatbuffer in flatbuffers(build, name).items():
            if recipe == "float16":  # the same kernels as float32 where no processor computes in float16
                continue
            for single in split(flatbuffer):
                node = read_net(single.flatbuffer).nodes[0]
                work = node.outputs[0].numbers * (1 if node.weights is None else node.weights.numbers)
                if node.free or node.kind == "FULLY_CONNECTED" or work < LEAST_NUMBERS:
                    continue  # a dense layer is as fast as its weights are read, and that has probes of its own
                kind = kernel_of(node, float16=False).names[0]
                kinds.setdefault(kind, {})[single.key] = (work, single.flatbuffer)
    with zipfile.ZipFile(PROBES, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for kind, found in sorted(kinds.items()):
            for index, flatbuffer in enumerate(spread(sorted(found.values()))):
                archive.writestr(zipfile.ZipInfo(f"{kind}-{index}.tflite"), flatbuffer, zipfile.ZIP_DEFLATED)
            print(f"{kind:20} {min(len(found), MOST)} of {len(found)}")
    print(f"{PROBES}  {PROBES.stat().st_size:,} B")


def spread(found: list[tuple[int, bytes]]) -> list[bytes]:
    """Return up to sixteen, from the smallest to the largest."""
    if len(found) <= MOST:
        return [flatbuffer for _, flatbuffer in found]
    return [found[round(i * (len(found) - 1) / (MOST - 1))][1] for i in range(MOST)]


if __name__ == "__main__":
    main()
