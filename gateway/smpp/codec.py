"""PDU <-> octets, by one table: `_LAYOUTS` says for each PDU of SMPP 3.4 section 4 what its body consists of.

`encode` is strict: lengths and ranges of the specification, no NUL inside a C-octet string; EncodeError names the
field. The exceptions are a password of up to 64 characters (providers exceed 8) and message_ids of up to 64.
`decode` is tolerant where the mandatory part is whole: any length of string, TLVs raw, octets that are no TLV kept in
`malformed_tail`, octets behind the body of a PDU without TLVs ignored. A request whose mandatory part is broken raises
DecodeError, which keeps the header. A response is never refused, since nobody answers a response and refusing it would
lose a message_id: what ends early is read as if NULs followed, and the body is kept in `malformed_tail`.

Speed: a body is a run of C-octet strings and groups of one-octet integers, so both directions are one loop over a
handful of steps; a group of integers is one slice.
"""

import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec.structs import astuple

from gateway.smpp import pdu as p
from gateway.smpp.constants import HEADER_LENGTH, RESPONSE_BIT, CommandStatus, DestFlag, Tag
from gateway.smpp.errors import DecodeError, EncodeError, FramingError, PduHeader
from gateway.smpp.pdu import OptionalParameters, Pdu, UnknownPdu
from gateway.smpp.tlv import decode_tlvs, encode_tlvs

_HEADER: Final = struct.Struct(">IIII")
_UNSUCCESS_STATUS: Final = struct.Struct(">I")
_PADDING: Final = bytes(64)

_MAX_SHORT_MESSAGE: Final = 254
_MAX_DESTINATIONS: Final = 254
_ADDRESS: Final = range(21)
_MESSAGE_ID: Final = range(65)


class _MalformedError(ValueError):
    """Report a body that does not decode, with the status that tells the peer why."""

    def __init__(self, reason: str, command_status: CommandStatus) -> None:
        super().__init__(reason)
        self.command_status = command_status


class _Special(NamedTuple):
    """Read and write a field that is neither a C-octet string nor one octet."""

    read: Callable[[bytes, int], tuple[Any, int]]
    write: Callable[[Any], bytes]


_Step = tuple[int, range | tuple[int, ...], _Special | None]
"""The next piece of a body: that many integers of one octet; else a special field; else a C-octet string, which may have
so many characters when it is sent. A plain tuple, since unpacking a named one costs twice as much."""


class _Layout(NamedTuple):
    pdu_type: type[Pdu]
    steps: tuple[_Step, ...]
    is_response: bool
    drops_body_on_error: bool


def encode(pdu: Pdu | UnknownPdu) -> bytes:
    """Write `pdu` as one frame. Raise EncodeError, which names the field, for what SMPP 3.4 does not allow."""
    if type(pdu) is UnknownPdu:  # cheaper than isinstance
        return _join(pdu, pdu.body)
    layout = _LAYOUTS[pdu.command_id]
    body = _write_steps(pdu, layout.steps) if layout.steps else b""
    if isinstance(pdu, OptionalParameters):
        if pdu.tlvs or pdu.repeated_tlvs:
            body += _write_tlvs(pdu)
        elif pdu.command_status and layout.drops_body_on_error and not any(body):
            body = b""  # s4.4.2: the body is not returned with an error
    return _join(pdu, body)


def decode(frame: bytes | memoryview) -> Pdu | UnknownPdu:
    """Read one whole frame. Raise DecodeError for a broken request, FramingError for a frame that is none.

    The peer's own sequence_number and command_status stand in the PDU, and in the error's header.
    """
    if type(frame) is not bytes:
        frame = bytes(frame)
    size = len(frame)
    if size < HEADER_LENGTH:
        raise FramingError("shorter than a PDU header", frame, [])
    command_length, command_id, command_status, sequence_number = _HEADER.unpack_from(frame)
    if command_length != size:
        header = PduHeader(command_length, command_id, command_status, sequence_number)
        raise DecodeError(header, f"{size} octets, command_length {command_length}", CommandStatus.ESME_RINVCMDLEN)
    layout = _LAYOUTS.get(command_id)
    if layout is None:
        return UnknownPdu(command_id, command_status, sequence_number, frame[HEADER_LENGTH:])
    if not layout.steps or (size == HEADER_LENGTH and layout.is_response):
        return layout.pdu_type(command_status=command_status, sequence_number=sequence_number)
    try:
        values, offset = _read_steps(layout.steps, frame)
    except (ValueError, IndexError) as error:
        if layout.is_response:
            return _decode_short_response(layout, frame)
        header = PduHeader(command_length, command_id, command_status, sequence_number)
        status = getattr(error, "command_status", CommandStatus.ESME_RINVCMDLEN)
        raise DecodeError(header, _reason(error), status) from error
    pdu = layout.pdu_type(*values, command_status=command_status, sequence_number=sequence_number)
    if offset != size and isinstance(pdu, OptionalParameters):
        pdu.tlvs, pdu.repeated_tlvs, pdu.malformed_tail = decode_tlvs(frame, offset)
    return pdu


def _join(pdu: Pdu | UnknownPdu, body: bytes) -> bytes:
    try:
        header = _HEADER.pack(HEADER_LENGTH + len(body), pdu.command_id, pdu.command_status, pdu.sequence_number)
    except struct.error as error:
        raise EncodeError(pdu.command_id, "header", "not within 32 bits") from error
    return header + body


def _write_steps(pdu: Pdu, steps: tuple[_Step, ...]) -> bytes:
    values = astuple(pdu)
    index = 0
    body = bytearray()
    try:
        for octets, lengths, special in steps:
            if octets:
                body += bytes(values[index : index + octets])
                index += octets
                continue
            value = values[index]
            if special is not None:
                body += special.write(value)
            elif value:
                body += _write_text(value, lengths)
            else:
                body.append(0)
            index += 1
    except ValueError as error:
        raise _field_error(pdu, index, error) from None
    return bytes(body)


def _field_error(pdu: Pdu, index: int, error: ValueError) -> EncodeError:
    """Name the field at which writing stopped: in a group of integers, the first that is no octet."""
    values = astuple(pdu)
    names = pdu.__struct_fields__
    while isinstance(values[index], int) and values[index] in range(256):
        index += 1
    if isinstance(values[index], int):
        return EncodeError(pdu.command_id, names[index], "not within one octet")
    if isinstance(error, UnicodeEncodeError):
        return EncodeError(pdu.command_id, names[index], "a character outside Latin-1")
    return EncodeError(pdu.command_id, names[index], str(error))


def _write_tlvs(pdu: OptionalParameters) -> bytes:
    if Tag.MESSAGE_PAYLOAD in pdu.tlvs and getattr(pdu, "short_message", None):
        raise EncodeError(pdu.command_id, "short_message", "must be empty beside message_payload")  # s5.3.2.32
    try:
        return encode_tlvs(pdu)
    except ValueError as error:
        raise EncodeError(pdu.command_id, "tlvs", str(error)) from None


def _read_steps(steps: tuple[_Step, ...], frame: bytes) -> tuple[list[Any], int]:
    values: list[Any] = []
    offset = HEADER_LENGTH
    for octets, _, special in steps:
        if octets:
            values += frame[offset : offset + octets]
            offset += octets
        elif special is None:
            end = frame.index(0, offset)
            values.append(frame[offset:end].decode("latin-1") if end > offset else "")
            offset = end + 1
        else:
            value, offset = special.read(frame, offset)
            values.append(value)
    if offset > len(frame):
        raise IndexError
    return values, offset


def _decode_short_response(layout: _Layout, frame: bytes) -> Pdu:
    """Read a response that ends early: the fields that are there, and its body as malformed_tail."""
    _, _, command_status, sequence_number = _HEADER.unpack_from(frame)
    try:
        values, _ = _read_steps(layout.steps, frame + _PADDING)
    except (ValueError, IndexError):
        values = []
    pdu = layout.pdu_type(*values, command_status=command_status, sequence_number=sequence_number)
    if isinstance(pdu, OptionalParameters):
        pdu.malformed_tail = frame[HEADER_LENGTH:]
    return pdu


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, _MalformedError) else "the body ends before its mandatory fields"


# --- fields that are neither a C-octet string nor one octet -----------------------------------------------------------


def _read_short_message(frame: bytes, offset: int) -> tuple[bytes, int]:
    start = offset + 1
    end = start + frame[offset]
    if end > len(frame):
        raise _MalformedError("sm_length reaches beyond the PDU", CommandStatus.ESME_RINVMSGLEN)
    return frame[start:end], end


def _write_short_message(short_message: bytes) -> bytes:
    size = len(short_message)
    if size > _MAX_SHORT_MESSAGE:
        raise ValueError(f"{size} octets, at most {_MAX_SHORT_MESSAGE}")
    return size.to_bytes(1, "big") + short_message


def _read_text(frame: bytes, offset: int) -> tuple[str, int]:
    end = frame.index(0, offset)
    return frame[offset:end].decode("latin-1"), end + 1


def _write_text(text: str, lengths: range | tuple[int, ...]) -> bytes:
    octets = text.encode("latin-1")
    if len(octets) not in lengths or 0 in octets:
        raise ValueError(f"{len(octets)} characters, or a NUL inside")
    return octets + b"\0"


def _read_destinations(frame: bytes, offset: int) -> tuple[tuple[p.SmeAddress | p.DistributionList, ...], int]:
    count = frame[offset]
    offset += 1
    destinations: list[p.SmeAddress | p.DistributionList] = []
    for _ in range(count):
        flag = frame[offset]
        if flag == DestFlag.SME_ADDRESS:
            address, after = _read_text(frame, offset + 3)
            destinations.append(p.SmeAddress(frame[offset + 1], frame[offset + 2], address))
        elif flag == DestFlag.DISTRIBUTION_LIST:
            name, after = _read_text(frame, offset + 1)
            destinations.append(p.DistributionList(name))
        else:
            raise _MalformedError(f"dest_flag {flag}", CommandStatus.ESME_RINVDESTFLAG)
        offset = after
    return tuple(destinations), offset


def _write_destinations(destinations: tuple[p.SmeAddress | p.DistributionList, ...]) -> bytes:
    if len(destinations) not in range(1, _MAX_DESTINATIONS + 1):
        raise ValueError(f"{len(destinations)} destinations, 1 to {_MAX_DESTINATIONS} allowed")
    return bytes([len(destinations)]) + b"".join(map(_write_destination, destinations))


def _write_destination(destination: p.SmeAddress | p.DistributionList) -> bytes:
    if isinstance(destination, p.DistributionList):
        return bytes([destination.dest_flag]) + _write_text(destination.dl_name, _ADDRESS)
    octets = bytes([destination.dest_flag, destination.dest_addr_ton, destination.dest_addr_npi])
    return octets + _write_text(destination.destination_addr, _ADDRESS)


def _read_unsuccess(frame: bytes, offset: int) -> tuple[tuple[p.UnsuccessSme, ...], int]:
    count = frame[offset]
    offset += 1
    unsuccess: list[p.UnsuccessSme] = []
    for _ in range(count):
        address, after = _read_text(frame, offset + 2)
        status = int.from_bytes(frame[after : after + 4], "big")
        unsuccess.append(p.UnsuccessSme(frame[offset], frame[offset + 1], address, status))
        offset = after + 4
    return tuple(unsuccess), offset


def _write_unsuccess(unsuccess: tuple[p.UnsuccessSme, ...]) -> bytes:
    if len(unsuccess) not in range(256):
        raise ValueError(f"{len(unsuccess)} destinations, at most 255")
    out = bytearray([len(unsuccess)])
    for sme in unsuccess:
        out += bytes([sme.dest_addr_ton, sme.dest_addr_npi]) + _write_text(sme.destination_addr, _ADDRESS)
        out += _UNSUCCESS_STATUS.pack(sme.error_status_code)
    return bytes(out)


# --- the layouts: SMPP 3.4 section 4 -----------------------------------------------------------------------------------


def _text(lengths: range | tuple[int, ...]) -> _Step:
    return 0, lengths, None


def _octets(count: int) -> _Step:
    return count, (), None


def _special(read: Callable[[bytes, int], tuple[Any, int]], write: Callable[[Any], bytes]) -> _Step:
    return 0, (), _Special(read, write)


_TON_NPI = _octets(2)
_ADDR = _text(_ADDRESS)
_LONG_ADDR = _text(range(65))
_SERVICE_TYPE = _text(range(6))
_TIME = _text((0, 16))  # s5.2.15, s5.2.16: 1 or 17 octets
_SYSTEM_ID = _text(range(16))
_PASSWORD = _text(range(65))  # 9 octets in s5.2.2; providers exceed it
_ID = _text(_MESSAGE_ID)
_SHORT_MESSAGE = _special(_read_short_message, _write_short_message)
_SOURCE = (_TON_NPI, _ADDR)
_ADDRESSES = (_TON_NPI, _ADDR, _TON_NPI, _ADDR)

_BIND = (_SYSTEM_ID, _PASSWORD, _text(range(13)), _octets(3), _text(range(41)))
_CONTENT = (_octets(3), _TIME, _TIME, _octets(4), _SHORT_MESSAGE)
_MESSAGE = (_SERVICE_TYPE, *_ADDRESSES, *_CONTENT)

_STEPS: Final[dict[type[Pdu], tuple[_Step, ...]]] = {
    p.BindTransmitter: _BIND,
    p.BindReceiver: _BIND,
    p.BindTransceiver: _BIND,
    p.BindTransmitterResp: (_SYSTEM_ID,),
    p.BindReceiverResp: (_SYSTEM_ID,),
    p.BindTransceiverResp: (_SYSTEM_ID,),
    p.Outbind: (_SYSTEM_ID, _PASSWORD),
    p.Unbind: (),
    p.UnbindResp: (),
    p.GenericNack: (),
    p.SubmitSm: _MESSAGE,
    p.SubmitSmResp: (_ID,),
    p.SubmitMulti: (_SERVICE_TYPE, *_SOURCE, _special(_read_destinations, _write_destinations), *_CONTENT),
    p.SubmitMultiResp: (_ID, _special(_read_unsuccess, _write_unsuccess)),
    p.DeliverSm: _MESSAGE,
    p.DeliverSmResp: (_ID,),
    p.DataSm: (_SERVICE_TYPE, _TON_NPI, _LONG_ADDR, _TON_NPI, _LONG_ADDR, _octets(3)),
    p.DataSmResp: (_ID,),
    p.QuerySm: (_ID, *_SOURCE),
    p.QuerySmResp: (_ID, _TIME, _octets(2)),
    p.CancelSm: (_SERVICE_TYPE, _ID, *_ADDRESSES),
    p.CancelSmResp: (),
    p.ReplaceSm: (_ID, *_SOURCE, _TIME, _TIME, _octets(2), _SHORT_MESSAGE),
    p.ReplaceSmResp: (),
    p.EnquireLink: (),
    p.EnquireLinkResp: (),
    p.AlertNotification: (_TON_NPI, _LONG_ADDR, _TON_NPI, _LONG_ADDR),
}

_DROPS_BODY_ON_ERROR: Final = {
    p.BindTransmitterResp,
    p.BindReceiverResp,
    p.BindTransceiverResp,
    p.SubmitSmResp,
    p.SubmitMultiResp,
    p.QuerySmResp,
}

_LAYOUTS: Final[dict[int, _Layout]] = {
    int(pdu_type.command_id): _Layout(
        pdu_type,
        steps,
        is_response=bool(pdu_type.command_id & RESPONSE_BIT),
        drops_body_on_error=pdu_type in _DROPS_BODY_ON_ERROR,
    )
    for pdu_type, steps in _STEPS.items()
}
