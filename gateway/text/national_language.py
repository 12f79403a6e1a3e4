"""The national language tables of 3GPP TS 23.038 Annex A: Portuguese to send and to read, Spanish to read.

A locking shift table takes the place of the default alphabet, a single shift table that of the extension table; information elements of the
user data header (0x25 and 0x24, 3GPP TS 23.040 s9.2.3.24.16 and 15) say which. Any pair can be had from `alphabet`.

A phone that knows no such tables shows a single shift character as the default alphabet's at that place, which Annex A.2.3 has chosen to
look alike (ã as ä, í as i, ç as Ç), and a text in the locking table as gibberish. So of the pairs that cost the same, `PORTUGUESE_PAIRS`
prefers the first.
"""

from functools import lru_cache
from typing import NamedTuple

from gateway.text.gsm0338 import DEFAULT_ALPHABET, EXTENSION_TABLE, GSM
from gateway.text.septets import SeptetAlphabet
from gateway.text.udh import national_language

SPANISH = 2  # national language identifiers. 3GPP TS 23.038 s6.2.1.2.4
PORTUGUESE = 3

PORTUGUESE_LOCKING_SHIFT = (
    "@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ !\"#º%&'()*+,-./0123456789:;<=>?"
    "ÍABCDEFGHIJKLMNOPQRSTUVWXYZÃÕÚÜ§~abcdefghijklmnopqrstuvwxyzãõ`üà"
)
"""The character of each septet; ESCAPE stands for itself. 3GPP TS 23.038 sA.3.3"""

PORTUGUESE_SINGLE_SHIFT = EXTENSION_TABLE | {
    0x05: "ê",
    0x09: "ç",
    0x0B: "Ô",
    0x0C: "ô",
    0x0E: "Á",
    0x0F: "á",
    0x12: "Φ",
    0x13: "Γ",
    0x15: "Ω",
    0x16: "Π",
    0x17: "Ψ",
    0x18: "Σ",
    0x19: "Θ",
    0x1F: "Ê",
    0x41: "À",
    0x49: "Í",
    0x4F: "Ó",
    0x55: "Ú",
    0x5B: "Ã",
    0x5C: "Õ",
    0x61: "Â",
    0x69: "í",
    0x6F: "ó",
    0x75: "ú",
    0x7B: "ã",
    0x7C: "õ",
    0x7F: "â",
}
"""The character of each septet that follows ESCAPE. 3GPP TS 23.038 sA.2.3"""

SPANISH_SINGLE_SHIFT = EXTENSION_TABLE | {
    0x09: "ç",
    0x41: "Á",
    0x49: "Í",
    0x4F: "Ó",
    0x55: "Ú",
    0x61: "á",
    0x69: "í",
    0x6F: "ó",
    0x75: "ú",
}
"""The character of each septet that follows ESCAPE. 3GPP TS 23.038 sA.2.2; there is no locking shift table of Spanish."""

_LOCKING = {PORTUGUESE: PORTUGUESE_LOCKING_SHIFT}
_SINGLE = {SPANISH: SPANISH_SINGLE_SHIFT, PORTUGUESE: PORTUGUESE_SINGLE_SHIFT}


@lru_cache(maxsize=len(_LOCKING) * len(_SINGLE) + len(_LOCKING) + len(_SINGLE) + 1)
def _pair(locking_shift: int, single_shift: int) -> SeptetAlphabet:
    return SeptetAlphabet(_LOCKING.get(locking_shift, DEFAULT_ALPHABET), _SINGLE.get(single_shift, EXTENSION_TABLE))


def alphabet(locking_shift: int, single_shift: int) -> SeptetAlphabet:
    """Return the alphabet of two language identifiers, 0 for none; one that is not known here means the default table.

    That is what 3GPP TS 23.038 s6.2.1.2.4 asks of a receiver that does not know a language.
    """
    if not locking_shift and not single_shift:
        return GSM
    return _pair(locking_shift if locking_shift in _LOCKING else 0, single_shift if single_shift in _SINGLE else 0)


class Pair(NamedTuple):
    """An alphabet to send in, and the information elements that tell a phone of it."""

    alphabet: SeptetAlphabet
    elements: bytes


def _to_send(locking_shift: int, single_shift: int) -> Pair:
    return Pair(alphabet(locking_shift, single_shift), national_language(locking_shift=locking_shift, single_shift=single_shift))


PORTUGUESE_PAIRS = (_to_send(0, PORTUGUESE), _to_send(PORTUGUESE, 0), _to_send(PORTUGUESE, PORTUGUESE))
"""What Portuguese is sent in, by preference: the single shift table, the locking one, both."""
