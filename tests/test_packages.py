"""Packages that are missing are named with the extra that brings them."""

from __future__ import annotations

import pytest

from edge_aigc.errors import RuntimeMissingError
from edge_aigc.packages import require_modules


def test_all_that_is_missing_is_named_at_once_with_its_extra():
    with pytest.raises(RuntimeMissingError) as caught:
        require_modules("A model", ("json", "none_such", "none_either"), extra="convert,onnx", note=" Any will do.")
    assert caught.value.message == "A model needs none-such and none-either, not installed here."
    assert caught.value.remedy.endswith("`pip install 'edge-aigc[convert,onnx]'`. Any will do.")


def test_what_is_there_is_not_complained_of():
    require_modules("A model", ("json", "pytest"), extra="convert")
