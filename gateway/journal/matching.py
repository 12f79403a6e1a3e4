"""Which message_id of a response is which message_id of a receipt, and which destination is which. Pure.

SMSCs write one id in two ways: in another letter case, with other leading zeros, in hex in the response and in decimal in the receipt or
the reverse. Ids are kept as received; `key` is what is indexed, `keys` are what to look for, and `rule` says by what two ids agree.
"""

from collections.abc import Mapping
from typing import Literal

from gateway.journal.base import Match
from gateway.message import Receipt

MessageIdFormat = Literal["auto", "raw", "hex-decimal", "decimal-hex"]  # response first, then receipt

TAIL = 8  # digits of a number that no formatting changes
_MINIMUM_TEXT = 10
_CLOCK_TOLERANCE = 300.0  # s between the provider's clock and ours


def key(message_id: str) -> str:
    """Return the form of an id that is indexed: case-folded, without leading zeros."""
    return message_id.casefold().lstrip("0") or "0"


def keys(received: str, form: MessageIdFormat) -> tuple[str, ...]:
    """Return the keys under which the id of a receipt may have been recorded, the plain one first."""
    plain = key(received)
    found = [plain]
    if form in ("auto", "hex-decimal") and _is_decimal(plain):
        found.append(f"{int(plain):x}")
    if form in ("auto", "decimal-hex") and _is_hex(plain):
        found.append(str(int(plain, 16)))
    return tuple(dict.fromkeys(found))


def recorded_keys(recorded: str, form: MessageIdFormat) -> tuple[str, ...]:
    """Return the keys under which a receipt for a recorded id may have been parked: `keys` read from the other side."""
    mirrored: Mapping[MessageIdFormat, MessageIdFormat] = {"hex-decimal": "decimal-hex", "decimal-hex": "hex-decimal"}
    return keys(recorded, mirrored.get(form, form))


def rule(recorded: str, received: str) -> Match:
    """Say by what two ids agree whose keys agree."""
    if recorded == received:
        return Match.EXACT
    if recorded.casefold() == received.casefold():
        return Match.CASE
    return Match.ZEROS if key(recorded) == key(received) else Match.HEX_DECIMAL


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 40


def _is_hex(text: str) -> bool:
    return text.isascii() and len(text) <= 40 and all(letter in "0123456789abcdef" for letter in text)


def tail(number: str) -> str:
    """Return the last 8 digits of a number, or "" where it has fewer: the same in every format."""
    digits = "".join(filter(str.isdigit, number))
    return digits[-TAIL:] if len(digits) >= TAIL else ""


def destination(number: str) -> int | None:
    """Return the last 8 digits of a number as `message.destination` has them, None where it has fewer."""
    digits = number[-TAIL:]
    if not (digits.isascii() and digits.isdigit()):
        digits = tail(number)
    return int(digits) if len(digits) == TAIL else None


def same_destination(one: str, other: str) -> bool:
    """Compare two numbers loosely: the last 8 digits, and the area code where both have one."""
    if not tail(one) or tail(one) != tail(other):
        return False
    here, there = _area(one), _area(other)
    return not here or not there or here == there


def may_be_for(number: str, told: str) -> bool:
    """Say whether a receipt that tells `told` as its phone can be of a message to `number`: it may tell none."""
    return not tail(told) or same_destination(number, told)


def _area(number: str) -> str:
    digits = "".join(filter(str.isdigit, number)).lstrip("0")
    national = digits[2:] if digits.startswith("55") and len(digits) >= 12 else digits
    return national[:2] if len(national) in (10, 11) else ""


def within_window(receipt: Receipt, opened_at: float, doubtful_since: float) -> bool:
    """Say whether the receipt can be of an attempt of that time."""
    if receipt.received_at < opened_at:
        return False
    told = receipt.submitted_at
    return told is None or opened_at - _CLOCK_TOLERANCE <= told <= doubtful_since + _CLOCK_TOLERANCE


def text_agrees(excerpt: str | None, text: str) -> bool:
    """Say whether `text:` of a receipt is the beginning of a message's text; letters that are not ASCII are too often mangled to count."""
    if not excerpt or not text:
        return False
    common = min(len(excerpt), len(text))
    if common < min(_MINIMUM_TEXT, len(text)):
        return False
    return all(a == b for a, b in zip(excerpt, text, strict=False) if a.isascii() and b.isascii())
