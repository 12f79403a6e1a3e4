"""Cuts the byte stream into MQTT control packets: fixed header, remaining length, body. MQTT 5 s2.1.

Called by `session`. It survives any split of the stream and refuses a packet above its limit before its bytes have come; it never looks
into a body.
"""

from collections.abc import Iterator

from gateway.mqtt.constants import ReasonCode
from gateway.mqtt.errors import MalformedPacketError, ProtocolError


class PacketReader:
    """Collect bytes and hand out whole packets of at most `maximum` bytes, fixed header included."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (first byte, body) of each packet that `data` completes. Raises ProtocolError; iterate to the end."""
        if self._pending:
            data = self._pending + data
        start, size = 0, len(data)
        while size - start >= 2:
            length = data[start + 1]
            body = start + 2
            if length >= 0x80:
                length, body = _long_length(data, start + 1)
                if not body:
                    break
            end = body + length
            if end - start > self._maximum:
                raise ProtocolError(f"a packet of {end - start} bytes, {self._maximum} allowed", ReasonCode.PACKET_TOO_LARGE)
            if end > size:
                break
            yield data[start], data[body:end]
            start = end
        self._pending = data[start:]


def _long_length(data: bytes, offset: int) -> tuple[int, int]:
    """Decode a remaining length of two to four bytes; offset 0 says that its end has not come yet. MQTT 5 s2.1.4"""
    value = 0
    for position, byte in enumerate(data[offset : offset + 4]):
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return value, offset + position + 1
    if len(data) - offset >= 4:
        raise MalformedPacketError("the remaining length has more than four bytes")
    return 0, 0
