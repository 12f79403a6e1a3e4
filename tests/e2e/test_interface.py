"""What producers, consumers and operators see: topics, properties, replies, the commands."""

import asyncio
import json
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.e2e.conftest import MakeStack
from tests.support.stack import Stack
from tests.support.waiting import DEADLINE, until

DELIVERED = ["accepted", "receipt:delivered!"]


def _properties(**values: Any) -> Properties:
    found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho has no types here
    for name, value in values.items():
        setattr(found, name, value)
    return found


async def _heard(client: aiomqtt.Client, number: int) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return topic, payload and properties of so many messages."""
    found = []
    async with asyncio.timeout(DEADLINE):
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            properties = message.properties.json() if message.properties is not None else {}  # type: ignore[no-untyped-call] # paho has no types here
            found.append((message.topic.value, json.loads(message.payload), properties))
            if len(found) == number:
                break
    return found


async def test_a_response_topic_hears_the_events_with_the_correlation_data_and_nobody_elses(stack: MakeStack) -> None:
    run = await stack({"broker": {"response_topics": ["answers/+"]}})
    async with run.client() as consumer:
        await consumer.subscribe("answers/#", qos=1)
        asked = _properties(ResponseTopic="answers/loja", CorrelationData=b"pedido 42")
        await run.publish([run.traffic.message()], properties=asked)
        await run.send(run.traffic.message())
        heard = await _heard(consumer, 2)
        assert [(topic, event["type"], properties["CorrelationData"]) for topic, event, properties in heard] == [
            ("answers/loja", "accepted", b"pedido 42".hex()),
            ("answers/loja", "receipt", b"pedido 42".hex()),
        ]
        await consumer.publish("sms/submit", b'{"id": "broken", "to": 7}', qos=1, properties=asked)
        ((_, refusal, _),) = await _heard(consumer, 1)
        assert (refusal["reason"], refusal["raw"]) == ("invalid_payload", '{"id": "broken", "to": 7}')
    elsewhere = run.traffic.message()
    await run.publish([elsewhere], properties=_properties(ResponseTopic="sms/submit"))
    await run.accounted()
    assert run.story(elsewhere["id"]) == ["rejected:response_topic!"]
    assert all("raw" not in event or event["raw"] is None for event in run.events)


async def test_events_go_to_the_topic_of_their_source_and_carry_metadata_and_cloudevents_attributes(stack: MakeStack) -> None:
    run = await stack()
    async with run.client() as consumer:
        await consumer.subscribe("sms/event/+/loja-1", qos=1)
        payload = run.traffic.message(metadata={"pedido": "42", "canal": "às nove"})
        await run.publish([payload], "sms/submit/loja-1")
        heard = await _heard(consumer, 2)
    assert [topic for topic, _, _ in heard] == ["sms/event/accepted/loja-1", "sms/event/receipt/loja-1"]
    for seq, (_, event, properties) in enumerate(heard, 1):
        assert event["metadata"] == {"pedido": "42", "canal": "às nove"}
        assert properties["ContentType"] == "application/json"
        assert dict(properties["UserProperty"]) == {
            "specversion": "1.0",
            "id": f"loja-1/{payload['id']}/{seq}",
            "source": "mensageiro/mensageiro",
            "type": f"mensageiro.{event['type']}.v1",
            "time": event["time"],
            "subject": payload["id"],
        }


async def test_retained_submits_and_bad_sources_are_refused_and_block_nothing(stack: MakeStack) -> None:
    run = await stack()
    retained, elsewhere, fine = run.traffic.message(), run.traffic.message(), run.traffic.message()
    async with run.client() as producer:
        # The broker hands a retained message on as such only where it was there before the subscription, or retain as published is asked.
        await producer.publish("sms/submit", json.dumps(retained), qos=1, retain=True)
        await producer.publish("sms/submit/Not_A_Source", json.dumps(elsewhere), qos=1)
        await producer.publish("sms/cancel", b"{}", qos=1)
        await producer.publish("sms/submit", b"", qos=1)
        await producer.publish("sms/submit", json.dumps(fine), qos=1)
    await run.accounted()
    assert run.story(retained["id"]) == ["rejected:retained!"]
    assert run.story(elsewhere["id"]) == ["rejected:invalid_payload!"]
    assert run.story(fine["id"]) == DELIVERED


async def test_replies_tell_who_wrote_what_to_whom(stack: MakeStack) -> None:
    run = await stack()
    payload = run.traffic.message("2012", **{"from": "27123"})
    await run.send(payload)
    await until(lambda: any(event["type"] == "reply" for event in run.events), "a reply")
    (reply,) = [event for event in run.events if event["type"] == "reply"]
    assert (reply["from"], reply["to"], reply["text"]) == (payload["to"], "27123", "Sim, pode confirmar. Até à vista!")
    assert (reply["id"], reply["final"], reply["complete"]) == (None, False, True)


async def test_an_operator_holds_and_releases_through_the_daemon(stack: MakeStack) -> None:
    run = await stack(start=False)
    await run.start_broker()
    run.write_config()
    await run.start_gateway()
    await run.http_until("/readyz", lambda _, body: '"broker": true' in body)
    ids = await run.send(*run.traffic.messages(5))
    await run.until_metric('mensageiro_queue_messages{state="queued"}', lambda number: number == 5)
    assert (await run.json("queue", "hold", ids[0], ids[1]))["changed"] == 2
    await run.start_sandbox()
    await run.until_ended(ids[2:])
    listed = await run.json("queue", "list", "--state", "held")
    assert {message["id"] for message in listed} == set(ids[:2])
    assert run.story(ids[0]) == []
    assert (await run.json("queue", "release", "--state", "held"))["changed"] == 2
    await run.accounted()


@pytest.mark.fault
async def test_an_operator_ends_a_doubt_in_three_ways(stack: MakeStack) -> None:
    run = await stack({"gateway": {"in_doubt_deadline": 600.0}, "carriers.smpp": {"response_timeout": 1.0}})
    ids = await run.send(*run.traffic.messages(3, "2001", receipt=False))
    for id in ids:
        await run.until_told(id, "in_doubt")
    sent, refused, again = ids
    assert (await run.json("queue", "resolve", sent, "--as", "submitted"))["changed"] == 1
    assert (await run.json("queue", "resolve", refused, "--as", "rejected"))["changed"] == 1
    assert (await run.json("queue", "resolve", again, "--as", "resubmit"))["changed"] == 1
    await run.until_ended([sent, refused])
    assert run.story(sent) == ["in_doubt", "accepted!"]
    assert run.story(refused) == ["in_doubt", "rejected:operator!"]
    await until(lambda: run.story(again) == ["in_doubt", "in_doubt"], "in doubt again")
    (shown,) = await run.json("show", again)
    assert (shown["attempt"], shown["possible_duplicate"]) == (2, True)


async def test_an_operator_replays_what_was_published(stack: MakeStack) -> None:
    run = await stack()
    ids = await run.send(*run.traffic.messages(3))
    await run.accounted()
    before = list(run.events)
    assert (await run.json("queue", "replay", "--type", "receipt"))["changed"] == 3
    await until(lambda: len(run.events) == 9, "the receipts again")
    assert all(event in before for event in run.events[6:])
    assert (await run.json("queue", "replay", ids[0]))["changed"] == 2
    await until(lambda: len(run.events) == 11, "one message's events again")
    await run.accounted()


async def test_show_tells_the_story_of_a_message_but_neither_its_text_nor_its_number(stack: MakeStack) -> None:
    run = await stack()
    payload = run.traffic.message()
    await run.send(payload)
    await run.accounted()
    told = await _show(run, payload["id"])
    await run.gateway.stop()
    assert await _show(run, payload["id"]) == told, "the same without a daemon"
    code, _, stderr = await run.command("show", "nobody")
    assert (code, stderr) == (1, "mensageiro: no message with id nobody\n")


async def _show(run: Stack, id: str) -> list[Any]:
    (shown,) = await run.json("show", id)
    assert (shown["state"], shown["attempt"], shown["code"]) == ("done", 1, 2)
    assert [event["type"] for event in shown["events"]] == ["accepted", "receipt"]
    assert [part["message_id"] for part in shown["part_ids"]] == [run.ledger()[0]["message_id"]]
    code, text, _ = await run.command("show", id)
    assert code == 0
    assert run.traffic.leaks(json.dumps(shown) + text) == []
    return [shown["events"], shown["part_ids"]]


async def test_send_waits_for_the_end_and_healthcheck_tells_how_it_is(stack: MakeStack) -> None:
    run = await stack()
    payload = run.traffic.message()
    code, stdout, _ = await run.command(
        "send", "--to", payload["to"], "--text", payload["text"], "--id", payload["id"], "--wait", "10", "--json"
    )
    assert code == 0
    assert [json.loads(line)["type"] for line in stdout.splitlines()] == ["accepted", "receipt"]
    assert (await run.command("healthcheck"))[:2] == (0, "ok\n")
    await run.sandbox.kill()
    await run.until_metric("mensageiro_smpp_bound", lambda bound: bound == 0)
    assert (await run.command("healthcheck"))[:2] == (1, "not ready: carrier\n")
    assert (await run.command("healthcheck", "--live"))[0] == 0
    assert await run.gateway.stop() == 0
    assert (await run.command("healthcheck"))[0] == 1


async def test_the_state_of_the_gateway_is_retained_and_a_kill_shows_too(stack: MakeStack) -> None:
    run = await stack()
    assert (await run.retained("sms/gateway/mensageiro"))["state"] == "up"
    async with run.client() as watcher:
        await watcher.subscribe("sms/gateway/+", qos=1)
        assert (await _heard(watcher, 1))[0][1]["state"] == "up"
        await run.gateway.kill()
        assert (await _heard(watcher, 1))[0][1]["state"] == "down", "the last will"
        await run.start_gateway()
        assert (await _heard(watcher, 1))[0][1]["state"] == "up"
        await run.ready()
        assert await run.gateway.stop() == 0
        assert [state["state"] for _, state, _ in await _heard(watcher, 2)] == ["draining", "down"]
