"""MqttBroker against peers that no real broker would be: silent, flooding, breaking the protocol. And against rumqttd, which is real."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiomqtt
import iotcore
import pytest
from structlog.testing import capture_logs

from gateway.broker.base import Outbound, SessionTakenOverError
from gateway.demo.ports import free_port
from gateway.mqtt.codec import encode_publish
from tests.support.waiting import DEADLINE

CONNACK = bytes.fromhex("2003000000")
SUBACK = bytes.fromhex("900400010001")

Start = Callable[..., AbstractAsyncContextManager[Any]]
Foreign = Callable[..., AbstractAsyncContextManager[aiomqtt.Client]]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(script: Script) -> AsyncIterator[int]:
    """Run `script` for each connection to a loopback port."""
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def accept_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer CONNECT, SUBSCRIBE and the announcement that follows them."""
    await read_packet(reader)
    writer.write(CONNACK)
    await read_packet(reader)
    writer.write(SUBACK)
    await read_packet(reader)
    writer.write(bytes.fromhex("40020002"))


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    first, length = await reader.readexactly(2)
    if length >= 0x80:
        length = length - 0x80 + (await reader.readexactly(1))[0] * 128
    return bytes((first,)) + await reader.readexactly(length)


async def test_a_broker_that_accepts_and_never_answers_is_given_up_within_the_deadline(start: Start) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with peer(silent) as port, start(port, connected=False, connect_timeout=0.1) as gateway:
        await gateway.recorder.until(lambda seen: len(seen.losses) >= 2)
        assert set(gateway.recorder.losses) == {"timeout"}


async def test_a_broker_that_answers_connect_and_not_subscribe_is_given_up_within_the_deadline(start: Start) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(CONNACK)
        await reader.read(-1)

    async with peer(half) as port, start(port, connected=False, connect_timeout=0.1) as gateway:
        await gateway.recorder.until(lambda seen: len(seen.losses) >= 2)
        assert set(gateway.recorder.losses) == {"timeout"}
        assert not gateway.broker.connected


async def test_a_broker_that_falls_silent_is_probed_and_given_up(start: Start) -> None:
    probes: list[bytes] = []

    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_client(reader, writer)
        probes.append(await read_packet(reader))
        await reader.read(-1)

    async with peer(dying) as port, start(port, keep_alive=1) as gateway:
        await gateway.recorder.until(lambda seen: len(seen.losses) >= 1)
    assert gateway.recorder.losses[0] == "timeout"
    assert probes[0] == bytes.fromhex("c0")


async def test_a_malformed_packet_is_answered_with_disconnect_0x81_and_the_next_connection_works(start: Start) -> None:
    farewells: list[bytes] = []

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_client(reader, writer)
        if not farewells:
            writer.write(bytes.fromhex("32ffffffff01"))
            farewells.append(await reader.read(-1))
        await reader.read(-1)

    async with peer(broken) as port, start(port) as gateway:
        await gateway.recorder.until(lambda seen: seen.connections == 2)
    assert farewells == [bytes.fromhex("e00181")]
    assert gateway.recorder.losses[0] == "protocol_error"


async def test_a_session_taken_over_ends_run(start: Start) -> None:
    async def taken_over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_client(reader, writer)
        writer.write(bytes.fromhex("e0018e"))
        await reader.read(-1)

    async with peer(taken_over) as port, start(port) as gateway:
        with pytest.raises(SessionTakenOverError):
            await asyncio.wait_for(gateway.task, DEADLINE)


async def test_a_refused_subscription_is_tried_again_with_its_reason_in_the_log(start: Start) -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(CONNACK)
        await read_packet(reader)
        writer.write(bytes.fromhex("900400010087"))
        await reader.read(-1)

    with capture_logs() as logs:
        async with peer(refusing) as port, start(port, connected=False) as gateway:
            await gateway.recorder.until(lambda seen: len(seen.losses) >= 2)
            assert not gateway.broker.connected
    refused = [entry for entry in logs if entry["event"] == "broker not connected"]
    assert [entry["detail"] for entry in refused] == ["subscription refused: 0x87 not authorized"]


async def test_reading_pauses_at_the_hard_cap_and_goes_on_as_acknowledgements_leave(start: Start) -> None:
    total = 60_000
    chunk = b"".join(encode_publish("in/x", b"x" * 50, packet_id=number) for number in range(1, 1001))
    pubacks = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal pubacks
        await accept_client(reader, writer)
        writing = asyncio.create_task(_write_all(writer, [chunk] * (total // 1000)))
        while pubacks < total:
            await reader.readexactly(4)
            pubacks += 1
        await writing

    async with peer(flood) as port, start(port, hard_cap=100) as gateway:
        taken = await gateway.take(100)
        for _ in range(200):  # loop turns in which an open tap would bring more
            await asyncio.sleep(0)
        held = len(taken)
        assert held < total // 4
        while held < total:
            gateway.broker.acknowledge([message.token for message in taken])
            taken = await gateway.take(1)
            held += len(taken)
        gateway.broker.acknowledge([message.token for message in taken])
        async with asyncio.timeout(DEADLINE):
            while pubacks < total:
                await asyncio.sleep(0)
    assert held == total


async def test_a_flood_while_draining_does_not_hide_the_answers_to_what_we_publish(start: Start) -> None:
    draining = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_client(reader, writer)
        await draining.wait()
        for _ in range(2):  # ours, and the announcement
            await read_packet(reader)
        writer.write(
            b"".join(encode_publish("in/x", b"x" * 1000, packet_id=number) for number in range(1, 2001))
        )  # more than one read brings
        writer.write(bytes.fromhex("40020003") + bytes.fromhex("40020004"))
        await reader.read()

    async with peer(flood) as port, start(port, hard_cap=100) as gateway:
        gateway.broker.publish([Outbound(1, "out/x", b"")])
        draining.set()
        await gateway.broker.stop_taking(DEADLINE)
        assert [result.token for result in await gateway.results(1)] == [1]


async def _write_all(writer: asyncio.StreamWriter, chunks: list[bytes]) -> None:
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()


async def test_a_socket_that_takes_no_more_leaves_no_credit_until_it_does(start: Start) -> None:
    go_on = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_client(reader, writer)
        await go_on.wait()
        await reader.read(-1)

    async with peer(slow) as port, start(port) as gateway:
        async with asyncio.timeout(DEADLINE):
            number = 0
            while gateway.broker.credit > 0:
                gateway.broker.publish([Outbound(number, "out/x", b"x" * 60_000)])
                number += 1
                await asyncio.sleep(0)
            go_on.set()
            await gateway.broker.wait_credit()
    assert gateway.recorder.connections == 1


async def test_closing_does_not_wait_for_a_broker_that_never_answers(start: Start) -> None:
    farewell: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_client(reader, writer)
        await read_packet(reader)  # "down", never answered
        farewell.set_result(await reader.read(-1))

    async with peer(deaf) as port, start(port) as gateway:
        async with asyncio.timeout(DEADLINE):
            await gateway.broker.close(0.2)
            await gateway.task
            assert await farewell == bytes.fromhex("e00104")  # so the broker publishes the will


async def test_closing_cuts_a_connection_whose_socket_takes_nothing(start: Start) -> None:
    done = asyncio.Event()

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_client(reader, writer)
        await done.wait()

    async with peer(stuck) as port, start(port) as gateway, asyncio.timeout(DEADLINE):
        while gateway.broker.credit > 0:
            gateway.broker.publish([Outbound(1, "out/x", b"x" * 60_000)])
            await asyncio.sleep(0)
        await gateway.broker.close(0.2)
        await gateway.task
        done.set()
    assert gateway.recorder.losses == ["local"]


async def test_no_new_connection_is_made_while_those_before_left_more_than_the_hard_cap(start: Start) -> None:
    async def burst(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_client(reader, writer)
        writer.write(b"".join(encode_publish("in/x", b"x", packet_id=number) for number in range(1, 7)))

    async with peer(burst) as port, start(port, hard_cap=10) as gateway:
        await gateway.recorder.until(lambda seen: len(seen.losses) == 2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gateway.recorder.until(lambda seen: seen.connections == 3), 0.2)
        assert len(await gateway.take(12)) == 12
        await gateway.recorder.until(lambda seen: seen.connections == 3)


async def test_a_broker_that_keeps_our_session_for_less_time_is_reported(start: Start) -> None:
    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(bytes.fromhex("20080000051100000e10"))
        await reader.read(-1)

    with capture_logs() as logs:
        async with peer(short) as port, start(port, connected=False, connect_timeout=0.1) as gateway:
            await gateway.recorder.until(lambda seen: len(seen.losses) >= 1)
    assert [entry["seconds"] for entry in logs if entry["event"] == "broker shortens our session"] == [3600]


async def test_closing_before_any_connection_ends_run(start: Start) -> None:
    port = free_port()
    async with start(port, connected=False, reconnect_min=3600.0, reconnect_max=3600.0) as gateway, asyncio.timeout(DEADLINE):
        await gateway.recorder.until(lambda seen: seen.losses == ["unreachable"])
        await gateway.broker.close(0.2)
        await gateway.task


async def test_the_pauses_between_attempts_grow(start: Start) -> None:
    times: list[float] = []

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        times.append(asyncio.get_running_loop().time())
        await read_packet(reader)
        writer.write(bytes.fromhex("2003008900"))  # server busy
        await reader.read(-1)

    async with peer(refusing) as port, start(port, connected=False, reconnect_min=0.01, reconnect_max=0.16) as gateway:
        await gateway.recorder.until(lambda seen: len(seen.losses) >= 6)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(pause >= 0.005 * 2**number for number, pause in enumerate(pauses[:5]))


RUMQTTD = """
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 262144
max_inflight_count = 100
"""


async def test_messages_go_through_rumqttd_both_ways(tmp_path: Path, start: Start, foreign: Foreign) -> None:
    port = free_port()
    config = tmp_path / "rumqttd.toml"
    config.write_text(RUMQTTD.format(port=port))
    with iotcore.Broker(config_path=str(config)):
        async with start(port) as gateway, foreign(port) as peer_client:
            await peer_client.subscribe("out/#", qos=1)
            for number in range(50):
                await peer_client.publish("in/x", str(number).encode(), qos=1)
            taken = await gateway.take(50)
            gateway.broker.acknowledge([message.token for message in taken])
            await gateway.broker.wait_credit()
            gateway.broker.publish([Outbound(number, "out/x", str(number).encode(), (("k", "v"),)) for number in range(50)])
            results = await gateway.results(50)
            arrived = []
            async with asyncio.timeout(DEADLINE):
                async for message in peer_client.messages:
                    arrived.append(int(bytes(message.payload)))
                    if len(arrived) == 50:
                        break
            await gateway.broker.close(DEADLINE)
    assert [int(message.payload) for message in taken] == list(range(50))
    assert sorted(result.token for result in results if result.reason < 0x80) == list(range(50))
    assert arrived == list(range(50))
