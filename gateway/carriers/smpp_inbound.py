"""What an SMSC delivers, read for the stages: a deliver_sm or data_sm becomes a Receipt or a Reply. Pure; never raises.

esm_class alone decides which of the two it is (a subscriber can type "id:1 stat:DELIVRD"). A receipt is handed on whatever it lacks, even
its message_id: the stage that matches receipts has more to go by, and parks what it cannot match. Its dates are the provider's local time.
A delivery or user acknowledgement from a handset (SMPP 3.4 s5.2.12) is a message that somebody sent, hence a Reply.

A reply that is one of several parts, by its user data header or else by its sar_ parameters, is handed on as octets with what is needed to
read them: the journal joins the parts, and only then are they text. What the header or the parameters say of a part that cannot be (part 4
of 3) is not believed: the reply is then whole.
"""

from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from gateway.config import Smpp
from gateway.message import Fragment, Receipt, Reply
from gateway.msisdn import InvalidNumberError, parse
from gateway.provider.dlr import dlr_code, is_final
from gateway.smpp.constants import EsmClass, Tag
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.receipt import RawReceipt, parse_receipt, parse_receipt_date
from gateway.smpp.tlv import message_octets, tlv_int
from gateway.text.inbound import Coding, coding, decode
from gateway.text.udh import NO_HEADER, Concatenation, split_header

_UDHI = int(EsmClass.UDHI)
_SAR = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)  # SMPP 3.4 s5.3.2.22 to s5.3.2.24
_MOST_PARTS = 255  # their number has one octet; a value of more octets is no number of parts


class InboundReader:
    """Read what one account's SMSC delivers; `disagreements` counts receipts whose TLV and text name different codes."""

    def __init__(self, carrier: str, settings: Smpp, time_zone: ZoneInfo) -> None:
        self.disagreements = 0
        self._carrier = carrier
        self._alphabet = settings.default_alphabet
        self._overrides = {int(key, 16 if key.startswith("0x") else 10): alphabet for key, alphabet in settings.data_coding_in.items()}
        self._time_zone = time_zone
        self._unix_time = lru_cache(maxsize=4096)(self._read_date)  # dates of minutes repeat

    def read(self, pdu: DeliverSm | DataSm, now: float, session: int | None = None) -> Receipt | Reply:
        """Return what `pdu` says; `now` is wall time, `session` tells the connection that it came by from all others."""
        raw = parse_receipt(pdu)
        return self._reply(pdu, now, session) if raw is None else self._receipt(raw, now)

    def _receipt(self, raw: RawReceipt, now: float) -> Receipt:
        code, disagreement = dlr_code(raw.tlv_state, raw.stat)
        self.disagreements += disagreement
        return Receipt(
            carrier=self._carrier,
            message_id=raw.message_id or "",
            code=None if code is None else int(code),
            final=code is not None and is_final(code) and not raw.intermediate,
            to=digits_of(raw.source_addr),
            reference=raw.user_message_reference,
            text=raw.text,
            error_code=_error_code(raw),
            submitted_at=self._unix_time(raw.submit_date),
            done_at=self._unix_time(raw.done_date),
            received_at=now,
            raw=raw.raw,
        )

    def _reply(self, pdu: DeliverSm | DataSm, now: float, session: int | None) -> Reply:
        octets = message_octets(pdu)
        header, octets = split_header(octets) if pdu.esm_class & _UDHI else (NO_HEADER, octets)
        how = coding(pdu.data_coding, self._alphabet, self._overrides, header)
        fragment = _fragment(pdu, header.concatenation, octets, how)
        text, encoding = ("", "") if fragment is not None else decode([(octets, how)])
        return Reply(
            carrier=self._carrier,
            sender=national(pdu.source_addr),
            to=national(pdu.destination_addr) or None,
            received_at=now,
            text=text,
            encoding=encoding,
            fragment=fragment,
            session=session,
        )

    def _read_date(self, value: str | None) -> float | None:
        local = None if value is None else parse_receipt_date(value)
        return None if local is None else local.replace(tzinfo=self._time_zone).timestamp()


def _fragment(pdu: DeliverSm | DataSm, joined: Concatenation | None, octets: bytes, how: Coding) -> Fragment | None:
    """Return the part of several that this is, None for a message of one part. Of a header and sar_ parameters the header counts."""
    if joined is not None:
        kind: Literal["udh8", "udh16"] = "udh16" if joined.wide else "udh8"
        return Fragment(kind, joined.reference, joined.total, joined.number, octets, how) if joined.total > 1 else None
    reference, total, number = (tlv_int(pdu, tag) for tag in _SAR)
    if reference is None or total is None or number is None or not 1 <= number <= total <= _MOST_PARTS or total == 1:
        return None
    return Fragment("sar", reference, total, number, octets, how)


def _error_code(raw: RawReceipt) -> str | None:
    if raw.err is not None or raw.network_error_code is None:
        return raw.err
    return str(raw.network_error_code[1])


def digits_of(address: str) -> str:
    """Return the digits of an address as received, without "+" and punctuation."""
    if address.isascii() and address.isdigit():
        return address
    return "".join(character for character in address if "0" <= character <= "9")


def national(address: str) -> str:
    """Return a Brazilian number in national digits, and any other address (short code, name, foreign number) as it is."""
    try:
        return parse(address).national
    except InvalidNumberError:
        return address
