"""Table 2-1 as data, and every (state, PDU) pair through a session in both directions."""

import pytest

from gateway.smpp import (
    LEGAL,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    CommandId,
    CommandStatus,
    EnquireLink,
    IllegalStateError,
    Pdu,
    ProtocolViolation,
    RequestReceived,
    Role,
    Session,
    SessionSettings,
    SessionState,
    SmeAddress,
    SubmitMulti,
    Unbind,
    decode,
    encode,
    legal_commands,
)
from gateway.smpp.codec import _STEPS
from gateway.smpp.pdu import type_of_response

S, R, C = SessionState, Role, CommandId
BINDS = {S.BOUND_TX: BindTransmitter, S.BOUND_RX: BindReceiver, S.BOUND_TRX: BindTransceiver}
TYPES = {int(pdu_type.command_id): pdu_type for pdu_type in _STEPS}
REQUESTS = sorted(command_id for command_id in TYPES if not command_id & 0x80000000)
RESPONSES = sorted(command_id for command_id in TYPES if command_id & 0x80000000)

# SMPP 3.4 Table 2-1, read off row by row: PDU, states, issued by ESME, issued by SMSC.
TABLE_2_1 = """
bind_transmitter         OPEN                        ESME
bind_transmitter_resp    OPEN                        SMSC
bind_receiver            OPEN                        ESME
bind_receiver_resp       OPEN                        SMSC
bind_transceiver         OPEN                        ESME
bind_transceiver_resp    OPEN                        SMSC
outbind                  OPEN                        SMSC
unbind                   BOUND_TX BOUND_RX BOUND_TRX ESME SMSC
unbind_resp              BOUND_TX BOUND_RX BOUND_TRX ESME SMSC
submit_sm                BOUND_TX BOUND_TRX          ESME
submit_sm_resp           BOUND_TX BOUND_TRX          SMSC
submit_multi             BOUND_TX BOUND_TRX          ESME
submit_multi_resp        BOUND_TX BOUND_TRX          SMSC
data_sm                  BOUND_TX BOUND_RX BOUND_TRX ESME SMSC
data_sm_resp             BOUND_TX BOUND_RX BOUND_TRX ESME SMSC
deliver_sm               BOUND_RX BOUND_TRX          SMSC
deliver_sm_resp          BOUND_RX BOUND_TRX          ESME
query_sm                 BOUND_TX BOUND_TRX          ESME
query_sm_resp            BOUND_TX BOUND_TRX          SMSC
cancel_sm                BOUND_TX BOUND_TRX          ESME
cancel_sm_resp           BOUND_TX BOUND_TRX          SMSC
replace_sm               BOUND_TX                    ESME
replace_sm_resp          BOUND_TX                    SMSC
enquire_link             BOUND_TX BOUND_RX BOUND_TRX ESME SMSC
enquire_link_resp        BOUND_TX BOUND_RX BOUND_TRX ESME SMSC
alert_notification       BOUND_RX BOUND_TRX          SMSC
generic_nack             BOUND_TX BOUND_RX BOUND_TRX ESME SMSC
"""

ADDITIONS = {  # what state.py's docstring adds, and why
    *((S.OPEN, role, command) for role in R for command in (C.ENQUIRE_LINK, C.ENQUIRE_LINK_RESP, C.GENERIC_NACK)),
    *((S.OPEN, role, command) for role in R for command in (C.UNBIND, C.UNBIND_RESP)),
    (S.BOUND_TRX, R.ESME, C.REPLACE_SM),
    (S.BOUND_TRX, R.SMSC, C.REPLACE_SM_RESP),
}


def specification() -> set[tuple[SessionState, Role, CommandId]]:
    rows = set()
    for line in TABLE_2_1.split("\n"):
        name, *words = line.split() or [""]
        states = [S[word] for word in words if word in S.__members__]
        senders = [R[word] for word in words if word in R.__members__]
        rows |= {(state, sender, C[name.upper()]) for state in states for sender in senders}
    return rows


def test_the_table_is_the_specifications_with_the_named_additions() -> None:
    ours = {row for row in LEGAL if row[0] is not S.UNBOUND}
    assert ours == specification() | ADDITIONS


def test_after_an_unbind_nothing_new_may_be_asked_but_whether_the_peer_lives() -> None:
    for role in R:
        asked = {command for command in legal_commands(S.UNBOUND, role) if not command & 0x80000000}
        assert asked == {C.ENQUIRE_LINK}


def test_a_closed_session_allows_nothing() -> None:
    assert not legal_commands(S.CLOSED, R.ESME)
    assert not legal_commands(S.CLOSED, R.SMSC)


def session_in(state: SessionState, role: Role) -> Session:
    """A session brought to `state` the way real ones get there."""
    session = Session(role, SessionSettings(), 0.0)
    if state is S.CLOSED:
        session.connection_lost("EOF")
    elif state is S.UNBOUND:
        session = session_in(S.BOUND_TRX, role)
        session.receive(encode(Unbind(sequence_number=1)), 0.0)
    elif state is not S.OPEN:
        bind = BINDS[state]()
        if role is R.ESME:
            number = session.send(bind, 0.0)
            session.receive(encode(type_of_response[bind.command_id](sequence_number=number)), 0.0)
        else:
            (event,) = session.receive(encode(bind), 0.0)
            assert isinstance(event, RequestReceived)
            session.respond(event.pdu)
    session.data_to_send()
    assert session.state is state
    return session


def minimal(command_id: int) -> Pdu:
    if command_id == C.SUBMIT_MULTI:
        return SubmitMulti(dest_addresses=(SmeAddress(1, 1, "55"),))
    return TYPES[command_id]()


@pytest.mark.parametrize("role", R, ids=lambda role: role.name)
@pytest.mark.parametrize("state", S, ids=lambda state: state.name)
def test_exactly_the_legal_requests_can_be_sent(state: SessionState, role: Role) -> None:
    for command_id in REQUESTS:
        session = session_in(state, role)
        if (state, role, command_id) in LEGAL:
            session.send(minimal(command_id), 1.0)
            assert session.data_to_send()
        else:
            with pytest.raises(IllegalStateError):
                session.send(minimal(command_id), 1.0)
            assert not session.data_to_send()


@pytest.mark.parametrize("role", R, ids=lambda role: role.name)
@pytest.mark.parametrize("state", S, ids=lambda state: state.name)
def test_a_response_cannot_be_sent_as_a_request(state: SessionState, role: Role) -> None:
    for command_id in RESPONSES:
        with pytest.raises(IllegalStateError):
            session_in(state, role).send(minimal(command_id), 1.0)


@pytest.mark.parametrize("role", R, ids=lambda role: role.name)
@pytest.mark.parametrize("state", [s for s in S if s is not S.CLOSED], ids=lambda state: state.name)
def test_every_request_is_taken_where_it_is_legal_and_refused_where_it_is_not(state: SessionState, role: Role) -> None:
    for command_id in REQUESTS:
        session = session_in(state, role)
        request = minimal(command_id)
        request.sequence_number = 77
        events = session.receive(encode(request), 1.0)
        answer = session.data_to_send()
        if command_id in {C.ENQUIRE_LINK, C.UNBIND}:  # trap 7: answered by the session in any state
            assert decode(answer) == type_of_response[command_id](sequence_number=77)
        elif (state, role.peer, command_id) in LEGAL:
            assert not answer
            assert [type(event) for event in events] != [ProtocolViolation]
        else:
            assert isinstance(events[0], ProtocolViolation)
            if command_id in {C.ALERT_NOTIFICATION, C.OUTBIND}:  # trap 18: no response exists
                assert not answer
                continue
            response = decode(answer)
            rebind = command_id in {C.BIND_TRANSMITTER, C.BIND_RECEIVER, C.BIND_TRANSCEIVER} and state in BINDS
            assert response.command_status == (CommandStatus.ESME_RALYBND if rebind else CommandStatus.ESME_RINVBNDSTS)
            assert (response.command_id, response.sequence_number) == (command_id | 0x80000000, 77)


@pytest.mark.parametrize("role", R, ids=lambda role: role.name)
@pytest.mark.parametrize("state", [s for s in S if s is not S.CLOSED], ids=lambda state: state.name)
def test_a_response_to_nothing_is_noted_and_never_answered(state: SessionState, role: Role) -> None:
    for command_id in RESPONSES:
        session = session_in(state, role)
        response = minimal(command_id)
        response.sequence_number = 4711
        (event,) = session.receive(encode(response), 1.0)
        assert isinstance(event, ProtocolViolation)
        assert session.state is state
        assert not session.data_to_send()


def test_a_closed_session_ignores_whatever_still_comes() -> None:
    session = session_in(S.CLOSED, R.ESME)
    assert session.receive(encode(EnquireLink(sequence_number=1)), 1.0) == []
    assert session.tick(1000.0) == []
    assert session.next_deadline() is None
    assert session.connection_lost("again") == []
