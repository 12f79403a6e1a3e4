"""Two SMPP sessions wired together: what the tests of sessions share."""

from gateway.smpp import (
    CommandStatus,
    Pdu,
    RequestReceived,
    Session,
    SessionEvent,
    SubmitSm,
    UnknownPdu,
    decode,
)

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
