"""Transcripts: two sessions wired together, binding, asking and answering."""

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
    CommandStatus,
    DeliverSm,
    DeliverSmResp,
    EncodeError,
    EnquireLink,
    GenericNack,
    IllegalStateError,
    Outbind,
    OutbindReceived,
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
    UnknownPdu,
    WindowFullError,
    encode,
)
from gateway.smpp.constants import MAX_SEQUENCE_NUMBER
from tests.smpp.wired import ROK, Pair, over, requests, sent, submit_sm

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
