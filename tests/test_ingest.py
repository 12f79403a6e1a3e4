"""What becomes of a PUBLISH."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.broker.base import Inbound
from gateway.carriers.base import Carrier
from gateway.carriers.smpp_submit import SubmitBuilder
from gateway.config import Smpp
from gateway.ingest import Reader, Rules
from gateway.message import Cancel, Message, Reason, Refusal

NOW = 1_800_000_000.0
DAY = 86400.0


class Account:
    """A carrier of which only `prepare` is asked: that of a real SMPP account."""

    def __init__(self, **settings: Any) -> None:
        self.prepare = SubmitBuilder(Smpp(system_id="u", password="p", **settings)).prepare


def reader(*, response_topics: tuple[str, ...] = (), **accounts: Any) -> Reader:
    carriers: dict[str, Carrier] = {name: Account(**settings) for name, settings in (accounts or {"smpp": {}}).items()}  # type: ignore[misc]
    return Reader(carriers, Rules("sms", tuple(carriers), 2 * DAY, response_topics))


def publish(payload: Any, topic: str = "sms/submit", **fields: Any) -> Inbound:
    values: dict[str, Any] = {"qos": 1, "retain": False, "dup": False, "expiry": None, "response_topic": None, "correlation": None}
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Inbound(topic=topic, payload=body, content_type=None, token=1, **(values | fields))


BASE = {"id": "a", "to": "(11) 98765-4321", "text": "Ola"}


def message(payload: dict[str, Any] = {}, **options: Any) -> Message:
    found = reader().read(publish(BASE | payload, **options), NOW)
    assert isinstance(found, Message), found
    return found


def refusal(found: object) -> Refusal:
    assert isinstance(found, Refusal), found
    return found


def test_a_submit_becomes_a_message_with_a_national_number_and_its_source() -> None:
    found = message(topic="sms/submit/shop")
    assert (found.source, found.id, found.to, found.text) == ("shop", "a", "11987654321", "Ola")
    assert (found.routes, found.parts, found.received_at) == (("smpp",), 1, NOW)


def test_a_cancel_becomes_a_cancel() -> None:
    assert reader().read(publish({"id": "a"}, topic="sms/cancel/shop"), NOW) == Cancel(source="shop", id="a", received_at=NOW)


@pytest.mark.parametrize(
    ("payload", "options", "reason", "detail"),
    [
        (b"nothing", {}, Reason.INVALID_PAYLOAD, "payload: is not JSON"),
        ({"id": "a"}, {"topic": "sms/cancel/UP"}, Reason.INVALID_PAYLOAD, "topic: the source must be"),
        ({}, {"topic": "sms/cancel"}, Reason.INVALID_PAYLOAD, "Object missing required field `id`"),
        (BASE, {"retain": True}, Reason.RETAINED, "retained messages are not taken"),
        (BASE | {"to": "+1 212 555 0199"}, {}, Reason.INVALID_NUMBER, "to: the number is not Brazilian"),
        (BASE | {"to": "1187654321"}, {}, Reason.INVALID_NUMBER, "to: the ninth digit"),
        (BASE | {"from": "AÇÃO"}, {}, Reason.INVALID_SENDER, "from: "),
        (BASE | {"text": "x" * 161}, {}, Reason.TEXT_TOO_LONG, "text: "),
        (BASE | {"text": "ã", "encoding": "gsm7"}, {}, Reason.NOT_ENCODABLE, "text: "),
        (BASE | {"kind": "short_code"}, {}, Reason.NO_ROUTE, "kind: "),
        (BASE | {"cost_centre": 3}, {}, Reason.NO_ROUTE, "cost_centre: "),
        (BASE | {"routes": ["http"]}, {}, Reason.NO_ROUTE, "routes: names no carrier"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_says_which_field(payload: Any, options: dict[str, Any], reason: Reason, detail: str) -> None:
    found = refusal(reader().read(publish(payload, **options), NOW))
    assert found.reason is reason
    assert found.detail.startswith(detail)


def test_a_refusal_keeps_who_it_was_and_what_came() -> None:
    found = refusal(reader().read(publish(BASE | {"to": "1", "metadata": {"k": "v"}}, topic="sms/submit/shop"), NOW))
    assert (found.source, found.id, found.metadata) == ("shop", "a", {"k": "v"})
    assert json.loads(found.raw)["to"] == "1"
    assert len(refusal(reader().read(publish(b"x" * 5000), NOW)).raw) == 2048


def test_the_digest_tells_contents_apart_and_not_their_spelling() -> None:
    spelt_otherwise = json.dumps(dict(reversed(BASE.items())), indent=1).encode()
    again = reader().read(publish(spelt_otherwise), NOW + 5)
    assert isinstance(again, Message)
    assert again.digest == message().digest
    assert message({"text": "Outro"}).digest != message().digest
    assert message({"priority": 1}).digest != message().digest


@pytest.mark.parametrize(
    ("payload", "expiry", "expires_in"),
    [
        ({}, None, 2 * DAY),
        ({"valid_for": 60}, None, 60),
        ({"valid_for": 3600}, 100, 100),
        ({"valid_for": 60}, 100, 60),
        ({"expires_at": "2027-01-15T09:00:00Z"}, None, 3600),
        ({"expires_at": "2099-01-01T00:00:00Z"}, None, 2 * DAY),
        ({"schedule_at": "2027-01-15T09:00:00Z", "valid_for": 60}, None, 3660),
        ({"schedule_at": "2020-01-01T00:00:00Z", "valid_for": 60}, None, 60),
    ],
)
def test_it_expires_from_the_later_of_receipt_and_schedule(payload: dict[str, Any], expiry: int | None, expires_in: float) -> None:
    assert message(payload, expiry=expiry).expires_at - NOW == expires_in


def test_a_schedule_that_lies_behind_is_now() -> None:
    assert message({"schedule_at": "2020-01-01T00:00:00Z"}).schedule_at is None
    assert message({"schedule_at": "2027-01-15T09:00:00-03:00"}).schedule_at == NOW + 4 * 3600


def test_only_carriers_that_can_carry_it_are_kept_in_order() -> None:
    accounts = reader(first={"kinds": ("common",)}, second={"kinds": ("common", "flash")}, third={})
    found = accounts.read(publish(BASE | {"kind": "flash"}), NOW)
    assert isinstance(found, Message)
    assert found.routes == ("second", "third")
    chosen = accounts.read(publish(BASE | {"routes": ["third", "nowhere", "first", "third"]}), NOW)
    assert isinstance(chosen, Message)
    assert chosen.routes == ("third", "first")


def test_a_response_topic_is_ignored_unless_some_are_allowed() -> None:
    assert message(response_topic="anywhere", correlation=b"1").response_topic is None
    allowed = reader(response_topics=("answers/+",))
    found = allowed.read(publish(BASE, response_topic="answers/a", correlation=b"1"), NOW)
    assert isinstance(found, Message)
    assert (found.response_topic, found.correlation) == ("answers/a", b"1")
    refused = refusal(allowed.read(publish(BASE, response_topic="answers/#"), NOW))
    assert refused.reason is Reason.RESPONSE_TOPIC
    assert refused.response_topic is None


@given(st.sampled_from(["to", "from", "text"]), st.text(max_size=40))
@settings(deadline=None, max_examples=150)
def test_any_text_in_any_field_is_a_message_or_a_refusal_that_does_not_repeat_it(field: str, value: str) -> None:
    found = reader().read(publish(BASE | {field: value}), NOW)
    assert isinstance(found, Message | Refusal)
    if isinstance(found, Refusal) and len(value) >= 6:
        assert value not in found.detail
