"""`mensageiro send`: a producer for the command line, on the same MQTT client as the gateway."""

import asyncio
import json
import ssl
import uuid
from collections.abc import Callable
from typing import Any

from gateway import config as configuration
from gateway.broker import envelope, topics
from gateway.broker.base import CONNECTION_LOST, NO_MATCHING_SUBSCRIBERS
from gateway.config import Broker
from gateway.mqtt.codec import Connect
from gateway.mqtt.constants import REFUSED_FROM, describe_reason
from gateway.mqtt.session import ClientSession, Closed, Event, Published, Received
from gateway.mqtt.stream import MqttStream, open_stream

CONNECT_TIMEOUT = 10.0


class SendError(Exception):
    """The message was not published."""


async def send(broker: Broker, payload: dict[str, Any], source: str, wait: float, shown: Callable[[dict[str, Any]], None]) -> int:
    """Publish a submit payload; with `wait` seconds, hand its events to `shown` until the final one. Return the exit code.

    0 = published and, where it was waited for, ended well. Raises SendError.
    """
    body = json.dumps(payload, ensure_ascii=False).encode()
    try:
        envelope.decode_submit(body)
    except envelope.PayloadError as error:
        raise SendError(str(error)) from None
    producer = _Producer(broker, payload["id"], source)
    try:
        await producer.publish(body)
        return await producer.follow(shown, wait) if wait > 0 else 0
    finally:
        await producer.leave()


class _Producer:
    """One connection that publishes one message and hears its events."""

    def __init__(self, settings: Broker, id: str, source: str) -> None:
        self._settings, self._id = settings, id
        prefix = settings.topic_prefix
        self._topic = f"{prefix}/submit/{source}" if source else f"{prefix}/submit"
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        connect = Connect(
            client_id=f"mensageiro-send-{uuid.uuid4().hex[:12]}",
            clean_start=True,
            username=self._settings.username or None,
            password=configuration.secret(self._settings.password, self._settings.password_file, "broker.password").encode() or None,
        )
        session = ClientSession(connect, [topics.event(prefix, "+", source)], unacknowledged_limit=1000)
        self._stream = MqttStream(session, self._on_events)

    async def publish(self, body: bytes) -> None:
        host, port, secure = self._settings.endpoint
        tls = ssl.create_default_context(cafile=self._settings.ca_file or None) if secure else None
        stream = self._stream
        await open_stream(stream, host, port, tls=tls, timeout=CONNECT_TIMEOUT)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await asyncio.shield(stream.settled)
                if stream.closed is None:
                    stream.session.publish(0, self._topic, body, content_type=envelope.CONTENT_TYPE)
                    stream.flush_soon()
                reason = await self._answered
        except TimeoutError:
            raise SendError(f"{self._settings.url}: the broker does not answer") from None
        if stream.closed is not None:
            raise SendError(f"{self._settings.url}: {stream.closed.detail}")
        if reason >= REFUSED_FROM:
            raise SendError(f"the broker refuses the message: {describe_reason(reason)}")
        if reason == NO_MATCHING_SUBSCRIBERS:
            raise SendError(f"no gateway subscribes to {self._topic}: the broker drops the message")

    async def follow(self, shown: Callable[[dict[str, Any]], None], timeout: float) -> int:
        try:
            async with asyncio.timeout(timeout):
                while True:
                    event = await self._events.get()
                    shown(event)
                    if event["final"]:
                        return 0 if event.get("state") in ("delivered", None) and event["type"] in ("accepted", "receipt") else 1
        except TimeoutError:
            raise SendError(f"no final event of {self._id} within {timeout:g} s") from None

    async def leave(self) -> None:
        self._stream.disconnect(0)
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await asyncio.shield(self._stream.gone)

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Published():
                    self._answered.set_result(event.reason)
                case Received():
                    self._stream.acknowledge([event.delivery])
                    self._hear(event.publish.payload)
                case Closed() if not self._answered.done():
                    self._answered.set_result(CONNECTION_LOST)

    def _hear(self, payload: bytes) -> None:
        event = json.loads(payload)
        if event.get("id") == self._id:
            self._events.put_nowait(event)
