"""The generator that `convert` takes when none is given; its model card stands beside it."""

from pathlib import Path

_FOLDER = Path(__file__).parent

DIGITS = _FOLDER / "digits.keras"
DIGITS_SPEC = _FOLDER / "digits.toml"
DIGITS_LICENCE = "Apache-2.0"
