"""The user data header that precedes the text of a part: which part it is, and which national language tables it is written in. Pure.

Carriers and the sandbox build it with `header` and read it with `split_header`. Elements that are neither of the two (ports, pictures, ...)
are skipped. Source: 3GPP TS 23.040 s9.2.3.24.
"""

from typing import NamedTuple

_CONCATENATION = 0x00  # information element identifiers. 3GPP TS 23.040 s9.2.3.24
_CONCATENATION_WIDE = 0x08
_SINGLE_SHIFT = 0x24
_LOCKING_SHIFT = 0x25


class Concatenation(NamedTuple):
    """Which part of which message: `number` of `total`, counted from 1, joined by `reference`."""

    reference: int
    total: int
    number: int
    wide: bool = False  # the reference has 16 bits, not 8


class UserDataHeader(NamedTuple):
    """What a header says; `length` is its octets, the length octet included, 0 = there is none."""

    concatenation: Concatenation | None = None
    single_shift: int = 0  # national language identifiers, 0 = none
    locking_shift: int = 0
    length: int = 0


NO_HEADER = UserDataHeader()


def header(*elements: bytes) -> bytes:
    """Build a header of information elements; none at all make no header."""
    joined = b"".join(elements)
    return bytes([len(joined)]) + joined if joined else b""


def concatenation(reference: int, total: int, number: int, *, wide: bool = False) -> bytes:
    """Build the element that joins parts; only the low 8 bits of `reference` go, or 16. 3GPP TS 23.040 s9.2.3.24.1 and s9.2.3.24.8"""
    if wide:
        return bytes([_CONCATENATION_WIDE, 4, reference >> 8 & 0xFF, reference & 0xFF, total, number])
    return bytes([_CONCATENATION, 3, reference & 0xFF, total, number])


def concatenation_length(*, wide: bool) -> int:
    """Count the octets of that element."""
    return 6 if wide else 5


def national_language(*, locking_shift: int = 0, single_shift: int = 0) -> bytes:
    """Build the elements that name languages, 0 for none. 3GPP TS 23.040 s9.2.3.24.15 and s9.2.3.24.16"""
    single = bytes([_SINGLE_SHIFT, 1, single_shift]) if single_shift else b""
    locking = bytes([_LOCKING_SHIFT, 1, locking_shift]) if locking_shift else b""
    return single + locking


def split_header(data: bytes) -> tuple[UserDataHeader, bytes]:
    """Part a header from the text behind it; any octets have a result.

    A header longer than the data is none, and all of it is text. Elements may stand in any order; of a repeated one the last counts
    (3GPP TS 23.040 s9.2.3.24). One that is cut off, or has another length than it must, is skipped; so is a concatenation that cannot be:
    number 0, or above total.
    """
    length = data[0] + 1 if data else 0
    if not 0 < length <= len(data):
        return NO_HEADER, data
    return _read(data[1:length])._replace(length=length), data[length:]


def _read(elements: bytes) -> UserDataHeader:
    found = NO_HEADER
    at = 0
    while at + 2 <= len(elements):
        identifier, length = elements[at], elements[at + 1]
        value = elements[at + 2 : at + 2 + length]
        at += 2 + length
        if len(value) == length:
            found = _heed(found, identifier, value)
    return found


def _heed(found: UserDataHeader, identifier: int, value: bytes) -> UserDataHeader:
    match identifier, len(value):
        case (0x00, 3) | (0x08, 4):
            reference, total, number = int.from_bytes(value[:-2], "big"), value[-2], value[-1]
            if 1 <= number <= total:
                return found._replace(concatenation=Concatenation(reference, total, number, identifier == _CONCATENATION_WIDE))
        case (0x24, 1):
            return found._replace(single_shift=value[0])
        case (0x25, 1):
            return found._replace(locking_shift=value[0])
    return found
