"""An SMSC that listens on loopback, and an ESME to try it with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest
import uvloop

from gateway.sandbox.smsc import Smsc, SmscSettings
from gateway.sandbox.web import WebProvider, WebSettings
from gateway.smpp import (
    BindTransceiver,
    CommandStatus,
    DeliverSm,
    Pdu,
    RequestReceived,
    ResponseReceived,
    SessionClosed,
    SessionEvent,
    SessionSettings,
    SubmitSm,
)
from gateway.smpp.stream import SmppStream, connect
from tests.sandbox.web import CalledBack, Customer
from tests.support.waiting import DEADLINE

T = TypeVar("T", bound=SessionEvent)


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of the SMSC on both loops: their transports and timers differ."""
    on_asyncio = {"asyncio": asyncio.new_event_loop}
    return on_asyncio | {"uvloop": uvloop.new_event_loop} if item.path.name == "test_smsc.py" else on_asyncio


class Esme:
    """A small ESME: sends, and looks for events in the order in which they came."""

    def __init__(self) -> None:
        self.stream: SmppStream
        self.log: list[SessionEvent] = []
        self.deliver_status: int | None = CommandStatus.ESME_ROK  # None = leave deliver_sm unanswered
        self._arrived = asyncio.Event()

    async def connect(self, port: int) -> None:
        """Connect without binding."""
        settings = SessionSettings(window=1000, response_timeout=10.0)
        self.stream = await connect("127.0.0.1", port, session_settings=settings, timeout=DEADLINE, on_events=self._on_events)

    async def bind(self, port: int, pdu: Pdu | None = None) -> "Esme":
        """Connect and send a bind; a refusal is in the log too."""
        await self.connect(port)
        self.stream.send(pdu or BindTransceiver(system_id="company", password="secret"))
        await self.wait(lambda: bool(self.log))
        return self

    def submit(self, digits: str = "4321", **fields: object) -> int:
        """Send a submit_sm to a number that ends in `digits`; return its sequence_number."""
        given = {
            "source_addr": "27001",
            "destination_addr": "551198765" + digits,
            "registered_delivery": 1,
            "short_message": b"hello",
        } | fields
        return self.stream.send(SubmitSm(**given))  # type: ignore[arg-type]  # fields by name

    async def response(self, sequence_number: int) -> Pdu:
        """Wait for the response with this number."""
        found: list[Pdu] = []

        def seen() -> bool:
            found[:] = [event.pdu for event in self.of(ResponseReceived) if event.pdu.sequence_number == sequence_number]
            return bool(found)

        await self.wait(seen)
        return found[0]

    async def ask(self, pdu: Pdu) -> Pdu:
        """Send a request and wait for its response."""
        return await self.response(self.stream.send(pdu))

    async def delivered(self, count: int = 1) -> list[DeliverSm]:
        """Wait for this many deliver_sm; return all that came."""
        await self.wait(lambda: len(self.deliveries) >= count)
        return self.deliveries

    async def closed(self) -> SessionClosed:
        """Wait for the end of the session."""
        await self.wait(lambda: bool(self.of(SessionClosed)))
        return self.of(SessionClosed)[0]

    @property
    def deliveries(self) -> list[DeliverSm]:
        """Return the deliver_sm so far."""
        return [event.pdu for event in self.of(RequestReceived) if isinstance(event.pdu, DeliverSm)]

    def of(self, kind: type[T]) -> list[T]:
        """Return the events of a kind so far."""
        return [event for event in self.log if isinstance(event, kind)]

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until the log fulfils a condition."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()

    def _on_events(self, events: list[SessionEvent]) -> None:
        self.log += events
        for event in events:
            if isinstance(event, RequestReceived) and self.deliver_status is not None:
                self.stream.respond(event.pdu, self.deliver_status)
        self._arrived.set()


StartWeb = Callable[..., Awaitable[Customer]]
StartSmsc = Callable[..., Awaitable[Smsc]]
BindEsme = Callable[..., Awaitable[Esme]]


@pytest.fixture
async def start_smsc() -> AsyncIterator[StartSmsc]:
    """Start an SMSC with the settings given; stopped afterwards."""
    started: list[Smsc] = []

    async def start(**settings: object) -> Smsc:
        given = {"receipt_delay": 0.01, "retry_delay": 0.01, "slow_response": 0.05, "keep_messages": True} | settings
        smsc = Smsc(SmscSettings(**given), seed=1)  # type: ignore[arg-type]  # settings by name
        started.append(smsc)
        await smsc.start()
        return smsc

    yield start
    for smsc in started:
        await smsc.stop()


@pytest.fixture
async def smsc(start_smsc: StartSmsc) -> Smsc:
    """Start an SMSC with short delays."""
    return await start_smsc()


@pytest.fixture
async def bind_esme() -> AsyncIterator[BindEsme]:
    """Bind an ESME to an SMSC; cut off afterwards."""
    bound: list[Esme] = []

    async def bind(smsc: Smsc, pdu: Pdu | None = None) -> Esme:
        esme = Esme()
        bound.append(esme)
        return await esme.bind(smsc.port, pdu)

    yield bind
    for esme in bound:
        esme.stream.abort()
        await esme.stream.wait_closed()


@pytest.fixture
def unbound_esme() -> Esme:
    """Make an ESME that is not connected yet."""
    return Esme()


@pytest.fixture
async def esme(smsc: Smsc, bind_esme: BindEsme) -> Esme:
    """Bind a transceiver to `smsc`."""
    return await bind_esme(smsc)


@pytest.fixture
async def called_back() -> AsyncIterator[CalledBack]:
    """Listen for call-backs."""
    server = CalledBack()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def start_web(called_back: CalledBack) -> AsyncIterator[StartWeb]:
    """Start a provider with the settings given, which calls `called_back`; stopped afterwards."""
    started: list[Customer] = []

    async def start(**settings: object) -> Customer:
        given = {
            "callback_url": called_back.url(),
            "sending_delay": 0.01,
            "step_delay": 0.01,
            "slow_answer": 0.05,
            "callback_retry_delay": 0.01,
            "keep_messages": True,
        } | settings
        customer = Customer(WebProvider(WebSettings(**given), seed=1))  # type: ignore[arg-type]  # settings by name
        started.append(customer)
        await customer.web.start()
        return customer

    yield start
    for customer in started:
        await customer.session.close()
        await customer.web.stop()


@pytest.fixture
async def customer(start_web: StartWeb) -> Customer:
    """Start a provider with short delays."""
    return await start_web()
