"""The events that tell consumers the story of a message: their types, their names, and times as they write them. Pure.

What these types say is the queue interface: `schema` makes its documents from them. The journal fills them in; `publish` sends them.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.message import Reason

ReceiptState = Literal[
    "scheduled",
    "enroute",
    "delivered",
    "expired",
    "deleted",
    "undeliverable",
    "accepted",
    "unknown",
    "rejected",
    "skipped",
    "no_receipt",
]


class Event(msgspec.Struct, kw_only=True, tag_field="type"):
    """What every event carries."""

    event_id: str
    time: str  # RFC 3339, UTC, ms
    instance: str
    v: int = 1
    id: str | None = None  # None: there is no message
    seq: int | None = None  # 1, 2, 3, ... of that message
    final: bool = False
    metadata: dict[str, str] = {}


class AcceptedEvent(Event, tag="accepted", kw_only=True):
    """The provider took the message."""

    carrier: str
    message_ids: tuple[str, ...]
    parts: int
    encoding: str
    attempt: int
    possible_duplicate: bool = False
    under_review: bool = False
    replaced: dict[str, str] = {}


class RejectedEvent(Event, tag="rejected", kw_only=True):
    """The message will not be sent. Always final."""

    reason: Reason
    detail: str
    carrier: str | None = None
    code: int | None = None
    digest: str | None = None  # of a payload that was refused
    raw: str | None = None  # of a payload that was refused, on the Response Topic alone


class ReceiptEvent(Event, tag="receipt", kw_only=True):
    """What the provider reports of a message that it took."""

    carrier: str
    code: int | None
    state: ReceiptState
    confirmed: bool = True
    part: int = 1
    parts: int = 1
    part_final: bool = False
    part_state: ReceiptState | None = None
    error_code: str | None = None
    submitted_at: str | None = None
    done_at: str | None = None
    late: bool = False


class ReplyEvent(Event, tag="reply", kw_only=True):
    """A phone wrote back. Where it is known which message that answers, it goes to the topic of that message's source."""

    carrier: str
    from_: str = msgspec.field(name="from")
    to: str | None
    text: Annotated[str, Meta(description="where parts are missing stands […]; base64 where the encoding is binary")]
    encoding: Annotated[str, Meta(description="gsm7, gsm7-pt, gsm7-es, ascii, latin1, ucs2 or binary, as received")]
    received_at: Annotated[str, Meta(description="its first part")]
    in_reply_to: Annotated[
        str | None,
        Meta(description="id of the last message sent to that number, within gateway.reply_window, and from that sender if known"),
    ] = None
    parts: Annotated[int, Meta(description="that the phone made of it")] = 1
    complete: Annotated[bool, Meta(description="false: parts were still missing after gateway.reply_timeout; one may follow by itself")] = (
        True
    )
    possible_duplicate: Annotated[bool, Meta(description="the same came before, and the provider may not know that we have it")] = False


class InDoubtEvent(Event, tag="in_doubt", kw_only=True):
    """Written to the provider, and nobody knows whether it was taken."""

    carrier: str
    since: str
    reason: str


class CancelledEvent(Event, tag="cancelled", kw_only=True):
    """The message was cancelled."""

    carrier: str | None = None
    reason: str | None = None


class CancelFailedEvent(Event, tag="cancel_failed", kw_only=True):
    """The message was not cancelled, or nobody knows whether it was (`unknown`). Never final."""

    reason: Literal["too_late", "not_found", "refused", "unknown"]
    carrier: str | None = None


class ExpiredEvent(Event, tag="expired", kw_only=True):
    """The message was not sent in time, and nothing left."""


AnyEvent = AcceptedEvent | RejectedEvent | ReceiptEvent | ReplyEvent | InDoubtEvent | CancelledEvent | CancelFailedEvent | ExpiredEvent


def rfc3339(timestamp: float) -> str:
    """Write Unix seconds as RFC 3339 in UTC, to the nearest millisecond: "2026-11-23T12:00:00.000Z"."""
    second, millisecond = divmod(round(timestamp * 1000), 1000)
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{millisecond:03d}Z"


def event_id(source: str, id: str, seq: int) -> str:
    """Name an event of a message, the same after any restart."""
    return f"{source}/{id}/{seq}"
