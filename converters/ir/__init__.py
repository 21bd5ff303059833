"""The float flatbuffer as a graph that rewrites can edit: values, nodes, and a builder that knows shapes."""

from edge_aigc.converters.ir.build import Builder
from edge_aigc.converters.ir.files import read, write
from edge_aigc.converters.ir.graph import Array, Graph, Node, Value, constant

__all__ = ["Array", "Builder", "Graph", "Node", "Value", "constant", "read", "write"]
