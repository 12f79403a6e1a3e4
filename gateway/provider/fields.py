"""Reading what the provider writes: characters, lines, numbers and dates; and a base of records that hide what no log may hold. Total.

The manual names neither a character set nor a time zone: text is taken as UTF-8 where it is that strictly, else as Windows-1252; a date is
the provider's local time, in a zone that the caller gives.
"""

import re
import unicodedata
from datetime import datetime, tzinfo
from typing import ClassVar

import msgspec

_LINE_END = re.compile("\r\n|\r|\n")
_WHOLE_NUMBER = re.compile("-?[0-9]{1,18}")
_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
_DATES = (
    re.compile(rf"(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{1,2}})-(?P<day>[0-9]{{1,2}})(?: +|T){_TIME}"),
    re.compile(rf"(?P<day>[0-9]{{1,2}})/(?P<month>[0-9]{{1,2}})/(?P<year>[0-9]{{4}})(?: +|T){_TIME}"),
)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """A record whose repr shows only what a log may hold."""

    SHOWN: ClassVar[tuple[str, ...]] = ()

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(name, getattr(self, name)) for name in self.SHOWN]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.SHOWN)})"


def decode(raw: bytes) -> tuple[str, str]:
    """Return text and the name of its character set: UTF-8, else Windows-1252, else (five bytes that this lacks) Latin-1."""
    for charset in ("utf-8", "windows-1252"):
        try:
            return raw.decode(charset), charset
        except UnicodeDecodeError:
            pass
    return raw.decode("latin-1"), "latin-1"


def lines(text: str) -> list[str]:
    """Split into lines that are not blank, ended by CR, LF or both and by nothing else: a text may hold other separators."""
    return [line for line in map(str.strip, _LINE_END.split(text)) if line]


def whole_number(text: str) -> int | None:
    """Read a whole number in ASCII digits, of at most 18."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def date_time(text: str, zone: tzinfo) -> float | None:
    """Read a date as Unix seconds: yyyy-MM-dd or dd/MM/yyyy, a space or T, HH:mm[:ss[.mmm]]; None where it is none."""
    for shape in _DATES:
        if match := shape.fullmatch(text.strip()):
            numbers = {name: int(digits) for name, digits in match.groupdict(default="0").items() if name != "fraction"}
            fraction = float(f"0.{match['fraction'] or 0}")
            try:
                return datetime(**numbers, tzinfo=zone).timestamp() + fraction
            except (ValueError, OverflowError):
                return None
    return None


def local_text(at: float, zone: tzinfo, separator: str = " ") -> str:
    """Write Unix seconds as the provider takes dates: local, to the second, without a zone."""
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None).isoformat(separator, "seconds")


def plain_words(text: str) -> str:
    """Return text in capitals and without accents, as the manual writes its descriptions."""
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter)).upper().strip()
