"""What the HTTP API and the web service have in common: characters go as they are, whole, to a national number. Pure.

The provider chooses the encoding and splits; neither way carries a sender, a validity, or a wish for receipts. A message that names a
sender or insists on an encoding cannot go (`no_route`). Validity is kept by us: what has not left by then expires here. Call-backs come
whether receipts were asked for or not, and are ignored where they were not.
"""

from typing import NamedTuple

from gateway.config import Http, Webservice
from gateway.message import Message, Reason, Rejected
from gateway.provider import http
from gateway.text import TextStyle, replace

SHORT_CODES = frozenset({"short_code", "short_code_flash"})


class PlainText(NamedTuple):
    """A text as it goes."""

    characters: str
    replaced: dict[str, str]  # what transliteration and the setting for apostrophes replaced


def plain_text(message: Message, settings: Http | Webservice) -> PlainText | Rejected:
    """Return the characters to send, or why neither way can carry the message."""
    if message.sender is not None:
        return Rejected(Reason.NO_ROUTE, "from: this carrier cannot carry a sender")
    if message.encoding != "auto":
        return Rejected(Reason.NO_ROUTE, "encoding: this carrier leaves it to the provider")
    text = _as_set(message, settings)
    limit = settings.short_code_limit if message.kind in SHORT_CODES else http.MAX_TEXT
    if len(text.characters) > limit:
        return Rejected(Reason.TEXT_TOO_LONG, f"text: {len(text.characters)} characters, and this carrier takes {limit}")
    return text


def _as_set(message: Message, settings: Http | Webservice) -> PlainText:
    """Replace what the SMPP carrier would: of what GSM 03.38 holds the provider has no reason to make a dearer encoding."""
    style = TextStyle(transliterate=message.transliterate or settings.transliterate, apostrophe=settings.apostrophe)
    return PlainText(*replace(message.text, "auto", style))


def not_encodable(character: str, where: str) -> Rejected:
    """Refuse a text for a character, by its name in Unicode's numbers."""
    return Rejected(Reason.NOT_ENCODABLE, f"text: U+{ord(character):04X} does not exist in {where}")


def fits_batch(text: str) -> bool:
    """Tell whether a text may stand between the delimiters of a batch, where a line might end at a control character too."""
    return http.fits_batch(text) and not any(character < " " or character == "\x7f" for character in text)


def wants_priority(message: Message) -> bool:
    """Tell whether it asks for the provider's priority, which is for short codes only."""
    return message.priority == 3 and message.kind in SHORT_CODES
