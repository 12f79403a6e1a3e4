"""The MQTT 5 broker as the stages see it: one subscription that is kept up, acknowledgements after commit, a window of publishes.

`app` builds an `MqttBroker` and runs `run()` as a task; `ingest` uses `inbound` and `acknowledge`, `publish` uses `credit`, `publish` and
`results`. A fresh session object serves each connection (`gateway.mqtt.session`), so nothing of an old connection touches a new one.

What survives a connection: PUBLISHes that were received stay with us and are handed on, since the broker may have lost its session; the
broker sends them again if it has not, and ingest knows them by their id. What does not: acknowledgements and PUBLISHes in flight; the
latter come back as CONNECTION_LOST, once each.

It never gives up on its own: a refused CONNECT is tried again, slowly; only a session taken over (0x8E) ends `run`. (mosquitto 2.0.11
takes over without that word: then two rivals go on reconnecting, ever more slowly, and a warning names the suspicion.) It never logs a
message, a password or a topic of a producer. Known limit: topic filters of an earlier configuration stay in the broker's session until
that expires.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final, Generic, Protocol, TypeVar

import msgspec
import structlog

from gateway.broker.base import CONNECTION_LOST, Inbound, Outbound, PublishResult, SessionTakenOverError
from gateway.mqtt.codec import Connack, Connect, Will
from gateway.mqtt.constants import REFUSED_FROM, ReasonCode, describe_reason
from gateway.mqtt.errors import UnsendableError
from gateway.mqtt.session import ClientSession, CloseCause, Closed, Connected, Event, Published, Received, Subscribed
from gateway.mqtt.stream import MqttStream, open_stream

log = structlog.get_logger()

SHORT_LIFE: Final = 60.0
"""Seconds under which a connection that is closed without a word looks as if somebody took it over."""

RIVAL_SUSPECTED_AT: Final = 5
"""How many such connections in a row are worth a warning."""

T = TypeVar("T")

# Reasons that trying again soon does not cure: somebody has to change a configuration. MQTT 5 s3.2.2.2
_NEED_AN_OPERATOR: Final = frozenset(
    {
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
        ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
        ReasonCode.BAD_USER_NAME_OR_PASSWORD,
        ReasonCode.NOT_AUTHORIZED,
        ReasonCode.BANNED,
        ReasonCode.BAD_AUTHENTICATION_METHOD,
        ReasonCode.TOPIC_FILTER_INVALID,
        ReasonCode.TOPIC_NAME_INVALID,
        ReasonCode.PACKET_TOO_LARGE,
        ReasonCode.RETAIN_NOT_SUPPORTED,
        ReasonCode.QOS_NOT_SUPPORTED,
        ReasonCode.USE_ANOTHER_SERVER,
        ReasonCode.SERVER_MOVED,
        ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
    }
)


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where the broker is, who we are there, what we take. Times in seconds."""

    host: str
    port: int
    client_id: str
    subscriptions: Sequence[str]  # topic filters
    instance: str
    state_topic: str  # retained {"state": "up" | "draining" | "down"}
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    receive_maximum: int = 1000
    hard_cap: int = 4000  # unacknowledged PUBLISHes at which reading pauses
    session_expiry: int = 604800
    maximum_packet_size: int = 1 << 20
    keep_alive: int = 30
    connect_timeout: float = 10.0
    reconnect_min: float = 1.0
    reconnect_max: float = 60.0


class BrokerObserver(Protocol):
    """What metrics want to know. `reason` of `disconnected` is a CloseCause value: a closed set."""

    def connected(self) -> None:
        """A connection is subscribed."""
        ...

    def disconnected(self, reason: str) -> None:
        """A connection ended, or an attempt failed."""
        ...

    def puback(self, reason: int) -> None:
        """A PUBLISH of the outbox was answered."""
        ...


class _Mailbox(Generic[T]):
    """What has gathered for one reader; its writers bound it."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._filled = asyncio.Event()
        self.emptied = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, items: list[T]) -> None:
        if items:
            self._items += items
            self._filled.set()

    async def take(self) -> list[T]:
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        items = self._items
        self.clear()
        return items

    def clear(self) -> None:
        self._items = []
        self.emptied.set()


class _Backoff:
    """The pauses between attempts: doubling, with jitter; a connection that outlived the pause to come starts over."""

    def __init__(self, settings: MqttSettings, rng: Random) -> None:
        self._minimum, self._maximum, self._rng = settings.reconnect_min, settings.reconnect_max, rng
        self._next = self._minimum

    def pause(self, lived: float, *, slow: bool) -> float:
        if slow:
            self._next = self._maximum
        elif lived > self._next:
            self._next = self._minimum
        pause = self._next
        self._next = min(pause * 2, self._maximum)
        return pause * self._rng.uniform(0.5, 1.0)


class MqttBroker:
    """A `Broker` over MQTT 5."""

    def __init__(
        self,
        settings: MqttSettings,
        observer: BrokerObserver,
        *,
        rng: Random | None = None,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._backoff = _Backoff(settings, rng or Random())  # noqa: S311 - jitter, no secret
        self._utc_now = utc_now
        self._stream: MqttStream | None = None
        self._connected = False
        self._served = False  # a connection of this process was subscribed before
        self._next_delivery = 0
        self._state = "up"
        self._stopping = asyncio.Event()
        self._inbound: _Mailbox[Inbound] = _Mailbox()
        self._results: _Mailbox[PublishResult] = _Mailbox()
        self._more_credit = asyncio.Event()
        self._complaint = ""
        self._short_lives = 0

    @property
    def connected(self) -> bool:
        """Whether we are subscribed and reading."""
        return self._connected

    @property
    def credit(self) -> int:
        """How many PUBLISHes may be sent now; 0 while not connected or while the socket is full."""
        stream = self._stream
        if stream is None or not self._connected or not stream.writable:
            return 0
        return stream.session.quota

    async def run(self) -> None:
        """Connect and reconnect until cancelled or closed. Raises SessionTakenOverError."""
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            await self._backlog_taken()
            started = loop.time()
            closed = await self._connection()
            if closed.cause is CloseCause.DISCONNECTED and closed.reason == ReasonCode.SESSION_TAKEN_OVER:
                raise SessionTakenOverError("another client connected with our client id")
            lived = loop.time() - started
            self._suspect_a_rival(closed, lived)
            slow = closed.reason in _NEED_AN_OPERATOR and closed.cause is CloseCause.REFUSED
            await self._sleep(self._backoff.pause(lived, slow=slow))

    async def inbound(self) -> list[Inbound]:
        """Wait for the next batch, in order of arrival."""
        return await self._inbound.take()

    def acknowledge(self, tokens: Sequence[object]) -> None:
        """Send PUBACKs, in order of arrival; tokens of a dead connection are ignored."""
        if self._stream is not None:
            self._stream.acknowledge([token for token in tokens if isinstance(token, int)])

    def publish(self, messages: Sequence[Outbound]) -> None:
        """Put PUBLISHes on the wire, at most `credit` of them. Each comes back in results() exactly once.

        What MQTT cannot carry comes back with the reason that a broker would give: 0x90 for a bad topic name, 0x95 for a packet above the
        broker's Maximum Packet Size, 0x83 for a property. Without a connection all come back as CONNECTION_LOST. Raises ValueError beyond
        the send quota.
        """
        stream = self._stream
        if stream is None or not self._connected:
            self._results.put([PublishResult(message.token, CONNECTION_LOST) for message in messages])
            return
        refused = [result for message in messages if (result := self._send(stream.session, message))]
        self._results.put(refused)
        stream.flush_soon()

    async def results(self) -> list[PublishResult]:
        """Wait for the next results."""
        return await self._results.take()

    async def wait_credit(self) -> None:
        """Return when `credit` is above 0."""
        while self.credit <= 0:
            self._more_credit.clear()
            await self._more_credit.wait()

    async def stop_taking(self, timeout: float) -> None:
        """Take no more inbound PUBLISHes and announce "draining", within `timeout` seconds.

        Reading goes on, for the PUBACKs of our own PUBLISHes; what arrives from now on is dropped unacknowledged, so that the broker's
        session keeps it for our next connection. UNSUBSCRIBE would lose what comes meanwhile. What came before is still handed over.
        A connection that comes up later announces it itself.
        """
        self._change_state("draining")
        if not self._connected:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._announce_surely()

    async def close(self, timeout: float) -> None:
        """Say "down", disconnect cleanly and keep the session, within `timeout` seconds.

        Where the broker does not take the announcement in time, DISCONNECT 0x04 makes it publish the will, which says the same.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        self._change_state("down")
        self._stopping.set()
        reason = ReasonCode.DISCONNECT_WITH_WILL
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline - timeout / 4):
                if self._connected and await self._announce_surely() < REFUSED_FROM:
                    reason = ReasonCode.SUCCESS
        await self._part(reason, deadline)

    def _change_state(self, state: str) -> None:
        """Draining or down: either takes no more."""
        self._state = state
        if self._stream is not None:
            self._stream.stop_taking()

    def _suspect_a_rival(self, closed: Closed, lived: float) -> None:
        """Say what a broker may mean that takes a session over without the DISCONNECT 0x8E that it owes us, as mosquitto 2.0.11 does."""
        self._short_lives = self._short_lives + 1 if closed.cause is CloseCause.LOST and lived < SHORT_LIFE else 0
        if self._short_lives == RIVAL_SUSPECTED_AT:
            log.warning(
                "broker keeps closing our connection", client_id=self._settings.client_id, detail="does another client use our client id?"
            )

    async def _part(self, reason: int, deadline: float) -> None:
        stream = self._stream
        if stream is None:
            return
        stream.disconnect(reason)
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(stream.gone)
        except TimeoutError:
            stream.abort(CloseCause.LOCAL, "the broker did not close")

    async def _backlog_taken(self) -> None:
        """Wait until the PUBLISHes of lost connections are taken, lest each new connection adds to them."""
        while len(self._inbound) >= self._settings.hard_cap:
            self._inbound.emptied.clear()
            await self._inbound.emptied.wait()

    async def _sleep(self, pause: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()

    async def _connection(self) -> Closed:
        """Serve one connection from its first byte to its last, and return how it ended."""
        settings = self._settings
        session = ClientSession(
            self._connect_packet(),
            settings.subscriptions,
            unacknowledged_limit=settings.hard_cap,
            first_delivery=self._next_delivery,
        )
        if self._state != "up":
            session.stop_taking()
        self._stream = stream = MqttStream(session, self._on_events)
        try:
            await open_stream(stream, settings.host, settings.port, tls=settings.tls, timeout=settings.connect_timeout)
            await asyncio.shield(stream.gone)
        finally:
            stream.abort(CloseCause.LOCAL, "cancelled")
            self._stream = None
            self._next_delivery = session.next_delivery
        assert stream.closed is not None
        return stream.closed

    def _connect_packet(self) -> Connect:
        settings = self._settings
        return Connect(
            client_id=settings.client_id,
            keep_alive=settings.keep_alive,
            clean_start=False,
            session_expiry_interval=settings.session_expiry,
            receive_maximum=settings.receive_maximum,
            maximum_packet_size=settings.maximum_packet_size,
            username=settings.username,
            password=None if settings.password is None else settings.password.encode(),
            will=Will(settings.state_topic, self._state_payload("down")),
        )

    def _state_payload(self, state: str) -> bytes:
        time = self._utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return msgspec.json.encode({"v": 1, "state": state, "instance": self._settings.instance, "time": time})

    def _on_events(self, events: list[Event]) -> None:
        """Sort what a connection says into the mailboxes. An empty list says that the socket takes more."""
        received: list[Inbound] = []
        results: list[PublishResult] = []
        for event in events:
            match event:
                case Received():
                    received.append(_inbound(event))
                case Published():
                    self._settle(event.token, event.reason, results)
                case _:
                    self._on_change(event, results)
        self._inbound.put(received)
        self._results.put(results)
        if self.credit > 0:
            self._more_credit.set()

    def _settle(self, token: object, reason: int, results: list[PublishResult]) -> None:
        if isinstance(token, asyncio.Future):  # an announcement of ours
            if not token.done():
                token.set_result(reason)
            return
        assert isinstance(token, int)
        results.append(PublishResult(token, reason))
        if reason != CONNECTION_LOST:
            self._observer.puback(reason)

    def _on_change(self, event: Connected | Subscribed | Closed, results: list[PublishResult]) -> None:
        match event:
            case Connected():
                self._on_connected(event.connack)
            case Subscribed():
                self._on_subscribed()
            case Closed():
                for token in event.unanswered:
                    self._settle(token, CONNECTION_LOST, results)
                self._on_closed(event)

    def _on_connected(self, connack: Connack) -> None:
        expiry = connack.session_expiry_interval
        if self._served and not connack.session_present:
            log.warning("broker lost our session", detail="what it had queued for us is gone")
        if expiry is not None and expiry < self._settings.session_expiry:
            log.warning("broker shortens our session", seconds=expiry, wanted=self._settings.session_expiry)

    def _on_subscribed(self) -> None:
        self._connected = self._served = True
        self._complaint = ""
        self._observer.connected()
        log.info("broker connected", host=self._settings.host, port=self._settings.port, client_id=self._settings.client_id)
        if self.credit > 0:  # none where a DISCONNECT came along with the SUBACK
            self._announce()

    def _on_closed(self, closed: Closed) -> None:
        was_connected, self._connected = self._connected, False
        self._observer.disconnected(closed.cause.value)
        if closed.cause is CloseCause.LOCAL:
            log.info("broker disconnected", detail=closed.detail)
        elif was_connected:
            log.warning("broker connection lost", cause=closed.cause.value, detail=closed.detail)
        elif closed.detail != self._complaint:  # once, not at each attempt
            log.warning("broker not connected", cause=closed.cause.value, detail=closed.detail)
            self._complaint = closed.detail

    def _announce(self) -> asyncio.Future[int]:
        """Publish our state, retained; the future tells the reason code of its PUBACK."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(_complain_of_refusal)
        stream = self._stream
        assert stream is not None
        try:
            stream.session.publish(
                answer, self._settings.state_topic, self._state_payload(self._state), retain=True, content_type="application/json"
            )
        except UnsendableError as error:
            answer.set_result(error.reason)
        stream.flush_soon()
        return answer

    async def _announce_surely(self) -> int:
        await self.wait_credit()
        return await self._announce()

    def _send(self, session: ClientSession, message: Outbound) -> PublishResult | None:
        try:
            session.publish(
                message.token,
                message.topic,
                message.payload,
                retain=message.retain,
                content_type=message.content_type,
                correlation_data=message.correlation,
                user_properties=message.properties,
            )
        except UnsendableError as error:
            self._observer.puback(error.reason)
            return PublishResult(message.token, error.reason)
        return None


def _inbound(event: Received) -> Inbound:
    publish = event.publish
    return Inbound(
        publish.topic,
        publish.payload,
        publish.qos,
        publish.retain,
        publish.dup,
        publish.message_expiry_interval,
        publish.response_topic,
        publish.correlation_data,
        publish.content_type,
        event.delivery,
    )


def _complain_of_refusal(answer: asyncio.Future[int]) -> None:
    if not answer.cancelled() and answer.result() >= REFUSED_FROM:
        log.warning("broker refused our state", reason=describe_reason(answer.result()))
