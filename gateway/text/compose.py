"""From a text to the octets of its parts: `compose`, for every carrier that makes them itself. Pure.

What `data_coding` 0 means is the SMSC's affair (SMPP 3.4 s5.2.19), so `TextStyle.default_alphabet` tells it. It decides how each encoding
travels:

| encoding | what the phone gets         | gsm0338             | latin1            | ascii             |
| gsm7     | 7-bit characters            | 0, GSM octets       | 0, Latin-1 octets | 0, ASCII octets   |
| gsm7-pt  | 7-bit, national tables, UDH | 0, GSM octets       | not available     | not available     |
| latin1   | 8-bit characters            | 3, Latin-1 octets   | 0, Latin-1 octets | 3, Latin-1 octets |
| ucs2     | UTF-16                      | 8, UTF-16BE         | 8, UTF-16BE       | 8, UTF-16BE       |

`gsm7` is counted in septets of GSM 03.38 whatever its octets on the wire are, since that is what the SMSC makes of it for the radio.

`auto` picks what makes the fewest parts; of those that make as many, the first of gsm7, gsm7-pt, latin1, ucs2. It loses nothing:

- gsm7 where both GSM 03.38 and the SMSC's default alphabet hold every character (€ is not in Latin-1, ` is in ASCII but not in GSM);
- gsm7-pt where the style says `national_language` and parts are joined by headers, `udh` or `udh16` (SMPP admits no header beside sar_*
  TLVs, and what an SMSC makes of one in a payload is unknown); within it the single shift table before the locking one before both;
- latin1 where the style says `latin1`, or where it is the SMSC's default alphabet;
- ucs2 for whatever is left.

Where transliteration is asked for, `auto` takes what stands in gsm7 instead, unless the text as it is makes fewer parts.

A wanted encoding is that one or an error that names the characters, with two easings: a wanted `gsm7-pt` goes as plain gsm7 where that
holds the text in as few parts, since every phone reads it; and `latin1` need not be allowed by the style to be asked for.

Flash is message class 0 in data_coding (3GPP TS 23.038 s4), 0x10 or 0x18. 0x10 names the GSM alphabet whatever the SMSC's own is, so where
the two differ in an octet of the text gsm7 is not available; Latin-1 has no such value at all.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, assert_never

from gateway.text import transliterate
from gateway.text.encodings import (
    DATA_CODING_DEFAULT,
    DATA_CODING_FLASH_GSM7,
    DATA_CODING_FLASH_UCS2,
    DATA_CODING_LATIN1,
    DATA_CODING_UCS2,
    DefaultAlphabet,
    Encoding,
    EncodingUnavailableError,
    LongMessages,
    NotEncodableError,
    TextTooLongError,
    WantedEncoding,
)
from gateway.text.gsm0338 import GSM
from gateway.text.national_language import PORTUGUESE_PAIRS
from gateway.text.segment import TextPart, cut_octets, cut_septets, cut_ucs2, octets_beside, septets_beside, ucs2_beside
from gateway.text.udh import concatenation_length

MOST_PARTS = 255
"""What a user data header can count to. 3GPP TS 23.040 s9.2.3.24.1"""

_PYTHON_CODECS: dict[DefaultAlphabet, str] = {"latin1": "latin-1", "ascii": "ascii"}


class TextStyle(NamedTuple):
    """What a carrier's settings, and the kind of a message, say of texts."""

    default_alphabet: DefaultAlphabet = "gsm0338"
    latin1: bool = False  # may be picked unasked
    national_language: bool = False  # the Portuguese tables may be used
    transliterate: bool = False
    apostrophe: Literal["keep", "space"] = "keep"
    long_messages: LongMessages = "udh"
    flash: bool = False


PLAIN = TextStyle()


class Composed(NamedTuple):
    """A text as it will travel."""

    encoding: Encoding
    data_coding: int
    elements: bytes  # of the user data header that every part needs, without its length octet; b"" = none
    parts: tuple[TextPart, ...]  # "payload": always one
    limit: int  # units that a message of the phone holds, be it the only one or a part
    replaced: dict[str, str]  # a character of the text as it came -> what went instead, "" = nothing
    segments: int  # messages that the phone gets: what it costs; with "payload" the SMSC makes them


def compose(text: str, wanted: WantedEncoding = "auto", style: TextStyle = PLAIN) -> Composed:
    """Encode a text and cut it into parts. Raises NotEncodableError, EncodingUnavailableError, TextTooLongError (above MOST_PARTS)."""
    if not style.transliterate and style.apostrophe == "keep":
        return _compose(text, wanted, style)
    went, replaced = replace(text, wanted, style)
    composed = _compose(went, wanted, style)._replace(replaced=replaced)
    if wanted == "auto" and style.transliterate and composed.segments > 1:
        untouched = compose(text, wanted, style._replace(transliterate=False))
        return min(composed, untouched, key=_segments)
    return composed


def _segments(composed: Composed) -> int:
    return composed.segments


def _compose(text: str, wanted: WantedEncoding, style: TextStyle) -> Composed:
    if wanted == "auto":
        return _cheapest(text, style)
    _check_available(wanted, style)
    composed = _as_wanted(text, wanted, style)
    if composed is None:
        raise NotEncodableError(_lacking(text, wanted, style))
    return composed


def _cheapest(text: str, style: TextStyle) -> Composed:
    best = _gsm7(text, style)
    if best is not None and best.segments == 1:
        return best
    if _portuguese_available(style):
        best = _fewer(best, _portuguese(text, style))
    if (style.latin1 or style.default_alphabet == "latin1") and not style.flash:
        best = _fewer(best, _latin1(text, style))
    if best is None:
        best = _ucs2(text, style)
    if best is None:
        raise NotEncodableError(_surrogates(text))
    return best


def _fewer(best: Composed | None, other: Composed | None) -> Composed | None:
    return other if best is None or (other is not None and other.segments < best.segments) else best


def _check_available(wanted: WantedEncoding, style: TextStyle) -> None:
    if (wanted == "gsm7-pt" and not _portuguese_available(style)) or (wanted == "latin1" and style.flash):
        raise EncodingUnavailableError(Encoding(wanted))


def _portuguese_available(style: TextStyle) -> bool:
    """Say whether the Portuguese tables may be used: they need a header, for which there is no place beside sar_* TLVs or in a payload."""
    return style.national_language and style.default_alphabet == "gsm0338" and style.long_messages in ("udh", "udh16")


def _as_wanted(text: str, wanted: WantedEncoding, style: TextStyle) -> Composed | None:
    match wanted:
        case "gsm7":
            return _gsm7(text, style)
        case "gsm7-pt":
            return _fewer(_gsm7(text, style), _portuguese(text, style))
        case "latin1":
            return _latin1(text, style)
        case "ucs2":
            return _ucs2(text, style)
        case "auto":
            return _cheapest(text, style)
        case _:
            assert_never(wanted)


# --- One encoding: a text in it, or None where it lacks a character ----------------------------------------------------------------


def _gsm7(text: str, style: TextStyle) -> Composed | None:
    septets = GSM.try_encode(text)
    if septets is None:
        return None
    data_coding = DATA_CODING_FLASH_GSM7 if style.flash else DATA_CODING_DEFAULT
    if style.default_alphabet == "gsm0338":
        return _in_septets(Encoding.GSM7, data_coding, b"", text, septets, style)
    return _gsm7_translated(data_coding, text, septets, style)


def _gsm7_translated(data_coding: int, text: str, septets: bytes, style: TextStyle) -> Composed | None:
    """Count septets, but send the octets of the SMSC's own default alphabet."""
    octets = _encoded(text, _PYTHON_CODECS[style.default_alphabet])
    if octets is None or (style.flash and octets != septets):
        return None
    counted = _in_septets(Encoding.GSM7, data_coding, b"", text, septets, style)
    parts = tuple(part._replace(octets=part.text.encode(_PYTHON_CODECS[style.default_alphabet])) for part in counted.parts)
    return counted._replace(parts=parts)


def _portuguese(text: str, style: TextStyle) -> Composed | None:
    best: Composed | None = None
    data_coding = DATA_CODING_FLASH_GSM7 if style.flash else DATA_CODING_DEFAULT
    for alphabet, elements in PORTUGUESE_PAIRS:
        septets = alphabet.try_encode(text)
        if septets is not None:
            best = _fewer(best, _in_septets(Encoding.GSM7_PT, data_coding, elements, text, septets, style))
        if best is not None and best.segments == 1:
            break
    return best


def _latin1(text: str, style: TextStyle) -> Composed | None:
    octets = _encoded(text, "latin-1")
    if octets is None:
        return None
    data_coding = DATA_CODING_DEFAULT if style.default_alphabet == "latin1" else DATA_CODING_LATIN1
    whole = TextPart(octets, text, len(octets))
    limit = octets_beside(0)
    if len(octets) <= limit:
        return Composed(Encoding.LATIN1, data_coding, b"", (whole,), limit, {}, 1)
    limit = octets_beside(_several(b"", style))
    return _of_several(Encoding.LATIN1, data_coding, b"", whole, cut_octets(text, octets, limit), limit, style)


def _ucs2(text: str, style: TextStyle) -> Composed | None:
    octets = _encoded(text, "utf-16-be")  # fails on a lone surrogate only
    if octets is None:
        return None
    data_coding = DATA_CODING_FLASH_UCS2 if style.flash else DATA_CODING_UCS2
    whole = TextPart(octets, text, len(octets) // 2)
    limit = ucs2_beside(0)
    if whole.units <= limit:
        return Composed(Encoding.UCS2, data_coding, b"", (whole,), limit, {}, 1)
    limit = ucs2_beside(_several(b"", style))
    return _of_several(Encoding.UCS2, data_coding, b"", whole, cut_ucs2(text, octets, limit), limit, style)


def _in_septets(encoding: Encoding, data_coding: int, elements: bytes, text: str, septets: bytes, style: TextStyle) -> Composed:
    whole = TextPart(septets, text, len(septets))
    limit = septets_beside(1 + len(elements) if elements else 0)
    if len(septets) <= limit:
        return Composed(encoding, data_coding, elements, (whole,), limit, {}, 1)
    limit = septets_beside(_several(elements, style))
    return _of_several(encoding, data_coding, elements, whole, cut_septets(text, septets, limit), limit, style)


def _several(elements: bytes, style: TextStyle) -> int:
    """Count the octets of the header of one of several parts. SMPP says of sar_* TLVs and of a payload nothing; 8 bits are usual."""
    return 1 + len(elements) + concatenation_length(wide=style.long_messages == "udh16")


def _of_several(
    encoding: Encoding, data_coding: int, elements: bytes, whole: TextPart, parts: list[TextPart], limit: int, style: TextStyle
) -> Composed:
    if len(parts) > MOST_PARTS:
        raise TextTooLongError(whole.units, MOST_PARTS * limit, encoding)
    sent = (whole,) if style.long_messages == "payload" else tuple(parts)
    return Composed(encoding, data_coding, elements, sent, limit, {}, len(parts))


def _encoded(text: str, codec: str) -> bytes | None:
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return None


# --- What lacks, and what may stand in for it --------------------------------------------------------------------------------------


def _lacking(text: str, wanted: WantedEncoding, style: TextStyle) -> tuple[str, ...]:
    """List what the wanted encoding lacks: distinct, in code point order."""
    if wanted == "gsm7-pt":
        return min((pair.alphabet.missing(text) for pair in PORTUGUESE_PAIRS), key=len)
    return tuple(sorted(character for character in set(text) if _as_wanted(character, wanted, style) is None))


def _surrogates(text: str) -> tuple[str, ...]:
    return tuple(sorted(character for character in set(text) if "\ud800" <= character <= "\udfff"))


def replace(text: str, wanted: WantedEncoding, style: TextStyle) -> tuple[str, dict[str, str]]:
    """Replace what the style says, and tell what was replaced."""
    replaced = _stand_ins(text, wanted, style) if style.transliterate else {}
    if style.apostrophe == "space":
        replaced = {character: instead.replace("'", " ") for character, instead in replaced.items()} | ({"'": " "} if "'" in text else {})
    for character, instead in replaced.items():  # none of them stands in for another
        text = text.replace(character, instead)
    return text, replaced


def _stand_ins(text: str, wanted: WantedEncoding, style: TextStyle) -> dict[str, str]:
    """Say what to replace so that the wanted encoding, or gsm7 with `auto`, holds the text; with `auto` all that it takes or nothing."""
    if _as_wanted(text, "gsm7" if wanted == "auto" else wanted, style) is not None:
        return {}
    characters = set(text)
    holds = _held_by(text, wanted, style)
    held = set(filter(holds, characters))
    found = transliterate.replacements(held, characters - held, holds, together=wanted in ("auto", "gsm7"))
    if wanted == "auto" and not found.keys() >= characters - held:
        return {}  # it goes as ucs2 all the same: then nothing need be lost
    if not any(found.get(character, character) for character in characters):
        return {}  # an empty message is no stand-in for a text
    return found


def _held_by(text: str, wanted: WantedEncoding, style: TextStyle) -> Callable[[str], bool]:
    """Return the test of a character that the wanted encoding holds, or gsm7 with `auto`."""
    match wanted:
        case "gsm7-pt":
            return min((pair.alphabet for pair in PORTUGUESE_PAIRS), key=lambda each: len(each.missing(text))).characters.__contains__
        case "auto" | "gsm7" if style.default_alphabet == "gsm0338":
            return GSM.characters.__contains__
        case "auto" | "gsm7":
            return lambda character: _gsm7(character, style) is not None
        case _:
            return lambda character: _as_wanted(character, wanted, style) is not None
