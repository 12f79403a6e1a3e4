"""Cut the octets of a TCP stream into PDUs by their command_length. SMPP 3.4 s3.2.

`FrameBuffer` survives any split of the stream (one read is not one PDU, in either direction), holds at most one
unfinished PDU, and copies each octet a bounded number of times. A command_length that cannot be raises FramingError:
the place of the next header is then unknown, and only a new connection helps.
"""

from struct import Struct
from typing import Final

from gateway.smpp.constants import HEADER_LENGTH
from gateway.smpp.errors import FramingError

_COMMAND_LENGTH: Final = Struct(">I")
_LENGTH_OCTETS: Final = 4


class FrameBuffer:
    """Gather octets until PDUs are whole; `max_length` caps command_length, in octets."""

    def __init__(self, max_length: int = 65536) -> None:
        self._max_length = max_length
        self._rest = bytearray()
        self._wanted = _LENGTH_OCTETS

    def feed(self, data: bytes) -> list[bytes]:
        """Add `data` and return the PDUs that are now whole, in order.

        Raises FramingError, which carries the whole PDUs before the bad header; nothing can be fed after that.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        frames: list[bytes] = []
        offset, size = 0, len(data)
        wanted = _LENGTH_OCTETS
        while size - offset >= _LENGTH_OCTETS:
            (length,) = _COMMAND_LENGTH.unpack_from(data, offset)
            if not HEADER_LENGTH <= length <= self._max_length:
                raise FramingError(f"command_length {length}", data[offset : offset + HEADER_LENGTH], frames)
            if offset + length > size:
                wanted = length
                break
            frames.append(data[offset : offset + length])
            offset += length
        if offset < size:
            self._rest += data[offset:]
        self._wanted = wanted
        return frames
