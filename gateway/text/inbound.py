"""What a phone wrote, from the octets that an SMSC delivered. Pure; every input has a result.

`coding` says how the octets of one piece are to be read, `decode` reads the pieces of one message, in order and without their headers:

    header, octets = udh.split_header(short_message)
    text, encoding = decode([(octets, coding(data_coding, "gsm0338", {}, header)), ...])

Neighbours that are coded alike are joined before they are decoded: a phone may split a surrogate pair or an escape pair. Packed septets are
unpacked piece by piece, since each piece begins anew behind its header.

Octets above 0x7F prove that what is said to be GSM or ASCII is neither: it is read as Latin-1, and named so. UTF-16 is big-endian unless a
byte order mark, or an override, says otherwise. Of the national languages Portuguese and Spanish are known; another one's text is read with
the default tables, as 3GPP TS 23.038 s6.2.1.2.4 asks.
"""

import base64
import codecs
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from gateway.text.encodings import DefaultAlphabet
from gateway.text.national_language import PORTUGUESE, SPANISH, alphabet
from gateway.text.packing import fill_bits, unpack
from gateway.text.udh import UserDataHeader, split_header


class Coding(NamedTuple):
    """How the octets of a piece are to be read."""

    alphabet: str  # gsm7, gsm7-packed, ascii, latin1, ucs2, ucs2-le, binary
    single_shift: int = 0  # national language identifiers, 0 = none
    locking_shift: int = 0
    fill: int = 0  # bits before the first septet, where they are packed


BINARY = "binary"

_BY_DATA_CODING = {1: "ascii", 2: BINARY, 3: "latin1", 4: BINARY, 8: "ucs2"}
_BY_DEFAULT_ALPHABET: dict[DefaultAlphabet, str] = {"gsm0338": "gsm7", "latin1": "latin1", "ascii": "ascii"}
_DEFAULT = ""  # as data_coding 0: the SMSC's default alphabet
_NAMES = {  # of what was read, where it is not the alphabet's own
    Coding("gsm7", single_shift=PORTUGUESE): "gsm7-pt",
    Coding("gsm7", locking_shift=PORTUGUESE): "gsm7-pt",
    Coding("gsm7", PORTUGUESE, PORTUGUESE): "gsm7-pt",
    Coding("gsm7", single_shift=SPANISH): "gsm7-es",
    Coding("gsm7", SPANISH, PORTUGUESE): "gsm7-pt",
}
_WIDEST_FIRST = ("ucs2", "latin1", "gsm7-pt", "gsm7-es", "gsm7", "ascii")


def coding(data_coding: int, default_alphabet: DefaultAlphabet, overrides: Mapping[int, str], udh: UserDataHeader | None) -> Coding:
    """Say how octets under `data_coding` (0 to 255) are to be read; `overrides` is the carrier's setting and comes first.

    SMPP 3.4 s5.2.19 below 0x10, the groups of 3GPP TS 23.038 s4 above, classes included; what neither defines is read as data_coding 0,
    which may be overridden too.
    """
    name = overrides.get(data_coding) or _ALPHABETS[data_coding] or overrides.get(0) or _BY_DEFAULT_ALPHABET[default_alphabet]
    if udh is None or not name.startswith("gsm7"):
        return Coding(name)
    return Coding(name, udh.single_shift, udh.locking_shift, fill_bits(udh.length) if name == "gsm7-packed" else 0)


def _alphabet_of(data_coding: int) -> str:
    if data_coding < 0x10:
        return _BY_DATA_CODING.get(data_coding, _DEFAULT)
    match data_coding >> 4:
        case 0x2 | 0x3 | 0x6 | 0x7:
            return BINARY  # compressed: no reader of text could make sense of it
        case 0x1 | 0x4 | 0x5:
            return (_DEFAULT, BINARY, "ucs2", _DEFAULT)[data_coding >> 2 & 0x03]
        case 0xE:
            return "ucs2"  # message waiting, stored
        case 0xF:
            return BINARY if data_coding & 0x04 else _DEFAULT
        case _:
            return _DEFAULT


_ALPHABETS = tuple(_alphabet_of(data_coding) for data_coding in range(256))


def decode(pieces: Sequence[tuple[bytes, Coding]]) -> tuple[str, str]:
    """Decode the pieces of one message into its text and the name of its encoding.

    gsm7, gsm7-pt, gsm7-es, ascii, latin1 or ucs2: of several, the first of `_WIDEST_FIRST`. One binary piece makes the whole binary: the
    text is then all octets in base64.
    """
    if any(how.alphabet == BINARY for _, how in pieces):
        return base64.b64encode(b"".join(octets for octets, _ in pieces)).decode("ascii"), BINARY
    read = [_read(b"".join(octets for octets, _ in run), how) for how, run in groupby(map(_unpacked, pieces), key=itemgetter(1))]
    names = {name for _, name in read}
    return "".join(text for text, _ in read), next((name for name in _WIDEST_FIRST if name in names), "gsm7")


def decode_inbound(data: bytes, data_coding: int, default_alphabet: DefaultAlphabet = "gsm0338", *, udhi: bool = False) -> tuple[str, str]:
    """Decode a message of one piece that no setting of a carrier concerns; with `udhi` a user data header is read first."""
    header, text = split_header(data) if udhi else (None, data)
    return decode([(text, coding(data_coding & 0xFF, default_alphabet, {}, header))])


def _unpacked(piece: tuple[bytes, Coding]) -> tuple[bytes, Coding]:
    octets, how = piece
    if how.alphabet != "gsm7-packed":
        return piece
    return unpack(octets, how.fill), Coding("gsm7", how.single_shift, how.locking_shift)


def _read(octets: bytes, how: Coding) -> tuple[str, str]:
    match how.alphabet:
        case "ucs2":
            return _decode_utf16(octets, "utf-16-be"), "ucs2"
        case "ucs2-le":
            return _decode_utf16(octets, "utf-16-le"), "ucs2"
        case "gsm7" if octets.isascii():
            return alphabet(how.locking_shift, how.single_shift).decode(octets), _NAMES.get(how, "gsm7")
        case "ascii" if octets.isascii():
            return octets.decode("ascii"), "ascii"
        case _:
            return octets.decode("latin-1"), "latin1"


def _decode_utf16(octets: bytes, byte_order: str) -> str:
    """Decode; a byte order mark overrules `byte_order`; what is no character, or is cut off at the end, becomes U+FFFD."""
    marked = octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return octets.decode("utf-16" if marked else byte_order, "replace")
