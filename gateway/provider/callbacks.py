"""What the provider's call-backs say: from a query to a typed record. Pure and total: any query gives an answer.

The same number means different things by `type`: 2 is an error in a status call-back, a confirmed delivery in a DLR call-back. So there
are two enums here (`results.MessageStatus`, `DeliveryStatus`), and the DLR table of SMPP (`dlr.DlrCode`) is a third: of that one is only
the `code` of a meaning, as the events know it.

A `message` makes it a reply. What has no `type`, as the manual's own examples have none, is `Unknown`: parked, never guessed. A status that
the manual does not know keeps its number, and says nothing. Names may have any letter case; of a name that comes twice the first value that
is not empty counts.
"""

from collections.abc import Mapping
from datetime import tzinfo
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.provider.dlr import DlrCode
from gateway.provider.fields import Hidden, date_time, decode, whole_number
from gateway.provider.results import MessageStatus, message_status

MAX_SURROGATE = 4294967295


class CallbackType(IntEnum):
    """The parameter `type`."""

    REPLY = 1
    STATUS = 2
    DLR = 3


class DeliveryStatus(IntEnum):
    """The parameter `status` of a DLR call-back. There is none that says "not delivered"."""

    CONFIRMED = 2
    UNCONFIRMED = 5
    UNCONFIRMED_TOO = 8


class Meaning(NamedTuple):
    """What a `receipt` event says: a code of the DLR table or None, whether it ends the message, whether the handset confirmed."""

    code: DlrCode | None = None
    final: bool = False
    confirmed: bool = True


NOTHING = Meaning()

STATUS_MEANINGS: Mapping[MessageStatus, Meaning] = {
    MessageStatus.WAITING: NOTHING,
    MessageStatus.QUEUED: NOTHING,
    MessageStatus.ON_HOLD: NOTHING,
    MessageStatus.SENT: Meaning(DlrCode.ENROUTE),
    MessageStatus.ERROR: Meaning(DlrCode.UNDELIVERABLE, final=True),
    MessageStatus.INVALID: Meaning(DlrCode.REJECTED, final=True),
    MessageStatus.CANCELLED: Meaning(DlrCode.DELETED, final=True),
}

DLR_MEANINGS: Mapping[DeliveryStatus, Meaning] = {
    DeliveryStatus.CONFIRMED: Meaning(DlrCode.DELIVERED, final=True),
    DeliveryStatus.UNCONFIRMED: Meaning(DlrCode.DELIVERED, final=True, confirmed=False),
    DeliveryStatus.UNCONFIRMED_TOO: Meaning(DlrCode.DELIVERED, final=True, confirmed=False),
}


class _Callback(Hidden, frozen=True, kw_only=True):
    """What every call-back may carry."""

    raw: bytes  # the query
    phone: str = ""  # `msisdn` as it came: with or without 55 and the ninth digit; a check, not a key
    protocol: str = ""  # `md5`
    uuid: str = ""  # the id that `send` gave
    at: float | None = None  # `date`; None where there is none that can be read: the time of arrival then
    at_text: str = ""  # `date` as it came

    @property
    def surrogate(self) -> int | None:
        """The number that we gave the message, where `uuid` may be one. It proves a match only with number and age."""
        number = whole_number(self.uuid)
        return number if number is not None and 1 <= number <= MAX_SURROGATE else None


class StatusCallback(_Callback, frozen=True, kw_only=True):
    """How far a message is at the provider."""

    SHOWN: ClassVar[tuple[str, ...]] = ("number", "protocol", "at_text")

    number: int | None  # None: no number at all

    @property
    def status(self) -> MessageStatus | None:
        """What the number says, where the manual knows it."""
        return message_status(self.number)

    @property
    def meaning(self) -> Meaning:
        """What the event says."""
        return STATUS_MEANINGS.get(self.status, NOTHING) if self.status is not None else NOTHING


class DlrCallback(_Callback, frozen=True, kw_only=True):
    """What the operator said of the delivery."""

    SHOWN: ClassVar[tuple[str, ...]] = ("number", "protocol", "at_text")

    number: int | None  # None: no number at all

    @property
    def status(self) -> DeliveryStatus | None:
        """What the number says, where the manual knows it."""
        return _DELIVERY_BY_NUMBER.get(self.number) if self.number is not None else None

    @property
    def meaning(self) -> Meaning:
        """What the event says."""
        return DLR_MEANINGS[self.status] if self.status is not None else NOTHING


class ReplyCallback(_Callback, frozen=True, kw_only=True):
    """A phone wrote back; `protocol` and `uuid` are of the message that it answers."""

    SHOWN: ClassVar[tuple[str, ...]] = ("encoding", "protocol", "at_text")

    text: str
    encoding: str  # "utf-8", "windows-1252", "latin-1"
    text_bytes: bytes


class Unknown(_Callback, frozen=True, kw_only=True):
    """Neither: to be parked."""

    SHOWN: ClassVar[tuple[str, ...]] = ("reason", "number", "protocol", "at_text")

    reason: str
    type: int | None
    number: int | None  # of `status`


Callback = StatusCallback | DlrCallback | ReplyCallback | Unknown

_DELIVERY_BY_NUMBER = {int(status): status for status in DeliveryStatus}


def read(query: bytes | str, zone: tzinfo) -> Callback:
    """Read the query of a call-back, percent-encoded as it came; `zone` is the one of the provider's dates. Never raises."""
    raw = _bytes(query) if isinstance(query, str) else query
    given = _parameters(raw)
    text = {name: decode(value)[0].strip() for name, value in given.items()}
    date = text.get("date", "")
    common: dict[str, Any] = {
        "raw": raw,
        "phone": text.get("msisdn", ""),
        "protocol": text.get("md5", ""),
        "uuid": text.get("uuid", ""),
        "at": date_time(date, zone),
        "at_text": date,
    }
    type_, number = whole_number(text.get("type", "")), whole_number(text.get("status", ""))
    if _is_reply(type_, given.get("message"), text.get("status", "")):
        words, encoding = decode(given["message"])
        return ReplyCallback(text=words, encoding=encoding, text_bytes=given["message"], **common)
    match type_:
        case CallbackType.STATUS:
            return StatusCallback(number=number, **common)
        case CallbackType.DLR:
            return DlrCallback(number=number, **common)
    return Unknown(reason=_fault(type_, text), type=type_, number=number, **common)


def _bytes(query: str) -> bytes:
    """Return the bytes of a query that a server has decoded, those that were no UTF-8 (PEP 383) too."""
    try:
        return query.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return query.encode("utf-8", "replace")


def _is_reply(type_: int | None, message: bytes | None, status: str) -> bool:
    """Tell whether a `message` makes a reply: one URL for all may name it, empty, in the others' calls too."""
    if message is None:
        return False
    return bool(message) or type_ == CallbackType.REPLY or (type_ is None and not status)


def _fault(type_: int | None, text: Mapping[str, str]) -> str:
    if type_ == CallbackType.REPLY:
        return "a reply without message"
    return "no type" if not text.get("type") else "a type that the manual does not know"


def _parameters(raw: bytes) -> dict[str, bytes]:
    """Split a query into values by name in small letters."""
    found: dict[str, bytes] = {}
    for pair in raw.removeprefix(b"?").split(b"&"):
        name, equals, value = pair.partition(b"=")
        key = decode(_unescaped(name))[0].strip().lower()
        if equals and not found.get(key):
            found[key] = _unescaped(value)
    return found


def _unescaped(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))
