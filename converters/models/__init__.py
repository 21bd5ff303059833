"""The generator that `convert` takes when none is given."""
