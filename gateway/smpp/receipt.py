"""Delivery receipts as raw fields: SMPP 3.4 s5.2.12, s5.2.28 and appendix B. No table of states: that is the provider's.

`parse_receipt` takes a deliver_sm or data_sm that esm_class marks as a receipt, and only such: a subscriber can type
"id:1 stat:DELIVRD". It reads TLVs and text side by side, corrects neither by the other, and never raises, whatever the
octets. In the text each field may be missing, stand anywhere, in any letter case, with or without spaces; `text:` ends
the fields, since what follows it is somebody's words. A value that is not what the specification says is kept as it is.

Known limit: a field name with a colon inside a message_id (`id:a-err:1`) is taken for a field.
"""

import re
from datetime import datetime
from enum import Enum
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from msgspec import Struct

from gateway.smpp.constants import MESSAGE_TYPE_MASK, DataCoding, EsmClass, Tag
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.tlv import message_octets, tlv_int, tlv_text

_RECEIPT_TYPES: Final[dict[int, bool]] = {  # message type -> intermediate
    EsmClass.DELIVERY_RECEIPT: False,
    EsmClass.INTERMEDIATE_NOTIFICATION: True,
    EsmClass.DELIVERY_RECEIPT | EsmClass.INTERMEDIATE_NOTIFICATION: True,
}

_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)  # unlike str.lower, never longer than its input
_FIELD: Final = re.compile(  # the look-ahead is for speed alone
    r"(?=[sdtei])(submit[ _-]?date|done[ _-]?date|dlvrd|stat|text|sub|err|(?<![a-z])id)\s*:\s*"
)
_SEPARATORS: Final = " \t\r\n\0,;|"
_FIRST_WORD: Final = re.compile(r"[^\s,;|\0]+")


class MessageIdSource(Enum):
    """Tell where a receipt's message_id was found."""

    TLV = "tlv"
    TEXT = "text"


class RawReceipt(Struct, frozen=True, kw_only=True):
    """Hold what a receipt says, uninterpreted; None is "not there".

    `tlv_state` and `stat` may disagree. `network_error_code` is (network type, code), the type None where the SMSC sent
    three digits. `raw` is the whole message; `text` is what stands after `text:`, Latin-1 (UTF-16BE in UCS2 receipts).
    """

    intermediate: bool
    message_id: str | None
    message_id_source: MessageIdSource | None
    tlv_state: int | None
    stat: str | None
    err: str | None
    submit_date: str | None
    done_date: str | None
    sub: str | None
    dlvrd: str | None
    text: str | None
    network_error_code: tuple[int | None, int] | None
    user_message_reference: int | None
    source_addr: str
    dest_addr: str
    raw: bytes

    def __repr__(self) -> str:
        """Name the state and nothing that belongs to the subscriber."""
        return f"<RawReceipt stat={self.stat!r} tlv_state={self.tlv_state} err={self.err!r}>"


def parse_receipt(pdu: DeliverSm | DataSm) -> RawReceipt | None:
    """Read the receipt that `pdu` is, None where its esm_class says that it is none; never raise."""
    intermediate = _RECEIPT_TYPES.get(pdu.esm_class & MESSAGE_TYPE_MASK)
    if intermediate is None:
        return None
    raw = message_octets(pdu)
    fields = _read_fields(_text_of(pdu, raw))
    tlv_id = tlv_text(pdu, Tag.RECEIPTED_MESSAGE_ID) or None
    message_id = tlv_id or _first_word(fields.get("id"))
    source = MessageIdSource.TLV if tlv_id else MessageIdSource.TEXT
    return RawReceipt(
        intermediate=intermediate,
        message_id=message_id,
        message_id_source=source if message_id else None,
        tlv_state=tlv_int(pdu, Tag.MESSAGE_STATE),
        stat=_first_word(fields.get("stat")),
        err=_first_word(fields.get("err")),
        submit_date=fields.get("s") or None,
        done_date=fields.get("d") or None,
        sub=_first_word(fields.get("sub")),
        dlvrd=_first_word(fields.get("dlvrd")),
        text=fields.get("text"),
        network_error_code=_network_error_code(pdu.tlvs.get(Tag.NETWORK_ERROR_CODE)),
        user_message_reference=tlv_int(pdu, Tag.USER_MESSAGE_REFERENCE),
        source_addr=pdu.source_addr,
        dest_addr=pdu.destination_addr,
        raw=raw,
    )


def parse_receipt_date(value: str) -> datetime | None:
    """Read YYMMDDhhmm, YYMMDDhhmmss, YYYYMMDDhhmmss or YYYYMMDDhhmm as a naive local time; None for anything else.

    Twelve digits are ambiguous: with seconds first, as the specification's form extended; else with the full year.
    """
    if not (value.isascii() and value.isdigit()):
        return None
    match len(value):
        case 10 | 14:
            return _date(value)
        case 12:
            return _date("20" + value) or _date(value)
    return None


def _date(digits: str) -> datetime | None:
    if len(digits) == 10:
        digits = "20" + digits
    year, pairs = int(digits[:4]), [int(digits[i : i + 2]) for i in range(4, len(digits), 2)]
    try:
        return datetime(year, *pairs)  # type: ignore[arg-type]  # noqa: DTZ001  # the zone is the provider's, not ours
    except ValueError:
        return None


def _text_of(pdu: DeliverSm | DataSm, raw: bytes) -> str:
    if pdu.esm_class & EsmClass.UDHI and raw and raw[0] < ord(" "):  # some SMSCs set the bit over plain text
        raw = raw[raw[0] + 1 :]
    if pdu.data_coding == DataCoding.UCS2:
        return raw.decode("utf-16-be", "replace")
    return raw.decode("latin-1")


def _read_fields(text: str) -> dict[str, str]:
    """Cut `text` at the field names; of one that comes twice the first counts. The dates are `s` and `d`."""
    fields: dict[str, str] = {}
    name, start = "", 0
    for match in _FIELD.finditer(text.translate(_LOWER)):
        if name:
            fields.setdefault(name, text[start : match.start()].strip(_SEPARATORS))
        name, start = match[1], match.end()
        if name == "text":
            break
        if name[-4:] == "date":
            name = name[0]
    if name == "text":
        fields["text"] = text[start:]
    elif name:
        fields.setdefault(name, text[start:].strip(_SEPARATORS))
    return fields


def _first_word(value: str | None) -> str | None:
    if not value or value.isalnum():
        return value or None
    match = _FIRST_WORD.search(value)
    return match[0] if match else None


def _network_error_code(value: bytes | None) -> tuple[int | None, int] | None:
    """Read s5.3.2.31: one octet of network type, two of code; some SMSCs send three ASCII digits instead."""
    if value is None or len(value) != 3:
        return None
    if value.isdigit():
        return None, int(value)
    return value[0], int.from_bytes(value[1:], "big")
