"""Generative models on small devices: convert them, run them, serve them over MQTT.

>>> import edge_aigc
>>> sorted(edge_aigc.__all__)
['Client', 'EdgeAigcError', 'Generator', 'Sample', '__version__', 'open']

`edge_aigc.open("digits-rpi4.aigc").generate(seed=7, digit=3).save("3.png")` is the shortest way from
a bundle to a picture. Names resolve when they are first used, so that `import edge_aigc` is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from edge_aigc.version import __version__

if TYPE_CHECKING:
    from edge_aigc.client import Client
    from edge_aigc.errors import EdgeAigcError
    from edge_aigc.generator import Generator, Sample
    from edge_aigc.generator import open_bundle as open  # noqa: A004 - the name that people expect

__all__ = ["Client", "EdgeAigcError", "Generator", "Sample", "__version__", "open"]

_HOMES = {
    "Client": ("edge_aigc.client", "Client"),
    "EdgeAigcError": ("edge_aigc.errors", "EdgeAigcError"),
    "Generator": ("edge_aigc.generator", "Generator"),
    "Sample": ("edge_aigc.generator", "Sample"),
    "open": ("edge_aigc.generator", "open_bundle"),
}


def __getattr__(name: str) -> object:
    """Import what was asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'edge_aigc' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
