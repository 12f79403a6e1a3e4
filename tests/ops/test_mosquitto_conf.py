"""config/mosquitto.conf and its access lists: a real mosquitto keeps producers apart, and keeps what it has acknowledged."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support.shop import USERS, Shop
from tests.support.waiting import DEADLINE, until

NO_SUBSCRIBERS, NOT_AUTHORIZED = 0x10, 0x87
QUEUED = 1500  # more than mosquitto keeps by default


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    made = Shop(tmp_path)
    yield made
    await made.close()


def submit(id: str) -> str:
    return json.dumps({"id": id, "to": "11987650002", "text": "Ola"})


async def next_json(client: aiomqtt.Client) -> tuple[str, dict[str, Any]]:
    async with asyncio.timeout(DEADLINE):
        message = await anext(aiter(client.messages))
    assert isinstance(message.payload, bytes)
    return str(message.topic), json.loads(message.payload)


async def test_a_producer_hears_what_became_of_its_messages_and_nothing_of_its_neighbours(shop: Shop) -> None:
    await shop.start()
    async with shop.client("loja") as loja, shop.client("hotel") as hotel, shop.client("painel") as painel:
        for client in (loja, painel):
            await client.subscribe("sms/event/#", qos=1)
        await hotel.subscribe("sms/event/+/hotel", qos=1)
        await hotel.publish("sms/submit/hotel", submit("h-1"), qos=1)
        heard = [await next_json(hotel) for _ in range(2)]
        assert [topic for topic, _ in heard] == ["sms/event/accepted/hotel", "sms/event/receipt/hotel"]
        assert [await next_json(painel) for _ in range(2)] == heard
        await loja.publish("sms/submit/loja", submit("l-1"), qos=1)
        topics = [(await next_json(loja))[0] for _ in range(2)]
        assert topics == ["sms/event/accepted/loja", "sms/event/receipt/loja"]  # though it asked for all


@pytest.mark.parametrize(
    ("user", "topic", "code"),
    [
        ("loja", "sms/submit/loja", NO_SUBSCRIBERS),
        ("loja", "sms/cancel/loja", NO_SUBSCRIBERS),
        ("mensageiro", "sms/event/receipt/loja", NO_SUBSCRIBERS),
        ("mensageiro", "sms/gateway/mensageiro", NO_SUBSCRIBERS),
        ("loja", "sms/submit/hotel", NOT_AUTHORIZED),
        ("loja", "sms/submit", NOT_AUTHORIZED),
        ("loja", "sms/cancel/hotel", NOT_AUTHORIZED),
        ("loja", "sms/event/receipt/loja", NOT_AUTHORIZED),
        ("loja", "sms/gateway/mensageiro", NOT_AUTHORIZED),
        ("painel", "sms/submit/loja", NOT_AUTHORIZED),
        ("painel", "sms/submit/painel", NOT_AUTHORIZED),
        ("painel", "sms/cancel/painel", NOT_AUTHORIZED),
        ("mensageiro", "sms/submit/loja", NOT_AUTHORIZED),
        ("atendimento", "sms/event/reply", NOT_AUTHORIZED),
    ],
)
def test_nobody_writes_where_it_has_no_business(shop: Shop, user: str, topic: str, code: int) -> None:
    shop.broker.start()
    assert puback(shop, user, topic) == code


def puback(shop: Shop, user: str, topic: str) -> int:
    """Publish with mosquitto's own client; return the reason code of the PUBACK. MQTT 5 s3.4.2.1"""
    command = [
        "mosquitto_pub",
        "-V",
        "5",
        "-d",
        "-q",
        "1",
        "-p",
        str(shop.broker.port),
        "-u",
        user,
        "-P",
        USERS[user],
        "-t",
        topic,
        "-m",
        "x",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    (found,) = re.findall(r"received PUBACK \(Mid: \d+, RC:(\d+)\)", done.stdout)
    return int(found)


async def test_who_has_no_password_stays_outside(shop: Shop) -> None:
    shop.broker.start()
    for options in ({"username": None, "password": None}, {"password": "another"}):
        with pytest.raises(aiomqtt.MqttError, match=r"[Nn]ot authori[sz]ed|Bad user name"):
            async with shop.client("loja", **options):
                pass


@pytest.mark.fault
async def test_what_was_acknowledged_outlives_an_absent_gateway_and_a_killed_broker(shop: Shop) -> None:
    shop.broker.start()
    session = Properties(1)  # type: ignore[no-untyped-call] # CONNECT
    session.SessionExpiryInterval = 3600
    gateway = {"identifier": "mensageiro-mensageiro", "clean_start": False, "properties": session}
    async with shop.client("mensageiro", **gateway) as client:
        await client.subscribe("sms/submit/#", options=SubscribeOptions(qos=1))
    async with shop.client("loja") as loja:
        loja.pending_calls_threshold = 2 * QUEUED
        async with asyncio.TaskGroup() as group:
            for number in range(QUEUED):
                group.create_task(_put(loja, f"absent-{number:04}"))
    stored = shop.broker.folder / "mosquitto.db"
    await until(
        lambda: stored.exists() and all(f"absent-{number:04}".encode() in stored.read_bytes() for number in (0, QUEUED - 1)), "stored"
    )
    shop.broker.restart()
    async with shop.client("mensageiro", **gateway, max_queued_incoming_messages=0) as client:
        ids = {(await next_json(client))[1]["id"] for _ in range(QUEUED)}
    assert len(ids) == QUEUED


async def _put(client: aiomqtt.Client, id: str) -> None:
    await client.publish("sms/submit/loja", submit(id), qos=1, timeout=DEADLINE)


def test_every_user_of_the_tests_has_a_name_that_is_a_source() -> None:
    from gateway.broker.topics import SOURCE

    assert all(SOURCE.fullmatch(name) for name in USERS)
