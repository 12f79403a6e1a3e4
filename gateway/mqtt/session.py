"""One connection of an MQTT 5 client, sans-I/O: bytes and times go in, events and bytes come out. MQTT 5 s4.

`stream` (or a test) feeds `receive`, `tick` and `connection_lost`, reads the events that they return and writes `data_to_send`. A fresh
object for each network connection: what belongs to a connection (packet identifiers, send quota, unacknowledged PUBLISHes) dies with it, so
that nothing of an old one can be taken for something of a new one.

Inbound: every PUBLISH gets a delivery number that is never used again, in this connection or a later one. `acknowledge` takes those numbers
in any order; the PUBACKs leave in order of arrival [MQTT-4.6.0-2]. The broker may exceed our Receive Maximum (mosquitto does when it drains
a queue): that is tolerated, but from `unacknowledged_limit` on `listening` is false and the shell stops reading. After `stop_taking` a
PUBLISH is dropped as it comes, unacknowledged, so that reading may go on for the PUBACKs of our own.

Outbound: `publish` needs `quota`, the broker's Receive Maximum less what is in flight. Each token comes back exactly once, in `Published`
or in `Closed.unanswered`. We never resend with DUP on the next connection [MQTT-4.4.0-1]: the outbox does, as a new PUBLISH. The
broker keeps no state about a QoS 1 PUBLISH that it receives, so nothing but the DUP flag differs.

Never here: QoS 2, topic aliases, enhanced authentication, UNSUBSCRIBE; a broker that uses them breaks the protocol as announced.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from gateway.mqtt.codec import (
    PINGREQ,
    Connack,
    Connect,
    Publish,
    decode_connack,
    decode_disconnect,
    decode_puback,
    decode_publish,
    decode_suback,
    encode_connect,
    encode_disconnect,
    encode_puback,
    encode_publish,
    encode_subscribe,
)
from gateway.mqtt.constants import MAX_PACKET_ID, MAX_REMAINING_LENGTH, REFUSED_FROM, PacketType, ReasonCode, describe_reason
from gateway.mqtt.errors import MalformedPacketError, ProtocolError, UnsendableError
from gateway.mqtt.framing import PacketReader
from gateway.mqtt.timers import KeepAlive, TimerAction


class State(Enum):
    """Where a connection stands."""

    NEW = auto()  # nothing sent
    CONNECTING = auto()  # CONNECT sent
    CONNECTED = auto()  # CONNACK received
    CLOSED = auto()


class CloseCause(StrEnum):
    """Why a connection ended; a closed set, fit for a metric's label."""

    UNREACHABLE = "unreachable"  # no connection came about
    REFUSED = "refused"  # CONNACK or SUBACK said no
    DISCONNECTED = "disconnected"  # the broker sent DISCONNECT
    PROTOCOL_ERROR = "protocol_error"  # the broker broke the protocol
    TIMEOUT = "timeout"  # the broker did not answer
    LOST = "lost"  # the network connection went away
    LOCAL = "local"  # we ended it


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker took our CONNECT."""

    connack: Connack


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Every subscription stands at QoS 1; from here on `quota` may be used."""


@dataclass(slots=True)
class Received:
    """A PUBLISH came; `delivery` is for `acknowledge`."""

    publish: Publish
    delivery: int


@dataclass(slots=True)
class Published:
    """A PUBACK came for the PUBLISH with this token."""

    token: object
    reason: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection ended; `unanswered` are the tokens whose PUBACK did not come. Always the last event."""

    cause: CloseCause
    reason: int  # reason code of MQTT 5 s2.4, 0 where there is none
    detail: str
    unanswered: tuple[object, ...] = ()


Event = Connected | Subscribed | Received | Published | Closed

_Handler = Callable[["ClientSession", int, bytes], None]

# What a broker may send, by state; anything else is a protocol error. MQTT 5 s3.1.4, s4.13
LEGAL: Final[Mapping[State, frozenset[PacketType]]] = {
    State.NEW: frozenset(),
    State.CONNECTING: frozenset({PacketType.CONNACK}),
    State.CONNECTED: frozenset({PacketType.PUBLISH, PacketType.PUBACK, PacketType.SUBACK, PacketType.PINGRESP, PacketType.DISCONNECT}),
    State.CLOSED: frozenset(),
}


class ClientSession:
    """A client's side of one network connection, from CONNECT to its end, with at least one topic filter."""

    def __init__(self, connect: Connect, topic_filters: Sequence[str], *, unacknowledged_limit: int, first_delivery: int = 0) -> None:
        self._connect = connect
        self._topic_filters = topic_filters
        self._limit = unacknowledged_limit
        self._reader = PacketReader(connect.maximum_packet_size)
        self._enter(State.NEW)
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._keep_alive = KeepAlive(connect.keep_alive, 0.0, 0.0)
        self._unacknowledged: deque[int] = deque()  # packet identifiers in order of arrival, 0 for QoS 0
        self._oldest_delivery = first_delivery  # number of the deque's head
        self._taking = True
        self._settled: set[int] = set()  # acknowledged, but an older one is not yet
        self._in_flight: dict[int, object] = {}  # packet identifier -> token
        self._last_packet_id = 0
        self._subscribe_id = 0  # of the SUBSCRIBE under way
        self._receive_maximum = 0  # the broker's
        self._send_quota = 0  # the same, once everything is subscribed
        self._send_limit = MAX_REMAINING_LENGTH
        self._retain_available = True

    def _enter(self, state: State) -> None:
        self.state = state
        self._legal: dict[int, _Handler] = {kind: self._HANDLERS[kind] for kind in LEGAL[state]}

    def connect(self, now: float) -> None:
        """Queue CONNECT; the SUBSCRIBE follows the CONNACK by itself."""
        self._keep_alive = KeepAlive(self._connect.keep_alive, now, now)
        self._out.append(encode_connect(self._connect))
        self._enter(State.CONNECTING)

    @property
    def quota(self) -> int:
        """How many PUBLISHes may be sent now: the broker's Receive Maximum less those in flight. MQTT 5 s4.9"""
        return self._send_quota - len(self._in_flight)

    @property
    def listening(self) -> bool:
        """Whether the shell should read on: false from `unacknowledged_limit` deliveries on, while they are taken."""
        return len(self._unacknowledged) < self._limit or not self._taking

    @property
    def next_delivery(self) -> int:
        """The delivery number after the last one used: the next connection's `first_delivery`."""
        return self._oldest_delivery + len(self._unacknowledged)

    @property
    def due(self) -> float:
        """When to call `tick` next."""
        return self._keep_alive.due

    def data_to_send(self, now: float) -> bytes:
        """Take the bytes that are to be written, all packets since the last call."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        self._keep_alive.last_sent = now
        return data

    def publish(
        self,
        token: object,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        content_type: str | None = None,
        correlation_data: bytes | None = None,
        user_properties: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Queue a PUBLISH at QoS 1. Raises UnsendableError, and ValueError without `quota`; then nothing was queued."""
        if self._send_quota <= len(self._in_flight):
            raise ValueError("no send quota: the caller must keep to it")
        packet_id = self._next_packet_id()
        packet = encode_publish(
            topic,
            payload,
            packet_id=packet_id,
            retain=retain and self._retain_available,
            content_type=content_type,
            correlation_data=correlation_data,
            user_properties=user_properties,
        )
        if len(packet) > self._send_limit:
            raise UnsendableError(f"a packet of {len(packet)} bytes, the broker takes {self._send_limit}", ReasonCode.PACKET_TOO_LARGE)
        self._in_flight[packet_id] = token
        self._last_packet_id = packet_id
        self._out.append(packet)

    def _next_packet_id(self) -> int:
        packet_id = self._last_packet_id % MAX_PACKET_ID + 1
        while packet_id in self._in_flight:  # at most quota steps, and quota is at least 1
            packet_id = packet_id % MAX_PACKET_ID + 1
        return packet_id

    def stop_taking(self) -> None:
        """Drop every PUBLISH from now on: the broker keeps what is not acknowledged for the next connection."""
        self._taking = False

    def acknowledge(self, deliveries: Iterable[int]) -> None:
        """Settle deliveries, in any order, and queue the PUBACKs whose turn it is; those of an earlier connection do nothing."""
        settled = self._settled
        oldest, end = self._oldest_delivery, self.next_delivery
        settled.update([number for number in deliveries if oldest <= number < end])
        while self._oldest_delivery in settled:
            settled.remove(self._oldest_delivery)
            self._oldest_delivery += 1
            packet_id = self._unacknowledged.popleft()
            if packet_id:
                self._out.append(encode_puback(packet_id))

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the network, split anyhow, and return what they mean. A broken packet ends in DISCONNECT and `Closed`."""
        self._keep_alive.received(now)
        try:
            for first, body in self._reader.feed(data):
                if self.state is State.CLOSED:
                    break
                self._dispatch(first, body)
        except ProtocolError as error:
            self._close_with(error.reason, Closed(CloseCause.PROTOCOL_ERROR, error.reason, str(error)))
        return self._take_events()

    def _dispatch(self, first: int, body: bytes) -> None:
        handler = self._legal.get(first >> 4)
        if handler is None:
            raise ProtocolError(f"{_packet_name(first)} does not belong in {self.state.name}")
        handler(self, first & 0x0F, body)

    def tick(self, now: float) -> list[Event]:
        """Do what is due at `now`: send PINGREQ, or give up a broker that does not answer."""
        if self.state is State.CLOSED:
            return []
        match self._keep_alive.tick(now, listening=self.listening):
            case TimerAction.PING:
                self._out.append(PINGREQ)
            case TimerAction.GIVE_UP:
                reason = ReasonCode.KEEP_ALIVE_TIMEOUT
                self._close_with(reason, Closed(CloseCause.TIMEOUT, reason, "no answer to PINGREQ"))
            case TimerAction.NONE:
                pass
        return self._take_events()

    def disconnect(self, reason: int = ReasonCode.SUCCESS) -> list[Event]:
        """End the connection from our side; with DISCONNECT_WITH_WILL the broker publishes the will."""
        self._close_with(reason, Closed(CloseCause.LOCAL, reason, "disconnected by us"))
        return self._take_events()

    def connection_lost(self, cause: CloseCause, detail: str) -> list[Event]:
        """Note that the network connection is gone."""
        self._close(Closed(cause, 0, detail))
        return self._take_events()

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _close_with(self, reason: int, closed: Closed) -> None:
        if self.state is State.CONNECTED:  # before the CONNACK there is nobody to tell
            self._out.append(encode_disconnect(reason))
        self._close(closed)

    def _close(self, closed: Closed) -> None:
        """Enter CLOSED once: hand back what is unanswered, forget what is unacknowledged."""
        if self.state is State.CLOSED:
            return
        self._enter(State.CLOSED)
        self._events.append(Closed(closed.cause, closed.reason, closed.detail, tuple(self._in_flight.values())))
        self._oldest_delivery = self.next_delivery
        self._unacknowledged.clear()
        self._settled.clear()
        self._in_flight.clear()
        self._send_quota = 0

    def _on_connack(self, flags: int, body: bytes) -> None:
        _no_flags(flags)
        connack = decode_connack(body)
        if connack.reason:
            self._close(
                Closed(CloseCause.REFUSED, connack.reason, _explain(connack.reason, connack.reason_string, connack.server_reference))
            )
            return
        self._enter(State.CONNECTED)
        if connack.maximum_qos == 0:
            self._refuse(ReasonCode.QOS_NOT_SUPPORTED, "the broker does not take QoS 1")
            return
        if connack.server_keep_alive is not None:
            self._keep_alive.interval = connack.server_keep_alive
        self._send_limit = connack.maximum_packet_size or MAX_REMAINING_LENGTH
        self._retain_available = connack.retain_available
        self._receive_maximum = connack.receive_maximum
        self._events.append(Connected(connack))
        self._subscribe()

    def _subscribe(self) -> None:
        self._last_packet_id = self._subscribe_id = 1
        self._out.append(encode_subscribe(self._subscribe_id, self._topic_filters))

    def _refuse(self, reason: int, detail: str) -> None:
        self._close_with(ReasonCode.SUCCESS, Closed(CloseCause.REFUSED, reason, detail))

    def _on_suback(self, flags: int, body: bytes) -> None:
        _no_flags(flags)
        suback = decode_suback(body)
        if suback.packet_id != self._subscribe_id or len(suback.reasons) != len(self._topic_filters):
            raise ProtocolError("a SUBACK that answers no SUBSCRIBE of ours")
        worst = max(suback.reasons)
        if worst >= REFUSED_FROM:
            self._refuse(worst, f"subscription refused: {_explain(worst, suback.reason_string)}")
        elif min(suback.reasons) < 1:
            self._refuse(ReasonCode.QOS_NOT_SUPPORTED, "subscription granted at QoS 0 only")
        else:
            self._subscribe_id = 0
            self._send_quota = self._receive_maximum
            self._events.append(Subscribed())

    def _on_publish(self, flags: int, body: bytes) -> None:
        publish = decode_publish(flags, body)
        if publish.topic_alias is not None:
            raise ProtocolError("a topic alias, and we announced none", ReasonCode.TOPIC_ALIAS_INVALID)
        if publish.qos > 1:
            raise ProtocolError("a PUBLISH at QoS 2, and we subscribed at QoS 1")
        if not publish.topic:
            raise ProtocolError("a PUBLISH without a topic name")
        if self._taking:
            self._events.append(Received(publish, self.next_delivery))
            self._unacknowledged.append(publish.packet_id)

    def _on_puback(self, flags: int, body: bytes) -> None:
        _no_flags(flags)
        puback = decode_puback(body)
        if puback.packet_id in self._in_flight:  # a stray one settles nothing and harms nothing
            self._events.append(Published(self._in_flight.pop(puback.packet_id), puback.reason))

    def _on_pingresp(self, flags: int, body: bytes) -> None:
        _no_flags(flags)
        if body:
            raise MalformedPacketError("a PINGRESP with a body")

    def _on_disconnect(self, flags: int, body: bytes) -> None:
        _no_flags(flags)
        packet = decode_disconnect(body)
        self._close(Closed(CloseCause.DISCONNECTED, packet.reason, _explain(packet.reason, packet.reason_string, packet.server_reference)))

    _HANDLERS: Final[Mapping[PacketType, _Handler]] = {
        PacketType.CONNACK: _on_connack,
        PacketType.PUBLISH: _on_publish,
        PacketType.PUBACK: _on_puback,
        PacketType.SUBACK: _on_suback,
        PacketType.PINGRESP: _on_pingresp,
        PacketType.DISCONNECT: _on_disconnect,
    }


def _no_flags(flags: int) -> None:
    if flags:
        raise MalformedPacketError(f"reserved flags 0x{flags:x} are set")


def _packet_name(first: int) -> str:
    kind = first >> 4
    return PacketType(kind).name if kind else "packet type 0"


def _explain(reason: int, *words: str) -> str:
    return ": ".join([describe_reason(reason), *[word[:200] for word in words if word]])
