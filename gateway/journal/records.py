"""Rows of the SQLite journal as structs, and back. Pure but for the codecs' state.

A message is one row: what changes on its way are columns, the rest is the Message itself in msgpack. Times in events have milliseconds.
"""

from functools import lru_cache

import msgspec

from gateway.events import (
    AcceptedEvent,
    AnyEvent,
    CancelFailedEvent,
    CancelledEvent,
    ExpiredEvent,
    InDoubtEvent,
    ReceiptEvent,
    RejectedEvent,
    ReplyEvent,
    rfc3339,
)
from gateway.message import EventType, Message, QueueState, Receipt, Reply, part_reference

MESSAGE_SHIFT = 16  # event.row = message << 16 | seq
PART_SHIFT = 24  # part.row = message << 24 | attempt << 8 | part
LOOSE = 1 << 62  # event.row of events that belong to no message: LOOSE + number

STATES: tuple[QueueState, ...] = (QueueState.DONE, *QueueState)  # STATES[n] is QueueState(n), without the price of a call

EVENT_CLASSES: dict[EventType, type[AnyEvent]] = {
    EventType.ACCEPTED: AcceptedEvent,
    EventType.REJECTED: RejectedEvent,
    EventType.RECEIPT: ReceiptEvent,
    EventType.REPLY: ReplyEvent,
    EventType.IN_DOUBT: InDoubtEvent,
    EventType.CANCELLED: CancelledEvent,
    EventType.CANCEL_FAILED: CancelFailedEvent,
    EventType.EXPIRED: ExpiredEvent,
}

_encoder = msgspec.msgpack.Encoder()
_messages = msgspec.msgpack.Decoder(Message)
_receipts = msgspec.msgpack.Decoder(Receipt)
_replies = msgspec.msgpack.Decoder(Reply)

COLUMNS = (
    "row, source, id, state, route, parts, due_at, expires_at, attempt, deferrals, seq, possible_duplicate, cancel, carrier, code, "
    "confirmed, last_error, progress, body"
)


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """How much of a message of several parts has left."""

    concatenation: int  # the reference that joins its parts at the phone
    parts: int  # that its carrier makes of it
    done: int = 0  # parts that the provider took, always the first ones
    encoding: str = ""  # as a response told it; what a receipt proved tells none
    replaced: dict[str, str] = {}

    @property
    def begun(self) -> bool:
        """Whether some parts were taken, and others are still to be sent."""
        return 0 < self.done < self.parts


class Record(msgspec.Struct, gc=False):
    """One row of `message`, in the order of COLUMNS."""

    row: int
    source: str
    id: str
    state: QueueState
    route: int
    parts: int
    due_at: float | None
    expires_at: float
    attempt: int
    deferrals: int
    seq: int
    possible_duplicate: int
    cancel: float
    carrier: str | None
    code: int | None
    confirmed: int
    last_error: str | None
    progress: Progress | None
    body: bytes
    decoded: Message | None = None

    @property
    def message(self) -> Message:
        """The message as it was appended."""
        if self.decoded is None:
            self.decoded = _messages.decode(self.body)
        return self.decoded

    @property
    def part(self) -> int:
        """The part to send next: 1, 2, 3, ..."""
        return 1 if self.progress is None else self.progress.done + 1

    @property
    def total(self) -> int:
        """How many parts it has on its present way."""
        return 1 if self.progress is None else self.progress.parts

    @property
    def begun(self) -> bool:
        """Whether some of its parts were taken, and others are still to be sent."""
        return self.progress is not None and self.progress.begun

    def claimed(self) -> Message:
        """Return the message with what a claim fills in. Frozen for all others; this copy was decoded a moment ago, for this caller."""
        message = _messages.decode(self.body)
        msgspec.structs.force_setattr(message, "row", self.row)
        msgspec.structs.force_setattr(message, "attempt", self.attempt)
        msgspec.structs.force_setattr(message, "deferrals", self.deferrals)
        msgspec.structs.force_setattr(message, "possible_duplicate", bool(self.possible_duplicate))
        if self.progress is not None:
            msgspec.structs.force_setattr(message, "part", self.part)
            msgspec.structs.force_setattr(message, "parts", self.total)
            msgspec.structs.force_setattr(message, "cut", message.cuts_by.get(self.carrier or "", 0))
            msgspec.structs.force_setattr(message, "concatenation", self.progress.concatenation)
        self.decoded = message
        return message


UPDATE = (
    "UPDATE message SET state = ?, due_at = ?, attempt = ?, deferrals = ?, seq = ?, possible_duplicate = ?, cancel = ?, carrier = ?, "
    "code = ?, confirmed = ?, last_error = ?, progress = ? WHERE row = ?"
)


def update_values(record: Record) -> tuple[object, ...]:
    """Return the values of UPDATE for a record. Plain ints: sqlite3 takes a slow way for their subclasses."""
    return (
        int(record.state),
        record.due_at,
        record.attempt,
        record.deferrals,
        record.seq,
        record.possible_duplicate,
        record.cancel,
        record.carrier,
        record.code,
        record.confirmed,
        record.last_error,
        None if record.progress is None else _encoder.encode(record.progress),
        record.row,
    )


class Part(msgspec.Struct, gc=False):
    """One row of `part`."""

    row: int
    message_id: str
    parts: int
    submitted_at: float
    code: int | None
    confirmed: int
    final: int

    @property
    def message(self) -> int:
        """The row of its message."""
        return self.row >> PART_SHIFT

    @property
    def number(self) -> int:
        """1, 2, 3, ..."""
        return self.row & 0xFF


PART_COLUMNS = "row, message_id, parts, submitted_at, code, confirmed, final"


def part_row(message: int, attempt: int, number: int) -> int:
    """Return the key of a part. Attempts beyond 65,535 wrap: no message has so many that were submitted."""
    return message << PART_SHIFT | (attempt & 0xFFFF) << 8 | number


class Attempt(msgspec.Struct, gc=False):
    """One row of `attempt`."""

    message: int
    n: int
    carrier: str
    opened_at: float
    doubtful_since: float | None
    part: int

    @property
    def reference(self) -> int:
        """The user_message_reference of what it sent."""
        return part_reference(self.message, self.part)


ATTEMPT_COLUMNS = "message, n, carrier, opened_at, doubtful_since, part"


def of_part(part: int, parts: int, detail: str) -> str:
    """Say of which part a detail tells, and what became of the others."""
    if parts == 1:
        return detail
    before = ("", "part 1 was sent", f"parts 1 to {part - 1} were sent")[min(part, 3) - 1]
    rest = "" if part == parts else "the rest not" if before else "the rest not sent"
    return f"part {part} of {parts}: {detail}; {', '.join(filter(None, (before, rest)))}"


_progresses = msgspec.msgpack.Decoder(Progress)


def pack(value: Message | Receipt | Reply) -> bytes:
    """Write a message, a receipt or a reply for the journal."""
    return _encoder.encode(value)


def unpack_progress(body: bytes | None) -> Progress | None:
    """Read the progress of a message, where it has one."""
    return None if body is None else _progresses.decode(body)


def unpack_message(body: bytes) -> Message:
    """Read a message that `pack` wrote."""
    return _messages.decode(body)


def unpack_receipt(body: bytes) -> Receipt:
    """Read a receipt that `pack` wrote."""
    return _receipts.decode(body)


def unpack_reply(body: bytes) -> Reply:
    """Read a reply that `pack` wrote."""
    return _replies.decode(body)


def instant(timestamp: float) -> str:
    """Write a time as events have it: `rfc3339`, but the text of a second is made once."""
    second, millisecond = divmod(round(timestamp * 1000), 1000)
    return f"{_second(second)}{millisecond:03d}Z"


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    return rfc3339(second)[:-4]
