"""Requests from strangers: read or refused, never anything else."""

from __future__ import annotations

import contextlib
import json

import pytest
from bundles import NEGATIVE, TINY
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_aigc.devices import replies
from edge_aigc.devices.intake import Intake, Load, Rejection
from edge_aigc.devices.jobs import Job
from edge_aigc.devices.settings import LimitSettings
from edge_aigc.errors import BrokerError, InputError
from edge_aigc.mqtt.messages import Info, Request, broken_id, parse_message, parse_request, request_from, shortened
from edge_aigc.mqtt.packets import Incoming
from edge_aigc.mqtt.topics import DeviceTopics

TOPICS = DeviceTopics("attic")
IDLE = Load(jobs=0, picture_bytes=0, retry_after_ms=100)


def intake() -> Intake:
    ready = Intake(TOPICS, LimitSettings())
    ready.specs.update(tiny=TINY, negative=NEGATIVE)
    return ready


def incoming(payload: bytes, topic: str = "edge-aigc/attic/request/tiny", **changes: object) -> Incoming:
    fields: dict[str, object] = {"retain": False, "redelivered": False, "received_at_s": 100.0}
    return Incoming(topic=topic, payload=payload, **(fields | changes))  # type: ignore[arg-type]


def test_nothing_is_a_request_for_one_sample():
    assert parse_request(b"") == Request() == parse_request(b"{}")


def test_the_largest_seed_survives_json():
    assert parse_request(b'{"seed": 18446744073709551615}').seed == 2**64 - 1
    assert request_from({"seed": "18446744073709551615"}).seed == 2**64 - 1


def test_user_properties_make_a_request_too():
    request = request_from({"id": "a", "count": "2", "controls": '{"digit": "3"}', "expires_ms": "50"})
    assert request == Request(id="a", count=2, controls={"digit": "3"}, expires_ms=50)


@given(st.binary(max_size=300))
@example(b"[" * 100_000)
@example(b'{"a":' * 10_000)
@example(b'{"controls": {"digit": ' + b"[" * 50_000)
@example(b'{"seed": 1e400}')
@example(b'{"seed": ' + b"9" * 5000 + b"}")
@example(b'{"id": "\\ud800"}')
@example(b"\xff")
def test_any_bytes_are_a_request_or_an_input_error(payload: bytes):
    with contextlib.suppress(InputError):
        assert isinstance(parse_request(payload), Request)
    broken_id(payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["id", "seed", "count", "controls", "format", "expires_ms", "extra"])
nearly_requests = st.dictionaries(fields, json_values | st.integers(0, 100), max_size=6).map(
    lambda entry: json.dumps(entry).encode()
)
levels = st.text(alphabet="abtiny/negativephoto+#$", max_size=20)
topics = st.just("edge-aigc/attic/request/tiny") | levels.map(lambda rest: f"edge-aigc/attic/request/{rest}")
reply_topics = st.none() | st.text(max_size=40) | levels.map(lambda rest: f"edge-aigc/{rest}")


@settings(max_examples=400)
@given(
    payload=nearly_requests | st.binary(max_size=50),
    topic=topics,
    response_topic=reply_topics,
    user=st.lists(st.tuples(fields, st.text(max_size=10)), max_size=4),
    expiry_s=st.none() | st.integers(0, 2**32 - 1),
)
def test_any_message_is_a_job_or_an_error_on_a_topic_that_is_allowed(
    payload: bytes, topic: str, response_topic: str | None, user: list[tuple[str, str]], expiry_s: int | None
):
    message = incoming(payload, topic, response_topic=response_topic, user=tuple(user), expiry_s=expiry_s)
    result = intake().read(message, lambda: IDLE)
    assert isinstance(result, Job | Rejection)
    assert result.reply.topic is None or result.reply.topic.startswith("edge-aigc/")
    if isinstance(result, Rejection):
        told = replies.error(TOPICS, result)
        assert told.topic in {"edge-aigc/attic/response", response_topic}
        assert len(told.payload) < 4000
    else:
        assert 1 <= result.count <= 64
        assert 0 <= result.seed < 2**64


def test_a_redelivered_request_is_dropped_and_a_repeated_one_answered():
    ready = intake()
    payload = b'{"id": "a"}'
    assert isinstance(ready.read(incoming(payload), lambda: IDLE), Job)
    assert ready.read(incoming(payload, redelivered=True), lambda: IDLE) is None
    repeated = ready.read(incoming(payload), lambda: IDLE)
    assert isinstance(repeated, Rejection)
    assert repeated.error.code == "duplicate"


def test_ids_are_remembered_for_ten_minutes_and_no_more_than_a_thousand():
    ready = intake()
    ready.read(incoming(b'{"id": "a"}'), lambda: IDLE)
    assert isinstance(ready.read(incoming(b'{"id": "a"}', received_at_s=701.0), lambda: IDLE), Job)
    for number in range(1001):
        ready.read(incoming(b'{"id": "b%d"}' % number, received_at_s=702.0), lambda: IDLE)
    assert isinstance(ready.read(incoming(b'{"id": "b0"}', received_at_s=703.0), lambda: IDLE), Job)


def test_the_shorter_of_both_expiries_counts():
    job = intake().read(incoming(b'{"expires_ms": 5000}', expiry_s=2), lambda: IDLE)
    assert isinstance(job, Job)
    assert job.expires_at_s == 102.0


@pytest.mark.parametrize(
    ("load", "code"),
    [
        (Load(jobs=64, picture_bytes=0, retry_after_ms=700), "busy"),
        (Load(jobs=1, picture_bytes=64 << 20, retry_after_ms=700), "busy"),
        (Load(jobs=0, picture_bytes=0, retry_after_ms=700, stopping=True), "stopping"),
    ],
)
def test_a_device_that_cannot_now_says_when(load: Load, code: str):
    rejection = intake().read(incoming(b'{"id": "a"}'), lambda: load)
    assert isinstance(rejection, Rejection)
    assert rejection.error.code == code
    assert rejection.error.retry_after_ms


def test_a_refused_id_may_be_used_again():
    ready = intake()
    busy = Load(jobs=64, picture_bytes=0, retry_after_ms=1)
    assert isinstance(ready.read(incoming(b'{"id": "a"}'), lambda: busy), Rejection)
    assert isinstance(ready.read(incoming(b'{"id": "a"}'), lambda: IDLE), Job)


def test_words_that_quote_strangers_are_cut():
    assert shortened("a\nb") == "a b"
    assert len(shortened("x" * 10_000)) == 600


def test_what_is_no_message_of_ours_is_named_with_its_topic():
    with pytest.raises(BrokerError, match="edge-aigc/x/info"):
        parse_message(b"{}", Info, topic="edge-aigc/x/info")
