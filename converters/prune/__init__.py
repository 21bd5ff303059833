"""Generators made smaller: which channels go together, what each is worth, cutting them, and repairing what is left."""
