"""The text of one message: what `gateway.text.compose` and `gateway.text.inbound` replace. To be deleted once no caller is left.

Sending takes two steps, both pure: `choose` picks the encoding, `encode` makes the octets and checks that they fit one message.

What `data_coding` 0 means is the SMSC's affair (SMPP 3.4 s5.2.19), so `default_alphabet` tells it, a setting of the carrier. It decides how
each encoding travels:

| encoding | what the handset gets | gsm0338           | latin1                    | ascii                    | limit           |
| gsm7     | 7-bit characters      | 0, GSM octets     | 0, Latin-1 octets         | 0, ASCII octets          | 160 septets     |
| latin1   | 8-bit characters      | 3, Latin-1 octets | 0, Latin-1 octets         | 3, Latin-1 octets        | 140 octets      |
| ucs2     | UTF-16                | 8, UTF-16BE       | 8, UTF-16BE               | 8, UTF-16BE              | 70 UTF-16 units |

`gsm7` text is counted in septets of GSM 03.38 whatever its octets on the wire are, since that is what the SMSC makes of it for the radio.
It may go as `gsm7` only where both GSM 03.38 and the SMSC's default alphabet hold every character: € is in GSM 03.38 but not in Latin-1,
the grave accent ` is in ASCII but not in GSM 03.38. What fails that goes as Latin-1 or UCS2 under its own data_coding, never as a '?'.

Known limits: one message only, no packed septets, no national language tables.
"""

from typing import NamedTuple, assert_never

from gateway.text import gsm0338, inbound
from gateway.text.encodings import (
    DATA_CODING_DEFAULT,
    DATA_CODING_LATIN1,
    DATA_CODING_UCS2,
    DefaultAlphabet,
    Encoding,
    EncodingUnavailableError,
    NotEncodableError,
    TextTooLongError,
    WantedEncoding,
)
from gateway.text.udh import split_header

GSM7_LIMIT = 160  # septets in 140 octets. 3GPP TS 23.040 s9.2.3.16
LATIN1_LIMIT = 140  # octets
UCS2_LIMIT = 70  # UTF-16 units of two octets

_PYTHON_CODECS: dict[DefaultAlphabet, str] = {"latin1": "latin-1", "ascii": "ascii"}


class EncodedText(NamedTuple):
    """The octets of one short_message and what they mean; `units` of `limit` are used."""

    encoding: Encoding
    data_coding: int
    octets: bytes
    units: int
    limit: int


def choose(text: str, wanted: WantedEncoding = "auto", *, default_alphabet: DefaultAlphabet = "gsm0338", latin1: bool = False) -> Encoding:
    """Pick the cheapest encoding that loses nothing; `latin1` says that data_coding 3 may be picked unasked.

    A wanted `latin1` or `ucs2` is taken as it is. A wanted `gsm7` demands that GSM 03.38 holds the text (else NotEncodableError), but text
    that this SMSC's default alphabet lacks goes another way all the same. `gsm7-pt` raises EncodingUnavailableError.
    """
    match wanted:
        case "auto":
            return _cheapest(text, default_alphabet, latin1)
        case "gsm7":
            if not gsm0338.encodable(text):
                raise NotEncodableError(gsm0338.missing(text))
            return _cheapest(text, default_alphabet, latin1)
        case "gsm7-pt":
            raise EncodingUnavailableError(Encoding.GSM7_PT)
        case "latin1":
            return Encoding.LATIN1
        case "ucs2":
            return Encoding.UCS2
        case _:
            assert_never(wanted)


def _cheapest(text: str, default_alphabet: DefaultAlphabet, latin1: bool) -> Encoding:
    if gsm0338.encodable(text) and (default_alphabet == "gsm0338" or _holds(_PYTHON_CODECS[default_alphabet], text)):
        return Encoding.GSM7
    if (latin1 or default_alphabet == "latin1") and _holds("latin-1", text):
        return Encoding.LATIN1
    return Encoding.UCS2


def _holds(codec: str, text: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def encode(text: str, encoding: Encoding, default_alphabet: DefaultAlphabet = "gsm0338") -> EncodedText:
    """Encode a text into one short_message. Raises NotEncodableError, TextTooLongError. SMPP 3.4 s5.2.19"""
    match encoding:
        case Encoding.GSM7:
            encoded = _encode_gsm7(text, default_alphabet)
        case Encoding.LATIN1:
            encoded = _encode_latin1(text, default_alphabet)
        case Encoding.UCS2:
            encoded = _encode_ucs2(text)
        case Encoding.GSM7_PT:
            raise EncodingUnavailableError(encoding)
        case _:
            assert_never(encoding)
    if encoded.units > encoded.limit:
        raise TextTooLongError(encoded.units, encoded.limit, encoding)
    return encoded


def _encode_gsm7(text: str, default_alphabet: DefaultAlphabet) -> EncodedText:
    unpacked = gsm0338.encode(text)
    octets = unpacked if default_alphabet == "gsm0338" else _encode_strictly(text, _PYTHON_CODECS[default_alphabet])
    return EncodedText(Encoding.GSM7, DATA_CODING_DEFAULT, octets, len(unpacked), GSM7_LIMIT)


def _encode_latin1(text: str, default_alphabet: DefaultAlphabet) -> EncodedText:
    octets = _encode_strictly(text, "latin-1")
    data_coding = DATA_CODING_DEFAULT if default_alphabet == "latin1" else DATA_CODING_LATIN1
    return EncodedText(Encoding.LATIN1, data_coding, octets, len(octets), LATIN1_LIMIT)


def _encode_ucs2(text: str) -> EncodedText:
    octets = _encode_strictly(text, "utf-16-be")  # fails on a lone surrogate only
    return EncodedText(Encoding.UCS2, DATA_CODING_UCS2, octets, len(octets) // 2, UCS2_LIMIT)


def _encode_strictly(text: str, codec: str) -> bytes:
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        lacking = tuple(sorted(character for character in set(text) if not _holds(codec, character)))
        raise NotEncodableError(lacking) from None


def decode_inbound(data: bytes, data_coding: int, default_alphabet: DefaultAlphabet = "gsm0338", *, udhi: bool = False) -> tuple[str, str]:
    """Decode a reply into its text and the name of its encoding: gsm7, ascii, latin1, ucs2, or binary (the text is then base64).

    Every input has a result. With `udhi` the user data header is skipped, unless its length exceeds the data. Octets above 0x7F prove that
    data said to be GSM or ASCII is neither: it is read as Latin-1, and named so.
    """
    header, text = split_header(data) if udhi else (None, data)
    return inbound.decode([(text, inbound.coding(data_coding & 0xFF, default_alphabet, {}, header))])
