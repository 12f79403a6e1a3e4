"""Payloads: what is taken, what is refused and how it is told, and what an event looks like on the wire."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.broker import envelope
from gateway.broker.envelope import PayloadError
from gateway.events import AcceptedEvent

BASE: dict[str, Any] = {"id": "order-1", "to": "11987654321", "text": "Ola"}


def submit(**fields: Any) -> envelope.Submit:
    return envelope.decode_submit(json.dumps(BASE | fields).encode())


GOOD: list[dict[str, Any]] = [
    {},
    {"id": "A" * 64},
    {"text": "x" * 600},
    {"valid_for": 60},
    {"valid_for": 172800},
    {"expires_at": "2026-12-01T10:00:00-03:00"},
    {"schedule_at": "2026-12-01T10:00:00Z", "valid_for": 3600.5},
    {"priority": 3, "receipt": False, "encoding": "ucs2", "transliterate": True, "in_doubt": "resubmit"},
    {"kind": "short_code_flash", "cost_centre": 7, "label": "x" * 40, "normalise": True, "routes": ["smpp"]},
    {"metadata": {str(number): "v" for number in range(16)}},
    {"from": "EMPRESA"},
]

BAD: list[tuple[dict[str, Any], str]] = [
    ({"id": ""}, "id: "),
    ({"id": "a b"}, "id: "),
    ({"id": "a" * 65}, "id: needs 1 to 64 of A-Z"),
    ({"id": "a\n"}, "id: "),
    ({"id": "\u0661"}, "id: "),
    ({"to": "1" * 41}, "to: "),
    ({"from": ""}, "from: "),
    ({"from": "x" * 22}, "from: "),
    ({"cost_centre": 0}, "cost_centre: "),
    ({"cost_centre": 2**32}, "cost_centre: "),
    ({"receipt": 1}, "receipt: "),
    ({"routes": ["a"] * 17}, "routes: "),
    ({"routes": "smpp"}, "routes: "),
    ({"schedule_at": 1795439304}, "schedule_at: "),
    ({"expires_at": "2026-02-30T10:00:00Z"}, "expires_at: "),
    ({"id": 1}, "id: "),
    ({"to": ""}, "to: "),
    ({"text": ""}, "text: "),
    ({"text": "x" * 601}, "text: has more than 600 characters"),
    ({"text": None}, "text: "),
    ({"valid_for": 59}, "valid_for: "),
    ({"valid_for": 172801}, "valid_for: "),
    ({"valid_for": 60, "expires_at": "2026-12-01T10:00:00Z"}, "valid_for and expires_at exclude each other"),
    ({"expires_at": "2026-12-01T10:00:00"}, "expires_at needs a zone"),
    ({"schedule_at": "tomorrow"}, "schedule_at: "),
    ({"priority": 4}, "priority: "),
    ({"priority": 1.5}, "priority: "),
    ({"kind": "fax"}, "kind: is none of the values"),
    ({"encoding": "utf-8"}, "encoding: is none"),
    ({"in_doubt": "guess"}, "in_doubt: is none"),
    ({"routes": []}, "routes: "),
    ({"label": "x" * 41}, "label: "),
    ({"metadata": {"a": 1}}, "metadata"),
    ({"metadata": {str(number): "v" for number in range(17)}}, "metadata: "),
    ({"metadata": {"a": "x" * 1024}}, "metadata is larger than 1024"),
    ({"foo": 1}, "foo: is no field"),
]


@pytest.mark.parametrize("fields", GOOD)
def test_a_payload_within_the_schema_is_taken(fields: dict[str, Any]) -> None:
    assert submit(**fields).id


@pytest.mark.parametrize(("fields", "expected"), BAD)
def test_a_payload_outside_the_schema_is_refused_by_the_name_of_the_field(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(PayloadError) as error:
        submit(**fields)
    assert str(error.value).startswith(expected)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "payload: is not JSON"),
        (b"{", "payload: is not JSON"),
        (b"[]", "payload: expected `object`"),
        (b'{"id": "a"}', "to: is required"),
        (b'{"id":"a","to":"1","text":"\xff"}', "payload: is not UTF-8"),
        (b'{"id":"a","to":"1","text":"x"} x', "payload: is not JSON"),
        (b'{"id":"a","to":"1","text":"x","valid_for":NaN}', "payload: is not JSON"),
        (b'{"id":"a","to":"1","text":"x","valid_for":1e999}', "valid_for: "),
        (b'{"metadata":' + b"[" * 50_000, "metadata: expected"),
        (b"\xef\xbb\xbf{}", "payload: is not JSON"),
        (b'{"id":"a","to":"1","text":"\\ud800"}', "payload: is not JSON"),
        (b'{"id":"a","to":"1","text":"x"}\0', "payload: is not JSON"),
        (b'{"id":"a","to":"1","text":"x","priority":' + b"9" * 5000 + b"}", "priority: "),
        (b'{"id":"a","to":"1","text":"x","valid_for":' + b"9" * 400 + b"}", "valid_for: "),
        (b'{"id":"a","to":"1","text":"x","y":' + b"[" * 100_000, "y: is no field"),
        (b"[" * 100_000, "payload: expected `object`"),
    ],
)
def test_what_is_no_such_json_is_refused(payload: bytes, expected: str) -> None:
    with pytest.raises(PayloadError) as error:
        envelope.decode_submit(payload)
    assert str(error.value).startswith(expected)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_a_payload_or_a_declared_error(payload: bytes) -> None:
    for decode in (envelope.decode_submit, envelope.decode_cancel):
        with contextlib.suppress(PayloadError):
            decode(payload)
    assert envelope.identity(payload)[0] is None or isinstance(envelope.identity(payload)[0], str)


SECRET = "11987654321"


VALUES: list[object] = [SECRET, [SECRET], {"x": SECRET}, int(SECRET)]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("field", [*envelope.Submit.__struct_encode_fields__, SECRET * 20, SECRET])
def test_no_error_repeats_a_value(field: str, value: object) -> None:
    payload = json.dumps({"to": SECRET, "text": SECRET, "kind": "fax", field: value}).encode()
    with pytest.raises(PayloadError) as error:
        envelope.decode_submit(payload)
    assert SECRET not in str(error.value)


def test_an_unknown_field_is_named_only_where_it_can_be_no_value() -> None:
    for name in (SECRET, "a" * 41, f"x - at `$.{SECRET}", f"`to` {SECRET}", f"to` {SECRET}", "ola mundo", "to\n"):
        with pytest.raises(PayloadError) as error:
            submit(**{name: 1})
        assert str(error.value) == "payload: has an unknown field"


def test_a_key_of_metadata_is_never_told() -> None:
    with pytest.raises(PayloadError) as error:
        submit(metadata={SECRET: 1})
    assert SECRET not in str(error.value)


def test_nul_is_a_character_of_a_text_like_any_other() -> None:
    assert submit(text="a\0b").text == "a\0b"


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    assert envelope.decode_submit(b'{"id":"a","to":"1","text":"x","id":"b"}').id == "b"
    assert envelope.identity(b'{"id":"a","id":"b"}')[0] == "b"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"id":"a"}', ""),
        (b'{"id":"a\\n"}', "id: "),
        (b'{"id":"a","text":"x"}', "text: is no field"),
        (b"{}", "id: is required"),
    ],
)
def test_a_cancel_names_a_message_and_nothing_else(payload: bytes, expected: str) -> None:
    if not expected:
        assert envelope.decode_cancel(payload).id == "a"
        return
    with pytest.raises(PayloadError) as error:
        envelope.decode_cancel(payload)
    assert str(error.value).startswith(expected)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(envelope.Submit.__struct_encode_fields__), values, max_size=6),
    st.dictionaries(st.text(), values, max_size=2),
)
@settings(deadline=None, max_examples=200)
def test_any_object_is_a_submit_or_an_error_that_names_a_field_alone(known: dict[str, Any], more: dict[str, Any]) -> None:
    try:
        found = submit(**(more | known))
    except PayloadError as error:
        spoken = str(error)
    else:
        assert len(found.text) <= 600
        return
    assert "\n" not in spoken
    assert len(spoken) < 120
    assert not any(isinstance(value, str) and len(value) > 5 and f" {value}" in spoken for value in known.values())


def test_who_a_refused_payload_was_is_told_though_its_metadata_is_not_well_formed() -> None:
    assert envelope.identity(b'{"id": "a", "metadata": {"k": 1}}') == ("a", {})
    assert envelope.identity(b'{"id": "a b", "metadata": {"k": "v"}}') == (None, {"k": "v"})
    assert envelope.identity(json.dumps({"id": "a", "metadata": {"k": "v" * 1024}}).encode()) == ("a", {})
    assert envelope.identity(b'{"id": "a", "x": ' + b"[" * 100_000) == (None, {})


def test_who_a_refused_payload_was_is_found_where_it_is_well_formed() -> None:
    assert envelope.identity(b'{"id": "a", "metadata": {"k": "v"}, "to": 5}') == ("a", {"k": "v"})
    assert envelope.identity(b'{"id": "a b"}') == (None, {})
    assert envelope.identity(b"nothing") == (None, {})


def test_an_event_carries_cloudevents_attributes() -> None:
    event = AcceptedEvent(
        event_id="s/a/1", time="t", instance="i", id="a", seq=1, carrier="smpp", message_ids=("9",), parts=1, encoding="gsm7", attempt=1
    )
    published = envelope.outbound(7, "sms/event/accepted", msgspec.json.encode(event), cloudevents=True, correlation=b"c")
    assert (published.token, published.content_type, published.correlation) == (7, "application/json", b"c")
    assert dict(published.properties) == {
        "specversion": "1.0",
        "id": "s/a/1",
        "source": "mensageiro/i",
        "type": "mensageiro.accepted.v1",
        "time": "t",
        "subject": "a",
    }
    assert envelope.outbound(7, "t", b"{}", cloudevents=False).properties == ()
