"""What every kind of message comes to, with nothing killed."""

import asyncio
import json
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.e2e.conftest import StartStack
from tests.support.stack import Stack, until

# What each magic number of the sandbox comes to: the events of its message, a receipt as its code.
STORIES: dict[str, list[object]] = {
    "0000": ["accepted", 0, 2],
    "0001": ["accepted", 1, 2],
    "0002": ["accepted", 2],
    "0003": ["accepted", 3],
    "0004": ["accepted", 4],
    "0005": ["accepted", 5],
    "0006": ["accepted", 6, 2],
    "0007": ["accepted", 7],
    "0008": ["accepted", 8],
    "0009": ["accepted", 9],
    "1011": ["rejected"],
    "2003": ["accepted", 2],
    "2005": ["accepted", 2],
    "2006": ["accepted", 2],
    "2007": ["accepted", 2],
    "2008": ["accepted", 2],
    "2009": ["accepted", 2],
    "2010": ["accepted", 2],
    "2011": ["accepted", 2],
    "2012": ["accepted", 2],
    "2013": ["accepted", 2],
    "9999": ["accepted", 2],
}


def story(stack: Stack, id: str) -> list[object]:
    return [event["code"] if event["type"] == "receipt" else event["type"] for event in stack.told(id)]


def properties(**values: Any) -> Properties:
    found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(found, name, value)
    return found


def received(message: aiomqtt.Message) -> dict[str, Any]:
    assert message.properties is not None
    found: dict[str, Any] = message.properties.json()  # type: ignore[no-untyped-call]
    return found


async def test_two_thousand_messages_with_mixed_outcomes_each_end_in_exactly_the_events_they_should(start_stack: StartStack) -> None:
    stack = await start_stack()
    tails = list(STORIES)
    expected = {f"m{number}": STORIES[tails[number % len(tails)]] for number in range(1900)}
    await stack.publish(stack.payload(number, tails[number % len(tails)]) for number in range(1900))
    refused = [{"id": f"bad{number}", "to": "1234", "text": "x"} for number in range(50)]
    too_long = [{"id": f"long{number}", "to": "11987654321", "text": "x" * 161} for number in range(50)]
    await stack.publish([*refused, *too_long])
    ids = [*expected, *(payload["id"] for payload in (*refused, *too_long))]
    await stack.until_ended(ids, 60)
    assert {id: story(stack, id) for id in expected} == expected
    assert {stack.told(payload["id"])[0]["reason"] for payload in refused} == {"invalid_number"}
    assert {stack.told(payload["id"])[0]["reason"] for payload in too_long} == {"text_too_long"}
    assert not stack.audit().faults


async def test_what_ends_a_session_ends_no_message(start_stack: StartStack) -> None:
    stack = await start_stack()
    tails = ["2001", "2002", "2014", "2016", "2017", "9999"]
    await stack.publish(stack.payload(number, tails[number % len(tails)]) for number in range(60))
    await stack.until_ended([f"m{number}" for number in range(60)], 60)
    assert not stack.audit().faults
    silent = [f"m{number}" for number in range(60) if tails[number % len(tails)] == "2001"]
    assert all(stack.types(id)[-1] == "in_doubt" for id in silent)


async def test_two_messages_to_one_number_in_doubt_at_once_are_never_settled_by_each_others_receipt(start_stack: StartStack) -> None:
    stack = await start_stack()
    stack.payload(1, "2001")
    to = "1191001" + "2001"
    await stack.publish([{"id": "m1", "to": to, "text": "Primeira mensagem"}, {"id": "two", "to": to, "text": "Segunda mensagem"}])
    await stack.until_ended(["m1", "two"], 30)
    assert stack.types("m1") == stack.types("two") == ["in_doubt", "in_doubt"]
    assert stack.taken()["m1"] == 0


async def test_a_lost_response_is_proven_by_the_receipt_of_that_very_message(start_stack: StartStack) -> None:
    stack = await start_stack()
    await stack.publish([stack.payload(1, "2002")])
    await stack.until_ended(["m1"], 30)
    assert story(stack, "m1") == ["in_doubt", 2]
    assert await stack.metric('mensageiro_in_doubt_total{carrier="smpp",way="re') == 1
    assert not stack.audit().faults


async def test_the_same_id_again_is_not_sent_again(start_stack: StartStack) -> None:
    stack = await start_stack()
    payload = stack.payload(1, "0002")
    await stack.publish([payload])
    await stack.until_ended(["m1"], 20)
    await stack.publish([dict(reversed(payload.items()))])  # the same content, written otherwise
    await until(lambda: len(stack.events) == 3, 10, "the latest event again")
    assert stack.events[2] == stack.events[1]
    await stack.publish([payload | {"text": "Outro texto"}])
    await until(lambda: len(stack.events) == 4, 10, "the refusal")
    assert (stack.events[3]["type"], stack.events[3]["reason"]) == ("rejected", "duplicate_id")
    assert stack.taken()["m1"] == 1
    assert not stack.audit().faults


async def test_cancels_race_submits_and_each_message_has_one_end(start_stack: StartStack) -> None:
    stack = await start_stack(sandbox=("--receipt-delay", "0.5"))
    ids = [f"m{number}" for number in range(200)]

    async def race() -> None:
        async with stack.client() as producer:
            for number, id in enumerate(ids):
                await producer.publish("sms/submit", json.dumps(stack.payload(number, "0002")), qos=1)
                await producer.publish("sms/cancel", json.dumps({"id": id}), qos=1)

    await asyncio.wait_for(race(), 30)
    await stack.until_ended(ids, 60)
    audit = stack.audit()
    assert not audit.faults, str(audit)
    for id in ids:
        if stack.types(id) == ["cancelled"]:
            assert stack.taken()[id] == 0, "cancelled here, so it must never have left"


async def test_a_cancel_that_overtakes_its_submit_holds(start_stack: StartStack) -> None:
    stack = await start_stack()
    await stack.publish([{"id": "m1"}], topic="sms/cancel")
    await stack.publish([stack.payload(1, "0002")])
    await stack.until_ended(["m1"], 20)
    assert stack.types("m1") == ["cancelled"]
    assert stack.taken()["m1"] == 0


async def test_a_scheduled_message_waits_and_a_producer_keeps_to_its_source(start_stack: StartStack) -> None:
    stack = await start_stack()
    await stack.publish([stack.payload(1, "0002", schedule_at="2099-01-01T00:00:00Z", metadata={"order": "7"})], topic="sms/submit/shop")
    await stack.publish([{"id": "m1"}], topic="sms/cancel/other")  # another source has no such message
    await stack.publish([{"id": "m1"}], topic="sms/cancel/shop")
    await stack.until_ended(["m1"], 20)
    (event,) = stack.told("m1")
    assert (event["type"], event["metadata"], event["event_id"]) == ("cancelled", {"order": "7"}, "shop/m1/1")


async def test_retained_submits_and_broken_payloads_are_refused_and_block_nothing(start_stack: StartStack) -> None:
    stack = await start_stack()
    async with stack.client() as producer:
        await producer.publish("sms/submit", json.dumps({"id": "r", "to": "11987650002", "text": "x"}), qos=1, retain=True)
        for payload in (b"", b"{", b"\xff", b"[]", b'{"id":"x y"}', b'{"id": "u", "to": "11987650002", "text": "x", "foo": 1}'):
            await producer.publish("sms/submit", payload, qos=1)
    await stack.publish([stack.payload(1, "0002")])
    await stack.until_ended(["m1", "r", "u"], 20)
    await until(lambda: sum(event["type"] == "rejected" for event in stack.events) == 7, 10, "a refusal for each")
    assert stack.told("r")[0]["reason"] == "retained"
    assert "foo" in stack.told("u")[0]["detail"]


async def test_a_response_topic_gets_its_events_with_the_correlation_data(start_stack: StartStack) -> None:
    stack = await start_stack({"broker": {"response_topics": ["answers/+"]}})
    async with stack.client() as consumer:
        await consumer.subscribe("answers/#", qos=1)
        await stack.publish([stack.payload(1, "0002")], properties=properties(ResponseTopic="answers/a", CorrelationData=b"42"))
        await stack.publish([stack.payload(2, "0002")], properties=properties(ResponseTopic="elsewhere", CorrelationData=b"42"))
        await stack.until_ended(["m1", "m2"], 20)
        answers = []
        async with asyncio.timeout(10):
            async for message in consumer.messages:
                answers.append((json.loads(bytes(message.payload))["type"], received(message)["CorrelationData"]))
                if len(answers) == 2:
                    break
    assert answers == [("accepted", "3432"), ("receipt", "3432")]
    assert stack.told("m2")[0]["reason"] == "response_topic"


async def test_events_carry_cloudevents_attributes(start_stack: StartStack) -> None:
    stack = await start_stack()
    async with stack.client() as consumer:
        await consumer.subscribe("sms/event/accepted", qos=1)
        await stack.publish([stack.payload(1, "0002")])
        message = await asyncio.wait_for(anext(aiter(consumer.messages)), 10)
    attributes = dict(received(message)["UserProperty"])
    assert attributes.pop("time")
    assert attributes == {
        "specversion": "1.0",
        "id": "/m1/1",
        "source": "mensageiro/mensageiro",
        "type": "mensageiro.accepted.v1",
        "subject": "m1",
    }
    assert received(message)["ContentType"] == "application/json"


async def test_replies_are_published(start_stack: StartStack) -> None:
    stack = await start_stack()
    await stack.publish([stack.payload(1, "2012")])
    await until(lambda: any(event["type"] == "reply" for event in stack.events), 10, "the reply")
    (reply,) = [event for event in stack.events if event["type"] == "reply"]
    assert reply["from"].endswith("2012")
    assert reply["text"]


@pytest.mark.parametrize("level", ["debug"])
async def test_no_number_text_or_secret_stands_in_the_logs(start_stack: StartStack, level: str) -> None:
    stack = await start_stack({"log": {"level": level}})
    tails = ["0002", "1011", "2001", "2002", "2003", "2012", "2013", "2014", "2017"]
    await stack.publish(stack.payload(number, tail, text="SEGREDO-DO-TEXTO") for number, tail in enumerate(tails))
    await stack.publish([{"id": "b", "to": "+1 212 555 0199", "text": "SEGREDO-DO-TEXTO"}])
    await stack.until_ended([f"m{number}" for number in range(len(tails))], 30)
    await stack.gateway.stop()
    output = stack.gateway.output
    assert "carrier state" in output
    for secret in ("SEGREDO-DO-TEXTO", "secret12", "2125550199", *(stack.payload(number, tail)["to"] for number, tail in enumerate(tails))):
        assert secret not in output
