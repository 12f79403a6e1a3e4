"""The vocabulary every layer shares: a message, and what a carrier says of it. Pure.

A message has two states that are never mixed. `QueueState` says where it is with us; `TRANSITIONS` is the only table of legal changes, and
the journal enforces it. The message state (a DLR code, 0 to 9, `provider.dlr`) says what became of it at the provider.

Times are Unix seconds (UTC) as float. Numbers are national Brazilian digits ("11987654321").
"""

from collections.abc import Mapping
from enum import Enum, IntEnum, StrEnum
from typing import Literal, NamedTuple

import msgspec

from gateway.text.inbound import Coding

Kind = Literal["common", "flash", "short_code", "short_code_flash"]
EncodingWish = Literal["auto", "gsm7", "gsm7-pt", "latin1", "ucs2"]
InDoubtPolicy = Literal["hold", "resubmit"]


class QueueState(IntEnum):
    """Where a message is with us."""

    SCHEDULED = 1
    QUEUED = 2
    ACTIVE = 3
    SUBMITTED = 4
    DEFERRED = 5
    IN_DOUBT = 6
    HELD = 7
    DONE = 8


class Trigger(StrEnum):
    """What moves a message from one queue state to another."""

    DUE = "due"  # its schedule or its retry time has come
    CLAIM = "claim"
    SUBMITTED = "submitted"  # response: accepted, and a receipt will follow
    ACCEPTED_FINAL = "accepted_final"  # response: accepted, and no receipt was asked for
    REJECTED = "rejected"
    DEFERRED = "deferred"
    REQUEUED = "requeued"  # the carrier, not the message, was at fault: back to its place
    DOUBT = "doubt"
    RESUBMIT = "resubmit"
    DOUBT_DEADLINE = "doubt_deadline"
    RECEIPT = "receipt"
    FINAL_RECEIPT = "final_receipt"
    RECEIPT_DEADLINE = "receipt_deadline"
    EXPIRE = "expire"
    INCOMPLETE = "incomplete"  # some parts have left, and the time of the others is over
    CANCELLED = "cancelled"
    CANCEL_FAILED = "cancel_failed"
    HOLD = "hold"
    RELEASE = "release"
    RESCHEDULE = "reschedule"  # released before its time


class EventType(StrEnum):
    """The `type` of an event; a topic level too."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RECEIPT = "receipt"
    REPLY = "reply"
    IN_DOUBT = "in_doubt"
    CANCELLED = "cancelled"
    CANCEL_FAILED = "cancel_failed"
    EXPIRED = "expired"


class Transition(NamedTuple):
    """The state that a trigger leads to, and the event that it publishes."""

    state: QueueState
    event: EventType | None = None


class IllegalTransitionError(Exception):
    """A bug: a trigger that the table does not know in that state."""


_Q, _T, _E = QueueState, Trigger, EventType

TRANSITIONS: Mapping[tuple[QueueState, Trigger], Transition] = {
    (_Q.SCHEDULED, _T.DUE): Transition(_Q.QUEUED),
    (_Q.DEFERRED, _T.DUE): Transition(_Q.QUEUED),
    (_Q.QUEUED, _T.CLAIM): Transition(_Q.ACTIVE),
    # What a carrier answers.
    (_Q.ACTIVE, _T.SUBMITTED): Transition(_Q.SUBMITTED, _E.ACCEPTED),
    (_Q.ACTIVE, _T.ACCEPTED_FINAL): Transition(_Q.DONE, _E.ACCEPTED),
    (_Q.ACTIVE, _T.REJECTED): Transition(_Q.DONE, _E.REJECTED),
    (_Q.ACTIVE, _T.DEFERRED): Transition(_Q.DEFERRED),
    (_Q.ACTIVE, _T.REQUEUED): Transition(_Q.QUEUED),
    (_Q.ACTIVE, _T.DOUBT): Transition(_Q.IN_DOUBT, _E.IN_DOUBT),
    # A message that was sent again while an earlier copy is in doubt, and whose new copy was refused or ran out of time.
    (_Q.QUEUED, _T.DOUBT): Transition(_Q.IN_DOUBT),
    (_Q.DEFERRED, _T.DOUBT): Transition(_Q.IN_DOUBT),
    # The ways out of doubt: a late response, a receipt, the policy, the deadline, the operator.
    (_Q.IN_DOUBT, _T.SUBMITTED): Transition(_Q.SUBMITTED, _E.ACCEPTED),
    (_Q.IN_DOUBT, _T.ACCEPTED_FINAL): Transition(_Q.DONE, _E.ACCEPTED),
    (_Q.IN_DOUBT, _T.REJECTED): Transition(_Q.DONE, _E.REJECTED),
    (_Q.IN_DOUBT, _T.DEFERRED): Transition(_Q.DEFERRED),
    (_Q.IN_DOUBT, _T.REQUEUED): Transition(_Q.QUEUED),
    (_Q.IN_DOUBT, _T.RESUBMIT): Transition(_Q.QUEUED),
    (_Q.IN_DOUBT, _T.RECEIPT): Transition(_Q.SUBMITTED, _E.RECEIPT),
    (_Q.IN_DOUBT, _T.FINAL_RECEIPT): Transition(_Q.DONE, _E.RECEIPT),
    (_Q.IN_DOUBT, _T.DOUBT_DEADLINE): Transition(_Q.DONE, _E.IN_DOUBT),
    (_Q.IN_DOUBT, _T.CANCELLED): Transition(_Q.DONE, _E.CANCELLED),
    (_Q.IN_DOUBT, _T.CANCEL_FAILED): Transition(_Q.IN_DOUBT, _E.CANCEL_FAILED),
    # What the provider reports. An earlier copy's receipt may come while a second copy waits or is on its way.
    (_Q.SUBMITTED, _T.RECEIPT): Transition(_Q.SUBMITTED, _E.RECEIPT),
    (_Q.SUBMITTED, _T.FINAL_RECEIPT): Transition(_Q.DONE, _E.RECEIPT),
    (_Q.SUBMITTED, _T.RECEIPT_DEADLINE): Transition(_Q.DONE, _E.RECEIPT),
    (_Q.SUBMITTED, _T.CANCELLED): Transition(_Q.DONE, _E.CANCELLED),
    (_Q.SUBMITTED, _T.CANCEL_FAILED): Transition(_Q.SUBMITTED, _E.CANCEL_FAILED),
    (_Q.QUEUED, _T.RECEIPT): Transition(_Q.SUBMITTED, _E.RECEIPT),
    (_Q.QUEUED, _T.FINAL_RECEIPT): Transition(_Q.DONE, _E.RECEIPT),
    (_Q.DEFERRED, _T.RECEIPT): Transition(_Q.SUBMITTED, _E.RECEIPT),
    (_Q.DEFERRED, _T.FINAL_RECEIPT): Transition(_Q.DONE, _E.RECEIPT),
    (_Q.HELD, _T.RECEIPT): Transition(_Q.SUBMITTED, _E.RECEIPT),
    (_Q.HELD, _T.FINAL_RECEIPT): Transition(_Q.DONE, _E.RECEIPT),
    # A late response of an earlier copy, likewise.
    (_Q.QUEUED, _T.SUBMITTED): Transition(_Q.SUBMITTED, _E.ACCEPTED),
    (_Q.QUEUED, _T.ACCEPTED_FINAL): Transition(_Q.DONE, _E.ACCEPTED),
    (_Q.DEFERRED, _T.SUBMITTED): Transition(_Q.SUBMITTED, _E.ACCEPTED),
    (_Q.DEFERRED, _T.ACCEPTED_FINAL): Transition(_Q.DONE, _E.ACCEPTED),
    (_Q.HELD, _T.SUBMITTED): Transition(_Q.SUBMITTED, _E.ACCEPTED),
    (_Q.HELD, _T.ACCEPTED_FINAL): Transition(_Q.DONE, _E.ACCEPTED),
    # A final state is sticky, but "unknown" yields, and what comes later is still told (`late`).
    (_Q.DONE, _T.FINAL_RECEIPT): Transition(_Q.DONE, _E.RECEIPT),
    (_Q.DONE, _T.CANCEL_FAILED): Transition(_Q.DONE, _E.CANCEL_FAILED),
    # A message of which some parts have left, and whose time is over before the others could.
    (_Q.QUEUED, _T.INCOMPLETE): Transition(_Q.DONE, _E.REJECTED),
    (_Q.DEFERRED, _T.INCOMPLETE): Transition(_Q.DONE, _E.REJECTED),
    (_Q.HELD, _T.INCOMPLETE): Transition(_Q.DONE, _E.REJECTED),
    # What has not left expires, is cancelled and is held here.
    (_Q.SCHEDULED, _T.EXPIRE): Transition(_Q.DONE, _E.EXPIRED),
    (_Q.QUEUED, _T.EXPIRE): Transition(_Q.DONE, _E.EXPIRED),
    (_Q.DEFERRED, _T.EXPIRE): Transition(_Q.DONE, _E.EXPIRED),
    (_Q.HELD, _T.EXPIRE): Transition(_Q.DONE, _E.EXPIRED),
    (_Q.SCHEDULED, _T.CANCELLED): Transition(_Q.DONE, _E.CANCELLED),
    (_Q.QUEUED, _T.CANCELLED): Transition(_Q.DONE, _E.CANCELLED),
    (_Q.DEFERRED, _T.CANCELLED): Transition(_Q.DONE, _E.CANCELLED),
    (_Q.HELD, _T.CANCELLED): Transition(_Q.DONE, _E.CANCELLED),
    (_Q.SCHEDULED, _T.HOLD): Transition(_Q.HELD),
    (_Q.QUEUED, _T.HOLD): Transition(_Q.HELD),
    (_Q.DEFERRED, _T.HOLD): Transition(_Q.HELD),
    (_Q.HELD, _T.RELEASE): Transition(_Q.QUEUED),
    (_Q.HELD, _T.RESCHEDULE): Transition(_Q.SCHEDULED),
}


def advance(state: QueueState, trigger: Trigger) -> Transition:
    """Look up what `trigger` does in `state`. Raises IllegalTransitionError where the table has no row."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise IllegalTransitionError(f"{trigger.value} is not legal for a message that is {state.name}") from None


# --- What producers ask -----------------------------------------------------------------------------------------------------------


class Message(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """One message to send, checked and normalised: what ingest appends and what a claim hands to a carrier."""

    source: str  # "" where the topic names none
    id: str
    to: str  # national digits
    text: str
    digest: bytes  # of the content, to tell the same id with other content
    received_at: float
    expires_at: float
    routes: tuple[str, ...]  # carriers that can carry it, in order of preference
    sender: str | None = None  # the payload's `from`
    kind: Kind = "common"
    schedule_at: float | None = None
    priority: int = 0
    cost_centre: int | None = None
    receipt: bool = True
    encoding: EncodingWish = "auto"
    transliterate: bool = False
    in_doubt: InDoubtPolicy | None = None  # None = the setting
    label: str | None = None
    normalise: bool = False
    metadata: dict[str, str] = {}
    parts_by: dict[str, int] = {}  # how many parts those carriers make of it that need more than one
    cuts_by: dict[str, int] = {}  # and how they cut it
    response_topic: str | None = None
    correlation: bytes | None = None
    # Filled in by a claim.
    row: int = 0  # the journal's key; also the base of references and surrogate ids
    attempt: int = 0  # 1, 2, 3, ...: attempts opened so far
    deferrals: int = 0  # how many attempts ended in Deferred(scope=MESSAGE)
    possible_duplicate: bool = False  # an earlier copy is in doubt
    part: int = 1  # the one to send now: each part is an attempt of its own
    parts: int = 1  # that the claiming carrier makes of it
    cut: int = 0  # how it is to be cut; 0 = into one part, or not known
    concatenation: int | None = None  # 16-bit reference that joins the parts at the phone

    @property
    def reference(self) -> int:
        """Return user_message_reference of the part: 16 bits. SMPP 3.4 s5.3.2.17"""
        return part_reference(self.row, self.part)

    @property
    def surrogate(self) -> int:
        """Return the number by which HTTP API and web service know the message: 1 to 4294967295."""
        return surrogate_of(self.row)


def part_reference(row: int, part: int) -> int:
    """Return the user_message_reference of a part: rows that follow each other must not share theirs. SMPP 3.4 s5.3.2.17"""
    return row + (part - 1) * _PART_STRIDE & 0xFFFF


_PART_STRIDE = 7919  # a prime far from the few thousand messages that one destination may have in doubt


def surrogate_of(row: int) -> int:
    """Return a row as HTTP API and web service can carry it. Rows begin at random, so that a new journal repeats no old one's."""
    return (row - 1) % 0xFFFFFFFF + 1


class Reason(StrEnum):
    """Why a message was refused: the closed list of `rejected` events."""

    INVALID_PAYLOAD = "invalid_payload"
    INVALID_NUMBER = "invalid_number"
    INVALID_SENDER = "invalid_sender"
    INVALID_SCHEDULE = "invalid_schedule"
    TEXT_TOO_LONG = "text_too_long"
    NOT_ENCODABLE = "not_encodable"
    NO_ROUTE = "no_route"
    DUPLICATE_ID = "duplicate_id"
    RETAINED = "retained"
    RESPONSE_TOPIC = "response_topic"
    REFUSED_BY_PROVIDER = "refused_by_provider"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    INCOMPLETE = "incomplete"  # some parts were taken, the others could not be sent
    OPERATOR = "operator"


class Refusal(msgspec.Struct, kw_only=True, frozen=True):
    """A PUBLISH that never becomes a message: kept, told in a `rejected` event, acknowledged."""

    source: str
    id: str | None  # where it could be read
    reason: Reason
    detail: str
    digest: bytes  # of reason, topic and payload: the same again is told with the same event
    raw: bytes  # the payload, cut
    received_at: float
    metadata: dict[str, str] = {}
    response_topic: str | None = None
    correlation: bytes | None = None
    content: bytes = b""  # the digest that its message would have: one that was taken under other settings is not refused now


class Cancel(msgspec.Struct, kw_only=True, frozen=True):
    """A producer's wish to cancel a message."""

    source: str
    id: str
    received_at: float


# --- What a carrier answers -------------------------------------------------------------------------------------------------------


class Scope(Enum):
    """How far a temporary failure reaches."""

    MESSAGE = "message"  # counts against max_attempts
    CARRIER = "carrier"  # back to its place at once: the carrier's credit says when it goes
    ASIDE = "aside"  # others can go meanwhile, this one cannot: waits `retry_after`, counts for nothing


class Submitted(msgspec.Struct, frozen=True):
    """The provider took it."""

    message_ids: tuple[str, ...]  # what it calls the part that was submitted; none where it gave no id
    encoding: str = ""
    under_review: bool = False
    replaced: dict[str, str] = {}  # what transliteration replaced: character -> what went instead


class Rejected(msgspec.Struct, frozen=True):
    """The provider, or we, will never take it."""

    reason: Reason
    detail: str
    code: int | None = None


class Deferred(msgspec.Struct, frozen=True):
    """Not taken for the moment, or never written to the socket."""

    detail: str
    scope: Scope
    retry_after: float | None = None
    code: int | None = None


class InDoubt(msgspec.Struct, frozen=True):
    """Written, and no answer: nobody knows."""

    detail: str


class Cancelled(msgspec.Struct, frozen=True):
    """The provider cancelled it."""


class CancelFailed(msgspec.Struct, frozen=True):
    """The provider did not cancel it."""

    reason: Literal["too_late", "not_found", "refused", "unknown"]


Outcome = Submitted | Rejected | Deferred | InDoubt
CancelOutcome = Cancelled | CancelFailed


class Answer(msgspec.Struct, frozen=True):
    """What became of one submitted part of a message."""

    row: int
    attempt: int
    outcome: Outcome
    at: float  # wall time of the answer
    latency: float | None = None  # s from the write to the answer, where there was one
    part: int = 1
    parts: int = 1  # that this carrier makes of the message


class CancelOrder(msgspec.Struct, frozen=True):
    """A message to cancel at the provider: one row of the journal with its ids."""

    row: int
    to: str
    sender: str | None
    message_ids: tuple[str, ...]


class CancelAnswer(msgspec.Struct, frozen=True):
    """What became of a cancel."""

    row: int
    outcome: CancelOutcome
    at: float


class Receipt(msgspec.Struct, kw_only=True, frozen=True):
    """A delivery receipt, read by the provider's table."""

    carrier: str  # "" = a call-back: it may concern any carrier of the account
    message_id: str  # as received; "" where the receipt has none
    code: int | None  # DLR table; None = not understood
    final: bool  # whether the code ends the message (an intermediate notification never does)
    to: str = ""  # digits of the receipt's source address: the phone; a check, not a key
    reference: int | None = None  # user_message_reference
    surrogate: int | None = None  # the number that we gave it (`uuid` of a call-back)
    text: str | None = None  # after `text:`
    confirmed: bool = True
    error_code: str | None = None
    submitted_at: float | None = None
    done_at: float | None = None
    received_at: float = 0.0
    raw: bytes = b""


class Fragment(msgspec.Struct, frozen=True):
    """One part of a reply that came in several: octets, since a phone may end a part in the middle of a character."""

    kind: Literal["udh8", "udh16", "sar"]  # what the reference is: 8 bits, 16 bits, or of the sar_ TLVs
    reference: int
    total: int
    number: int  # 1 to total
    octets: bytes  # without user data header
    coding: Coding


class Reply(msgspec.Struct, kw_only=True, frozen=True):
    """A mobile originated message (MO): whole, with its text, or one part of it, whose text is read once the parts are joined."""

    carrier: str
    sender: str
    to: str | None
    received_at: float
    text: str = ""
    encoding: str = ""
    fragment: Fragment | None = None
    session: int | None = None  # the connection that it came by: what one leaves unanswered comes again by another
    answers: str = ""  # message_id of what it answers, where a call-back tells
    surrogate: int | None = None  # our number of what it answers, likewise
