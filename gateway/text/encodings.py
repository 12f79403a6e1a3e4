"""The names that the other modules of `gateway.text` share: encodings, their data_coding, and why a text cannot be sent. Pure data."""

from enum import StrEnum
from typing import Literal

DefaultAlphabet = Literal["gsm0338", "latin1", "ascii"]
"""What data_coding 0 means to an SMSC."""

WantedEncoding = Literal["auto", "gsm7", "gsm7-pt", "latin1", "ucs2"]
"""What a producer may ask for."""

LongMessages = Literal["udh", "udh16", "sar", "payload"]
"""How a text of several parts is carried: the carrier's setting `long_messages`."""

DATA_CODING_DEFAULT = 0
DATA_CODING_LATIN1 = 3
DATA_CODING_UCS2 = 8
DATA_CODING_FLASH_GSM7 = 0x10  # message class 0. 3GPP TS 23.038 s4
DATA_CODING_FLASH_UCS2 = 0x18


class Encoding(StrEnum):
    """How a text travels; the values are the wire names of the queue interface."""

    GSM7 = "gsm7"
    GSM7_PT = "gsm7-pt"
    LATIN1 = "latin1"
    UCS2 = "ucs2"


MOST_NAMED = 40
"""Characters that an error names: more than there are accented letters, quotes and dashes in Portuguese."""


class NotEncodableError(ValueError):
    """An alphabet lacks characters of a text; they are distinct and in code point order, so that they do not spell the text."""

    def __init__(self, characters: tuple[str, ...]) -> None:
        shown = " ".join(f"U+{ord(character):04X}" for character in characters[:MOST_NAMED])
        what = "a character is" if len(characters) == 1 else f"{len(characters)} characters are"
        more = f" and {len(characters) - MOST_NAMED} more" if len(characters) > MOST_NAMED else ""
        super().__init__(f"{what} not in the alphabet: {shown}{more}")
        self.characters = characters


class EncodingUnavailableError(NotEncodableError):
    """An encoding is known by name but this carrier does not send it, or not with a flash message."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__(())
        self.encoding = encoding

    def __str__(self) -> str:
        """Name the encoding; there are no characters to name."""
        return f"the encoding {self.encoding} is not available"


class TextTooLongError(ValueError):
    """A text needs more than it may; `units` and `limit` are septets, octets or UTF-16 units, by `encoding`."""

    def __init__(self, units: int, limit: int, encoding: Encoding) -> None:
        super().__init__(f"{units} units of {encoding}, the limit is {limit}")
        self.units = units
        self.limit = limit
        self.encoding = encoding
