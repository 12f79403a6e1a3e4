"""What every demo is made of: a broker, a gateway beside us, a producer and consumer, and a live show."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from gateway import app, config
from gateway.broker import topics
from gateway.config import Config
from gateway.demo.ports import free_port
from gateway.mqtt.codec import Connect
from gateway.mqtt.session import ClientSession, Event, Received
from gateway.mqtt.stream import MqttStream, open_stream

START_TIMEOUT = 15.0


class DemoError(Exception):
    """The demo cannot run: one line that says why."""


class Story:
    """What is told of one message."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.events: list[dict[str, Any]] = []

    @property
    def final(self) -> dict[str, Any] | None:
        """Its final event."""
        return next((event for event in self.events if event["final"]), None)

    @property
    def way(self) -> str:
        """Its events, in words."""
        return " → ".join(_word(event) for event in self.events)

    @property
    def carriers(self) -> list[str]:
        """The carriers that are named by its events, each once."""
        return list(dict.fromkeys(event["carrier"] for event in self.events if event.get("carrier")))

    def hear(self, event: dict[str, Any]) -> None:
        """Note an event, unless it is known."""
        if all(event["event_id"] != known["event_id"] for known in self.events):
            self.events.append(event)


def _word(event: dict[str, Any]) -> str:
    detail = event.get("state") or event.get("reason")
    late = " (late)" if event.get("late") else ""
    return (event["state"] if event["type"] == "receipt" else f"{event['type']} {detail}" if detail else event["type"]) + late


@contextmanager
def broker(folder: Path, url: str) -> Iterator[str]:
    """Give the URL of the user's broker, or run one of our own until the block ends."""
    if url:
        yield url
        return
    with _embedded_broker(folder) as own:
        yield own


@contextmanager
def _embedded_broker(folder: Path) -> Iterator[str]:
    """Run rumqttd as a child process until the block ends; give its URL."""
    try:
        import iotcore
    except ImportError:
        raise DemoError("the built-in broker is missing: pip install 'mensageiro[demo]', or name one with --broker") from None
    port = free_port()
    path = folder / "rumqttd.toml"
    path.write_text(_RUMQTTD.format(port=port), encoding="utf-8")
    broker = iotcore.Broker(config_path=str(path))
    try:
        broker.start()
    except RuntimeError as error:
        raise DemoError(f"the built-in broker does not start: {error}") from None
    try:
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        broker.stop()


_RUMQTTD = """\
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
max_payload_size = 20480
max_inflight_count = 500
dynamic_filters = true
"""


def settings(folder: Path, url: str, prefix: str, carriers: dict[str, Any], **sections: dict[str, Any]) -> Config:
    """Configure a gateway that does not wait long for anything."""
    gateway = {"instance": prefix, "state_dir": str(folder), "in_doubt_deadline": 5.0, "retry_min": 0.5} | sections.pop("gateway", {})
    return config.parse(
        {
            "gateway": gateway,
            "broker": {"url": url, "topic_prefix": prefix, "session_expiry": 60},
            "carriers": carriers,
            "admin": {"listen": "127.0.0.1:0"},
            **sections,
        }
    )


@asynccontextmanager
async def gateway(settings: Config) -> AsyncIterator[app.App]:
    """Run a gateway beside us until the block ends; one that ends before ends the block. Raises what ended it."""
    stop = asyncio.Event()
    ready: asyncio.Future[app.App] = asyncio.get_running_loop().create_future()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(app.serve(settings, stop, on_ready=ready.set_result))
            running = await ready
            try:
                yield running
            finally:
                stop.set()
    except BaseExceptionGroup as group_error:
        error: BaseException = group_error
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


class Client:
    """A producer and consumer on the gateway's own MQTT client; `stories` hear of their messages."""

    def __init__(self, prefix: str, stories: Sequence[Story]) -> None:
        self._prefix = prefix
        self._stories = {story.id: story for story in stories}
        self.replies: list[dict[str, Any]] = []
        self.on_event: Callable[[dict[str, Any]], None] = lambda _: None
        self._news = asyncio.Event()
        self._up = False
        connect = Connect(client_id=f"{prefix}-client", clean_start=True)
        filters = [topics.event(prefix, "+", ""), f"{prefix}/gateway/+"]
        self._stream = MqttStream(ClientSession(connect, filters, unacknowledged_limit=1000), self._on_events)

    @classmethod
    async def connect(cls, url: str, prefix: str, stories: Sequence[Story]) -> "Client":
        """Connect, and wait until the gateway says that it is up."""
        client = cls(prefix, stories)
        host, port, secure = config.Broker(url=url).endpoint
        tls = ssl.create_default_context() if secure else None
        await open_stream(client._stream, host, port, tls=tls, timeout=START_TIMEOUT)
        if not await client.until(lambda: client._up, START_TIMEOUT):
            raise DemoError(f"the gateway does not come up at the broker {url}")
        return client

    async def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until `done`, at most `seconds`; return whether it is. Raises DemoError when the connection is lost."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not done():
            if self._stream.closed is not None:
                raise DemoError(f"no connection to the broker: {self._stream.closed.detail}")
            self._news.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError:
                return False
        return True

    async def leave(self) -> None:
        """Disconnect."""
        if self._stream.closed is None:
            self._stream.disconnect(0)
        await asyncio.wait([self._stream.gone], timeout=START_TIMEOUT)

    async def publish(self, what: str, payload: dict[str, Any]) -> None:
        """Publish as soon as the broker's Receive Maximum lets us."""
        session = self._stream.session
        if not await self.until(lambda: session.quota > 0, START_TIMEOUT):
            raise DemoError("the broker does not acknowledge what it was sent")
        session.publish(0, f"{self._prefix}/{what}", json.dumps(payload).encode(), content_type="application/json")
        self._stream.flush_soon()

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Received):
                self._stream.acknowledge([event.delivery])
                self._hear(event.publish.topic, json.loads(event.publish.payload))
        self._news.set()

    def _hear(self, topic: str, payload: dict[str, Any]) -> None:
        if topic.startswith(f"{self._prefix}/gateway/"):
            if payload["state"] == "up":
                self._up = True
            return
        if payload["type"] == "reply":
            self.replies.append(payload)
        elif payload["id"] in self._stories:
            self._stories[payload["id"]].hear(payload)
        self.on_event(payload)


class Show:
    """Show a table live, or print each event as JSON, until the block ends; then sum up."""

    def __init__(self, client: Client, table: Callable[[], Table], *, as_json: bool) -> None:
        self._client, self._table, self._as_json = client, table, as_json
        self._live: Live | None = None
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it took so far."""
        return round(time.monotonic() - self._started, 1)

    def __enter__(self) -> "Show":
        if self._as_json:
            self._client.on_event = self.say
        else:
            self._live = Live(self._table(), console=Console(emoji=False), refresh_per_second=8)
            self._live.__enter__()
            self._client.on_event = lambda _: self.refresh()
        return self

    def __exit__(self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._client.on_event = lambda _: None
        if self._live is not None:
            self._live.__exit__(type, value, traceback)

    def refresh(self) -> None:
        """Draw the table anew."""
        if self._live is not None:
            self._live.update(self._table())

    def say(self, what: dict[str, Any]) -> None:
        """Print JSON where that is asked for."""
        if self._as_json:
            print(json.dumps(what, ensure_ascii=False), flush=True)  # noqa: T201 - it is what was asked for

    def sum_up(self, counted: dict[str, Any], text: str) -> None:
        """Print the last line."""
        print(json.dumps({"summary": counted}) if self._as_json else text)  # noqa: T201 - it is what was asked for
