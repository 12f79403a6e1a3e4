"""Transcripts: two sessions wired together, time as an argument."""

from math import inf

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.smpp import (
    AlertNotification,
    AlertReceived,
    BindFailed,
    BindReceiver,
    BindTransceiver,
    BindTransceiverResp,
    Bound,
    CancelSm,
    CommandId,
    CommandStatus,
    DeliverSm,
    DeliverSmResp,
    EncodeError,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    IllegalStateError,
    Outbind,
    OutbindReceived,
    Pdu,
    ProtocolViolation,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    Role,
    Session,
    SessionClosed,
    SessionEvent,
    SessionSettings,
    SessionState,
    SubmitSm,
    SubmitSmResp,
    Tag,
    Unbind,
    UnbindResp,
    Unbound,
    UnknownPdu,
    WindowFullError,
    decode,
    encode,
)
from gateway.smpp.constants import MAX_SEQUENCE_NUMBER

Pair = tuple[Session, Session]
ROK = CommandStatus.ESME_ROK


def submit_sm() -> SubmitSm:
    return SubmitSm(source_addr="27000", destination_addr="5511987654321", short_message=b"oi", registered_delivery=1)


def sent(session: Session) -> list[Pdu | UnknownPdu]:
    """The PDUs that a session wants written."""
    data, pdus = session.data_to_send(), []
    while data:
        length = int.from_bytes(data[:4], "big")
        pdus.append(decode(data[:length]))
        data = data[length:]
    return pdus


def over(session: Session) -> bool:
    return session.wants_close


def requests(events: list[SessionEvent]) -> list[Pdu]:
    return [event.pdu for event in events if isinstance(event, RequestReceived)]


# --- binding ---


def test_a_bind_that_is_accepted_moves_both_ends(open_pair: Pair) -> None:
    esme, smsc = open_pair
    esme.send(BindTransceiver(system_id="esme", system_type="SMPP"), 0.0)
    (bind,) = requests(smsc.receive(esme.data_to_send(), 0.1))
    assert smsc.state == SessionState.OPEN
    smsc.respond(bind, ROK, system_id="smsc", tlvs={Tag.SC_INTERFACE_VERSION: b"\x34"})
    assert smsc.state.name == "BOUND_TRX"
    assert esme.receive(smsc.data_to_send(), 0.2) == [Bound(SessionState.BOUND_TRX, "smsc", 0x34)]
    assert esme.state is SessionState.BOUND_TRX


@pytest.mark.parametrize("status", [CommandStatus.ESME_RINVPASWD, CommandStatus.ESME_RALYBND, 0x0412])
def test_a_bind_that_is_refused_says_why_and_may_be_tried_again(open_pair: Pair, status: int) -> None:
    """Traps 10, 11 and 15: what to do about it is the carrier's."""
    esme, smsc = open_pair
    esme.send(BindTransceiver(), 0.0)
    (bind,) = requests(smsc.receive(esme.data_to_send(), 0.0))
    smsc.respond(bind, status)
    assert esme.receive(smsc.data_to_send(), 0.0) == [BindFailed(status)]
    assert (esme.state, smsc.state) == (SessionState.OPEN, SessionState.OPEN)
    esme.send(BindTransceiver(), 1.0)
    assert len(requests(smsc.receive(esme.data_to_send(), 1.0))) == 1


def test_a_bind_refused_by_generic_nack_failed(open_pair: Pair) -> None:
    """Trap 13."""
    esme, _ = open_pair
    number = esme.send(BindTransceiver(), 0.0)
    nack = GenericNack(command_status=CommandStatus.ESME_RINVCMDID, sequence_number=number)
    assert esme.receive(encode(nack), 0.0) == [BindFailed(CommandStatus.ESME_RINVCMDID)]


def test_the_first_deliver_sm_may_share_a_segment_with_the_bind_resp(open_pair: Pair) -> None:
    """Trap 1."""
    esme, smsc = open_pair
    esme.send(BindTransceiver(), 0.0)
    (bind,) = requests(smsc.receive(esme.data_to_send(), 0.0))
    smsc.respond(bind)
    smsc.send(DeliverSm(short_message=b"oi"), 0.0)
    bound, delivered = esme.receive(smsc.data_to_send(), 0.0)
    assert isinstance(bound, Bound)
    assert isinstance(delivered, RequestReceived)


def test_one_octet_at_a_time_a_session_binds_and_delivers(open_pair: Pair) -> None:
    """Trap 1."""
    esme, smsc = open_pair
    esme.send(BindTransceiver(), 0.0)
    events: list[SessionEvent] = []
    for octet in esme.data_to_send():
        events += smsc.receive(bytes([octet]), 0.0)
    smsc.respond(requests(events)[0])
    smsc.send(DeliverSm(short_message=b"oi"), 0.0)
    got: list[SessionEvent] = []
    for octet in smsc.data_to_send():
        got += esme.receive(bytes([octet]), 0.0)
    assert [type(event) for event in got] == [Bound, RequestReceived]


def test_a_second_bind_before_the_first_is_answered_is_refused_on_both_ends(open_pair: Pair) -> None:
    esme, smsc = open_pair
    esme.send(BindTransceiver(), 0.0)
    with pytest.raises(IllegalStateError):
        esme.send(BindReceiver(), 0.0)
    assert len(requests(smsc.receive(esme.data_to_send(), 0.0))) == 1
    assert smsc.receive(encode(BindReceiver(sequence_number=9)), 0.0) == []
    (response,) = sent(smsc)
    assert (response.command_status, response.sequence_number) == (CommandStatus.ESME_RALYBND, 9)


def test_a_bind_without_a_response_ends_the_connection(open_pair: Pair) -> None:
    esme, _ = open_pair
    esme.send(BindTransceiver(), 4.0)
    assert esme.next_deadline() == 14.0
    esme.tick(14.0)
    assert over(esme)
    (closed,) = esme.connection_lost("closed by us")
    assert isinstance(closed, SessionClosed)
    assert closed.reason == "not bound in time"
    assert [type(request) for request, _ in closed.unanswered] == [BindTransceiver]


def test_a_connection_that_never_binds_is_closed_by_the_smsc(open_pair: Pair) -> None:
    """SMPP 3.4 s7.2 session_init_timer."""
    _, smsc = open_pair
    assert smsc.next_deadline() == 10.0
    smsc.tick(10.0)
    assert over(smsc)


def test_a_bind_response_timer_shorter_than_the_bind_timer_ends_the_connection_too() -> None:
    esme = Session(Role.ESME, SessionSettings(response_timeout=3.0), 0.0)
    esme.send(BindTransceiver(), 0.0, "bind")
    (event,) = esme.tick(3.0)
    assert isinstance(event, RequestTimedOut)
    assert over(esme)


def test_an_outbind_is_handed_over_and_not_answered(open_pair: Pair) -> None:
    esme, smsc = open_pair
    smsc.send(Outbind("smsc", "secret"), 0.0)
    (event,) = esme.receive(smsc.data_to_send(), 0.0)
    assert isinstance(event, OutbindReceived)
    assert event.pdu.system_id == "smsc"
    assert not esme.data_to_send()


# --- requests and responses ---


def test_a_submit_sm_comes_back_as_its_response_with_its_context(bound_pair: Pair) -> None:
    esme, smsc = bound_pair
    request = submit_sm()
    number = esme.send(request, 1.0, "row 17")
    (received,) = requests(smsc.receive(esme.data_to_send(), 1.0))
    assert received == request
    smsc.respond(received, message_id="3a9f")
    (event,) = esme.receive(smsc.data_to_send(), 1.25)
    assert isinstance(event, ResponseReceived)
    assert event.pdu == SubmitSmResp("3a9f", sequence_number=number)
    assert (event.request, event.context, event.elapsed, event.late) == (request, "row 17", 0.25, False)


def test_responses_come_in_any_order(bound_pair: Pair) -> None:
    """Trap 3."""
    esme, smsc = bound_pair
    for context in "abc":
        esme.send(submit_sm(), 1.0, context)
    for request in reversed(requests(smsc.receive(esme.data_to_send(), 1.0))):
        smsc.respond(request, message_id=str(request.sequence_number))
    events = esme.receive(smsc.data_to_send(), 1.0)
    assert [event.context for event in events if isinstance(event, ResponseReceived)] == ["c", "b", "a"]


def test_the_request_is_registered_before_its_octets_can_be_fetched(bound_pair: Pair) -> None:
    """Trap 2."""
    esme, _ = bound_pair
    number = esme.send(submit_sm(), 1.0)
    (event,) = esme.receive(encode(SubmitSmResp("1", sequence_number=number)), 1.0)
    assert isinstance(event, ResponseReceived)


def test_the_window_counts_messages_and_nothing_else(bound_pair: Pair) -> None:
    esme, smsc = bound_pair
    for _ in range(3):
        esme.send(submit_sm(), 1.0)
    assert (esme.window_free, esme.window_used) == (0, 3)
    with pytest.raises(WindowFullError):
        esme.send(submit_sm(), 1.0)
    esme.send(EnquireLink(), 1.0)
    esme.send(CancelSm(message_id="1"), 1.0)
    smsc.respond(requests(smsc.receive(esme.data_to_send(), 1.0))[0], message_id="1")
    esme.receive(smsc.data_to_send(), 1.0)
    assert esme.window_free == 1


def test_a_pdu_that_cannot_be_encoded_takes_no_slot(bound_pair: Pair) -> None:
    esme, _ = bound_pair
    with pytest.raises(EncodeError):
        esme.send(SubmitSm(destination_addr="x" * 30), 1.0)
    assert (esme.window_free, esme.data_to_send()) == (3, b"")


@pytest.mark.parametrize("status", [CommandStatus.ESME_RTHROTTLED, 0x0412])
def test_an_error_response_frees_its_slot_with_or_without_a_body(bound_pair: Pair, status: int) -> None:
    """Traps 15 and 16."""
    esme, _ = bound_pair
    first, second = esme.send(submit_sm(), 1.0), esme.send(submit_sm(), 1.0)
    bare = encode(SubmitSmResp(command_status=status, sequence_number=first))
    full = encode(SubmitSmResp("x", command_status=status, sequence_number=second))
    events = esme.receive(bare + full, 1.0)
    assert [event.pdu.command_status for event in events if isinstance(event, ResponseReceived)] == [status, status]
    assert esme.window_free == 3


def test_a_late_response_still_brings_its_message_id(bound_pair: Pair) -> None:
    """Trap 4."""
    esme, _ = bound_pair
    number = esme.send(submit_sm(), 1.0, "row 17")
    assert esme.tick(30.9) == []
    (timed_out,) = esme.tick(31.0)
    assert isinstance(timed_out, RequestTimedOut)
    assert (timed_out.context, esme.window_free) == ("row 17", 3)
    (event,) = esme.receive(encode(SubmitSmResp("3a9f", sequence_number=number)), 45.0)
    assert isinstance(event, ResponseReceived)
    assert (event.context, event.late, event.elapsed) == ("row 17", True, 44.0)
    (again,) = esme.receive(encode(SubmitSmResp("3a9f", sequence_number=number)), 46.0)
    assert isinstance(again, ProtocolViolation)


def test_a_sequence_number_wraps_in_a_session() -> None:
    """Trap 5."""
    esme = Session(Role.ESME, SessionSettings(), 0.0, first_sequence_number=MAX_SEQUENCE_NUMBER)
    assert esme.send(BindTransceiver(), 0.0) == MAX_SEQUENCE_NUMBER
    esme.receive(encode(BindTransceiverResp(sequence_number=MAX_SEQUENCE_NUMBER)), 0.0)
    assert esme.send(submit_sm(), 0.0) == 1


def test_a_response_does_not_cross_to_another_session(bound_pair: Pair) -> None:
    """Trap 45: the pending requests belong to the session, not to the account."""
    esme, _ = bound_pair
    number = esme.send(submit_sm(), 1.0)
    other = Session(Role.ESME, SessionSettings(), 0.0)
    (event,) = other.receive(encode(SubmitSmResp("1", sequence_number=number)), 1.0)
    assert isinstance(event, ProtocolViolation)


def test_a_response_of_another_kind_leaves_the_slot_alone(bound_pair: Pair) -> None:
    esme, _ = bound_pair
    number = esme.send(submit_sm(), 1.0)
    (event,) = esme.receive(encode(DeliverSmResp(sequence_number=number)), 1.0)
    assert isinstance(event, ProtocolViolation)
    assert esme.window_used == 1


def test_a_generic_nack_with_our_number_frees_that_slot(bound_pair: Pair) -> None:
    """Trap 13."""
    esme, _ = bound_pair
    number = esme.send(submit_sm(), 1.0, "row 17")
    nack = GenericNack(command_status=CommandStatus.ESME_RINVCMDID, sequence_number=number)
    (event,) = esme.receive(encode(nack), 1.0)
    assert isinstance(event, ResponseReceived)
    assert (event.pdu, event.context, esme.window_free) == (nack, "row 17", 3)


@pytest.mark.parametrize("number", [0, 999])
def test_a_generic_nack_of_nothing_of_ours_is_only_noted(bound_pair: Pair, number: int) -> None:
    """Trap 13."""
    esme, _ = bound_pair
    esme.send(submit_sm(), 1.0)
    (event,) = esme.receive(encode(GenericNack(command_status=3, sequence_number=number)), 1.0)
    assert isinstance(event, ProtocolViolation)
    assert esme.window_used == 1


def test_an_alert_notification_is_handed_over_and_not_answered(bound_pair: Pair) -> None:
    """Trap 18."""
    esme, smsc = bound_pair
    smsc.send(AlertNotification(source_addr="5511"), 1.0)
    (event,) = esme.receive(smsc.data_to_send(), 1.0)
    assert isinstance(event, AlertReceived)
    assert not esme.data_to_send()
    assert smsc.window_used == 0


def test_the_application_chooses_the_answer_to_a_deliver_sm(bound_pair: Pair) -> None:
    esme, smsc = bound_pair
    smsc.send(DeliverSm(short_message=b"oi"), 1.0, "first try")
    (delivered,) = requests(esme.receive(smsc.data_to_send(), 1.0))
    assert not esme.data_to_send()
    esme.respond(delivered, CommandStatus.ESME_RX_T_APPN)
    (event,) = smsc.receive(esme.data_to_send(), 1.0)
    assert isinstance(event, ResponseReceived)
    assert (event.pdu.command_status, event.context) == (CommandStatus.ESME_RX_T_APPN, "first try")


# --- what the peer does wrong ---


def test_an_unknown_command_id_is_nacked_with_its_own_number(bound_pair: Pair) -> None:
    """Trap 14."""
    esme, _ = bound_pair
    (event,) = esme.receive(encode(UnknownPdu(0x0112, sequence_number=77)), 1.0)
    assert isinstance(event, ProtocolViolation)
    assert sent(esme) == [GenericNack(command_status=CommandStatus.ESME_RINVCMDID, sequence_number=77)]
    assert not over(esme)


def test_an_unknown_response_is_not_nacked(bound_pair: Pair) -> None:
    esme, _ = bound_pair
    (event,) = esme.receive(encode(UnknownPdu(0x80000112, sequence_number=77)), 1.0)
    assert isinstance(event, ProtocolViolation)
    assert sent(esme) == []


def test_a_body_that_does_not_decode_is_answered_by_its_response_and_the_session_goes_on(bound_pair: Pair) -> None:
    esme, _ = bound_pair
    broken = bytes.fromhex("00000013 00000005 00000000 0000004D 00 01 01")
    violation, delivered = esme.receive(broken + encode(DeliverSm(sequence_number=78)), 1.0)
    assert isinstance(violation, ProtocolViolation)
    assert isinstance(delivered, RequestReceived)
    assert sent(esme) == [DeliverSmResp(command_status=CommandStatus.ESME_RINVCMDLEN, sequence_number=77)]


def test_the_evidence_is_the_header_alone(bound_pair: Pair) -> None:
    esme, _ = bound_pair
    frame = encode(BindTransceiver(password="secret", sequence_number=5))
    (event,) = esme.receive(frame, 1.0)
    assert isinstance(event, ProtocolViolation)
    assert event.evidence_hex == frame[:16].hex()


@pytest.mark.parametrize("length", [0, 15, 65537])
def test_a_bad_command_length_is_nacked_and_ends_the_connection(bound_pair: Pair, length: int) -> None:
    """Trap 14."""
    esme, _ = bound_pair
    good = encode(DeliverSm(sequence_number=1))
    events = esme.receive(good + length.to_bytes(4, "big") + good[4:], 1.0)
    assert [type(event) for event in events] == [RequestReceived, ProtocolViolation]
    assert sent(esme) == [GenericNack(command_status=CommandStatus.ESME_RINVCMDLEN)]
    assert over(esme)
    assert esme.receive(good, 1.0) == []


@given(st.lists(st.binary(max_size=60), max_size=8))
@settings(deadline=None, max_examples=150)
def test_whatever_a_peer_sends_nothing_is_raised(chunks: list[bytes]) -> None:
    session = Session(Role.SMSC, SessionSettings(), 0.0)
    for chunk in chunks:
        session.receive(chunk, 1.0)
        session.receive((16 + len(chunk)).to_bytes(4, "big") + b"\0\0\0\x09" + bytes(8) + chunk, 1.0)
        session.tick(1.0)
    session.connection_lost("EOF")


# --- time ---


def test_the_peers_enquire_link_is_answered_before_the_bind(open_pair: Pair) -> None:
    """Trap 7."""
    for session in open_pair:
        assert session.receive(encode(EnquireLink(sequence_number=5)), 1.0) == []
        assert sent(session) == [EnquireLinkResp(sequence_number=5)]


def test_silence_is_probed_once_and_then_ends_the_session(bound_pair: Pair) -> None:
    """Trap 6."""
    esme, _ = bound_pair
    assert esme.next_deadline() == 60.0
    assert esme.tick(60.0) == []
    assert [type(pdu) for pdu in sent(esme)] == [EnquireLink]
    assert esme.tick(64.9) == []
    assert sent(esme) == []
    esme.tick(65.0)
    assert over(esme)
    assert esme.connection_lost("closed by us") == [SessionClosed("no sign of life from the peer", [])]


def test_an_answered_probe_is_no_event_and_the_session_goes_on(bound_pair: Pair) -> None:
    esme, smsc = bound_pair
    esme.tick(60.0)
    smsc.receive(esme.data_to_send(), 60.0)
    assert esme.receive(smsc.data_to_send(), 60.1) == []
    assert esme.next_deadline() == 120.1


def test_what_we_send_does_not_put_off_the_probe(bound_pair: Pair) -> None:
    """Trap 6."""
    esme, _ = bound_pair
    esme.send(submit_sm(), 50.0)
    esme.data_to_send()
    esme.tick(60.0)
    assert [type(pdu) for pdu in sent(esme)] == [EnquireLink]


def test_a_peer_that_talks_but_never_answers_probes_lives(bound_pair: Pair) -> None:
    esme, _ = bound_pair
    esme.tick(60.0)
    for moment in range(61, 200, 4):
        esme.receive(encode(EnquireLink(sequence_number=moment)), float(moment))
        esme.tick(float(moment))
    assert not over(esme)
    assert len([pdu for pdu in sent(esme) if isinstance(pdu, EnquireLink)]) == 1


def test_a_second_enquire_link_of_the_application_is_refused(bound_pair: Pair) -> None:
    """Trap 6: gosmpp #81, they pile up on a dead link."""
    esme, _ = bound_pair
    number = esme.send(EnquireLink(), 1.0, "mine")
    with pytest.raises(IllegalStateError):
        esme.send(EnquireLink(), 1.0)
    (event,) = esme.receive(encode(EnquireLinkResp(sequence_number=number)), 1.0)
    assert isinstance(event, ResponseReceived)


def test_an_idle_session_unbinds_itself() -> None:
    """SMPP 3.4 s7.2 inactivity_timer."""
    esme = Session(Role.ESME, SessionSettings(inactivity_timeout=20.0), 0.0)
    number = esme.send(BindTransceiver(), 0.0)
    esme.receive(encode(BindTransceiverResp(sequence_number=number)), 0.0)
    esme.data_to_send()
    esme.tick(20.0)
    assert [type(pdu) for pdu in sent(esme)] == [Unbind]


def test_timers_may_be_off() -> None:
    settings = SessionSettings(enquire_link_interval=inf, bind_timeout=inf)
    esme = Session(Role.ESME, settings, 0.0)
    assert esme.next_deadline() is None
    assert msgspec.structs.replace(settings, window=1).window == 1


# --- the end ---


def test_a_lost_session_reports_every_unanswered_submit_sm_once(bound_pair: Pair) -> None:
    esme, _ = bound_pair
    esme.send(submit_sm(), 1.0, "a")
    esme.send(submit_sm(), 1.0, "b")
    (closed,) = esme.connection_lost("EOF")
    assert isinstance(closed, SessionClosed)
    assert closed.reason == "EOF"
    assert [(request.command_id, context) for request, context in closed.unanswered] == [
        (CommandId.SUBMIT_SM, "a"),
        (CommandId.SUBMIT_SM, "b"),
    ]
    assert esme.connection_lost("EOF") == []
    assert esme.state is SessionState.CLOSED


def test_a_request_that_timed_out_before_is_not_reported_again(bound_pair: Pair) -> None:
    esme, _ = bound_pair
    esme.send(submit_sm(), 1.0)
    esme.tick(31.0)
    assert esme.connection_lost("EOF") == [SessionClosed("EOF", [])]


def test_a_response_to_a_lost_session_goes_nowhere(bound_pair: Pair) -> None:
    """Trap 45."""
    esme, smsc = bound_pair
    smsc.send(DeliverSm(), 1.0)
    (delivered,) = requests(esme.receive(smsc.data_to_send(), 1.0))
    esme.connection_lost("EOF")
    esme.respond(delivered)
    assert esme.data_to_send() == b""


def test_our_unbind_ends_the_session_in_order(bound_pair: Pair) -> None:
    esme, smsc = bound_pair
    esme.unbind(1.0)
    esme.unbind(1.0)
    assert esme.state is SessionState.UNBOUND
    assert smsc.receive(esme.data_to_send(), 1.0) == [Unbound(by_peer=True)]
    assert not over(esme)
    assert esme.receive(smsc.data_to_send(), 1.0) == [Unbound(by_peer=False)]
    assert over(esme)
    assert over(smsc)
    assert esme.connection_lost("closed by us") == [SessionClosed("unbound", [])]


def test_after_our_unbind_responses_and_the_peers_messages_are_still_taken(bound_pair: Pair) -> None:
    """Trap 9: our unbind waits for what is in flight."""
    esme, smsc = bound_pair
    esme.send(submit_sm(), 1.0, "row 17")
    (request,) = requests(smsc.receive(esme.data_to_send(), 1.0))
    smsc.send(DeliverSm(short_message=b"oi"), 1.0)
    smsc.respond(request, message_id="1")
    esme.unbind(1.0)
    with pytest.raises(IllegalStateError):
        esme.send(submit_sm(), 1.0)
    delivered, answered = esme.receive(smsc.data_to_send(), 1.0)
    assert isinstance(delivered, RequestReceived)
    assert isinstance(answered, ResponseReceived)
    smsc.receive(esme.data_to_send(), 1.0)
    esme.receive(smsc.data_to_send(), 1.0)
    assert not over(esme)  # the deliver_sm has no answer yet
    esme.respond(delivered.pdu)
    assert over(esme)
    (event,) = smsc.receive(esme.data_to_send(), 1.0)
    assert isinstance(event, ResponseReceived)


def test_an_unbind_resp_that_never_comes_does_not_hold_the_session(bound_pair: Pair) -> None:
    """Trap 9."""
    esme, _ = bound_pair
    esme.unbind(1.0)
    assert esme.next_deadline() == 31.0
    assert esme.tick(31.0) == []
    assert over(esme)
    assert esme.connection_lost("closed by us") == [SessionClosed("not unbound in time", [])]


def test_the_peers_unbind_is_answered_and_what_is_in_flight_is_settled(bound_pair: Pair) -> None:
    """Trap 9."""
    esme, _ = bound_pair
    number = esme.send(submit_sm(), 1.0)
    esme.data_to_send()
    assert esme.receive(encode(Unbind(sequence_number=4)), 2.0) == [Unbound(by_peer=True)]
    assert sent(esme) == [UnbindResp(sequence_number=4)]
    assert not over(esme)
    with pytest.raises(IllegalStateError):
        esme.send(submit_sm(), 2.0)
    (event,) = esme.receive(encode(SubmitSmResp("1", sequence_number=number)), 2.5)
    assert isinstance(event, ResponseReceived)
    assert over(esme)


def test_crossing_unbinds_end_the_session_once(bound_pair: Pair) -> None:
    esme, smsc = bound_pair
    esme.unbind(1.0)
    smsc.unbind(1.0)
    from_esme, from_smsc = esme.data_to_send(), smsc.data_to_send()
    ends = [esme.receive(from_smsc, 1.0), smsc.receive(from_esme, 1.0)]
    ends += [esme.receive(smsc.data_to_send(), 1.0), smsc.receive(esme.data_to_send(), 1.0)]
    assert [[type(event) for event in end] for end in ends] == [[Unbound], [Unbound], [], []]
    assert over(esme)
    assert over(smsc)


def test_a_peer_that_unbinds_and_leaves_a_request_unanswered_is_left_after_a_while(bound_pair: Pair) -> None:
    esme, _ = bound_pair
    esme.send(submit_sm(), 1.0, "row 17")
    esme.receive(encode(Unbind(sequence_number=4)), 2.0)
    assert esme.next_deadline() == 31.0
    (timed_out,) = esme.tick(31.0)
    assert isinstance(timed_out, RequestTimedOut)
    assert over(esme)
