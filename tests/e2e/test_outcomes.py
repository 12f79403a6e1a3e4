"""Every outcome that the sandbox knows: each message ends in exactly the events that it should."""

import random
from collections import Counter
from typing import Any

import pytest

from gateway.carriers.smpp_status import Effect, meaning_of
from gateway.publish import RETRY_REFUSED
from tests.e2e.conftest import MakeStack
from tests.support.stack import Stack
from tests.support.traffic import ORDINARY, Payload
from tests.support.waiting import until

DELIVERED = ["accepted", "receipt:delivered!"]
REFUSED = ["rejected:refused_by_provider!"]

STORIES = {
    ORDINARY: DELIVERED,
    "0000": ["accepted", "receipt:scheduled", "receipt:delivered!"],
    "0001": ["accepted", "receipt:enroute", "receipt:delivered!"],
    "0002": DELIVERED,
    "0003": ["accepted", "receipt:expired!"],
    "0004": ["accepted", "receipt:deleted!"],
    "0005": ["accepted", "receipt:undeliverable!"],
    "0006": ["accepted", "receipt:accepted", "receipt:delivered!"],
    "0007": ["accepted", "receipt:unknown!"],
    "0008": ["accepted", "receipt:rejected!"],
    "0009": ["accepted", "receipt:skipped!"],
    "1000": DELIVERED,
    "2001": ["in_doubt", "in_doubt!"],
    "2003": DELIVERED,
    "2004": ["accepted", "receipt:no_receipt!"],
    "2005": DELIVERED,
    "2006": DELIVERED,
    "2007": DELIVERED,
    "2008": DELIVERED,
    "2009": DELIVERED,
    "2010": DELIVERED,
    "2011": DELIVERED,
    "2012": DELIVERED,
    "2013": DELIVERED,
    "2014": REFUSED,
    "2015": ["in_doubt", "receipt:delivered!"],  # the receipt was parked while the message was on its way, and proves it in doubt
}
PERMANENT = [status for status in range(1, 256) if meaning_of(status).effect is Effect.PERMANENT]
TEMPORARY = [8, 100, 103, 254, 255, 300, 999]

REJECTED_HERE: dict[str, dict[str, Any]] = {
    "invalid_number": {"to": "+1 212 555 0100"},
    "text_too_long": {"text": "Segredo " * 80},
    "invalid_payload": {"priority": 9},
    "invalid_sender": {"from": "Loja+Centro"},
    "no_route": {"cost_centre": 7},
    "not_encodable": {"text": "Segredo 🦜", "encoding": "latin1"},
}


@pytest.mark.fault
async def test_two_thousand_mixed_messages_each_end_in_exactly_the_events_that_they_should(stack: MakeStack) -> None:
    run = await stack({"gateway": {"max_attempts": 3, "receipt_deadline": 6.0}})
    expected: dict[str, list[str]] = {}

    def add(number: int, magic: str, story: list[str], **fields: Any) -> list[Payload]:
        made = run.traffic.messages(number, magic, **fields)
        expected.update((payload["id"], story) for payload in made)
        return made

    payloads = [payload for magic, story in STORIES.items() if magic != ORDINARY for payload in add(20, magic, story)]
    payloads += [payload for status in PERMANENT for payload in add(8, f"1{status:03d}", REFUSED)]
    payloads += [payload for status in TEMPORARY for payload in add(4, f"1{status:03d}", ["rejected:attempts_exhausted!"])]
    payloads += [payload for reason, fields in REJECTED_HERE.items() for payload in add(20, ORDINARY, [f"rejected:{reason}!"], **fields)]
    payloads += add(40, ORDINARY, ["accepted!"], receipt=False)
    payloads += add(20, "2015", ["in_doubt", "accepted!"], receipt=False)  # the late response proves it
    payloads += add(2000 - len(payloads), ORDINARY, DELIVERED)
    random.Random(2000).shuffle(payloads)
    await run.publish(payloads)
    await _publish_broken(run, 20)

    await run.accounted()
    assert {id: story for id in expected if (story := run.story(id)) != expected[id]} == {}
    replies = sum(event["type"] == "reply" for event in {event["event_id"]: event for event in run.events}.values())
    assert replies == 20 + 20
    assert [code for id in expected if run.traffic.magic_of[id] == "1011" for code in [run.told(id)[0]["code"]]] == [11] * 8
    await _told_of_broken(run, 20)


async def test_a_wait_for_receipts_that_ends_is_told_at_once_though_nothing_else_happens(stack: MakeStack) -> None:
    run = await stack({"gateway": {"receipt_deadline": 1.0}})
    (id,) = await run.send(run.traffic.message("2004"))
    await run.accounted(timeout=0.7 * RETRY_REFUSED)  # when the outbox is looked through all the same
    assert run.story(id) == STORIES["2004"]


async def _publish_broken(run: Stack, number: int) -> None:
    async with run.client() as producer:
        for count in range(number):
            await producer.publish("sms/submit", b"\xff{ no JSON" + str(count).encode(), qos=1)


async def _told_of_broken(run: Stack, number: int) -> None:
    def told() -> int:
        return len({event["event_id"] for event in run.events if event["type"] == "rejected" and event["id"] is None})

    await until(lambda: told() == number, "a rejected event for each payload that is no JSON")


@pytest.mark.fault
async def test_what_breaks_the_session_ends_as_it_should_and_harms_no_other_message(stack: MakeStack) -> None:
    run = await stack()
    stories = {"2002": ["in_doubt", "receipt:delivered!"], "2016": DELIVERED, "2017": DELIVERED}
    for magic in [*stories] * 2:
        ids = await run.send(run.traffic.message(magic))
        await run.until_ended(ids)
        assert run.story(ids[0]) == stories[magic]
    await run.send(*run.traffic.messages(50))
    result = await run.accounted()
    assert result.by_type == Counter(accepted=54, receipt=56, in_doubt=2)


async def test_a_throttled_message_waits_and_slows_the_link_but_can_be_cancelled(stack: MakeStack) -> None:
    run = await stack()
    throttled = run.traffic.message("1088")
    await run.send(throttled)
    await run.until_metric('mensageiro_carrier_state{carrier="smpp",state="throttled"}', lambda value: value == 1)
    await run.publish([{"id": throttled["id"]}], "sms/cancel")
    await run.send(run.traffic.message())
    await run.accounted()
    assert run.story(throttled["id"]) == ["cancelled!"]


async def test_a_message_that_is_always_throttled_does_not_keep_the_others_from_going(stack: MakeStack) -> None:
    run = await stack()
    throttled = run.traffic.message("1088")
    await run.send(throttled)
    await run.until_metric('mensageiro_carrier_state{carrier="smpp",state="throttled"}', lambda value: value == 1)
    others = run.traffic.messages(20)
    await run.send(*others)
    await run.until_ended([payload["id"] for payload in others])
    assert throttled["id"] not in run.ended()
    await run.publish([{"id": throttled["id"]}], "sms/cancel")
    await run.accounted()
