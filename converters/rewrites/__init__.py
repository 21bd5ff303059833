"""Exact rewrites of a float graph: the same function in operators that cost less."""
