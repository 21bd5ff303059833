"""The suite's parts: forms of a net, contenders that take turns, tables."""
