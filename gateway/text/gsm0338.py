"""The GSM 7-bit default alphabet and its extension table, unpacked: one septet an octet.

That is how most SMSCs take `data_coding` 0 over SMPP. `encode` and `decode` are used by `gateway.text.segment`; both run in C for whole
strings (about 1 us for 160 characters), because both directions go through a character map of the `codecs` module.

The alphabet holds à é ü É Ç but not á â ã ê í ó ô õ ú ç, so most Portuguese sentences do not fit it. What does not fit is an error that
names the characters, never a '?'.

Never done here: packing seven bits, national language tables. Source of both tables: 3GPP TS 23.038 s6.2.1 and s6.2.1.1.
"""

import codecs
import re

ESCAPE = 0x1B
"""The septet that announces one of the extension table. 3GPP TS 23.038 s6.2.1"""

DEFAULT_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The character of each septet; ESCAPE stands for itself. 3GPP TS 23.038 s6.2.1"""

EXTENSION_TABLE = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
"""The character of each septet that follows ESCAPE. 3GPP TS 23.038 s6.2.1.1"""

_UNDEFINED = "\ufffe"  # what codecs.charmap_build skips
_EXTENDED = 0x80  # marks an extension character within an intermediate octet


def _intermediate_table() -> str:
    """Lay both tables into 256 places, as `codecs.charmap_build` is fast with: place 0 must be NUL, so '@' borrows ESCAPE's."""
    places = [*DEFAULT_ALPHABET, *_UNDEFINED * 128]
    places[0], places[ESCAPE] = "\0", "@"
    for septet, character in EXTENSION_TABLE.items():
        places[_EXTENDED | septet] = character
    return "".join(places)


_TO_INTERMEDIATE = codecs.charmap_build(_intermediate_table())
_AT_SIGN_TO_ZERO = bytes.maketrans(bytes([ESCAPE]), b"\0")
_EXTENSION_PAIRS = tuple((bytes([_EXTENDED | septet]), bytes([ESCAPE, septet])) for septet in EXTENSION_TABLE)

_FROM_OCTETS = DEFAULT_ALPHABET + "\N{REPLACEMENT CHARACTER}" * 128
_ESCAPED = re.compile("\x1b(.?)", re.DOTALL)
_AFTER_ESCAPE = {DEFAULT_ALPHABET[septet]: character for septet, character in EXTENSION_TABLE.items()} | {"": " ", "\x1b": " "}


class NotEncodableError(ValueError):
    """An alphabet lacks characters of a text; they are distinct and in code point order, so that they do not spell the text."""

    def __init__(self, characters: tuple[str, ...]) -> None:
        shown = " ".join(f"U+{ord(character):04X}" for character in characters[:10])
        super().__init__(f"{len(characters)} characters are not in the alphabet: {shown}")
        self.characters = characters


def encode(text: str) -> bytes:
    """Encode into unpacked septets. Raises NotEncodableError. 3GPP TS 23.038 s6.2.1"""
    try:
        octets = codecs.charmap_encode(text, "strict", _TO_INTERMEDIATE)[0]
    except UnicodeEncodeError:
        raise NotEncodableError(missing(text)) from None
    if b"\0" in octets:  # a NUL in the text: the map cannot refuse it
        raise NotEncodableError(missing(text))
    if octets.isascii():
        return octets.translate(_AT_SIGN_TO_ZERO)
    return _expand(octets.translate(_AT_SIGN_TO_ZERO))


def _expand(octets: bytes) -> bytes:
    for marked, pair in _EXTENSION_PAIRS:
        octets = octets.replace(marked, pair)
    return octets


def missing(text: str) -> tuple[str, ...]:
    """List the characters that neither table holds: distinct, in code point order."""
    return tuple(sorted(character for character in set(text) if not encodable(character)))


def encodable(text: str) -> bool:
    """Tell whether both tables together hold every character."""
    try:
        return b"\0" not in codecs.charmap_encode(text, "strict", _TO_INTERMEDIATE)[0]
    except UnicodeEncodeError:
        return False


def septets(text: str) -> int:
    """Count the septets of a text: an extension character takes two. Raises NotEncodableError."""
    return len(encode(text))


def decode(octets: bytes) -> str:
    """Decode unpacked septets; every input has a result. 3GPP TS 23.038 s6.2.1.1

    After ESCAPE, a septet that the extension table does not define gives its character of the default alphabet; ESCAPE twice, or at the
    end, a space. An octet above 0x7F is no septet: it becomes U+FFFD.
    """
    text = codecs.charmap_decode(octets, "strict", _FROM_OCTETS)[0]
    return _ESCAPED.sub(_unescape, text) if "\x1b" in text else text


def _unescape(match: re.Match[str]) -> str:
    plain = match[1]
    return _AFTER_ESCAPE.get(plain, plain)
