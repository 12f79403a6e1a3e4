"""A real mosquitto a test, a broker under test that records what it reports, and foreign clients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import aiomqtt
import pytest

from gateway.broker.base import Inbound, PublishResult
from gateway.broker.mqtt import MqttBroker, MqttSettings
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import DEADLINE


class Recorder:
    """A BrokerObserver that tests can wait for."""

    def __init__(self) -> None:
        self.connections = 0
        self.losses: list[str] = []
        self.pubacks: list[int] = []
        self._changed = asyncio.Event()

    def connected(self) -> None:
        self.connections += 1
        self._changed.set()

    def disconnected(self, reason: str) -> None:
        self.losses.append(reason)
        self._changed.set()

    def puback(self, reason: int) -> None:
        self.pubacks.append(reason)

    async def until(self, condition: Callable[["Recorder"], bool]) -> None:
        """Wait until what was recorded meets `condition`."""
        async with asyncio.timeout(DEADLINE):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


@dataclass
class Running:
    """A broker under test, its task and what it reported."""

    broker: MqttBroker
    recorder: Recorder
    task: asyncio.Task[None]

    async def take(self, count: int) -> list[Inbound]:
        """Return the next `count` or more inbound PUBLISHes."""
        taken: list[Inbound] = []
        async with asyncio.timeout(DEADLINE):
            while len(taken) < count:
                taken += await self.broker.inbound()
        return taken

    async def results(self, count: int) -> list[PublishResult]:
        """Return the next `count` or more results."""
        results: list[PublishResult] = []
        async with asyncio.timeout(DEADLINE):
            while len(results) < count:
                results += await self.broker.results()
        return results

    async def stop(self) -> None:
        """Cut the connection without a word, as a killed process would."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", options=("max_queued_messages 0", "max_inflight_messages 1000", "log_type all")) as running:
        yield running


@pytest.fixture
def start() -> Start:
    """start(port, **settings): run a broker client with the client id `gw`, subscribed to in/#, until the block ends."""

    @asynccontextmanager
    async def run(port: int, *, connected: bool = True, **settings: Any) -> AsyncIterator[Running]:
        defaults: dict[str, Any] = {
            "host": "127.0.0.1",
            "client_id": "gw",
            "subscriptions": ("in/#",),
            "instance": "m1",
            "state_topic": "state/m1",
            "reconnect_min": 0.02,
            "reconnect_max": 0.05,
            "connect_timeout": 5.0,
        }
        recorder = Recorder()
        broker = MqttBroker(MqttSettings(port=port, **(defaults | settings)), recorder, rng=Random(1))
        running = Running(broker, recorder, asyncio.create_task(broker.run()))
        try:
            if connected:
                await recorder.until(lambda seen: seen.connections > 0)
            yield running
        finally:
            with suppress(Exception):
                await running.stop()

    return run


@asynccontextmanager
async def _client(port: int, **options: Any) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5, **options) as client:
        yield client


@pytest.fixture
def foreign() -> Callable[..., AbstractAsyncContextManager[aiomqtt.Client]]:
    """foreign(port, **options): an aiomqtt client, MQTT 5."""
    return _client
