"""What the sandbox remembers of a message that it took, and the deliver_sm that come of it. Pure.

`Taken` is one message; `receipt` and `reply` build what `gateway.sandbox.smsc` sends. The text of a receipt is that of SMPP 3.4 Appendix B,
its dates in the provider's local time (UTC-3, ten digits). source and destination are swapped, as in any MO.
"""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from msgspec import Struct

from gateway.provider.dlr import DlrCode, is_final
from gateway.sandbox.scenario import Behaviour, IdFormat, PlannedReceipt, PlannedReply, ReceiptForm
from gateway.sandbox.settings import ReplyWay
from gateway.smpp.constants import DataCoding, EsmClass, RegisteredDelivery, Tag
from gateway.smpp.pdu import DataSm, DeliverSm, SubmitSm
from gateway.smpp.tlv import message_octets, tlv_from_int, tlv_int
from gateway.text import decode_inbound, gsm0338
from gateway.text.udh import concatenation, header, split_header

REPLY_ADDRESS = "27000"
"""Where a reply goes when the message named no sender."""

_LOCAL = timezone(timedelta(hours=-3))
_TENTHS_AND_ZONE = "012-"  # no tenths, UTC-3 in quarters of an hour. SMPP 3.4 s7.1.1
_TEXT_LETTERS = 20  # that a receipt quotes. SMPP 3.4 Appendix B
_RECEIPT_BITS = 0b11  # of registered_delivery. SMPP 3.4 s5.2.17
_AS_THEY_ARE = frozenset({int(DataCoding.SMSC_DEFAULT), int(DataCoding.IA5), int(DataCoding.LATIN1)})

_STAT = {
    DlrCode.SCHEDULED: "SCHEDULED",
    DlrCode.ENROUTE: "ENROUTE",
    DlrCode.DELIVERED: "DELIVRD",
    DlrCode.EXPIRED: "EXPIRED",
    DlrCode.DELETED: "DELETED",
    DlrCode.UNDELIVERABLE: "UNDELIV",
    DlrCode.ACCEPTED: "ACCEPTD",
    DlrCode.UNKNOWN: "UNKNOWN",
    DlrCode.REJECTED: "REJECTD",
    DlrCode.SKIPPED: "SKIPPED",
}
_STATE_OCTET = {code: bytes([code]) for code in DlrCode}


class Taken(Struct, kw_only=True, gc=False):
    """Remember one message: enough for its receipts, query_sm and cancel_sm, not its text."""

    number: int  # the message_id as a number
    message_id: str  # as the response has it
    account: str  # system_id
    source_addr_ton: int
    source_addr_npi: int
    source_addr: str
    dest_addr_ton: int
    dest_addr_npi: int
    destination_addr: str
    registered_delivery: int
    data_coding: int  # of the receipt's text
    quote: bytes  # its first letters
    reference: bytes | None  # user_message_reference
    taken_at: float  # wall time
    behaviour: Behaviour
    state: DlrCode = DlrCode.ENROUTE
    final_at: float | None = None
    cancelled: bool = False

    def turn(self, code: DlrCode, at: float) -> None:
        """Change the state, unless a final one stands."""
        if self.final_at is None:
            self.state = code
            if is_final(code):
                self.final_at = at

    def wants(self, code: DlrCode) -> bool:
        """Tell whether registered_delivery asks for a receipt with `code`. SMPP 3.4 s5.2.17"""
        wish = self.registered_delivery & _RECEIPT_BITS
        return wish == RegisteredDelivery.RECEIPT or (
            wish == RegisteredDelivery.RECEIPT_ON_FAILURE and is_final(code) and code != DlrCode.DELIVERED
        )


def take(pdu: SubmitSm | DataSm, number: int, account: str, behaviour: Behaviour, at: float) -> Taken:
    """Make the record of a message; `number` becomes its message_id, `at` is wall time."""
    return Taken(
        number=number,
        message_id=f"{number:x}" if behaviour.id_format is IdFormat.HEX else f"{number:010d}",
        account=account,
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=pdu.dest_addr_ton,
        dest_addr_npi=pdu.dest_addr_npi,
        destination_addr=pdu.destination_addr,
        registered_delivery=pdu.registered_delivery,
        data_coding=pdu.data_coding if pdu.data_coding in _AS_THEY_ARE else int(DataCoding.SMSC_DEFAULT),
        quote=_quote(message_octets(pdu), pdu.data_coding, pdu.esm_class),
        reference=pdu.tlvs.get(Tag.USER_MESSAGE_REFERENCE),
        taken_at=at,
        behaviour=behaviour if _is_last(pdu) else behaviour._replace(replies=()),
    )


def _is_last(pdu: SubmitSm | DataSm) -> bool:
    """Tell whether a phone that has this has the whole message; it answers then, and once."""
    joined = split_header(message_octets(pdu))[0].concatenation if pdu.esm_class & EsmClass.UDHI else None
    if joined is not None:
        return joined.number == joined.total
    return tlv_int(pdu, Tag.SAR_SEGMENT_SEQNUM) == tlv_int(pdu, Tag.SAR_TOTAL_SEGMENTS)


def digest(pdu: SubmitSm | DataSm) -> str:
    """Digest the octets of a message: 16 hexadecimal digits of BLAKE2b."""
    return hashlib.blake2b(message_octets(pdu), digest_size=8).hexdigest()


def receipt(message: Taken, planned: PlannedReceipt, at: float) -> DeliverSm:
    """Build a receipt in the planned form; `at` is the wall time of its `done date:`. SMPP 3.4 s4.6.1 and Appendix B"""
    form = planned.form
    message_id = message.message_id if message.behaviour.id_format is IdFormat.DECIMAL else str(message.number)
    pdu = _deliver_sm(message, EsmClass.DELIVERY_RECEIPT)
    if form is not ReceiptForm.TLV_ONLY:
        stat = DlrCode.UNDELIVERABLE if form is ReceiptForm.DISAGREEMENT else planned.code
        pdu.data_coding = message.data_coding
        pdu.short_message = _receipt_text(message, message_id, stat, at, quoted=form is not ReceiptForm.WITHOUT_TEXT_FIELD)
    if form is not ReceiptForm.TEXT_ONLY:
        pdu.tlvs = {Tag.RECEIPTED_MESSAGE_ID: message_id.encode() + b"\0", Tag.MESSAGE_STATE: _STATE_OCTET[planned.code]}
        if message.reference is not None:
            pdu.tlvs[Tag.USER_MESSAGE_REFERENCE] = message.reference
    return pdu


def reply(message: Taken, planned: PlannedReply, way: ReplyWay = "udh") -> DeliverSm:
    """Build one part of a reply; where there are several, `way` says how they are marked. What GSM 03.38 lacks goes as UCS2."""
    pdu = _deliver_sm(message, EsmClass.DEFAULT)
    if gsm0338.encodable(planned.text):
        pdu.short_message = gsm0338.encode(planned.text)
    else:
        pdu.data_coding, pdu.short_message = int(DataCoding.UCS2), planned.text.encode("utf-16-be")
    if planned.parts > 1:
        _mark(pdu, message.number, planned, way)
    return pdu


def _mark(pdu: DeliverSm, reference: int, planned: PlannedReply, way: ReplyWay) -> None:
    """Say which part of which reply this is. 3GPP TS 23.040 s9.2.3.24; SMPP 3.4 s5.3.2.22"""
    if way == "sar":
        pdu.tlvs = {
            Tag.SAR_MSG_REF_NUM: tlv_from_int(Tag.SAR_MSG_REF_NUM, reference & 0xFFFF),
            Tag.SAR_TOTAL_SEGMENTS: bytes([planned.parts]),
            Tag.SAR_SEGMENT_SEQNUM: bytes([planned.part]),
        }
        return
    pdu.esm_class = EsmClass.UDHI
    pdu.short_message = header(concatenation(reference, planned.parts, planned.part, wide=way == "udh16")) + pdu.short_message


def absolute_time(at: float) -> str:
    """Write a wall time in SMPP's absolute format, in the provider's zone. SMPP 3.4 s7.1.1"""
    return datetime.fromtimestamp(at, UTC).astimezone(_LOCAL).strftime("%y%m%d%H%M%S") + _TENTHS_AND_ZONE


def _deliver_sm(message: Taken, esm_class: int) -> DeliverSm:
    return DeliverSm(
        source_addr_ton=message.dest_addr_ton,
        source_addr_npi=message.dest_addr_npi,
        source_addr=message.destination_addr,
        dest_addr_ton=message.source_addr_ton,
        dest_addr_npi=message.source_addr_npi,
        destination_addr=message.source_addr or REPLY_ADDRESS,
        esm_class=esm_class,
    )


def _receipt_text(message: Taken, message_id: str, stat: DlrCode, at: float, *, quoted: bool) -> bytes:
    delivered = stat == DlrCode.DELIVERED
    error = stat if is_final(stat) and not delivered else 0
    text = (
        f"id:{message_id} sub:001 dlvrd:{delivered:03d} submit date:{_stamp(int(message.taken_at // 60))} "
        f"done date:{_stamp(int(at // 60))} stat:{_STAT[stat]} err:{error:03d}"
    ).encode()
    return b"%b text:%b" % (text, message.quote) if quoted else text


@lru_cache(maxsize=64)
def _stamp(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).astimezone(_LOCAL).strftime("%y%m%d%H%M")


def _quote(octets: bytes, data_coding: int, esm_class: int) -> bytes:
    """Cut the first letters for a receipt: as they are where an octet is a letter, else in GSM 03.38 with '?' for what it lacks."""
    if data_coding in _AS_THEY_ARE and not esm_class & EsmClass.UDHI:
        return octets[:_TEXT_LETTERS].removesuffix(b"\x1b")
    text, _ = decode_inbound(octets, data_coding, udhi=bool(esm_class & EsmClass.UDHI))
    letters = text[:_TEXT_LETTERS]
    return gsm0338.encode("".join(letter if gsm0338.encodable(letter) else "?" for letter in letters))
