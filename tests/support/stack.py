"""Real processes on loopback: mosquitto, the sandbox provider and the gateway, with an independent MQTT client (aiomqtt) at both ends.

Sandbox and gateway run from the built wheel.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
from aiomqtt import ProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.demo.ports import free_port
from tests.support import installed
from tests.support.accounting import Audit, Event, audit, read_ledger, word
from tests.support.mosquitto import Mosquitto
from tests.support.traffic import Traffic
from tests.support.waiting import DEADLINE, POLL, listens, until

SMPP_PASSWORD = "s3nha-ab"  # eight characters, the most that SMPP 3.4 admits

Sections = Mapping[str, Mapping[str, Any]]


def now() -> datetime:
    """Tell the time, with its zone."""
    return datetime.now(UTC)


class Process:
    """One `python -m gateway ...` of the wheel, its output in a file.

    `entry` stands for `-m gateway`, `under` goes before Python, and `environment` is added to ours.
    """

    def __init__(
        self,
        log: Path,
        *arguments: str,
        entry: tuple[str, ...] = ("-m", "gateway"),
        under: tuple[str, ...] = (),
        environment: Mapping[str, str] = {},
    ) -> None:
        self._log, self._arguments, self._entry = log, arguments, entry
        self._under, self._environment = under, environment
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """What it wrote so far, over all its lives."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    async def start(self) -> None:
        """Start it."""
        command = [*self._under, *installed.PYTHON, *self._entry, *self._arguments]
        environment = installed.environment() | dict(self._environment)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=environment)

    async def kill(self) -> None:
        """SIGKILL it."""
        await self._end(signal.SIGKILL)

    async def stop(self, timeout: float = DEADLINE) -> int:
        """SIGTERM it and return its exit code."""
        return await self._end(signal.SIGTERM, timeout)

    async def wait(self, timeout: float = DEADLINE) -> int:
        """Wait for it to end by itself and return its exit code."""
        assert self._process is not None
        async with asyncio.timeout(timeout):
            return await self._process.wait()

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.returncode is None

    async def _end(self, number: signal.Signals, timeout: float = DEADLINE) -> int:
        if self._process is None:
            return 0
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self.wait(timeout)


class Stack:
    """A whole installation in a folder. Settings are overridden by `sections`, as in {"gateway": {"in_doubt": "resubmit"}}."""

    def __init__(
        self,
        folder: Path,
        sections: Sections | None = None,
        *,
        sandbox: tuple[str, ...] = (),
        persistence: bool = False,
        users: Mapping[str, str] | None = None,
        entry: tuple[str, ...] = ("-m", "gateway"),
    ) -> None:
        self.folder = folder
        self.smpp_port, self.admin_port = free_port(), free_port()
        self.state_dir = folder / "state"
        self.ledger_path = folder / "ledger.jsonl"
        options = ("max_queued_messages 0", "max_inflight_messages 1000")
        self.broker = Mosquitto(folder / "mosquitto", persistence=persistence, users=users, options=options)
        self.sections = sections or {}
        self.traffic = Traffic()
        self.sandbox = Process(
            folder / "sandbox.log",
            *("sandbox", "--port", str(self.smpp_port), "--system-id", "sandbox", "--password-file", str(self._secret())),
            *("--ledger", str(self.ledger_path), *sandbox),
        )
        self.gateway = Process(folder / "gateway.log", "run", "--config", str(folder / "gateway.toml"), entry=entry)
        self.events: list[Event] = []
        self._told: dict[str, dict[str, Event]] = {}  # id -> event_id -> event
        self._ended: set[str] = set()
        self._consumer: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()

    def _secret(self) -> Path:
        path = self.folder / "smpp.password"
        path.write_text(f"{SMPP_PASSWORD}\n")
        return path

    def write_config(self, sections: Sections | None = None) -> Path:
        """Write gateway.toml; `sections` replaces the overrides given at the start."""
        tables: dict[str, dict[str, Any]] = {
            "gateway": {"state_dir": str(self.state_dir), "in_doubt_deadline": 4.0, "retry_min": 0.2, "retry_max": 1.0},
            "broker": {"url": f"mqtt://127.0.0.1:{self.broker.port}"},
            "journal": {},
            "carriers.smpp": {
                "kind": "smpp",
                "host": "127.0.0.1",
                "port": self.smpp_port,
                "system_id": "sandbox",
                "max_rate": 0.0,
                "password_file": str(self.folder / "smpp.password"),
                "response_timeout": 2.0,
                "window": 100,
                "reconnect_min": 0.1,
                "reconnect_max": 1.0,
            },
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
            "log": {"level": "debug", "format": "json"},
        }
        for name, values in (self.sections if sections is None else sections).items():
            tables.setdefault(name, {}).update(values)
        lines = [
            line for name, table in tables.items() for line in (f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items()))
        ]
        path = self.folder / "gateway.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    async def start(self) -> None:
        """Start broker, consumer, sandbox and gateway, and wait until the gateway is ready."""
        await self.start_broker()
        await self.start_sandbox()
        self.write_config()
        await self.start_gateway()
        await self.ready()

    async def start_broker(self) -> None:
        """Start the broker, and the consumer that hears all events."""
        self.broker.start()
        self._consumer = asyncio.create_task(self._consume())
        async with asyncio.timeout(DEADLINE):
            await self._subscribed.wait()

    async def start_sandbox(self) -> None:
        """Start the sandbox and wait for its port."""
        await self.sandbox.start()
        await until(lambda: listens(self.smpp_port), "the sandbox listens")

    async def start_gateway(self) -> None:
        """Start the gateway; it may not be ready yet."""
        await self.gateway.start()

    async def ready(self, timeout: float = DEADLINE) -> None:
        """Wait until /readyz answers 200."""
        await self.http_until("/readyz", lambda status, _: status == 200, timeout)

    async def metric(self, name: str) -> float:
        """Return the sum of the samples of a metric (with the labels that `name` begins with)."""
        _, body = await http_get(self.admin_port, "/metrics")
        lines = [line for line in body.splitlines() if line.startswith(name) and not line.startswith("#")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    async def publish(self, payloads: Iterable[Mapping[str, Any]], topic: str = "sms/submit", properties: Properties | None = None) -> None:
        """Publish submit payloads at QoS 1 as a producer would; returns when the broker has taken all."""
        async with self.client() as producer:
            limit = asyncio.Semaphore(200)

            async def one(payload: Mapping[str, Any]) -> None:
                async with limit:
                    await producer.publish(topic, json.dumps(payload), qos=1, properties=properties, timeout=DEADLINE)

            async with asyncio.TaskGroup() as group:
                for payload in payloads:
                    group.create_task(one(payload))

    @asynccontextmanager
    async def client(self, identifier: str | None = None, **options: Any) -> AsyncIterator[aiomqtt.Client]:
        """Connect an MQTT 5 client of our own."""
        async with aiomqtt.Client("127.0.0.1", self.broker.port, identifier=identifier, protocol=ProtocolVersion.V5, **options) as client:
            client.pending_calls_threshold = 10_000
            yield client

    async def send(self, *payloads: Mapping[str, Any]) -> list[str]:
        """Publish payloads; return their ids."""
        await self.publish(payloads)
        return [str(payload["id"]) for payload in payloads]

    async def command(self, *arguments: str, timeout: float = DEADLINE) -> tuple[int, str, str]:
        """Run a command of ours with this configuration. Return exit code, stdout and stderr."""
        process = await asyncio.create_subprocess_exec(
            *(*installed.PYTHON, "-m", "gateway", *arguments, "--config", str(self.folder / "gateway.toml")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=installed.environment(),
        )
        try:
            async with asyncio.timeout(timeout):
                stdout, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, stdout.decode(), stderr.decode()

    async def retained(self, topic: str) -> Any:
        """Return the JSON that the broker retains under a topic."""
        async with self.client() as client, asyncio.timeout(DEADLINE):
            await client.subscribe(topic, qos=1)
            message = await anext(aiter(client.messages))
            assert isinstance(message.payload, bytes)
            return json.loads(message.payload)

    async def json(self, *arguments: str) -> Any:
        """Run a command that must succeed, and return the JSON that it prints."""
        code, stdout, stderr = await self.command(*arguments, "--json")
        assert code == 0, stderr
        return json.loads(stdout)

    def told(self, id: str) -> list[Event]:
        """Return the events of a message, without repetitions, by seq."""
        return sorted(self._told.get(id, {}).values(), key=lambda event: event["seq"] or 0)

    def story(self, id: str) -> list[str]:
        """Return the events of a message in words."""
        return [word(event) for event in self.told(id)]

    def ended(self) -> set[str]:
        """Return the ids that have a final event."""
        return self._ended

    async def until_told(self, id: str, type: str, timeout: float = DEADLINE) -> Event:
        """Wait for an event of a message, and return the first of its type."""
        await until(
            lambda: any(event["type"] == type for event in self.told(id)), f"{type} of {id}, told: {self.story(id)}", timeout=timeout
        )
        return next(event for event in self.told(id) if event["type"] == type)

    async def until_metric(self, name: str, wanted: Callable[[float], bool], timeout: float = DEADLINE) -> float:
        """Wait until a metric is as wanted."""
        deadline = asyncio.get_running_loop().time() + timeout
        value = float("nan")  # until the gateway listens
        while not wanted(value):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{name} is {value} after {timeout} s\n{self.gateway.output[-3000:]}")
            await asyncio.sleep(POLL)
            with suppress(OSError):
                value = await self.metric(name)
        return value

    async def until_ended(self, ids: Iterable[str], timeout: float = DEADLINE) -> None:
        """Wait until each id has its final event."""
        wanted = set(ids)
        try:
            await until(lambda: wanted <= self.ended(), "final events", timeout=timeout)
        except AssertionError:
            missing = sorted(wanted - self.ended())
            story = {id: self.story(id) for id in missing[:8]}
            raise AssertionError(
                f"{len(missing)} of {len(wanted)} without a final event, as {story}\n{self.gateway.output[-3000:]}"
            ) from None

    def ledger(self) -> list[dict[str, Any]]:
        """Read what the provider took."""
        return read_ledger(self.ledger_path)

    def audit(self, ids: Iterable[str] | None = None) -> Audit:
        """Account for the messages of our traffic."""
        return audit(self.traffic.ids if ids is None else list(ids), self.events, self.traffic.taken(self.ledger()))

    async def accounted(self, timeout: float = DEADLINE) -> Audit:
        """Wait until every message of our traffic has ended, and check the accounts."""
        await self.until_ended(self.traffic.ids, timeout)
        result = self.audit()
        assert not result.faults, str(result)
        return result

    async def close(self) -> None:
        """End everything that was started."""
        for process in (self.gateway, self.sandbox):
            if process.running:
                await process.kill()
        if self._consumer is not None:
            self._consumer.cancel()
            with suppress(asyncio.CancelledError):
                await self._consumer
        self.broker.stop()

    async def _consume(self) -> None:
        """Collect every event, over restarts of the broker, in a session of its own."""
        session = Properties(1)  # type: ignore[no-untyped-call] # CONNECT
        session.SessionExpiryInterval = 3600
        while True:
            with suppress(aiomqtt.MqttError, OSError):
                async with self.client("auditor", clean_start=False, properties=session, max_queued_incoming_messages=0) as client:
                    await client.subscribe("sms/event/#", options=SubscribeOptions(qos=1))
                    self._subscribed.set()
                    async for message in client.messages:
                        assert isinstance(message.payload, bytes)
                        self._hear(json.loads(message.payload))
            await asyncio.sleep(POLL)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        if event.get("id"):
            self._told.setdefault(event["id"], {})[event["event_id"]] = event
            if event["final"]:
                self._ended.add(event["id"])

    async def http_until(self, path: str, wanted: Callable[[int, str], bool], timeout: float = DEADLINE) -> None:
        """Wait until a GET of `path` answers as wanted: status, body."""
        deadline = asyncio.get_running_loop().time() + timeout
        status, body = 0, ""
        while not wanted(status, body):
            if asyncio.get_running_loop().time() > deadline or not self.gateway.running:
                raise AssertionError(f"{path}: {status} {body}\n{self.gateway.output[-3000:]}")
            await asyncio.sleep(POLL)
            with suppress(OSError):
                status, body = await http_get(self.admin_port, path)


async def http_get(port: int, path: str) -> tuple[int, str]:
    """GET from loopback."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = (await asyncio.wait_for(reader.read(), DEADLINE)).decode()
    finally:
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


def _toml(value: Any) -> str:
    return json.dumps(value)
