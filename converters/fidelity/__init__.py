"""How alike two forms of a generator are: the same inputs through both, the outputs compared.

`compare` tells one figure, quickly, for every candidate; `examine` tells all the rest of the one that was chosen,
and keeps the worst seed. The other modules are the measures themselves, functions over arrays, one file a medium.
"""

from edge_aigc.converters.fidelity.compare import MINIMA, as_psnr, compare
from edge_aigc.converters.fidelity.decibels import CAP_DB, psnr
from edge_aigc.converters.fidelity.examine import Evidence, Pair, examine

__all__ = ["CAP_DB", "MINIMA", "Evidence", "Pair", "as_psnr", "compare", "examine", "psnr"]
