"""MqttBroker against a real mosquitto that is killed, restarted, suspended and misconfigured, with aiomqtt as the foreign peer."""

import asyncio
import json
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from structlog.testing import capture_logs

from gateway.broker.base import CONNECTION_LOST, NO_MATCHING_SUBSCRIBERS, Outbound
from tests.support.mosquitto import Mosquitto, make_tls_files
from tests.support.waiting import DEADLINE, until

Start = Callable[..., AbstractAsyncContextManager[Any]]
Foreign = Callable[..., AbstractAsyncContextManager[aiomqtt.Client]]


async def states(client: aiomqtt.Client, count: int) -> list[str]:
    """Return the next `count` states that a gateway announces."""
    seen: list[str] = []
    async with asyncio.timeout(DEADLINE):
        async for message in client.messages:
            seen.append(json.loads(message.payload)["state"])
            if len(seen) == count:
                break
    return seen


async def publish_all(broker: Any, messages: list[Outbound]) -> None:
    """Publish within the credit of each moment."""
    sent = 0
    async with asyncio.timeout(DEADLINE):
        while sent < len(messages):
            await broker.wait_credit()
            batch = messages[sent : sent + broker.credit]
            broker.publish(batch)
            sent += len(batch)


async def publish_batches(broker: Any, batches: asyncio.Queue[list[Outbound]], count: int) -> None:
    """Publish `count` messages as they are given."""
    while count > 0:
        batch = await batches.get()
        await publish_all(broker, batch)
        count -= len(batch)


async def test_a_message_comes_in_with_its_properties_and_is_not_sent_again_once_acknowledged(
    mosquitto: Mosquitto, start: Start, foreign: Foreign
) -> None:
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
    properties.MessageExpiryInterval = 60
    properties.ResponseTopic = "crm/answers"
    properties.CorrelationData = b"\1\2"
    properties.ContentType = "application/json"
    async with start(mosquitto.port) as gateway, foreign(mosquitto.port) as producer:
        await producer.publish("in/crm", b"hello", qos=1, properties=properties)
        (message,) = await gateway.take(1)
        gateway.broker.acknowledge([message.token])
        await producer.publish("in/crm", b"second", qos=1)
        await gateway.take(1)
    assert (message.topic, message.payload, message.qos, message.retain, message.dup) == ("in/crm", b"hello", 1, False, False)
    assert (message.response_topic, message.correlation, message.content_type) == ("crm/answers", b"\1\2", "application/json")
    assert 0 < message.expiry <= 60
    async with start(mosquitto.port) as gateway:
        (again,) = await gateway.take(1)
    assert (again.payload, again.dup) == (b"second", True)


async def test_an_event_goes_out_with_content_type_correlation_and_user_properties(
    mosquitto: Mosquitto, start: Start, foreign: Foreign
) -> None:
    async with start(mosquitto.port) as gateway, foreign(mosquitto.port) as consumer:
        await consumer.subscribe("out/#", qos=1)
        gateway.broker.publish([Outbound(7, "out/accepted", b"{}", (("id", "a/1"), ("id", "a/2")), "application/json", b"\7")])
        async with asyncio.timeout(DEADLINE):
            message = await anext(aiter(consumer.messages))
        (result,) = await gateway.results(1)
    assert (result.token, result.reason) == (7, 0)
    assert (message.topic.value, message.payload, message.qos, message.retain) == ("out/accepted", b"{}", 1, False)
    received: Any = message.properties
    assert received.UserProperty == [("id", "a/1"), ("id", "a/2")]
    assert (received.ContentType, received.CorrelationData) == ("application/json", b"\7")


async def test_retained_and_qos_0_publishes_are_handed_on_as_such(mosquitto: Mosquitto, start: Start, foreign: Foreign) -> None:
    async with foreign(mosquitto.port) as producer:
        await producer.publish("in/old", b"stored before", qos=1, retain=True)
        async with start(mosquitto.port) as gateway:
            await producer.publish("in/zero", b"0", qos=0)
            await producer.publish("in/kept", b"1", qos=1, retain=True)
            messages = await gateway.take(2)
            gateway.broker.acknowledge([message.token for message in messages])
    assert [(message.topic, message.qos, message.retain) for message in messages] == [("in/zero", 0, False), ("in/kept", 1, True)]


async def test_fault_a_a_late_acknowledgement_does_not_settle_the_new_connection_s_message(
    mosquitto: Mosquitto, start: Start, foreign: Foreign
) -> None:
    async with start(mosquitto.port) as gateway:
        async with foreign(mosquitto.port) as producer:
            await producer.publish("in/x", b"old", qos=1)
            (old,) = await gateway.take(1)
        mosquitto.restart()
        await gateway.recorder.until(lambda seen: seen.connections == 2)
        async with foreign(mosquitto.port) as producer:
            await producer.publish("in/x", b"new", qos=1)  # mosquitto numbers it 1 again
            await gateway.take(1)
            gateway.broker.acknowledge([old.token])
            gateway.broker.publish([Outbound(1, "out/x", b"")])  # answered after the PUBACK, if there was one
            await gateway.results(1)
    async with start(mosquitto.port) as gateway:
        (again,) = await gateway.take(1)
    assert (again.payload, again.dup) == (b"new", True)


async def test_fault_b_publishes_cut_off_by_restarts_come_back_once_each_and_free_their_packet_identifiers(
    tmp_path: Path, start: Start
) -> None:
    with Mosquitto(tmp_path / "mosquitto", options=("max_inflight_messages 20",)) as mosquitto:
        async with start(mosquitto.port) as gateway:
            for restart in range(3):
                await gateway.broker.wait_credit()
                mosquitto.suspend()
                credit = gateway.broker.credit
                gateway.broker.publish([Outbound(restart * 100 + number, "out/x", b"") for number in range(credit)])
                mosquitto.restart()
                results = await gateway.results(credit)
                assert [result.token for result in results] == [restart * 100 + number for number in range(credit)]
                assert {result.reason for result in results} == {CONNECTION_LOST}
            await gateway.recorder.until(lambda seen: seen.connections == 4)
            await publish_all(gateway.broker, [Outbound(number, "out/x", b"") for number in range(100)])
            results = await gateway.results(100)
    assert sorted(result.token for result in results) == list(range(100))
    assert {result.reason for result in results} == {NO_MATCHING_SUBSCRIBERS}


async def test_fault_c_the_reason_of_a_puback_is_reported(tmp_path: Path, start: Start) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic read in/#\ntopic write out/#\ntopic write state/#\n")
    with Mosquitto(tmp_path / "mosquitto", options=(f"acl_file {rules}",)) as mosquitto:
        async with start(mosquitto.port) as gateway:
            gateway.broker.publish([Outbound(1, "forbidden", b""), Outbound(2, "out/x", b"")])
            results = await gateway.results(2)
    assert {result.token: result.reason for result in results} == {1: 0x87, 2: NO_MATCHING_SUBSCRIBERS}
    assert sorted(gateway.recorder.pubacks) == [NO_MATCHING_SUBSCRIBERS, 0x87]


async def test_fault_d_a_refused_password_is_tried_again_and_taken_once_it_is_right(tmp_path: Path, start: Start) -> None:
    with Mosquitto(tmp_path / "mosquitto", users={"gw": "another"}) as mosquitto, capture_logs() as logs:
        async with start(mosquitto.port, connected=False, username="gw", password="s3cret-word") as gateway:
            await gateway.recorder.until(lambda seen: len(seen.losses) >= 3)
            assert set(gateway.recorder.losses) == {"refused"}
            assert gateway.broker.credit == 0
            mosquitto.set_users({"gw": "s3cret-word"})
            mosquitto.restart()
            await gateway.recorder.until(lambda seen: seen.connections == 1)
    refused = [entry for entry in logs if entry["event"] == "broker not connected" and entry["cause"] == "refused"]
    assert [entry["detail"] for entry in refused] == ["0x87 not authorized"]
    assert "s3cret-word" not in str(logs)


async def test_a_refused_password_waits_for_the_longest_pause(tmp_path: Path, start: Start) -> None:
    with Mosquitto(tmp_path / "mosquitto", users={"gw": "another"}) as mosquitto:
        async with start(mosquitto.port, connected=False, username="gw", password="wrong", reconnect_max=3600.0) as gateway:
            await gateway.recorder.until(lambda seen: len(seen.losses) == 1)
            async with asyncio.timeout(DEADLINE):
                await gateway.broker.close(1.0)
                await gateway.task


async def test_a_broker_that_is_down_at_the_start_is_waited_for(mosquitto: Mosquitto, start: Start) -> None:
    mosquitto.kill()
    async with start(mosquitto.port, connected=False) as gateway:
        await gateway.recorder.until(lambda seen: len(seen.losses) >= 2)
        mosquitto.start()
        await gateway.recorder.until(lambda seen: seen.connections == 1)
    assert set(gateway.recorder.losses[:-1]) == {"unreachable"}


async def test_a_rival_with_our_client_id_is_suspected_though_mosquitto_says_nothing(mosquitto: Mosquitto, start: Start) -> None:
    with capture_logs() as logs:
        async with start(mosquitto.port) as gateway, start(mosquitto.port):
            await gateway.recorder.until(lambda seen: len(seen.losses) >= 7)
    assert "broker keeps closing our connection" in [entry["event"] for entry in logs]


async def test_a_topic_filter_that_the_broker_throws_us_out_for_is_tried_again(tmp_path: Path, start: Start) -> None:
    with Mosquitto(tmp_path / "mosquitto") as mosquitto, capture_logs() as logs:
        async with start(mosquitto.port, connected=False, subscriptions=("in/#/bad",)) as gateway:
            await gateway.recorder.until(lambda seen: len(seen.losses) >= 2)
            assert not gateway.broker.connected
    assert any(entry["event"] == "broker not connected" for entry in logs)


async def test_tls_is_verified(tmp_path: Path, start: Start) -> None:
    ours, another = make_tls_files(tmp_path / "ours"), make_tls_files(tmp_path / "another")
    with Mosquitto(tmp_path / "mosquitto", tls=ours) as mosquitto:
        async with start(mosquitto.port, tls=ssl.create_default_context(cafile=ours.ca)) as gateway:
            gateway.broker.publish([Outbound(1, "out/x", b"")])
            assert [result.token for result in await gateway.results(1)] == [1]
        async with start(mosquitto.port, connected=False, tls=ssl.create_default_context(cafile=another.ca)) as gateway:
            await gateway.recorder.until(lambda seen: len(seen.losses) >= 1)
            assert gateway.recorder.losses[0] == "unreachable"
            assert not gateway.broker.connected


async def test_more_than_the_receive_maximum_is_taken_in_order_and_nothing_is_lost(
    mosquitto: Mosquitto, start: Start, foreign: Foreign
) -> None:
    async with start(mosquitto.port, receive_maximum=10, hard_cap=20) as gateway:
        await gateway.broker.close(DEADLINE)
    async with foreign(mosquitto.port) as producer:
        for number in range(500):
            await producer.publish("in/x", str(number).encode(), qos=1)
    taken: list[int] = []
    async with start(mosquitto.port, receive_maximum=10, hard_cap=20) as gateway:
        while len(taken) < 500:
            batch = await gateway.take(1)
            taken += [int(message.payload) for message in batch]
            gateway.broker.acknowledge([message.token for message in reversed(batch)])
    assert taken == list(range(500))


async def test_what_stands_behind_an_uncommitted_message_is_sent_again(mosquitto: Mosquitto, start: Start, foreign: Foreign) -> None:
    async with start(mosquitto.port) as gateway, foreign(mosquitto.port) as producer:
        for number in range(4):
            await producer.publish("in/x", str(number).encode(), qos=1)
        first, second, third, fourth = await gateway.take(4)
        gateway.broker.acknowledge([fourth.token, third.token])
        gateway.broker.acknowledge([first.token])
        gateway.broker.publish([Outbound(1, "out/x", b"")])
        await gateway.results(1)
    assert second.payload == b"1"
    async with start(mosquitto.port) as gateway:
        again = await gateway.take(3)
    assert [message.payload for message in again] == [b"1", b"2", b"3"]


async def test_ten_thousand_messages_go_through_both_ways(mosquitto: Mosquitto, start: Start) -> None:
    port = str(mosquitto.port)
    consumer = await asyncio.create_subprocess_exec(
        "mosquitto_sub", "-V", "5", "-p", port, "-q", "1", "-t", "out/#", "-t", "state/#", "-C", "10001", stdout=asyncio.subprocess.PIPE
    )
    assert consumer.stdout is not None
    await until(lambda: b"SUBACK" in mosquitto.log_path.read_bytes(), "the consumer is subscribed")
    async with start(mosquitto.port) as gateway:
        await asyncio.wait_for(consumer.stdout.readline(), DEADLINE)  # "up": it is subscribed
        producer = await asyncio.create_subprocess_exec(
            "mosquitto_pub", "-V", "5", "-p", port, "-q", "1", "-t", "in/x", "-l", stdin=asyncio.subprocess.PIPE
        )
        feeding = asyncio.create_task(producer.communicate("".join(f"{number}\n" for number in range(10_000)).encode()))
        taken: list[int] = []
        batches: asyncio.Queue[list[Outbound]] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            # A task of its own, as in the gateway: above the hard cap no PUBACK of ours is read until more is taken and acknowledged.
            group.create_task(publish_batches(gateway.broker, batches, 10_000))
            while len(taken) < 10_000:
                batch = await gateway.take(1)
                gateway.broker.acknowledge([message.token for message in batch])
                batches.put_nowait([Outbound(int(message.payload), "out/x", message.payload) for message in batch])
                taken += [int(message.payload) for message in batch]
        answered = 0
        while answered < 10_000:
            answered += len(await gateway.results(1))
        await asyncio.wait_for(feeding, DEADLINE)
        output, _ = await asyncio.wait_for(consumer.communicate(), DEADLINE)
    assert taken == list(range(10_000))
    assert [int(line) for line in output.split()] == list(range(10_000))


async def test_the_state_is_announced_up_draining_and_down(mosquitto: Mosquitto, start: Start, foreign: Foreign) -> None:
    async with foreign(mosquitto.port) as watcher:
        await watcher.subscribe("state/#", qos=1)
        async with start(mosquitto.port) as gateway:
            await gateway.broker.stop_taking(DEADLINE)
            await gateway.broker.close(DEADLINE)
            await asyncio.wait_for(gateway.task, DEADLINE)
        assert await states(watcher, 3) == ["up", "draining", "down"]
    assert "Sending PUBLISH to gw" not in mosquitto.log_path.read_text()
    async with foreign(mosquitto.port) as late:
        await late.subscribe("state/#", qos=1)
        assert await states(late, 1) == ["down"]


async def test_the_will_says_down_when_the_process_dies(mosquitto: Mosquitto, start: Start, foreign: Foreign) -> None:
    async with foreign(mosquitto.port) as watcher:
        await watcher.subscribe("state/#", qos=1)
        async with start(mosquitto.port) as gateway:
            assert await states(watcher, 1) == ["up"]
            await gateway.stop()
        assert await states(watcher, 1) == ["down"]


async def test_while_draining_new_messages_stay_with_the_broker(mosquitto: Mosquitto, start: Start, foreign: Foreign) -> None:
    async with start(mosquitto.port) as gateway, foreign(mosquitto.port) as producer:
        await producer.publish("in/x", b"before", qos=1)
        (before,) = await gateway.take(1)
        await gateway.broker.stop_taking(DEADLINE)
        await producer.publish("in/x", b"after", qos=1)
        gateway.broker.publish([Outbound(1, "out/x", b"")])
        assert [result.token for result in await gateway.results(1)] == [1]
        gateway.broker.acknowledge([before.token])
        await gateway.broker.close(DEADLINE)
    async with start(mosquitto.port) as gateway:
        (message,) = await gateway.take(1)
    assert message.payload == b"after"


async def test_a_broker_that_lost_our_session_is_reported_and_what_we_held_is_handed_on(
    mosquitto: Mosquitto, start: Start, foreign: Foreign
) -> None:
    with capture_logs() as logs:
        async with start(mosquitto.port) as gateway:
            async with foreign(mosquitto.port) as producer:
                await producer.publish("in/x", b"held", qos=1)
                await producer.publish("out/x", b"", qos=1)
            gateway.broker.publish([Outbound(1, "out/x", b"")])
            await gateway.results(1)
            mosquitto.restart()
            await gateway.recorder.until(lambda seen: seen.connections == 2)
            (held,) = await gateway.take(1)
            gateway.broker.acknowledge([held.token])
    assert held.payload == b"held"
    assert [entry["event"] for entry in logs].count("broker lost our session") == 1


async def test_a_session_that_mosquitto_wrote_to_disk_survives_its_restart(tmp_path: Path, start: Start, foreign: Foreign) -> None:
    with Mosquitto(tmp_path / "mosquitto", persistence=True) as mosquitto, capture_logs() as logs:
        async with start(mosquitto.port) as gateway:
            async with foreign(mosquitto.port) as producer:
                await producer.publish("in/x", b"queued", qos=1)
            await gateway.take(1)
            mosquitto.stop()
            mosquitto.start()
            await gateway.recorder.until(lambda seen: seen.connections == 2)
            (again,) = await gateway.take(1)
    assert (again.payload, again.dup) == (b"queued", True)
    assert "broker lost our session" not in [entry["event"] for entry in logs]


async def test_a_packet_above_the_broker_s_maximum_and_a_bad_topic_come_back_and_the_connection_stays(tmp_path: Path, start: Start) -> None:
    with Mosquitto(tmp_path / "mosquitto", options=("max_packet_size 2000",)) as mosquitto:
        async with start(mosquitto.port) as gateway:
            gateway.broker.publish([Outbound(1, "out/x", b"x" * 2000), Outbound(2, "out/+", b""), Outbound(3, "out/x", b"")])
            results = await gateway.results(3)
    assert {result.token: result.reason for result in results} == {1: 0x95, 2: 0x90, 3: NO_MATCHING_SUBSCRIBERS}
    assert gateway.recorder.connections == 1


async def test_publishing_without_a_connection_comes_back_as_lost(mosquitto: Mosquitto, start: Start) -> None:
    async with start(mosquitto.port) as gateway:
        mosquitto.kill()
        await gateway.recorder.until(lambda seen: len(seen.losses) >= 1)
        gateway.broker.publish([Outbound(1, "out/x", b"")])
        assert [(result.token, result.reason) for result in await gateway.results(1)] == [(1, CONNECTION_LOST)]
