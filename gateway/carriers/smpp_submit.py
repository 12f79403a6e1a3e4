"""How a message becomes a submit_sm: what this account can carry, sender, destination, octets, validity. Pure.

`SubmitBuilder` belongs to one carrier. `prepare` says how a message would go, or refuses it; `submit_sm` makes the PDU of what was
prepared, at the moment of sending, since validity counts from then; `cancel_sm` names the same addresses again.

Decisions:
- What SMPP has no field for (cost centre, label, normalise, kinds outside the account's) makes the message not eligible here
  (`no_route`): nothing is dropped silently.
- validity_period is always sent, and relative ("R", SMPP 3.4 s7.1.1): an SMSC that misreads the quarter-hours of an absolute time is hours
  wrong, and an absolute time also needs its clock to agree with ours; a relative one needs neither. It is in whole seconds, rounded up.
- A text of several parts goes as `long_messages` says: with a user data header (`udh`, `udh16`), with sar_* TLVs, or whole in
  message_payload.
- A receipt, where asked for, is asked for success and failure alike (registered_delivery 1), of each part; each submit_sm carries a
  user_message_reference of its own, so that a receipt can be matched whose message_id we never learnt.
- Which octets a text comes to is `gateway.text.compose`'s to say; flash is a matter of data_coding, and said there too.
"""

import math
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from gateway.carriers.base import Prepared
from gateway.config import Smpp
from gateway.message import CancelOrder, Message, Reason, Rejected
from gateway.msisdn import InvalidSenderError, Sender, parse_sender
from gateway.smpp.constants import EsmClass, RegisteredDelivery, Tag
from gateway.smpp.pdu import CancelSm, SubmitSm
from gateway.text import Composed, NotEncodableError, TextStyle, TextTooLongError, compose, udh

SHORT_CODE_LIMIT = 140  # characters, before encoding: the manual's table of the web service, method sendUnique

_SHORT_CODE = frozenset({"short_code", "short_code_flash"})
_FLASH = frozenset({"flash", "short_code_flash"})
_REFERENCE = int(Tag.USER_MESSAGE_REFERENCE)
_PAYLOAD = int(Tag.MESSAGE_PAYLOAD)
_SAR_REFERENCE, _SAR_TOTAL, _SAR_NUMBER = int(Tag.SAR_MSG_REF_NUM), int(Tag.SAR_TOTAL_SEGMENTS), int(Tag.SAR_SEGMENT_SEQNUM)
_UDHI = int(EsmClass.UDHI)
_RECEIPT = int(RegisteredDelivery.RECEIPT)

_parse_sender = lru_cache(maxsize=1024)(parse_sender)
_compose = lru_cache(maxsize=512)(compose)  # a message is prepared when it comes and for each of its parts


class Part(NamedTuple):
    """One submit_sm to be: what does not depend on when it leaves."""

    sender: Sender
    destination: str
    data_coding: int
    octets: bytes
    elements: bytes = b""  # of the user data header, but for what joins the parts
    number: int = 1
    total: int = 1
    whole: bool = False  # several parts in one: the SMSC cuts it


class SubmitBuilder:
    """Prepare messages and build their PDUs for one account."""

    def __init__(self, settings: Smpp) -> None:
        self._kinds = frozenset(settings.kinds)
        self._style = _style(settings)
        self._wide = settings.long_messages == "udh16"
        self._sar = settings.long_messages == "sar"
        self._default_sender = Sender(settings.source_addr, settings.source_ton, settings.source_npi)
        self._prefix = "55" if settings.number_format == "international" else ""
        self._dest_ton = settings.dest_ton
        self._dest_npi = settings.dest_npi

    def prepare(self, message: Message) -> Prepared | Rejected:
        """Say how `message` would be sent, or why it cannot be."""
        lacking = self._lacking(message)
        if lacking:
            return Rejected(Reason.NO_ROUTE, lacking)
        if message.kind in _SHORT_CODE and len(message.text) > SHORT_CODE_LIMIT:
            return Rejected(Reason.TEXT_TOO_LONG, f"text: {len(message.text)} characters, the limit of short codes is {SHORT_CODE_LIMIT}")
        try:
            sender = self._sender(message.sender)
            text = self._compose(message)
        except InvalidSenderError as error:
            return Rejected(Reason.INVALID_SENDER, f"from: {error}")
        except TextTooLongError as error:
            return Rejected(Reason.TEXT_TOO_LONG, f"text: {error}")
        except NotEncodableError as error:
            return Rejected(Reason.NOT_ENCODABLE, f"text: {error}")
        destination, total = self._prefix + message.to, len(text.parts)
        whole = text.segments > total
        parts = tuple(
            Part(sender, destination, text.data_coding, part.octets, text.elements, number, total, whole)
            for number, part in enumerate(text.parts, 1)
        )
        return Prepared(parts, text.encoding.value, text.replaced, self._cut(parts) if total > 1 else 0)

    def _cut(self, parts: tuple[Part, ...]) -> int:
        """Digest what makes parts fit each other: how they are joined, the sender, the octets."""
        first = parts[0]
        joined = repr((self._wide, self._sar, first.sender, first.data_coding, first.elements)).encode()
        return crc32(b"\0".join([joined, *(part.octets for part in parts)]))

    def submit_sm(self, message: Message, part: Part, now: float) -> SubmitSm:
        """Build the PDU; `now` is wall time. SMPP 3.4 s4.4.1"""
        sender, destination, data_coding, octets, elements, number, total, whole = part
        tlvs = {_REFERENCE: message.reference.to_bytes(2, "big")}
        if total > 1:
            joined = message.row if message.concatenation is None else message.concatenation
            if self._sar:
                tlvs |= _sar(joined & 0xFFFF, total, number)
            else:
                elements = udh.concatenation(joined, total, number, wide=self._wide) + elements
        if elements:
            octets = udh.header(elements) + octets
        if whole:
            tlvs[_PAYLOAD], octets = octets, b""
        return SubmitSm(
            esm_class=_UDHI if elements else 0,
            source_addr_ton=sender.ton,
            source_addr_npi=sender.npi,
            source_addr=sender.address,
            dest_addr_ton=self._dest_ton,
            dest_addr_npi=self._dest_npi,
            destination_addr=destination,
            priority_flag=message.priority,
            validity_period=relative_period(message.expires_at - now),
            registered_delivery=_RECEIPT if message.receipt else 0,
            data_coding=data_coding,
            short_message=octets,
            tlvs=tlvs,
        )

    def cancel_sm(self, order: CancelOrder, message_id: str) -> CancelSm:
        """Build the PDU, with the addresses of the submit_sm. SMPP 3.4 s4.9.1"""
        sender = self._sender(order.sender)
        return CancelSm(
            message_id=message_id,
            source_addr_ton=sender.ton,
            source_addr_npi=sender.npi,
            source_addr=sender.address,
            dest_addr_ton=self._dest_ton,
            dest_addr_npi=self._dest_npi,
            destination_addr=self._prefix + order.to,
        )

    def _lacking(self, message: Message) -> str:
        """Name the first field that this account cannot carry."""
        if message.kind not in self._kinds:
            return f"kind: this account does not send {message.kind}"
        if message.cost_centre is not None:
            return "cost_centre: SMPP cannot carry it"
        if message.label is not None:
            return "label: SMPP cannot carry it"
        if message.normalise:
            return "normalise: SMPP cannot carry it"
        if message.encoding == "latin1" and message.kind in _FLASH:
            return "encoding: SMPP has no latin1 with a flash message"
        return ""

    def _sender(self, raw: str | None) -> Sender:
        return self._default_sender if raw is None else _parse_sender(raw)

    def _compose(self, message: Message) -> Composed:
        style = self._style
        if message.kind in _FLASH:
            style = style._replace(flash=True)
        if message.transliterate:
            style = style._replace(transliterate=True)
        return _compose(message.text, message.encoding, style)


def _style(settings: Smpp) -> TextStyle:
    return TextStyle(
        default_alphabet=settings.default_alphabet,
        latin1=settings.latin1,
        national_language=settings.national_language,
        transliterate=settings.transliterate,
        apostrophe=settings.apostrophe,
        long_messages=settings.long_messages,
    )


def _sar(reference: int, total: int, number: int) -> dict[int, bytes]:
    """Build the TLVs that join parts. SMPP 3.4 s5.3.2.22 to s5.3.2.24"""
    return {_SAR_REFERENCE: reference.to_bytes(2, "big"), _SAR_TOTAL: bytes([total]), _SAR_NUMBER: bytes([number])}


def relative_period(seconds: float) -> str:
    """Write a span as a relative time, "YYMMDDhhmmss000R"; at least one second, in days rather than months. SMPP 3.4 s7.1.1.2"""
    minutes, second = divmod(max(1, math.ceil(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"0000{min(days, 99):02d}{hour:02d}{minute:02d}{second:02d}000R"
