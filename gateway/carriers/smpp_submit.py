"""How a message becomes a submit_sm: what this account can carry, sender, destination, octets, validity. Pure.

`SubmitBuilder` belongs to one carrier. `prepare` says how a message would go, or refuses it; `submit_sm` makes the PDU of what was
prepared, at the moment of sending, since validity counts from then; `cancel_sm` names the same addresses again.

Decisions:
- What SMPP has no field for (cost centre, label, normalise, kinds outside the account's) makes the message not eligible here
  (`no_route`): nothing is dropped silently.
- validity_period is always sent, and relative ("R", SMPP 3.4 s7.1.1): an SMSC that misreads the quarter-hours of an absolute time is hours
  wrong, and an absolute time also needs its clock to agree with ours; a relative one needs neither. It is in whole seconds, rounded up.
- Flash is message class 0 in data_coding (3GPP TS 23.038 s4): 0x10 with the default alphabet, 0x18 with UCS2. Latin-1 has no such value, so
  flash goes as UCS2 where Latin-1 would have been picked, and is refused where the producer insists on Latin-1. 0x10 names the GSM alphabet
  whatever the SMSC's own is; where the two would differ in an octet of this text, flash goes as UCS2 too.
- A receipt, where asked for, is asked for success and failure alike (registered_delivery 1); each submit_sm carries
  user_message_reference, so that a receipt can be matched whose message_id we never learnt.

Known limit: one part; a text that needs more is `text_too_long`.
"""

import math
from functools import lru_cache
from typing import NamedTuple

from gateway.carriers.base import Prepared
from gateway.config import Smpp
from gateway.message import CancelOrder, Message, Reason, Rejected
from gateway.msisdn import InvalidSenderError, Sender, parse_sender
from gateway.smpp.constants import RegisteredDelivery, Tag
from gateway.smpp.pdu import CancelSm, SubmitSm
from gateway.text.gsm0338 import NotEncodableError
from gateway.text.segment import EncodedText, Encoding, TextTooLongError, choose, encode

_FLASH = frozenset({"flash", "short_code_flash"})
_FLASH_DATA_CODING = {Encoding.GSM7: 0x10, Encoding.UCS2: 0x18}
_REFERENCE = int(Tag.USER_MESSAGE_REFERENCE)
_RECEIPT = int(RegisteredDelivery.RECEIPT)

_parse_sender = lru_cache(maxsize=1024)(parse_sender)


class Part(NamedTuple):
    """One submit_sm to be: what does not depend on when it leaves."""

    sender: Sender
    destination: str
    data_coding: int
    octets: bytes


class SubmitBuilder:
    """Prepare messages and build their PDUs for one account."""

    def __init__(self, settings: Smpp) -> None:
        self._kinds = frozenset(settings.kinds)
        self._alphabet = settings.default_alphabet
        self._default_sender = Sender(settings.source_addr, settings.source_ton, settings.source_npi)
        self._prefix = "55" if settings.number_format == "international" else ""
        self._dest_ton = settings.dest_ton
        self._dest_npi = settings.dest_npi

    def prepare(self, message: Message) -> Prepared | Rejected:
        """Say how `message` would be sent, or why it cannot be."""
        lacking = self._lacking(message)
        if lacking:
            return Rejected(Reason.NO_ROUTE, lacking)
        try:
            sender = self._sender(message.sender)
            text = self._encode(message)
        except InvalidSenderError as error:
            return Rejected(Reason.INVALID_SENDER, f"from: {error}")
        except TextTooLongError as error:
            return Rejected(Reason.TEXT_TOO_LONG, f"text: {error}")
        except NotEncodableError as error:
            return Rejected(Reason.NOT_ENCODABLE, f"text: {error}")
        part = Part(sender, self._prefix + message.to, text.data_coding, text.octets)
        return Prepared((part,), text.encoding.value)

    def submit_sm(self, message: Message, part: Part, now: float) -> SubmitSm:
        """Build the PDU; `now` is wall time. SMPP 3.4 s4.4.1"""
        sender, destination, data_coding, octets = part
        return SubmitSm(
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
            tlvs={_REFERENCE: message.reference.to_bytes(2, "big")},
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

    def _encode(self, message: Message) -> EncodedText:
        encoding = choose(message.text, message.encoding, default_alphabet=self._alphabet)
        if message.kind in _FLASH:
            return self._encode_flash(message.text, encoding)
        return encode(message.text, encoding, self._alphabet)

    def _encode_flash(self, text: str, encoding: Encoding) -> EncodedText:
        if encoding is Encoding.GSM7 and self._alphabet != "gsm0338" and not self._same_octets(text):
            encoding = Encoding.UCS2
        if encoding is Encoding.LATIN1:
            encoding = Encoding.UCS2
        return encode(text, encoding)._replace(data_coding=_FLASH_DATA_CODING[encoding])

    def _same_octets(self, text: str) -> bool:
        return encode(text, Encoding.GSM7, self._alphabet).octets == encode(text, Encoding.GSM7).octets


def relative_period(seconds: float) -> str:
    """Write a span as a relative time, "YYMMDDhhmmss000R"; at least one second, in days rather than months. SMPP 3.4 s7.1.1.2"""
    minutes, second = divmod(max(1, math.ceil(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"0000{min(days, 99):02d}{hour:02d}{minute:02d}{second:02d}000R"
