"""A daemon that is sent pictures by strangers."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from probe import Probe


BASE = "edge-aigc/testbed"
REQUEST = f"{BASE}/request/tiny"

pytestmark = [pytest.mark.usefixtures("served"), pytest.mark.device]


def picture(width: int = 8, height: int = 8, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (255, 0, 51)).save(buffer, kind)
    return buffer.getvalue()


def test_a_picture_may_come_as_raw_bytes_or_in_base64(listener: Probe):
    topic = f"{BASE}/request/negative"
    user = [("id", "d1"), ("seed", "5"), ("format", "png"), ("expires_ms", "60000")]
    listener.publish(f"{topic}/photo", picture(), ContentType="image/png", UserProperty=user)
    listener.publish(topic, {"id": "d2", "controls": {"photo": base64.b64encode(picture()).decode()}})
    listener.wait(lambda m: m.topic.endswith("out/negative/image"), times=2)
    ids = [dict(m.properties.UserProperty)["id"] for m in listener.on("out/negative/image")]
    assert ids == ["d1", "d2"]
    for message in listener.on("out/negative/image"):
        assert Image.open(io.BytesIO(message.payload)).getpixel((0, 0)) == (0, 255, 204)


@pytest.mark.parametrize(
    ("payload", "user", "words"),
    [
        (b"no picture", [("id", "e1")], "cannot be read"),
        (picture(9, 8), [("id", "e1")], "8x9"),
        (picture(), [("id", "e1"), ("seed", "x")], "seed"),
        (picture(), [("id", "e1"), ("controls", "{")], "cannot be read"),
        (b"", [("id", "e1")], "cannot be read"),
    ],
)
def test_a_bad_picture_is_answered(listener: Probe, payload: bytes, user: list[tuple[str, str]], words: str):
    listener.publish(f"{BASE}/request/negative/photo", payload, UserProperty=user)
    reply = listener.error(code="input")
    assert reply["id"] == "e1"
    assert words in reply["error"]["message"]


def test_a_missing_picture_and_bad_base64_are_answered(listener: Probe):
    listener.publish(f"{BASE}/request/negative", {"id": "e2"})
    assert "needs a picture" in listener.error(code="input")["error"]["message"]
    listener.messages.clear()
    listener.publish(f"{BASE}/request/negative", {"id": "e3", "controls": {"photo": "%%%"}})
    assert "base64" in listener.error(code="input")["error"]["message"]


def test_a_picture_over_the_limit_is_refused_unread(listener: Probe):
    listener.publish(f"{BASE}/request/negative/photo", bytes((8 << 20) + 1))
    assert "8,388,609 B" in listener.error(code="too_large")["error"]["message"]
