"""The errors of the SMPP core: a closed set, each of which says whose fault it is and how far it reaches.

local, one PDU: EncodeError, IllegalStateError, WindowFullError. remote, one PDU: DecodeError. remote, the whole
session: FramingError. None carries a message text, an address or a password: evidence is the header alone.
"""

from typing import NamedTuple

from gateway.smpp.constants import command_name


class PduHeader(NamedTuple):
    """Hold the header of a PDU. SMPP 3.4 s3.2."""

    command_length: int
    command_id: int
    command_status: int
    sequence_number: int


class SmppError(Exception):
    """Stand above every error that the SMPP core declares."""


class EncodeError(SmppError):
    """Report a field that SMPP 3.4 does not let us send; nothing was written."""

    def __init__(self, command_id: int, field: str, reason: str) -> None:
        super().__init__(f"{command_name(command_id)}.{field}: {reason}")
        self.command_id = command_id
        self.field = field
        self.reason = reason


class DecodeError(SmppError):
    """Report a request whose body does not decode; the header is whole, so it can be answered."""

    def __init__(self, header: PduHeader, reason: str, command_status_to_answer: int) -> None:
        super().__init__(f"{command_name(header.command_id)}: {reason}")
        self.header = header
        self.reason = reason
        self.command_status_to_answer = command_status_to_answer


class FramingError(SmppError):
    """Report a command_length that cannot be: the stream is lost from here on.

    `evidence` is at most the 16 octets where a header should stand; `frames` are the whole PDUs before it.
    """

    def __init__(self, reason: str, evidence: bytes, frames: list[bytes]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = evidence
        self.frames = frames


class IllegalStateError(SmppError):
    """Report a PDU that the session's state does not let us send (SMPP 3.4 Table 2-1)."""


class WindowFullError(SmppError):
    """Report that as many requests are unanswered as the settings allow."""
