"""Distillation: a smaller generator learns from the whole one what the same seeds make; no data set is needed."""

from edge_aigc.converters.distill.course import Course, Distilled, Look
from edge_aigc.converters.distill.distill import distill

__all__ = ["Course", "Distilled", "Look", "distill"]
