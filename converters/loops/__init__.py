"""Loops: models of sequences made into step graphs or windows, and inputs that their own steps reach.

A model of a sequence reads all of it at once. On a device it is run a token at a time: as a *step graph*, which
takes one token and the state that it left the last time, or over a *window* of the last tokens.
"""
