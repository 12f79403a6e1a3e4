"""The control packets of MQTT 5 that a client with QoS 0 and 1 needs: what it sends is encoded, what it receives is decoded. MQTT 5 s3.

Called by `session`; bodies come from `framing`. Encoders return whole packets and raise `UnsendableError` for what does
not fit (an integer out of its range is the caller's bug); decoders take a body and
raise `ProtocolError` (with `MalformedPacketError`) alone, whatever the bytes. QoS 2, enhanced authentication and topic aliases are not
here: a session announces that it does without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import Final

from gateway.mqtt.constants import MAX_PACKET_ID, PacketType, PropertyId, ReasonCode
from gateway.mqtt.errors import MalformedPacketError, ProtocolError, UnsendableError
from gateway.mqtt.primitives import (
    U16,
    U32,
    Properties,
    decode_byte,
    decode_properties,
    decode_u16,
    decode_utf8,
    encode_binary,
    encode_user_properties,
    encode_utf8,
    encode_utf8_property,
    encode_varint,
)

PINGREQ: Final = b"\xc0\x00"
_PUBACK: Final = Struct(">BBH")
_RETAIN_AS_PUBLISHED: Final = 1 << 3
_RETAIN_HANDLING_NONE: Final = 2 << 4

_PUBLISH_PROPERTIES: Final = frozenset(
    {
        PropertyId.PAYLOAD_FORMAT_INDICATOR,
        PropertyId.MESSAGE_EXPIRY_INTERVAL,
        PropertyId.CONTENT_TYPE,
        PropertyId.RESPONSE_TOPIC,
        PropertyId.CORRELATION_DATA,
        PropertyId.SUBSCRIPTION_IDENTIFIER,
        PropertyId.TOPIC_ALIAS,
        PropertyId.USER_PROPERTY,
    }
)
_CONNACK_PROPERTIES: Final = frozenset(
    {
        PropertyId.SESSION_EXPIRY_INTERVAL,
        PropertyId.ASSIGNED_CLIENT_IDENTIFIER,
        PropertyId.SERVER_KEEP_ALIVE,
        PropertyId.AUTHENTICATION_METHOD,
        PropertyId.AUTHENTICATION_DATA,
        PropertyId.RESPONSE_INFORMATION,
        PropertyId.SERVER_REFERENCE,
        PropertyId.REASON_STRING,
        PropertyId.RECEIVE_MAXIMUM,
        PropertyId.TOPIC_ALIAS_MAXIMUM,
        PropertyId.MAXIMUM_QOS,
        PropertyId.RETAIN_AVAILABLE,
        PropertyId.USER_PROPERTY,
        PropertyId.MAXIMUM_PACKET_SIZE,
        PropertyId.WILDCARD_SUBSCRIPTION_AVAILABLE,
        PropertyId.SUBSCRIPTION_IDENTIFIER_AVAILABLE,
        PropertyId.SHARED_SUBSCRIPTION_AVAILABLE,
    }
)
_ACK_PROPERTIES: Final = frozenset({PropertyId.REASON_STRING, PropertyId.USER_PROPERTY})
_DISCONNECT_PROPERTIES: Final = _ACK_PROPERTIES | {PropertyId.SESSION_EXPIRY_INTERVAL, PropertyId.SERVER_REFERENCE}


@dataclass(slots=True)
class Publish:
    """A PUBLISH. MQTT 5 s3.3"""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int  # 0 at QoS 0
    message_expiry_interval: int | None = None  # s
    response_topic: str | None = None
    correlation_data: bytes | None = None
    content_type: str | None = None
    user_properties: Sequence[tuple[str, str]] = ()
    topic_alias: int | None = None


@dataclass(frozen=True, slots=True)
class Will:
    """The message that the broker publishes at QoS 1 when the connection dies without a clean DISCONNECT. MQTT 5 s3.1.3.2"""

    topic: str
    payload: bytes
    retain: bool = True
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT; the keep alive and the session expiry interval are in seconds. MQTT 5 s3.1"""

    client_id: str
    keep_alive: int = 30
    clean_start: bool = False
    session_expiry_interval: int = 0
    receive_maximum: int = 65535
    maximum_packet_size: int = 1 << 20
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    will: Will | None = None


@dataclass(frozen=True, slots=True)
class Connack:
    """A CONNACK, with the defaults of MQTT 5 s3.2.2.3 where the broker left a property out."""

    session_present: bool
    reason: int
    receive_maximum: int = 65535
    maximum_packet_size: int | None = None  # None: no limit
    maximum_qos: int = 2
    retain_available: bool = True
    server_keep_alive: int | None = None  # s; None: ours holds
    session_expiry_interval: int | None = None  # s; None: ours holds
    assigned_client_identifier: str | None = None
    reason_string: str = ""
    server_reference: str = ""


@dataclass(frozen=True, slots=True)
class Puback:
    """A PUBACK. MQTT 5 s3.4"""

    packet_id: int
    reason: int = ReasonCode.SUCCESS


@dataclass(frozen=True, slots=True)
class Suback:
    """A SUBACK: a reason code for each topic filter; 0 to 2 is the granted QoS. MQTT 5 s3.9"""

    packet_id: int
    reasons: tuple[int, ...]
    reason_string: str = ""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A DISCONNECT. MQTT 5 s3.14"""

    reason: int = ReasonCode.SUCCESS
    reason_string: str = ""
    server_reference: str = ""


def encode_connect(connect: Connect) -> bytes:
    """Encode a CONNECT with the will's and the session's properties. MQTT 5 s3.1"""
    flags = connect.clean_start << 1
    payload = encode_utf8(connect.client_id)
    if connect.will is not None:
        flags |= 0x04 | 1 << 3 | connect.will.retain << 5
        payload += _will(connect.will)
    if connect.username is not None:
        flags |= 0x80
        payload += encode_utf8(connect.username)
    if connect.password is not None:
        flags |= 0x40
        payload += encode_binary(connect.password)
    properties = b"".join(
        (
            bytes((PropertyId.SESSION_EXPIRY_INTERVAL,)) + U32.pack(connect.session_expiry_interval),
            bytes((PropertyId.RECEIVE_MAXIMUM,)) + U16.pack(connect.receive_maximum),
            bytes((PropertyId.MAXIMUM_PACKET_SIZE,)) + U32.pack(connect.maximum_packet_size),
        )
    )
    head = b"\0\4MQTT\5" + bytes((flags,)) + U16.pack(connect.keep_alive)
    return _packet(PacketType.CONNECT << 4, head + encode_varint(len(properties)) + properties + payload)


def _will(will: Will) -> bytes:
    properties = encode_utf8_property(PropertyId.CONTENT_TYPE, will.content_type)
    return encode_varint(len(properties)) + properties + encode_topic(will.topic) + encode_binary(will.payload)


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + encode_varint(len(body)) + body


def encode_subscribe(packet_id: int, topic_filters: Sequence[str]) -> bytes:
    """Encode a SUBSCRIBE at QoS 1: no stored retained messages, and a RETAIN flag that shows what the producer set. MQTT 5 s3.8.3.1"""
    options = bytes((1 | _RETAIN_AS_PUBLISHED | _RETAIN_HANDLING_NONE,))
    body = U16.pack(packet_id) + b"\0" + b"".join([encode_utf8(name) + options for name in topic_filters])
    return _packet(PacketType.SUBSCRIBE << 4 | 2, body)


@lru_cache(maxsize=1024)
def encode_topic(topic: str) -> bytes:
    """Encode a topic name; empty, or with a wildcard or NUL in it, it is unsendable. MQTT 5 s4.7"""
    if not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise UnsendableError("a topic name is empty or holds a wildcard", ReasonCode.TOPIC_NAME_INVALID)
    try:
        return encode_utf8(topic)
    except UnsendableError as error:
        raise UnsendableError(str(error), ReasonCode.TOPIC_NAME_INVALID) from error


def encode_publish(
    topic: str,
    payload: bytes,
    *,
    packet_id: int = 0,
    retain: bool = False,
    dup: bool = False,
    content_type: str | None = None,
    correlation_data: bytes | None = None,
    response_topic: str | None = None,
    message_expiry_interval: int | None = None,
    user_properties: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Encode a PUBLISH: QoS 1 with a packet identifier, QoS 0 without. MQTT 5 s3.3"""
    properties = b""
    if message_expiry_interval is not None:
        properties = bytes((PropertyId.MESSAGE_EXPIRY_INTERVAL,)) + U32.pack(message_expiry_interval)
    if content_type is not None:
        properties += encode_utf8_property(PropertyId.CONTENT_TYPE, content_type)
    if response_topic is not None:
        properties += bytes((PropertyId.RESPONSE_TOPIC,)) + encode_topic(response_topic)
    if correlation_data is not None:
        properties += bytes((PropertyId.CORRELATION_DATA,)) + encode_binary(correlation_data)
    if user_properties:
        properties += encode_user_properties(user_properties)
    first = PacketType.PUBLISH << 4 | (2 if packet_id else 0) | retain | dup << 3
    identifier = U16.pack(packet_id) if packet_id else b""
    return _packet(first, b"".join((encode_topic(topic), identifier, encode_varint(len(properties)), properties, payload)))


def decode_publish(flags: int, body: bytes) -> Publish:
    """Decode a PUBLISH whose fixed header's low four bits are `flags`. MQTT 5 s3.3"""
    qos = flags >> 1 & 3
    if qos == 3 or (not qos and flags & 8):
        raise MalformedPacketError(f"a PUBLISH with the flags 0x{flags:x}")
    topic, offset = decode_utf8(body, 0)
    packet_id = 0
    if qos:
        packet_id, offset = _packet_id(body, offset)
    properties, offset = decode_properties(body, offset, _PUBLISH_PROPERTIES)
    publish = Publish(topic, body[offset:], qos, bool(flags & 1), bool(flags & 8), packet_id)
    if properties:
        publish.message_expiry_interval = properties.get(PropertyId.MESSAGE_EXPIRY_INTERVAL)
        publish.response_topic = properties.get(PropertyId.RESPONSE_TOPIC)
        publish.correlation_data = properties.get(PropertyId.CORRELATION_DATA)
        publish.content_type = properties.get(PropertyId.CONTENT_TYPE)
        publish.user_properties = properties.get(PropertyId.USER_PROPERTY, ())
        publish.topic_alias = properties.get(PropertyId.TOPIC_ALIAS)
    return publish


def _packet_id(body: bytes, offset: int) -> tuple[int, int]:
    packet_id, offset = decode_u16(body, offset)
    if not packet_id:
        raise ProtocolError("a packet identifier of 0")
    return packet_id, offset


def encode_puback(packet_id: int) -> bytes:
    """Encode a PUBACK with reason code 0x00. MQTT 5 s3.4"""
    return _PUBACK.pack(PacketType.PUBACK << 4, 2, packet_id)


def decode_puback(body: bytes) -> Puback:
    """Decode a PUBACK; without a reason code it means success. MQTT 5 s3.4.2.1"""
    packet_id, offset = _packet_id(body, 0)
    if len(body) == 2:
        return Puback(packet_id)
    reason, offset = decode_byte(body, offset)
    if len(body) > offset:
        _all_properties(body, offset, _ACK_PROPERTIES)
    return Puback(packet_id, reason)


def _all_properties(body: bytes, offset: int, allowed: frozenset[int]) -> Properties:
    properties, end = decode_properties(body, offset, allowed)
    if end != len(body):
        raise MalformedPacketError("bytes after the end of a packet")
    return properties


def decode_connack(body: bytes) -> Connack:
    """Decode a CONNACK. MQTT 5 s3.2"""
    flags, offset = decode_byte(body, 0)
    reason, offset = decode_byte(body, offset)
    if flags > 1 or (flags and reason):
        raise MalformedPacketError(f"a CONNACK with the flags 0x{flags:02x} and the reason 0x{reason:02x}")
    # a broker of MQTT 3.1.1 refuses with two bytes and no properties
    properties = _all_properties(body, offset, _CONNACK_PROPERTIES) if len(body) > offset else {}
    connack = Connack(
        session_present=bool(flags),
        reason=reason,
        receive_maximum=properties.get(PropertyId.RECEIVE_MAXIMUM, MAX_PACKET_ID),
        maximum_packet_size=properties.get(PropertyId.MAXIMUM_PACKET_SIZE),
        maximum_qos=properties.get(PropertyId.MAXIMUM_QOS, 2),
        retain_available=bool(properties.get(PropertyId.RETAIN_AVAILABLE, 1)),
        server_keep_alive=properties.get(PropertyId.SERVER_KEEP_ALIVE),
        session_expiry_interval=properties.get(PropertyId.SESSION_EXPIRY_INTERVAL),
        assigned_client_identifier=properties.get(PropertyId.ASSIGNED_CLIENT_IDENTIFIER),
        reason_string=properties.get(PropertyId.REASON_STRING, ""),
        server_reference=properties.get(PropertyId.SERVER_REFERENCE, ""),
    )
    if not connack.receive_maximum or connack.maximum_packet_size == 0:
        raise ProtocolError("a CONNACK with a Receive Maximum or Maximum Packet Size of 0")
    return connack


def decode_suback(body: bytes) -> Suback:
    """Decode a SUBACK. MQTT 5 s3.9"""
    packet_id, offset = _packet_id(body, 0)
    properties, offset = decode_properties(body, offset, _ACK_PROPERTIES)
    return Suback(packet_id, tuple(body[offset:]), properties.get(PropertyId.REASON_STRING, ""))


def encode_disconnect(reason: int = ReasonCode.SUCCESS) -> bytes:
    """Encode a DISCONNECT. MQTT 5 s3.14"""
    return b"\xe0\x01" + bytes((reason,)) if reason else b"\xe0\x00"


def decode_disconnect(body: bytes) -> Disconnect:
    """Decode a DISCONNECT; an empty one means 0x00. MQTT 5 s3.14.2"""
    if not body:
        return Disconnect()
    properties = _all_properties(body, 1, _DISCONNECT_PROPERTIES) if len(body) > 1 else {}
    return Disconnect(body[0], properties.get(PropertyId.REASON_STRING, ""), properties.get(PropertyId.SERVER_REFERENCE, ""))
