"""Optional parameters (TLVs): wire form, and values by type. SMPP 3.4 s3.2.4 and s5.3.

The codec calls `encode_tlvs` and `decode_tlvs`; everyone else reads with `tlv_int`, `tlv_text` and `message_octets`,
and makes values with `tlv_from_int` and `tlv_from_text`. Reading never raises: a value of the wrong length gives what
can be read of it, or None, so that one bad TLV costs no message. Sending is strict: SMPP 3.4's lengths are checked.
"""

from struct import Struct
from typing import Final

from gateway.smpp.constants import Tag
from gateway.smpp.pdu import DataSm, DeliverSm, OptionalParameters, SubmitSm

_TLV_HEADER: Final = Struct(">HH")
_MAX_INT_OCTETS: Final = 8
_MAX_TAG: Final = 0xFFFF
_ANY_LENGTH: Final = range(0x10000)

_ONE_OCTET: Final = (
    Tag.DEST_ADDR_SUBUNIT,
    Tag.DEST_NETWORK_TYPE,
    Tag.DEST_BEARER_TYPE,
    Tag.SOURCE_ADDR_SUBUNIT,
    Tag.SOURCE_NETWORK_TYPE,
    Tag.SOURCE_BEARER_TYPE,
    Tag.SOURCE_TELEMATICS_ID,  # one octet in s5.3.2.8, though its counterpart for the destination has two
    Tag.PAYLOAD_TYPE,
    Tag.MS_MSG_WAIT_FACILITIES,
    Tag.PRIVACY_INDICATOR,
    Tag.USER_RESPONSE_CODE,
    Tag.LANGUAGE_INDICATOR,
    Tag.SAR_TOTAL_SEGMENTS,
    Tag.SAR_SEGMENT_SEQNUM,
    Tag.SC_INTERFACE_VERSION,
    Tag.CALLBACK_NUM_PRES_IND,
    Tag.NUMBER_OF_MESSAGES,
    Tag.DPF_RESULT,
    Tag.SET_DPF,
    Tag.MS_AVAILABILITY_STATUS,
    Tag.DELIVERY_FAILURE_REASON,
    Tag.MORE_MESSAGES_TO_SEND,
    Tag.MESSAGE_STATE,
    Tag.USSD_SERVICE_OP,
    Tag.DISPLAY_TIME,
    Tag.MS_VALIDITY,
    Tag.ITS_REPLY_TYPE,
)
_TWO_OCTETS: Final = (
    Tag.DEST_TELEMATICS_ID,
    Tag.USER_MESSAGE_REFERENCE,
    Tag.SOURCE_PORT,
    Tag.DESTINATION_PORT,
    Tag.SAR_MSG_REF_NUM,
    Tag.SMS_SIGNAL,
    Tag.ITS_SESSION_INFO,
)

TLV_LENGTHS: Final[dict[int, range]] = {
    **dict.fromkeys(map(int, _ONE_OCTET), range(1, 2)),
    **dict.fromkeys(map(int, _TWO_OCTETS), range(2, 3)),
    Tag.QOS_TIME_TO_LIVE: range(4, 5),
    Tag.ADDITIONAL_STATUS_INFO_TEXT: range(1, 257),
    Tag.RECEIPTED_MESSAGE_ID: range(1, 66),
    Tag.SOURCE_SUBADDRESS: range(2, 24),
    Tag.DEST_SUBADDRESS: range(2, 24),
    Tag.CALLBACK_NUM_ATAG: range(66),
    Tag.CALLBACK_NUM: range(4, 20),
    Tag.NETWORK_ERROR_CODE: range(3, 4),
    Tag.ALERT_ON_MESSAGE_DELIVERY: range(1),
}
"""The octets that SMPP 3.4 s5.3.2 lets a value have, by tag; a tag not named here may have any number."""


def encode_tlvs(pdu: OptionalParameters) -> bytes:
    """Write the optional parameters of `pdu`. Raise ValueError, with the tag, for one that SMPP 3.4 forbids."""
    out = bytearray()
    for tag, value in (*pdu.tlvs.items(), *pdu.repeated_tlvs):
        if not 0 <= tag <= _MAX_TAG or len(value) not in TLV_LENGTHS.get(tag, _ANY_LENGTH):
            raise ValueError(f"tag 0x{tag:04X} cannot have {len(value)} octets")
        out += _TLV_HEADER.pack(tag, len(value))
        out += value
    return bytes(out)


def decode_tlvs(frame: bytes, offset: int) -> tuple[dict[int, bytes], tuple[tuple[int, bytes], ...], bytes]:
    """Read TLVs from `offset` to the end of `frame`: the first of each tag, the repeated ones, the malformed tail."""
    end = len(frame)
    tlvs: dict[int, bytes] = {}
    repeated: list[tuple[int, bytes]] = []
    while offset + 4 <= end:
        tag, length = _TLV_HEADER.unpack_from(frame, offset)
        after = offset + 4 + length
        if after > end:
            break
        if tag in tlvs:
            repeated.append((tag, frame[offset + 4 : after]))
        else:
            tlvs[tag] = frame[offset + 4 : after]
        offset = after
    return tlvs, tuple(repeated), frame[offset:]


def tlv_int(pdu: OptionalParameters, tag: int) -> int | None:
    """Read the value of `tag` as an unsigned big-endian number; None where absent, empty or over 8 octets."""
    value = pdu.tlvs.get(tag)
    if not value or len(value) > _MAX_INT_OCTETS:
        return None
    return int.from_bytes(value, "big")


def tlv_text(pdu: OptionalParameters, tag: int) -> str | None:
    """Read the value of `tag` as Latin-1 text up to a NUL, which may be missing; None where absent."""
    value = pdu.tlvs.get(tag)
    if value is None:
        return None
    return value.partition(b"\0")[0].decode("latin-1")


def message_payload(pdu: OptionalParameters) -> bytes | None:
    """Read the message_payload, None where absent. SMPP 3.4 s5.3.2.32."""
    return pdu.tlvs.get(Tag.MESSAGE_PAYLOAD)


def message_octets(pdu: SubmitSm | DeliverSm | DataSm) -> bytes:
    """Read the message wherever it stands: short_message unless empty, else message_payload, else b""."""
    short_message = b"" if isinstance(pdu, DataSm) else pdu.short_message
    return short_message or pdu.tlvs.get(Tag.MESSAGE_PAYLOAD, b"")


def tlv_from_int(tag: int, value: int) -> bytes:
    """Write a number as the value of `tag`, in the octets that SMPP 3.4 gives it (1 for a tag it does not know).

    Raises OverflowError for a number that does not fit.
    """
    lengths = TLV_LENGTHS.get(tag)
    return value.to_bytes(lengths[-1] if lengths else 1, "big")


def tlv_from_text(value: str) -> bytes:
    """Write Latin-1 text as the value of a C-octet string parameter, e.g. receipted_message_id."""
    return value.encode("latin-1") + b"\0"
