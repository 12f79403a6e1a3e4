"""What an SMSC delivers, read for the stages: a deliver_sm or data_sm becomes a Receipt or a Reply. Pure; never raises.

esm_class alone decides which of the two it is (a subscriber can type "id:1 stat:DELIVRD"). A receipt is handed on whatever it lacks, even
its message_id: the stage that matches receipts has more to go by, and parks what it cannot match. Its dates are the provider's local time.
A delivery or user acknowledgement from a handset (SMPP 3.4 s5.2.12) is a message that somebody sent, hence a Reply.

Known limit: a Reply is one part; a user data header is skipped, not read.
"""

from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.config import Smpp
from gateway.message import Receipt, Reply
from gateway.msisdn import InvalidNumberError, parse
from gateway.provider.dlr import dlr_code, is_final
from gateway.smpp.constants import EsmClass
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.receipt import RawReceipt, parse_receipt, parse_receipt_date
from gateway.smpp.tlv import message_octets
from gateway.text.segment import decode_inbound

_UDHI = int(EsmClass.UDHI)


class InboundReader:
    """Read what one account's SMSC delivers; `disagreements` counts receipts whose TLV and text name different codes."""

    def __init__(self, carrier: str, settings: Smpp, time_zone: ZoneInfo) -> None:
        self.disagreements = 0
        self._carrier = carrier
        self._alphabet = settings.default_alphabet
        self._time_zone = time_zone
        self._unix_time = lru_cache(maxsize=4096)(self._read_date)  # dates of minutes repeat

    def read(self, pdu: DeliverSm | DataSm, now: float) -> Receipt | Reply:
        """Return what `pdu` says; `now` is wall time."""
        raw = parse_receipt(pdu)
        return self._reply(pdu, now) if raw is None else self._receipt(raw, now)

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

    def _reply(self, pdu: DeliverSm | DataSm, now: float) -> Reply:
        text, encoding = decode_inbound(message_octets(pdu), pdu.data_coding, self._alphabet, udhi=bool(pdu.esm_class & _UDHI))
        return Reply(
            carrier=self._carrier,
            sender=national(pdu.source_addr),
            to=national(pdu.destination_addr) or None,
            text=text,
            encoding=encoding,
            received_at=now,
        )

    def _read_date(self, value: str | None) -> float | None:
        local = None if value is None else parse_receipt_date(value)
        return None if local is None else local.replace(tzinfo=self._time_zone).timestamp()


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
