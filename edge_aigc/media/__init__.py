"""Samples made into bytes that people can use, one file a medium.

`formats` knows the names and content types and imports nothing heavy; `encode` does the work.
"""
