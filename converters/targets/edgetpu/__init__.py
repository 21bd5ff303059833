"""The Edge TPU of Coral: int8 all the way, compiled by Google's closed `edgetpu_compiler`.

Where the compiler is not installed the bundle says so, how to compile it, and what the compiler will make of it.
"""

from edge_aigc.converters.targets.edgetpu.compiler import COMPILER, CompilerOptions, compile_model
from edge_aigc.converters.targets.edgetpu.executable import CUSTOM_OPERATOR, Package, packages
from edge_aigc.converters.targets.edgetpu.fit import fit
from edge_aigc.converters.targets.edgetpu.log import parse_log
from edge_aigc.converters.targets.edgetpu.precheck import Fate, Precheck, precheck
from edge_aigc.converters.targets.edgetpu.target import COMPILED_FILE, EdgeTpuTarget
from edge_aigc.converters.targets.edgetpu.transfer import LINKS, Link, estimate, expected_parameters, link_of, transfer

__all__ = [
    "COMPILED_FILE",
    "COMPILER",
    "CUSTOM_OPERATOR",
    "LINKS",
    "CompilerOptions",
    "EdgeTpuTarget",
    "Fate",
    "Link",
    "Package",
    "Precheck",
    "compile_model",
    "estimate",
    "expected_parameters",
    "fit",
    "link_of",
    "packages",
    "parse_log",
    "precheck",
    "transfer",
]
