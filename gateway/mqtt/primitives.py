"""MQTT 5 data types on the wire: integers, strings, binary data, variable byte integers and properties. MQTT 5 s1.5 and s2.2.2.

Called by `codec` alone. Decoders take the bytes and an offset and return the value and the offset after it; whatever is short, too long or
no UTF-8 raises `MalformedPacketError`. Encoders raise `UnsendableError`.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from gateway.mqtt.constants import MAX_REMAINING_LENGTH, PropertyId, ReasonCode
from gateway.mqtt.errors import MalformedPacketError, ProtocolError, UnsendableError

U16: Final = Struct(">H")
U32: Final = Struct(">I")

Properties = dict[int, Any]
"""Property identifier -> value; USER_PROPERTY and SUBSCRIPTION_IDENTIFIER -> list of values, in order."""


def encode_varint(value: int) -> bytes:
    """Encode a variable byte integer of one to four bytes. MQTT 5 s1.5.5"""
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value > MAX_REMAINING_LENGTH:
        raise UnsendableError(f"{value} does not fit a variable byte integer", ReasonCode.PACKET_TOO_LARGE)
    return bytes((value & 0x7F | 0x80,)) + encode_varint(value >> 7)


def decode_varint(data: bytes, offset: int) -> tuple[int, int]:
    """Decode a variable byte integer. MQTT 5 s1.5.5"""
    value = 0
    for shift in (0, 7, 14, 21):
        byte, offset = decode_byte(data, offset)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
    raise MalformedPacketError("a variable byte integer has more than four bytes")


def encode_binary(value: bytes) -> bytes:
    """Encode binary data behind its two-byte length. MQTT 5 s1.5.6"""
    if len(value) > 0xFFFF:
        raise UnsendableError(f"{len(value)} bytes in a field that holds 65535", ReasonCode.PACKET_TOO_LARGE)
    return U16.pack(len(value)) + value


def decode_binary(data: bytes, offset: int) -> tuple[bytes, int]:
    """Decode binary data behind its two-byte length. MQTT 5 s1.5.6"""
    length, start = decode_u16(data, offset)
    end = start + length
    if end > len(data):
        raise MalformedPacketError("a field is longer than its packet")
    return data[start:end], end


def encode_utf8(value: str) -> bytes:
    """Encode a string behind its two-byte length; neither NUL nor half a surrogate pair may be in it. MQTT 5 s1.5.4"""
    try:
        encoded = value.encode()
    except UnicodeEncodeError as error:
        raise UnsendableError("a string holds half a surrogate pair", ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR) from error
    if b"\0" in encoded:
        raise UnsendableError("a string holds NUL", ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)
    return encode_binary(encoded)


def decode_utf8(data: bytes, offset: int) -> tuple[str, int]:
    """Decode a string behind its two-byte length. MQTT 5 s1.5.4"""
    raw, offset = decode_binary(data, offset)
    try:
        value = raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedPacketError("a string is no UTF-8") from error
    if "\0" in value:
        raise MalformedPacketError("a string holds NUL")
    return value, offset


def decode_byte(data: bytes, offset: int) -> tuple[int, int]:
    """Decode one byte."""
    if offset >= len(data):
        raise MalformedPacketError("a packet ends too early")
    return data[offset], offset + 1


def decode_u16(data: bytes, offset: int) -> tuple[int, int]:
    """Decode a two byte integer. MQTT 5 s1.5.2"""
    end = offset + 2
    if end > len(data):
        raise MalformedPacketError("a packet ends too early")
    return data[offset] << 8 | data[offset + 1], end


def decode_u32(data: bytes, offset: int) -> tuple[int, int]:
    """Decode a four byte integer. MQTT 5 s1.5.3"""
    end = offset + 4
    if end > len(data):
        raise MalformedPacketError("a packet ends too early")
    return U32.unpack_from(data, offset)[0], end


def decode_pair(data: bytes, offset: int) -> tuple[tuple[str, str], int]:
    """Decode a pair of strings. MQTT 5 s1.5.7"""
    name, offset = decode_utf8(data, offset)
    value, offset = decode_utf8(data, offset)
    return (name, value), offset


# MQTT 5 s2.2.2.2, table 2-4: the data type of each property
_DECODERS: Final[Mapping[int, Callable[[bytes, int], tuple[Any, int]]]] = {
    PropertyId.PAYLOAD_FORMAT_INDICATOR: decode_byte,
    PropertyId.MESSAGE_EXPIRY_INTERVAL: decode_u32,
    PropertyId.CONTENT_TYPE: decode_utf8,
    PropertyId.RESPONSE_TOPIC: decode_utf8,
    PropertyId.CORRELATION_DATA: decode_binary,
    PropertyId.SUBSCRIPTION_IDENTIFIER: decode_varint,
    PropertyId.SESSION_EXPIRY_INTERVAL: decode_u32,
    PropertyId.ASSIGNED_CLIENT_IDENTIFIER: decode_utf8,
    PropertyId.SERVER_KEEP_ALIVE: decode_u16,
    PropertyId.AUTHENTICATION_METHOD: decode_utf8,
    PropertyId.AUTHENTICATION_DATA: decode_binary,
    PropertyId.RESPONSE_INFORMATION: decode_utf8,
    PropertyId.SERVER_REFERENCE: decode_utf8,
    PropertyId.REASON_STRING: decode_utf8,
    PropertyId.RECEIVE_MAXIMUM: decode_u16,
    PropertyId.TOPIC_ALIAS_MAXIMUM: decode_u16,
    PropertyId.TOPIC_ALIAS: decode_u16,
    PropertyId.MAXIMUM_QOS: decode_byte,
    PropertyId.RETAIN_AVAILABLE: decode_byte,
    PropertyId.USER_PROPERTY: decode_pair,
    PropertyId.MAXIMUM_PACKET_SIZE: decode_u32,
    PropertyId.WILDCARD_SUBSCRIPTION_AVAILABLE: decode_byte,
    PropertyId.SUBSCRIPTION_IDENTIFIER_AVAILABLE: decode_byte,
    PropertyId.SHARED_SUBSCRIPTION_AVAILABLE: decode_byte,
}
_REPEATABLE: Final = frozenset({PropertyId.USER_PROPERTY, PropertyId.SUBSCRIPTION_IDENTIFIER})
_NONE: Final[Properties] = {}


def decode_properties(data: bytes, offset: int, allowed: frozenset[int]) -> tuple[Properties, int]:
    """Decode the property length at `offset` and the properties after it, of which `allowed` may occur. MQTT 5 s2.2.2"""
    length, offset = decode_varint(data, offset)
    if not length:
        return _NONE, offset
    end = offset + length
    if end > len(data):
        raise MalformedPacketError("the properties are longer than their packet")
    properties: Properties = {}
    while offset < end:
        offset = _decode_property(data, offset, allowed, properties)
    if offset != end:
        raise MalformedPacketError("the last property is longer than the property length")
    return properties, end


def _decode_property(data: bytes, offset: int, allowed: frozenset[int], properties: Properties) -> int:
    identifier = data[offset]
    if identifier not in allowed:
        raise MalformedPacketError(f"property 0x{identifier:02x} does not belong here")
    value, offset = _DECODERS[identifier](data, offset + 1)
    if identifier in _REPEATABLE:
        properties.setdefault(identifier, []).append(value)
    elif identifier in properties:
        raise ProtocolError(f"property 0x{identifier:02x} occurs twice")
    else:
        properties[identifier] = value
    return offset


@lru_cache(maxsize=256)
def encode_utf8_property(identifier: int, value: str) -> bytes:
    """Encode a property that is a string of few values, such as the content type."""
    return bytes((identifier,)) + encode_utf8(value)


@lru_cache(maxsize=256)
def _user_property_head(name: str) -> bytes:
    return encode_utf8_property(PropertyId.USER_PROPERTY, name)


def encode_user_properties(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Encode user properties; the names are few and remembered, the values are not. MQTT 5 s3.3.2.3.7"""
    return b"".join([part for name, value in pairs for part in (_user_property_head(name), encode_utf8(value))])
