"""A scripted SMSC on loopback, and a carrier bound to it: what the carrier's tests share."""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from structlog.testing import LogCapture

from gateway.carriers.base import Arrival, CarrierState, Prepared
from gateway.carriers.smpp import SmppCarrier
from gateway.carriers.smpp_link import ReconnectReason
from gateway.config import Smpp
from gateway.demo.ports import free_port
from gateway.message import Answer, CancelAnswer, Message, Outcome
from gateway.smpp.pdu import Bind, CancelSm, DeliverSm, Pdu, SubmitSm
from gateway.smpp.session import RequestReceived, ResponseReceived, SessionClosed, SessionEvent, SessionSettings
from gateway.smpp.stream import EventsCallback, SmppStream, serve
from tests.support.waiting import DEADLINE

PASSWORD = "segredo1"
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


class Signal:
    """Something that changes, and can be waited for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def changed(self) -> None:
        self._event.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._event.clear()
                await self._event.wait()


class Smsc:
    """Accepts binds and answers each submit_sm, unless the test says otherwise by `on_bind`, `on_submit` and `on_cancel`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.settings = SessionSettings(response_timeout=DEADLINE, bind_timeout=DEADLINE)
        self.streams: list[SmppStream] = []
        self.closed: list[str] = []
        self.binds: list[tuple[SmppStream, Bind]] = []
        self.bind_times: list[float] = []
        self.submits: list[tuple[SmppStream, SubmitSm]] = []
        self.cancels: list[CancelSm] = []
        self.answers: list[Pdu] = []
        self.signal = Signal()
        self.on_bind: Callable[[SmppStream, Bind], None] = lambda stream, pdu: stream.respond(pdu, system_id="smsc")
        self.on_submit: Callable[[SmppStream, SubmitSm], None] = self.accept
        self.on_cancel: Callable[[SmppStream, CancelSm], None] = lambda stream, pdu: stream.respond(pdu)
        self._ids = 0
        self._server: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await serve("127.0.0.1", self.port, session_settings=self.settings, on_session=self._on_session, ssl=tls)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for stream in self.streams:
            stream.abort()
            await stream.wait_closed()

    def accept(self, stream: SmppStream, pdu: SubmitSm) -> None:
        self._ids += 1
        stream.respond(pdu, message_id=f"id-{self._ids}")

    def hold(self, _stream: SmppStream, _pdu: Pdu) -> None:
        """Answer nothing."""

    def refuse(self, command_status: int) -> Callable[[SmppStream, Any], None]:
        return lambda stream, pdu: stream.respond(pdu, command_status)

    async def submitted(self, number: int) -> list[tuple[SmppStream, SubmitSm]]:
        await self.signal.until(lambda: len(self.submits) >= number)
        return self.submits

    async def answered(self, number: int) -> list[Pdu]:
        await self.signal.until(lambda: len(self.answers) >= number)
        return self.answers

    def _on_session(self, stream: SmppStream) -> EventsCallback:
        self.streams.append(stream)
        self.signal.changed()
        return lambda events: self._on_events(stream, events)

    def _on_events(self, stream: SmppStream, events: list[SessionEvent]) -> None:
        for event in events:
            match event:
                case RequestReceived():
                    self._on_request(stream, event.pdu)
                case ResponseReceived():
                    self.answers.append(event.pdu)
                case SessionClosed():
                    self.closed.append(event.reason)
        self.signal.changed()

    def _on_request(self, stream: SmppStream, pdu: Pdu) -> None:
        if isinstance(pdu, Bind):
            self.binds.append((stream, pdu))
            self.bind_times.append(time.monotonic())
            self.on_bind(stream, pdu)
        elif isinstance(pdu, SubmitSm):
            self.submits.append((stream, pdu))
            self.on_submit(stream, pdu)
        elif isinstance(pdu, CancelSm):
            self.cancels.append(pdu)
            self.on_cancel(stream, pdu)


class Recorder:
    """An SmppObserver that remembers."""

    def __init__(self) -> None:
        self.signal = Signal()
        self.pdus: list[tuple[str, str, str, int]] = []
        self.bounds: list[tuple[int, bool]] = []
        self.windows: list[tuple[int, int, int]] = []
        self.rates: list[float] = []
        self.reconnects: list[tuple[int, ReconnectReason]] = []
        self.states: list[CarrierState] = []

    def pdu(self, direction: str, command: str, status: str, number: int) -> None:
        self.pdus.append((direction, command, status, number))

    def bound(self, bind: int, up: bool) -> None:
        self.bounds.append((bind, up))
        self.signal.changed()

    def window(self, bind: int, used: int, size: int) -> None:
        self.windows.append((bind, used, size))
        self.signal.changed()

    def rate(self, limit: float) -> None:
        self.rates.append(limit)

    def reconnect(self, bind: int, reason: ReconnectReason) -> None:
        self.reconnects.append((bind, reason))
        self.signal.changed()

    def state(self, state: CarrierState) -> None:
        self.states.append(state)
        self.signal.changed()


class Clock:
    """A clock that stands still."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Rig:
    """A carrier that runs, with its observer, its log, and shorthands for what tests ask of it."""

    def __init__(self, settings: Smpp, *, password: str = PASSWORD, patience: float = 0.001, **options: Any) -> None:
        self.observer = Recorder()
        self.log = LogCapture()
        logger = structlog.wrap_logger(None, processors=[self.log], wrapper_class=structlog.make_filtering_bound_logger(0))
        self.carrier = SmppCarrier(
            "smpp",
            settings,
            password,
            time_zone=SAO_PAULO,
            observer=self.observer,
            random=Random(7),
            log=logger,
            patience=patience,
            **options,
        )
        self._task = asyncio.create_task(self.carrier.run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def ended(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self._task

    async def ready(self, binds: int = 1) -> None:
        await self.observer.signal.until(lambda: sum(up for _, up in self.observer.bounds) >= binds)

    async def state(self, state: CarrierState) -> None:
        await self.observer.signal.until(lambda: self.carrier.state is state)

    def submit(self, *messages: Message) -> None:
        self.carrier.submit([(each, self.prepared(each)) for each in messages])

    def prepared(self, message: Message) -> Prepared:
        prepared = self.carrier.prepare(message)
        assert isinstance(prepared, Prepared), prepared
        return prepared

    async def answers(self, number: int) -> list[Answer | CancelAnswer]:
        answers: list[Answer | CancelAnswer] = []
        async with asyncio.timeout(DEADLINE):
            while len(answers) < number:
                answers += await self.carrier.outcomes()
        assert len(answers) == number
        return answers

    async def outcomes(self, number: int) -> list[Outcome]:
        answers = await self.answers(number)
        return [answer.outcome for answer in answers if isinstance(answer, Answer)]

    async def arrivals(self, number: int) -> list[Arrival]:
        arrivals: list[Arrival] = []
        async with asyncio.timeout(DEADLINE):
            while len(arrivals) < number:
                arrivals += await self.carrier.inbound()
        return arrivals


def message(row: int = 1, **changes: Any) -> Message:
    fields: dict[str, Any] = {
        "source": "",
        "id": f"m{row}",
        "to": "11987654321",
        "text": f"oi {row}",
        "digest": b"",
        "received_at": time.time(),
        "expires_at": time.time() + 3600,
        "routes": ("smpp",),
        "row": row,
        "attempt": 1,
    }
    return Message(**{**fields, **changes})


def messages(number: int) -> list[Message]:
    return [message(row) for row in range(1, number + 1)]


def settings(port: int, **changes: Any) -> Smpp:
    fields: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "conta",
        "password": PASSWORD,
        "source_addr": "1140001000",
        "max_rate": 0.0,
        "response_timeout": 5.0,
        "bind_timeout": 5.0,
        "reconnect_min": 0.01,
        "reconnect_max": 0.05,
    }
    return Smpp(**{**fields, **changes})


def receipt(message_id: str = "id-1", stat: str = "DELIVRD", **changes: Any) -> DeliverSm:
    text = f"id:{message_id} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:{stat} err:000 text:oi"
    fields: dict[str, Any] = {"source_addr": "5511987654321", "destination_addr": "1140001000", "esm_class": 4}
    return DeliverSm(**{**fields, "short_message": text.encode(), **changes})


def rows(answers: Sequence[Answer | CancelAnswer]) -> list[int]:
    return [answer.row for answer in answers]


def write(stream: SmppStream, octets: bytes) -> None:
    """Write octets that no codec would make."""
    assert stream._transport is not None
    stream._transport.write(octets)
