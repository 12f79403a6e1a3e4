"""One bind of an account: connect, bind, live, and bind again, for as long as the carrier runs.

A `Link` owns at most one `Connection` at a time and decides when to try the next; what passes over a bound connection is the carrier's,
which gives the handler of the session's events. A transmitter and its receiver are two links of one bind number.

When a bind is tried again:
- Ordinary failures: exponential back-off with jitter between `reconnect_min` and `reconnect_max`, reset once a bind has lasted
  `reconnect_max` seconds, so that an SMSC which accepts and drops is not hammered.
- ESME_RALYBND: the SMSC has not noticed the end of our last session; not sooner than ALREADY_BOUND_DELAY.
- Refused credentials: not sooner than CREDENTIALS_DELAY, doubling up to CREDENTIALS_DELAY_MAX, counted over all links of the account
  (`BindGate`), since a handful of links that each try once is what gets an account locked.

Binds of an account go one after the other. A failure is logged when it is news, not each time it repeats.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, assert_never

from structlog.typing import FilteringBoundLogger

from gateway.carriers.smpp_status import BindRefusal, bind_refusal_of, detail_of
from gateway.config import Smpp
from gateway.smpp.errors import SmppError
from gateway.smpp.pdu import BindReceiver, BindTransceiver, BindTransmitter, Pdu
from gateway.smpp.session import SessionEvent, SessionSettings
from gateway.smpp.stream import SmppStream, connect

ALREADY_BOUND_DELAY = 5.0  # s
CREDENTIALS_DELAY = 60.0  # s
CREDENTIALS_DELAY_MAX = 900.0  # s
HANDSHAKE_MARGIN = 1.0  # s that the session's own bind timer may be late
RETIRE_TIMEOUT = 30.0  # s that a session which is done with may take to answer what is in flight
ENQUIRE_LINK_TIMEOUT = 10.0  # s, at most; below response_timeout, so that silence ends the session before it ends the probe

ReconnectReason = Literal["connect", "lost", "unbound", "refused", "already_bound", "credentials", "timeout", "protocol"]
"""Why a connection is tried anew: the closed list of a metric's label."""

BindType = type[BindTransceiver] | type[BindTransmitter] | type[BindReceiver]
Handler = Callable[["Connection", list[SessionEvent]], None]


class BindGate:
    """Let the links of an account bind one at a time, and keep all of them back once its credentials were refused."""

    def __init__(self, patience: float, draw: random.Random, monotonic: Callable[[], float]) -> None:
        self._patience, self._draw, self._monotonic = patience, draw, monotonic
        self._turn = asyncio.Lock()
        self._refusals = 0
        self._closed_until = 0.0

    @property
    def suspended(self) -> bool:
        """Whether the last word on our credentials was a refusal."""
        return self._refusals > 0

    def refused(self) -> float:
        """Record refused credentials. Return the seconds until the next try."""
        whole = min(CREDENTIALS_DELAY_MAX, CREDENTIALS_DELAY * 2.0**self._refusals)
        self._refusals = min(self._refusals + 1, 10)
        delay = self._patience * whole * self._draw.uniform(1.0, 1.1)
        self._closed_until = self._monotonic() + delay
        return delay

    def accepted(self) -> None:
        """Record that a bind succeeded."""
        self._refusals = 0
        self._closed_until = 0.0

    @contextlib.asynccontextmanager
    async def turn(self, stopping: asyncio.Event) -> AsyncIterator[None]:
        """Wait for one's turn, and until credentials may be tried again."""
        async with self._turn:
            await rest(self._closed_until - self._monotonic(), stopping)
            yield


@dataclass(slots=True)
class Account:
    """What the links of one account share. `patience` scales the long waits; the handler takes what passes over a connection."""

    name: str
    settings: Smpp
    password: str
    tls: ssl.SSLContext | None
    draw: random.Random
    monotonic: Callable[[], float]
    log: FilteringBoundLogger
    patience: float
    handler: Handler
    changed: Callable[[], None]  # a link became bound, or lost it
    reconnecting: Callable[[int, ReconnectReason], None]
    gate: BindGate = field(init=False)
    session_settings: SessionSettings = field(init=False)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate = BindGate(self.patience, self.draw, self.monotonic)
        self.session_settings = _session_settings(self.settings)


class Connection:
    """One TCP connection from connect to its end, and what the carrier keeps about it."""

    __slots__ = ("bind_status", "bound", "ended", "link", "number", "paused", "stream", "unacknowledged")

    stream: SmppStream

    def __init__(self, link: "Link") -> None:
        self.link = link
        self.number = link.account.draw.getrandbits(62)  # like no other's, of earlier processes too
        self.bound = False
        self.paused = False  # reading, because too much waits to be acknowledged
        self.unacknowledged = 0
        loop = asyncio.get_running_loop()
        self.bind_status: asyncio.Future[int | None] = loop.create_future()  # None: the session ended first
        self.ended: asyncio.Future[ReconnectReason] = loop.create_future()

    def became_bound(self) -> None:
        """Take note of a successful bind."""
        self.bound = True
        if not self.bind_status.done():
            self.bind_status.set_result(0)
        self.link.account.changed()

    def refused(self, command_status: int) -> None:
        """Take note of a refused bind."""
        if not self.bind_status.done():
            self.bind_status.set_result(command_status)

    def end(self, reason: ReconnectReason) -> None:
        """Submit nothing more here; the link closes it in order and binds again."""
        was_bound, self.bound = self.bound, False
        if not self.bind_status.done():
            self.bind_status.set_result(None)
        if not self.ended.done():
            self.ended.set_result(reason)
        if was_bound:
            self.link.account.changed()


class Link:
    """Keep one bind up. `number` is the bind's, `submits` tells whether submit_sm may go over it."""

    def __init__(self, number: int, bind_type: BindType, account: Account) -> None:
        self.number = number
        self.bind_type = bind_type
        self.submits = bind_type is not BindReceiver
        self.account = account
        self.connection: Connection | None = None
        self._failures = 0
        self._complaint = ""
        self._log = account.log.bind(carrier=account.name, bind=number, type=bind_type.command_id.name.lower())

    @property
    def bound(self) -> bool:
        """Whether the bind is up."""
        return self.connection is not None and self.connection.bound

    async def run(self) -> None:
        """Bind, live and bind again until the account stops."""
        stopping = self.account.stopping
        while not stopping.is_set():
            reason = await self._once()
            if stopping.is_set():
                return
            self.account.reconnecting(self.number, reason)
            await rest(self._delay(reason), stopping)

    async def _once(self) -> ReconnectReason:
        connection = Connection(self)
        try:
            async with self.account.gate.turn(self.account.stopping):
                failure = await self._open(connection)
            return failure or await self._live(connection)
        finally:
            connection.end("lost")
            if self.connection is not None:
                self.connection.stream.abort()
                self.connection = None

    async def _open(self, connection: Connection) -> ReconnectReason | None:
        """Connect and bind. Return why that failed, or None."""
        if self.account.stopping.is_set():
            return "lost"
        try:
            connection.stream = await self._connect(connection)
            self.connection = connection
            connection.stream.send(self._bind_pdu())
        except TimeoutError:
            return self._failed("timeout", "no connection in time")
        except OSError as error:
            return self._failed("connect", _reason_of(error))
        except (UnicodeError, SmppError) as error:  # a host that is no name, a setting that does not fit a bind
            return self._failed("connect", str(error))
        return await self._bound(connection)

    async def _bound(self, connection: Connection) -> ReconnectReason | None:
        """Wait for the answer to the bind. Return why it failed, or None."""
        try:
            async with asyncio.timeout(self.account.settings.bind_timeout + HANDSHAKE_MARGIN):
                command_status = await connection.bind_status
        except TimeoutError:
            command_status = None
        if command_status is None:
            reason = connection.ended.result() if connection.ended.done() else "timeout"
            return self._failed(reason, "the connection ended before the bind was answered")
        if command_status:
            return self._refused(command_status)
        self.account.gate.accepted()
        self._complaint = ""
        self._log.info("bound", system_id=self.account.settings.system_id)
        return None

    async def _connect(self, connection: Connection) -> SmppStream:
        account, settings = self.account, self.account.settings
        return await connect(
            settings.host,
            settings.port,
            session_settings=account.session_settings,
            timeout=settings.bind_timeout,
            on_events=partial(account.handler, connection),
            ssl=account.tls,
            server_hostname=(settings.server_hostname or settings.host) if account.tls else None,
        )

    def _bind_pdu(self) -> Pdu:
        settings = self.account.settings
        return self.bind_type(
            system_id=settings.system_id,
            password=self.account.password,
            system_type=settings.system_type,
            addr_ton=settings.source_ton,
            addr_npi=settings.source_npi,
        )

    def _refused(self, command_status: int) -> ReconnectReason:
        detail = detail_of(command_status)
        match bind_refusal_of(command_status):
            case BindRefusal.CREDENTIALS:
                self.account.gate.refused()
                self.account.changed()
                return self._failed("credentials", detail)
            case BindRefusal.ALREADY_BOUND:
                return self._failed("already_bound", detail)
            case BindRefusal.OTHER:
                return self._failed("refused", detail)
            case other:
                assert_never(other)

    def _failed(self, reason: ReconnectReason, detail: str) -> ReconnectReason:
        """Log a failure that is not the same as the last."""
        if self._complaint != f"{reason}: {detail}" and not self.account.stopping.is_set():
            self._complaint = f"{reason}: {detail}"
            complain = self._log.error if reason == "credentials" else self._log.warning
            complain("not bound", reason=reason, detail=detail, system_id=self.account.settings.system_id)
        return reason

    async def _live(self, connection: Connection) -> ReconnectReason:
        """Wait until the connection has ended; close it where its stream has not."""
        began = self.account.monotonic()
        reason = await connection.ended
        if not self.account.stopping.is_set():
            self._log.warning("bind lost", reason=reason)
        if self.account.monotonic() - began >= self.account.settings.reconnect_max:
            self._failures = 0
        await connection.stream.close(RETIRE_TIMEOUT)
        return reason

    def _delay(self, reason: ReconnectReason) -> float:
        """Return the seconds until the next try; credentials wait at the gate."""
        settings = self.account.settings
        self._failures += 1
        whole = min(settings.reconnect_max, settings.reconnect_min * 2.0 ** min(self._failures, 30))
        delay = max(settings.reconnect_min, whole * self.account.draw.uniform(0.5, 1.0))
        return max(delay, self.account.patience * ALREADY_BOUND_DELAY) if reason == "already_bound" else delay


def _session_settings(settings: Smpp) -> SessionSettings:
    """Return the limits of a session by the carrier's settings."""
    return SessionSettings(
        window=settings.window,
        response_timeout=settings.response_timeout,
        enquire_link_interval=settings.enquire_link_interval,
        enquire_link_timeout=min(ENQUIRE_LINK_TIMEOUT, settings.response_timeout / 2),
        bind_timeout=settings.bind_timeout,
    )


def tls_context(settings: Smpp) -> ssl.SSLContext | None:
    """Return the verifying TLS context that the settings ask for, None for plain TCP. Raises OSError for unreadable files."""
    if not settings.tls:
        return None
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


def reason_of_end(reason: str) -> ReconnectReason:
    """Classify the reason of a SessionClosed."""
    if reason.startswith("framing lost"):
        return "protocol"
    match reason:
        case "unbound":
            return "unbound"
        case "no sign of life from the peer" | "no response to the bind" | "not bound in time":
            return "timeout"
        case _:
            return "lost"


async def rest(seconds: float, stopping: asyncio.Event) -> None:
    """Wait, but not longer than until the carrier stops."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stopping.wait()


def _reason_of(error: OSError) -> str:
    """Say why no connection came about; a certificate's fault in the library's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    return error.strerror or type(error).__name__


def binds_of(settings: Smpp) -> Iterable[tuple[int, type[BindTransceiver] | type[BindTransmitter] | type[BindReceiver]]]:
    """List the links that the settings ask for, with the number of the bind that each belongs to."""
    for number in range(settings.binds):
        if settings.bind == "transceiver":
            yield number, BindTransceiver
        else:
            yield number, BindTransmitter
            yield number, BindReceiver
