"""Transcripts: two sessions wired together, what time does to them, and how they end; time is an argument."""

from math import inf

import msgspec
import pytest

from gateway.smpp import (
    BindTransceiver,
    BindTransceiverResp,
    CommandId,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    IllegalStateError,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    Role,
    Session,
    SessionClosed,
    SessionSettings,
    SessionState,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    Unbound,
    encode,
)
from tests.smpp.wired import Pair, over, requests, sent, submit_sm

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
