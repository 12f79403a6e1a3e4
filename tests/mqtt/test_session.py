"""One connection without a socket: bytes in, events and bytes out, time as an argument."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mqtt.codec import Connect, encode_disconnect, encode_publish
from gateway.mqtt.errors import UnsendableError
from gateway.mqtt.framing import PacketReader
from gateway.mqtt.session import LEGAL, ClientSession, CloseCause, Closed, Connected, Event, Published, Received, State, Subscribed

SUBACK = bytes.fromhex("900400010001")
PINGRESP = bytes.fromhex("d000")


def connack(*, session_present: bool = False, reason: int = 0, properties: str = "") -> bytes:
    body = bytes((session_present, reason)) + bytes((len(bytes.fromhex(properties)),)) + bytes.fromhex(properties)
    return bytes((0x20, len(body))) + body


def connecting(*, limit: int = 10, first_delivery: int = 0, keep_alive: int = 30) -> ClientSession:
    session = ClientSession(
        Connect("c", keep_alive=keep_alive), ["sms/submit/#"], unacknowledged_limit=limit, first_delivery=first_delivery
    )
    session.connect(0.0)
    session.data_to_send(0.0)
    return session


def subscribed(
    *, limit: int = 10, first_delivery: int = 0, keep_alive: int = 30, receive_maximum: int = 65535, properties: str = ""
) -> ClientSession:
    session = connecting(limit=limit, first_delivery=first_delivery, keep_alive=keep_alive)
    session.receive(connack(properties=f"21{receive_maximum:04x}{properties}"), 0.0)
    session.receive(SUBACK, 0.0)
    session.data_to_send(0.0)
    return session


def publish(packet_id: int = 1, payload: bytes = b"p") -> bytes:
    return encode_publish("sms/submit", payload, packet_id=packet_id)


def packet_ids(session: ClientSession) -> list[tuple[int, int]]:
    """Return (packet type, packet identifier) of what the session has to send."""
    packets = PacketReader(1 << 20).feed(session.data_to_send(0.0))
    return [(first >> 4, int.from_bytes(body[2 + body[1] :][:2] if first >> 4 == 3 else body[:2])) for first, body in packets]


def closed(events: list[Event]) -> Closed:
    last = events[-1]
    assert isinstance(last, Closed)
    return last


def test_the_subscribe_follows_the_connack_by_itself() -> None:
    session = connecting()
    (connected,) = session.receive(connack(session_present=True), 0.0)
    assert isinstance(connected, Connected)
    assert connected.connack.session_present
    assert session.data_to_send(0.0) == bytes.fromhex("82120001 00 000c") + b"sms/submit/#" + b"\x29"
    assert session.quota == 0
    assert session.receive(SUBACK, 0.0) == [Subscribed()]
    assert session.quota == 65535


def test_publishes_of_a_kept_session_may_come_before_the_suback() -> None:
    session = connecting()
    events = session.receive(connack(session_present=True) + publish(7) + SUBACK, 0.0)
    assert [type(event) for event in events] == [Connected, Received, Subscribed]


def test_a_refused_connack_ends_the_connection_with_its_reason() -> None:
    end = closed(connecting().receive(connack(reason=0x86), 0.0))
    assert (end.cause, end.reason, end.detail) == (CloseCause.REFUSED, 0x86, "0x86 bad user name or password")


def test_a_refused_subscription_ends_the_connection_with_its_reason() -> None:
    session = connecting()
    session.receive(connack(), 0.0)
    end = closed(session.receive(bytes.fromhex("900400010087"), 0.0))
    assert (end.cause, end.reason) == (CloseCause.REFUSED, 0x87)
    assert session.data_to_send(0.0).endswith(encode_disconnect())


def test_a_subscription_granted_at_qos_0_is_refused() -> None:
    session = connecting()
    session.receive(connack(), 0.0)
    assert closed(session.receive(bytes.fromhex("900400010000"), 0.0)).reason == 0x9B


def test_a_broker_without_qos_1_is_refused() -> None:
    assert closed(connecting().receive(connack(properties="2400"), 0.0)).reason == 0x9B


@pytest.mark.parametrize("suback", ["900400020001", "90050001000101"])
def test_a_suback_that_answers_no_subscribe_of_ours_is_a_protocol_error(suback: str) -> None:
    session = connecting()
    session.receive(connack(), 0.0)
    assert closed(session.receive(bytes.fromhex(suback), 0.0)).cause is CloseCause.PROTOCOL_ERROR


def test_acknowledgements_leave_in_order_of_arrival_whatever_the_order_of_commits() -> None:
    session = subscribed()
    events = session.receive(publish(11) + publish(12) + publish(13), 0.0)
    first, second, third = [event.delivery for event in events if isinstance(event, Received)]
    session.acknowledge([third])
    assert packet_ids(session) == []
    session.acknowledge([first])
    assert packet_ids(session) == [(4, 11)]
    session.acknowledge([second])
    assert packet_ids(session) == [(4, 12), (4, 13)]


def test_an_acknowledgement_repeated_does_nothing() -> None:
    session = subscribed()
    session.receive(publish(11) + publish(12), 0.0)
    session.acknowledge([0, 0])
    session.acknowledge([0])
    assert packet_ids(session) == [(4, 11)]


def test_an_acknowledgement_ahead_of_its_publish_does_nothing() -> None:
    session = subscribed()
    session.acknowledge([0])
    session.receive(publish(11), 0.0)
    assert packet_ids(session) == []


def test_an_acknowledgement_of_an_earlier_connection_does_not_touch_the_same_packet_identifier() -> None:
    old = subscribed()
    old.receive(publish(1), 0.0)
    old.connection_lost(CloseCause.LOST, "EOF")
    new = subscribed(first_delivery=old.next_delivery)
    new.receive(publish(1), 0.0)
    new.acknowledge([0])
    assert packet_ids(new) == []
    new.acknowledge([1])
    assert packet_ids(new) == [(4, 1)]


def test_a_publish_at_qos_0_takes_its_turn_and_needs_no_puback() -> None:
    session = subscribed()
    events = session.receive(encode_publish("t", b"zero") + publish(5), 0.0)
    assert [event.publish.qos for event in events if isinstance(event, Received)] == [0, 1]
    session.acknowledge([1])
    assert packet_ids(session) == []
    session.acknowledge([0])
    assert packet_ids(session) == [(4, 5)]


def test_more_than_the_receive_maximum_is_taken_and_listening_ends_at_the_limit() -> None:
    session = subscribed(limit=3)
    session.receive(publish(1) + publish(2), 0.0)
    listening = [session.listening]
    events = session.receive(publish(3) + publish(4), 0.0)
    listening.append(session.listening)
    session.acknowledge([0, 1])
    listening.append(session.listening)
    assert len(events) == 2
    assert listening == [True, False, True]


def test_what_comes_after_the_end_of_taking_is_dropped_unacknowledged_and_keeps_nobody_from_listening() -> None:
    session = subscribed(limit=2)
    session.receive(publish(1) + publish(2), 0.0)
    listening = [session.listening]
    session.stop_taking()
    assert [*listening, session.listening] == [False, True]
    session.publish(41, "t", b"")
    session.data_to_send(0.0)
    assert session.receive(publish(3) + publish(4) + bytes.fromhex("40020002"), 0.0) == [Published(41, 0)]
    session.acknowledge([0, 1, 2, 3])
    assert packet_ids(session) == [(4, 1), (4, 2)]


def test_a_publish_comes_back_with_its_puback_s_reason() -> None:
    session = subscribed()
    session.publish(41, "t", b"")
    session.publish(42, "t", b"")
    assert packet_ids(session) == [(3, 2), (3, 3)]
    assert session.receive(bytes.fromhex("4003000397") + bytes.fromhex("40020002"), 0.0) == [Published(42, 0x97), Published(41, 0)]


def test_a_puback_that_nobody_waits_for_settles_nothing() -> None:
    session = subscribed()
    session.publish(41, "t", b"")
    assert session.receive(bytes.fromhex("40020063"), 0.0) == []


def test_the_send_quota_is_the_broker_s_receive_maximum() -> None:
    session = subscribed(receive_maximum=2)
    session.publish(1, "t", b"")
    session.publish(2, "t", b"")
    assert session.quota == 0
    with pytest.raises(ValueError, match="quota"):
        session.publish(3, "t", b"")
    session.receive(bytes.fromhex("40020002"), 0.0)
    assert session.quota == 1


def test_packet_identifiers_wrap_and_skip_those_in_flight() -> None:
    session = subscribed(receive_maximum=3)
    session.publish("stays", "t", b"")
    (stuck,) = packet_ids(session)
    seen = set()
    for number in range(70_000):
        session.publish(number, "t", b"")
        ((_, packet_id),) = packet_ids(session)
        seen.add(packet_id)
        session.receive(b"\x40\x02" + packet_id.to_bytes(2), 0.0)
    assert seen == set(range(1, 65536)) - {stuck[1]}


def test_a_lost_connection_reports_every_unanswered_publish_once_and_in_order() -> None:
    session = subscribed()
    for token in (1, 2, 3):
        session.publish(token, "t", b"")
    session.receive(bytes.fromhex("40020003"), 0.0)
    assert closed(session.connection_lost(CloseCause.LOST, "EOF")).unanswered == (1, 3)
    assert session.connection_lost(CloseCause.LOST, "EOF") == []
    assert session.quota == 0


def test_an_unsendable_publish_takes_no_quota_and_no_packet_identifier() -> None:
    session = subscribed(receive_maximum=1, properties="2700000040")
    for topic, payload in (("t/#", b""), ("t", b"x" * 64)):
        with pytest.raises(UnsendableError):
            session.publish(1, topic, payload)
    session.publish(2, "t", b"x")
    assert packet_ids(session) == [(3, 2)]


def test_retained_goes_out_unretained_to_a_broker_that_retains_nothing() -> None:
    session = subscribed(properties="2500")
    session.publish(1, "t", b"", retain=True)
    assert session.data_to_send(0.0)[0] == 0x32


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        ("f000", 0x82),  # AUTH
        ("0000", 0x82),
        ("50020001", 0x82),  # PUBREC
        ("3407000174000100" + "78", 0x82),  # QoS 2
        ("3209000174000103230001", 0x94),  # topic alias
        ("300300000078", 0x82),  # no topic name
        ("3606000174000100", 0x81),  # QoS 3
        ("4103000100", 0x81),  # reserved flags
        ("d00100", 0x81),  # PINGRESP with a body
        ("32ffffffff01", 0x81),  # remaining length
    ],
)
def test_a_packet_that_breaks_the_protocol_is_answered_with_disconnect(packet: str, reason: int) -> None:
    session = subscribed()
    end = closed(session.receive(publish(9) + bytes.fromhex(packet), 0.0))
    assert (end.cause, end.reason) == (CloseCause.PROTOCOL_ERROR, reason)
    assert session.data_to_send(0.0) == bytes((0xE0, 1, reason))
    assert session.receive(publish(10), 0.0) == []


def test_what_came_before_a_broken_packet_is_handed_on() -> None:
    events = subscribed().receive(publish(9) + bytes.fromhex("f000"), 0.0)
    assert [type(event) for event in events] == [Received, Closed]


@pytest.mark.parametrize(("state", "kind"), [(state, kind) for state in State for kind in range(16) if kind not in LEGAL[state]])
def test_every_packet_type_that_a_state_does_not_allow_ends_the_connection(state: State, kind: int) -> None:
    session = ClientSession(Connect("c"), ["f"], unacknowledged_limit=10)
    if state is not State.NEW:
        session = connecting() if state is State.CONNECTING else subscribed()
    if state is State.CLOSED:
        session.disconnect()
    events = session.receive(bytes((kind << 4, 0)), 0.0)
    assert [type(event) for event in events] == ([] if state is State.CLOSED else [Closed])
    assert session.state is State.CLOSED


def test_the_broker_s_disconnect_ends_the_connection_with_its_reason() -> None:
    end = closed(subscribed().receive(bytes.fromhex("e0018e"), 0.0))
    assert (end.cause, end.reason, end.detail) == (CloseCause.DISCONNECTED, 0x8E, "0x8e session taken over")


def test_a_quiet_connection_is_probed_and_an_answer_keeps_it() -> None:
    session = subscribed(keep_alive=30)
    assert session.due == 24.0
    assert session.tick(23.9) == []
    assert session.data_to_send(23.9) == b""
    session.tick(24.0)
    assert session.data_to_send(24.0) == bytes.fromhex("c000")
    session.receive(PINGRESP, 25.0)
    assert session.due == 48.0


def test_a_broker_that_does_not_answer_pingreq_is_given_up() -> None:
    session = subscribed(keep_alive=30)
    session.publish(7, "t", b"")
    session.tick(24.0)
    session.data_to_send(24.0)
    session.tick(38.9)
    end = closed(session.tick(39.0))
    assert (end.cause, end.unanswered) == (CloseCause.TIMEOUT, (7,))


def test_what_we_send_does_not_keep_a_dead_broker_alive() -> None:
    session = subscribed(keep_alive=30)
    session.publish(7, "t", b"")
    session.data_to_send(23.0)
    assert session.due == 24.0


def test_while_reading_is_paused_a_missing_answer_proves_nothing() -> None:
    session = subscribed(keep_alive=30, limit=1)
    session.receive(publish(1), 0.0)
    session.tick(24.0)
    session.data_to_send(24.0)
    assert session.tick(39.0) == []
    assert session.state is State.CONNECTED
    session.tick(session.due)
    assert session.data_to_send(50.0) == bytes.fromhex("c000")


def test_the_broker_s_keep_alive_replaces_ours() -> None:
    assert subscribed(keep_alive=30, properties="13000a").due == 8.0


def test_a_keep_alive_of_zero_never_ticks() -> None:
    assert subscribed(keep_alive=0).due == float("inf")


@settings(deadline=None, max_examples=150)
@given(chunks=st.lists(st.binary(max_size=80), max_size=6), prefix=st.sampled_from([b"", connack(), connack() + SUBACK]))
def test_random_bytes_raise_nothing_and_end_at_most_once(chunks: list[bytes], prefix: bytes) -> None:
    session = connecting()
    events = [event for chunk in [prefix, *chunks] for event in session.receive(chunk, 0.0)]
    events += session.connection_lost(CloseCause.LOST, "EOF")
    assert [type(event) for event in events].count(Closed) == 1
    assert isinstance(events[-1], Closed)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_events_do_not_depend_on_how_the_stream_is_split(data: st.DataObject) -> None:
    stream = connack(session_present=True) + publish(3) + SUBACK + publish(4, b"x" * 300) + PINGRESP + bytes.fromhex("e0018b")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    whole, parts = connecting(), connecting()
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [event for piece in pieces for event in parts.receive(piece, 0.0)] == whole.receive(stream, 0.0)


@settings(deadline=None, max_examples=100)
@given(order=st.permutations(range(12)), sizes=st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_pubacks_are_in_order_for_every_order_of_acknowledgement(order: list[int], sizes: list[int]) -> None:
    session = subscribed(limit=100)
    session.receive(b"".join(publish(number + 100) for number in range(12)), 0.0)
    rest = list(order)
    for size in sizes:
        session.acknowledge(rest[:size])
        rest = rest[size:]
    assert packet_ids(session) == [(4, number + 100) for number in range(12)]
