"""`mensageiro demo`: a broker, a provider sandbox and a gateway in one process on loopback, every outcome shown live.

It sends a message for each DLR code and for some of the sandbox's faults, and ends when each message has its final event. The broker is
rumqttd from the `demo` extra (iotcore), unless one is named. What it made is removed, unless the gateway ran and
something went wrong: then its path is told.
"""

import asyncio
import json
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway import app, config, logs
from gateway.broker import topics
from gateway.broker.base import SessionTakenOverError
from gateway.config import Config
from gateway.journal.base import JournalBrokenError
from gateway.message import rfc3339
from gateway.mqtt.codec import Connect
from gateway.mqtt.session import ClientSession, Event, Received
from gateway.mqtt.stream import MqttStream, open_stream
from gateway.sandbox.settings import SmscSettings
from gateway.sandbox.smsc import Smsc

START_TIMEOUT = 15.0
SYSTEM_ID, PASSWORD = "demo", "demo"


class DemoError(Exception):
    """The demo cannot run: one line that says why."""


class Case(NamedTuple):
    """One message of the demo, and what it shows."""

    tail: str
    shows: str
    text: str = "Ola, esta e uma demonstracao"
    cancel: bool = False
    kind: str = "common"
    expires_in: float | None = None  # s


CASES = (
    Case("0000", "DLR 0: scheduled, then delivered"),
    Case("0001", "DLR 1: en route, then delivered"),
    Case("0002", "DLR 2: delivered"),
    Case("0003", "DLR 3: validity expired"),
    Case("0004", "DLR 4: deleted"),
    Case("0005", "DLR 5: undeliverable"),
    Case("0006", "DLR 6: accepted, then delivered"),
    Case("0007", "DLR 7: unknown"),
    Case("0008", "DLR 8: rejected"),
    Case("0009", "DLR 9: skipped"),
    Case("2003", "the receipt comes before the response"),
    Case("2005", "the receipt comes twice"),
    Case("2006", "delivered, then en route"),
    Case("2007", "message id in hex, receipt in decimal"),
    Case("2012", "the phone writes back"),
    Case("7001", "accents: sent as UCS2", text="Sua solicitação não será perdida"),
    Case("1011", "refused: ESME_RINVDSTADR"),
    Case("7002", "scheduled, and cancelled in time", cancel=True),
    Case("7003", "no route: SMPP has no short codes", kind="short_code"),
    Case("2001", "no response: in doubt until the deadline"),
    Case("2002", "the connection drops before the response"),
    Case("1088", "throttled (ESME_RTHROTTLED) until it expires", expires_in=4.0),
)


class Row:
    """What is known of one message."""

    def __init__(self, id: str, case: Case) -> None:
        self.id, self.case = id, case
        self.events: list[dict[str, Any]] = []

    @property
    def final(self) -> dict[str, Any] | None:
        """Its final event."""
        return next((event for event in self.events if event["final"]), None)

    @property
    def way(self) -> str:
        """Its events, in words."""
        return " → ".join(_word(event) for event in self.events)


def _word(event: dict[str, Any]) -> str:
    detail = event.get("state") or event.get("reason")
    late = " (late)" if event.get("late") else ""
    return (event["state"] if event["type"] == "receipt" else f"{event['type']} {detail}" if detail else event["type"]) + late


def run(broker_url: str, seconds: float, *, as_json: bool) -> int:
    """Run the demo; return the exit code: 0 when every message ended. Raises DemoError."""
    folder = Path(tempfile.mkdtemp(prefix="mensageiro-demo-"))
    keep = False
    try:
        with (folder / "gateway.log").open("w", encoding="utf-8") as log:
            logs.configure("info", "json", log)
            code = asyncio.run(_demo(folder, broker_url, seconds, as_json=as_json))
        keep = code != 0
    except (DemoError, app.StartError, JournalBrokenError, SessionTakenOverError) as error:
        keep = (folder / "gateway.log").stat().st_size > 0  # the gateway had something to say
        raise DemoError(f"{error}; journal and log are in {folder}" if keep else str(error)) from None
    finally:
        logs.configure("error", "auto")  # the log is closed
        if not keep:
            shutil.rmtree(folder)
    if keep:
        sys.stderr.write(f"mensageiro: not every message ended; journal and log are in {folder}\n")
    return code


async def _demo(folder: Path, broker_url: str, seconds: float, *, as_json: bool) -> int:
    prefix = f"demo-{int(time.time())}"  # so that a broker of the user's is not disturbed
    rows = {f"demo-{case.tail}": Row(f"demo-{case.tail}", case) for case in CASES}
    replies: list[dict[str, Any]] = []
    async with AsyncExitStack() as stack:
        url = broker_url or stack.enter_context(_embedded_broker(folder))
        smsc = Smsc(SmscSettings(system_id=SYSTEM_ID, password=PASSWORD, receipt_delay=0.4, receipt_spread=0.6))
        await smsc.start()
        stack.push_async_callback(smsc.stop)
        await stack.enter_async_context(_gateway(_settings(folder, url, smsc.port, prefix)))
        client = await _Client.connect(url, prefix, lambda event: _note(event, rows, replies))
        stack.push_async_callback(client.leave)
        ended = await _show(client, rows, replies, seconds, as_json=as_json)
    return 0 if ended else 1


def _note(event: dict[str, Any], rows: dict[str, Row], replies: list[dict[str, Any]]) -> None:
    if event["type"] == "reply":
        replies.append(event)
        return
    row = rows.get(event["id"])
    if row is not None and all(event["event_id"] != known["event_id"] for known in row.events):
        row.events.append(event)


async def _show(client: "_Client", rows: dict[str, Row], replies: list[dict[str, Any]], seconds: float, *, as_json: bool) -> bool:
    """Send everything and show it until all have ended. Return whether they have."""
    started = time.monotonic()
    await client.send(rows.values())
    done: Callable[[], bool] = lambda: all(row.final for row in rows.values()) and bool(replies)  # noqa: E731
    if as_json:
        client.on_event = lambda event: print(json.dumps(event, ensure_ascii=False), flush=True)  # noqa: T201 - it is what was asked for
        await client.until(done, seconds)
    else:
        with Live(_table(rows, replies), console=Console(emoji=False), refresh_per_second=8) as live:
            client.on_event = lambda _: live.update(_table(rows, replies))
            await client.until(done, seconds)
    ended = sum(row.final is not None for row in rows.values())
    summary = {"messages": len(rows), "ended": ended, "replies": len(replies), "seconds": round(time.monotonic() - started, 1)}
    text = f"{ended} of {len(rows)} messages ended, {len(replies)} reply, in {summary['seconds']} s"
    print(json.dumps({"summary": summary}) if as_json else text)  # noqa: T201 - it is what was asked for
    return done()


def _table(rows: dict[str, Row], replies: list[dict[str, Any]]) -> Table:
    table = Table("to ...", "what it shows", "its way", "ended", box=None, pad_edge=False)
    for row in rows.values():
        table.add_row(row.case.tail, row.case.shows, Text(row.way), "[green]✓[/]" if row.final else "")
    for reply in replies:
        table.add_row("", "", Text(f"reply: {reply['text']}"), "")
    return table


# --- The parts --------------------------------------------------------------------------------------------------------------------


@contextmanager
def _embedded_broker(folder: Path) -> Iterator[str]:
    """Run rumqttd as a child process until the block ends; give its URL."""
    try:
        import iotcore
    except ImportError:
        raise DemoError("the built-in broker is missing: pip install 'mensageiro[demo]', or name one with --broker") from None
    port = _free_port()
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


def _settings(folder: Path, url: str, smpp_port: int, prefix: str) -> Config:
    return config.parse(
        {
            "gateway": {"instance": prefix, "state_dir": str(folder), "in_doubt_deadline": 5.0, "retry_min": 0.5},
            "broker": {"url": url, "topic_prefix": prefix, "session_expiry": 60},
            "carriers": {
                "smpp": {
                    "kind": "smpp",
                    "host": "127.0.0.1",
                    "port": smpp_port,
                    "system_id": SYSTEM_ID,
                    "password": PASSWORD,
                    "response_timeout": 2.0,
                    "reconnect_min": 0.2,
                }
            },
            "admin": {"listen": "127.0.0.1:0"},
        }
    )


@asynccontextmanager
async def _gateway(settings: Config) -> AsyncIterator[None]:
    """Run a gateway beside us until the block ends; one that ends before ends the block. Raises what ended it."""
    stop, ready = asyncio.Event(), asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(app.serve(settings, stop, on_ready=lambda _: ready.set()))
            await ready.wait()
            try:
                yield
            finally:
                stop.set()
    except BaseExceptionGroup as group_error:
        error: BaseException = group_error
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


class _Client:
    """A producer and consumer on the gateway's own MQTT client."""

    def __init__(self, prefix: str, note: Callable[[dict[str, Any]], None]) -> None:
        self._prefix, self._note = prefix, note
        self.on_event: Callable[[dict[str, Any]], None] = lambda _: None
        self._news = asyncio.Event()
        self._up = False
        connect = Connect(client_id=f"{prefix}-client", clean_start=True)
        filters = [topics.event(prefix, "+", ""), f"{prefix}/gateway/+"]
        self._stream = MqttStream(ClientSession(connect, filters, unacknowledged_limit=1000), self._on_events)

    @classmethod
    async def connect(cls, url: str, prefix: str, note: Callable[[dict[str, Any]], None]) -> "_Client":
        """Connect, and wait until the gateway says that it is up."""
        client = cls(prefix, note)
        host, port, secure = config.Broker(url=url).endpoint
        tls = ssl.create_default_context() if secure else None
        await open_stream(client._stream, host, port, tls=tls, timeout=START_TIMEOUT)
        if not await client.until(lambda: client._up, START_TIMEOUT):
            raise DemoError(f"the gateway does not come up at the broker {url}")
        return client

    async def send(self, rows: Any) -> None:
        """Publish every message, and the cancels of those that are to be cancelled."""
        now = time.time()
        for number, row in enumerate(rows):
            payload = {"id": row.id, "to": f"(11) 9{8000 + number}-{row.case.tail}", "text": row.case.text, "kind": row.case.kind}
            if row.case.cancel:
                payload["schedule_at"] = rfc3339(now + 3600)
            if row.case.expires_in is not None:
                payload["expires_at"] = rfc3339(now + row.case.expires_in)
            await self._publish("submit", payload)
            if row.case.cancel:
                await self._publish("cancel", {"id": row.id})

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

    async def _publish(self, what: str, payload: dict[str, Any]) -> None:
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
        self._note(payload)
        self.on_event(payload)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
