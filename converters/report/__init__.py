"""What a conversion did, as one page of HTML that needs nothing else."""

from edge_aigc.converters.report.page import Telling, render

__all__ = ["Telling", "render"]
