"""An alphabet of seven bits with an extension table behind an escape: text to unpacked septets and back, one septet an octet.

`gateway.text.gsm0338` makes the default one of it, `gateway.text.national_language` those of Portuguese and Spanish. Both directions run in
C for whole strings (about 1 us for 160 characters), because they go through a character map of the `codecs` module.

What an alphabet does not hold is an error that names the characters, never a '?'. Never done here: packing seven bits.
"""

import codecs
import re
from collections.abc import Mapping

from gateway.text.encodings import NotEncodableError

ESCAPE = 0x1B
"""The septet that announces one of the extension table. 3GPP TS 23.038 s6.2.1"""

_UNDEFINED = "\ufffe"  # what codecs.charmap_build skips
_EXTENDED = 0x80  # marks an extension character within an intermediate octet
_AT_SIGN_TO_ZERO = bytes.maketrans(bytes([ESCAPE]), b"\0")
_ESCAPED = re.compile("\x1b(.?)", re.DOTALL)
_NO_SEPTETS = "\N{REPLACEMENT CHARACTER}" * 128


class SeptetAlphabet:
    """One base table and one extension table of 3GPP TS 23.038."""

    def __init__(self, base: str, extension: Mapping[int, str]) -> None:
        """Take the 128 characters of the base table, '@' first and ESCAPE standing for itself, and the extension's by septet."""
        extra = {septet: character for septet, character in extension.items() if character not in base}  # one septet is cheaper than two
        self.characters = frozenset(base) - {"\x1b"} | frozenset(extra.values())
        self._to_intermediate = codecs.charmap_build(_intermediate_table(base, extra))
        self._pairs = tuple((bytes([_EXTENDED | septet]), bytes([ESCAPE, septet])) for septet in extra)
        self._from_octets = base + _NO_SEPTETS
        self._after_escape = {base[septet]: character for septet, character in extension.items()} | {"": " ", "\x1b": " "}

    def encode(self, text: str) -> bytes:
        """Encode into unpacked septets. Raises NotEncodableError. 3GPP TS 23.038 s6.2.1"""
        octets = self.try_encode(text)
        if octets is None:
            raise NotEncodableError(self.missing(text))
        return octets

    def try_encode(self, text: str) -> bytes | None:
        """Encode into unpacked septets, or return None where a character is lacking."""
        try:
            octets = codecs.charmap_encode(text, "strict", self._to_intermediate)[0]
        except UnicodeEncodeError:
            return None
        if b"\0" in octets:  # a NUL in the text: the map cannot refuse it
            return None
        if octets.isascii():
            return octets.translate(_AT_SIGN_TO_ZERO)
        return self._expand(octets.translate(_AT_SIGN_TO_ZERO))

    def _expand(self, octets: bytes) -> bytes:
        for marked, pair in self._pairs:
            octets = octets.replace(marked, pair)
        return octets

    def missing(self, text: str) -> tuple[str, ...]:
        """List the characters that neither table holds: distinct, in code point order."""
        return tuple(sorted(set(text) - self.characters))

    def holds(self, text: str) -> bool:
        """Tell whether both tables together hold every character."""
        try:
            return b"\0" not in codecs.charmap_encode(text, "strict", self._to_intermediate)[0]
        except UnicodeEncodeError:
            return False

    def decode(self, octets: bytes) -> str:
        """Decode unpacked septets; every input has a result. 3GPP TS 23.038 s6.2.1.1

        After ESCAPE, a septet that the extension table does not define gives its character of the base table; ESCAPE twice, or at the end,
        a space. An octet above 0x7F is no septet: it becomes U+FFFD.
        """
        text = codecs.charmap_decode(octets, "strict", self._from_octets)[0]
        return _ESCAPED.sub(self._unescape, text) if "\x1b" in text else text

    def _unescape(self, match: re.Match[str]) -> str:
        plain = match[1]
        return self._after_escape.get(plain, plain)


def _intermediate_table(base: str, extra: Mapping[int, str]) -> str:
    """Lay both tables into 256 places, as `codecs.charmap_build` is fast with: place 0 must be NUL, so '@' borrows ESCAPE's."""
    places = [*base, *_UNDEFINED * 128]
    places[0], places[ESCAPE] = "\0", "@"
    for septet, character in extra.items():
        places[_EXTENDED | septet] = character
    return "".join(places)
