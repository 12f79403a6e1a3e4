"""From a text and its octets to the parts of one message, each with as much as a phone takes at once. Pure.

| encoding | a whole message | a part, 8-bit reference | a part, 16-bit reference |
| gsm7     | 160 septets     | 153                     | 152                      |
| gsm7-pt  | 155; 152 (both) | 149; 146                | 148; 145                 |
| latin1   | 140 octets      | 134                     | 133                      |
| ucs2     | 70 UTF-16 units | 67                      | 66                       |

140 octets are what a message has on the radio (3GPP TS 23.040 s9.2.3.16), user data header included; behind it septets begin at a septet's
boundary. An escape pair and a surrogate pair are never split, and a sign of several characters is not where it fits a part
(`gateway.text.graphemes`).
"""

from typing import NamedTuple

from gateway.text.graphemes import last_cut
from gateway.text.septets import ESCAPE

RADIO_OCTETS = 140
"""The user data of one message. 3GPP TS 23.040 s9.2.3.16"""


class TextPart(NamedTuple):
    """What one message carries: its octets without a header, the text they stand for, and the units they take."""

    octets: bytes
    text: str
    units: int


def septets_beside(header: int) -> int:
    """Return how many septets go beside a header of so many octets."""
    return (RADIO_OCTETS - header) * 8 // 7


def octets_beside(header: int) -> int:
    """Return how many octets go beside a header of so many octets."""
    return RADIO_OCTETS - header


def ucs2_beside(header: int) -> int:
    """Return how many UTF-16 units go beside a header of so many octets."""
    return (RADIO_OCTETS - header) // 2


def cut_septets(text: str, septets: bytes, limit: int) -> list[TextPart]:
    """Cut unpacked septets into parts of at most `limit`; an extension character's two stay together."""
    parts = []
    at = letter = 0
    while at < len(septets):
        end = _end_of_septets(septets, at, limit)
        piece = septets[at:end]
        letters = len(piece) - piece.count(ESCAPE)
        parts.append(TextPart(piece, text[letter : letter + letters], len(piece)))
        at, letter = end, letter + letters
    return parts


def _end_of_septets(septets: bytes, start: int, limit: int) -> int:
    end = start + limit
    if end >= len(septets):
        return len(septets)
    last = septets[end - 1]
    return end - 1 if last == ESCAPE or (last == 0x0D and septets[end] == 0x0A) else end


def cut_octets(text: str, octets: bytes, limit: int) -> list[TextPart]:
    """Cut a text whose every character is one octet into parts of at most `limit`."""
    parts = []
    at = 0
    while at < len(text):
        end = last_cut(text, at, at + limit) if at + limit < len(text) else len(text)
        parts.append(TextPart(octets[at:end], text[at:end], end - at))
        at = end
    return parts


def cut_ucs2(text: str, octets: bytes, limit: int) -> list[TextPart]:
    """Cut UTF-16BE into parts of at most `limit` units; a surrogate pair stays together, and a sign of several characters if it fits."""
    parts = []
    at = unit = 0
    while at < len(text):
        end, units = _end_of_ucs2(text, at, limit)
        parts.append(TextPart(octets[2 * unit : 2 * (unit + units)], text[at:end], units))
        at, unit = end, unit + units
    return parts


def _end_of_ucs2(text: str, start: int, limit: int) -> tuple[int, int]:
    """Return the index behind a part and the units in it."""
    end = min(len(text), start + limit)
    while (units := _units(text[start:end])) > limit:
        end -= (units - limit + 1) // 2  # each character left out saves two units at most
    if end < len(text):
        end = last_cut(text, start, end)
    return end, _units(text[start:end])


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
