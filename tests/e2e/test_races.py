"""Cancels and expiries that race the submit: one end each, and none that the provider contradicts."""

import json
from datetime import timedelta

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.stack import now


@pytest.mark.fault
async def test_a_cancel_right_behind_its_submit_and_one_a_little_later_leave_one_end_each(stack: MakeStack) -> None:
    run = await stack({"carriers.smpp": {"max_rate": 200.0}}, sandbox=("--receipt-delay", "1.5"))
    payloads = run.traffic.messages(400)
    lag = 40  # messages between a submit and its cancel: by then some are on their way
    async with run.client() as producer:
        for number, payload in enumerate(payloads):
            await producer.publish("sms/submit", json.dumps(payload), qos=1)
            behind = payloads[number] if number % 2 else payloads[max(0, number - lag)]
            await producer.publish("sms/cancel", json.dumps({"id": behind["id"]}), qos=1)
    result = await run.accounted()
    ends = {tuple(word for word in run.story(id) if not word.endswith("~") and "!" in word) for id in run.traffic.ids}
    assert ends <= {("cancelled!",), ("receipt:delivered!",), ("receipt:deleted!",)}
    assert result.by_type["cancelled"] > 100
    for id in run.traffic.ids:
        cancelled = [event for event in run.told(id) if event["type"] == "cancelled"]
        assert all((event.get("carrier") is not None) == bool(result.taken[id]) for event in cancelled), f"{id}: {run.story(id)}"


async def test_what_expires_while_it_races_the_submit_was_not_sent_and_what_was_sent_does_not_expire(stack: MakeStack) -> None:
    run = await stack({"carriers.smpp": {"max_rate": 150.0}})
    soon = (now() + timedelta(seconds=1.5)).isoformat()
    await run.send(*run.traffic.messages(500, expires_at=soon))
    result = await run.accounted()
    assert result.by_type["expired"] > 20
    assert result.by_type["accepted"] > 20
    assert {tuple(run.story(id)) for id in run.traffic.ids} == {("expired!",), ("accepted", "receipt:delivered!")}


async def test_cancels_and_expiries_together_leave_one_end_each(stack: MakeStack) -> None:
    run = await stack({"carriers.smpp": {"max_rate": 100.0}}, sandbox=("--receipt-delay", "0.5"))
    soon = (now() + timedelta(seconds=1.5)).isoformat()
    payloads = run.traffic.messages(300, expires_at=soon)
    await run.publish(payloads)
    await run.publish([{"id": payload["id"]} for payload in payloads[::-1]], "sms/cancel")
    await run.accounted()


async def test_a_cancel_that_overtakes_its_submit_holds_and_one_for_nobody_is_told_so(stack: MakeStack) -> None:
    run = await stack()
    payload = run.traffic.message()
    await run.publish([{"id": payload["id"]}], "sms/cancel")
    await run.send(payload)
    await run.accounted()
    assert run.story(payload["id"]) == ["cancelled!"]
    await run.publish([{"id": payload["id"]}], "sms/cancel/shop")  # another source: another message
    await run.publish([{"id": payload["id"]}], "sms/cancel")  # again: told again, with the same event
    await run.until_metric('mensageiro_broker_pubacks_total{reason="ok"', lambda number: number >= 2)
    assert run.story(payload["id"]) == ["cancelled!"]


@pytest.mark.fault
async def test_a_cancel_of_a_message_in_doubt_does_not_pretend_that_it_never_left(stack: MakeStack) -> None:
    run = await stack({"carriers.smpp": {"response_timeout": 1.0}, "gateway": {"in_doubt_deadline": 6.0}})
    lost, late = (
        run.traffic.message("2001", receipt=False),
        run.traffic.message("2015", receipt=False),
    )  # not taken; taken, and answered late
    ids = await run.send(lost, late)
    for id in ids:
        await run.until_told(id, "in_doubt")
    await run.publish([{"id": id} for id in ids], "sms/cancel")
    await run.accounted()
    assert run.story(lost["id"])[:2] == ["in_doubt", "in_doubt!"]
    assert run.story(late["id"])[:2] == ["in_doubt", "accepted!"]
