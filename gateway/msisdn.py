"""Brazilian telephone numbers and SMS senders: parse, render, mask; pure.

A number is kept as its national significant form: area code (DDD) and subscriber, 11 digits for a mobile (a 9 and eight digits), 10 for a
landline (eight digits that begin with 2 to 5). `parse` reads it with or without 55, +55 or 0055, the trunk prefix 0, a carrier-select code
(0 XX, 00 XX 55) and punctuation; these forms never collide, so one regular expression decides. Known limit: a foreign number dialled as
00 XX 55 and ten valid digits (twelve digits beside the country code; Austria could have some) is taken for one with a carrier code.

Ten digits whose subscriber begins with 6 to 9 are a mobile number from before 2016, when the ninth digit became mandatory in the whole
country. They are refused, since adding a digit unasked may reach a stranger; the error says so. Foreign numbers are refused too.

No error text ever holds a number or a part of one. Source of the numbering plan: Anatel, Resolução 749/2022; checked in the tests
against Google's libphonenumber.
"""

import re
from dataclasses import dataclass

_AREA_CODE = "(?:[14689][1-9]|2[12478]|3[1-578]|5[1345]|7[134579])"  # 67 of them
_CARRIER = "(?:[1-9][0-9])?"  # código de seleção de prestadora
_PREFIX = f"(?:(?:\\+|00{_CARRIER})?55)?(?:0{_CARRIER})?"

_NUMBER = re.compile(f"{_PREFIX}({_AREA_CODE}(?:9[0-9]{{8}}|[2-5][0-9]{{7}}))")
_OF_BRAZIL = re.compile(f"(?:\\+|00{_CARRIER})55|(?!\\+|00)")
_STARTS_WITH_AREA_CODE = re.compile(_AREA_CODE)
_PREFIXED = re.compile(_PREFIX)
_DIGITS = re.compile(r"\+?[0-9]+")

# Spaces, the listed punctuation, and what word processors make of a space and of a hyphen.
_NO_PUNCTUATION = str.maketrans("", "", " \t()-./\u00a0\u2011\u2013")

_SHORT_CODE = re.compile("[0-9]{3,8}")
_ALPHANUMERIC = re.compile("[A-Za-z0-9 ._&-]{1,11}")

TON_INTERNATIONAL = 1  # SMPP 3.4 s5.2.5
TON_NETWORK_SPECIFIC = 3
TON_ALPHANUMERIC = 5
NPI_UNKNOWN = 0  # SMPP 3.4 s5.2.6
NPI_ISDN = 1


class InvalidNumberError(ValueError):
    """A text is no Brazilian number; `reason` says why without repeating it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidSenderError(ValueError):
    """A text cannot be a sender; `reason` says why without repeating it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Msisdn:
    """A valid Brazilian number. Made by `parse`."""

    national: str  # "11987654321"

    @property
    def international(self) -> str:
        """The number with its country code, no plus: "5511987654321"."""
        return "55" + self.national

    @property
    def masked(self) -> str:
        """The number as logs may show it: "55119****4321"."""
        return f"55{self.national[:-8]}****{self.national[-4:]}"

    def __repr__(self) -> str:
        """Show the masked number, so that no traceback holds the whole one."""
        return f"Msisdn({self.masked})"


def parse(raw: str) -> Msisdn:
    """Read a Brazilian number in any of its usual forms. Raises InvalidNumberError."""
    match = _NUMBER.fullmatch(raw)
    if match is None:
        bare = raw.translate(_NO_PUNCTUATION)
        match = _NUMBER.fullmatch(bare)
        if match is None:
            raise InvalidNumberError(_fault(bare))
    return Msisdn(match[1])


def _fault(bare: str) -> str:
    if not bare:
        return "the number is empty"
    if not _DIGITS.fullmatch(bare):
        return "the number has characters other than digits, spaces and ( ) - . / and a leading +"
    if not _OF_BRAZIL.match(bare):
        return "the number is not Brazilian: its country code is not 55"
    return _fault_of_national(_significant(bare))


def _significant(bare: str) -> str:
    """Drop the prefixes, but not a 55 that may as well be an area code."""
    return bare if len(bare) <= 11 and bare[0] not in "+0" else _PREFIXED.sub("", bare, count=1)


def _fault_of_national(national: str) -> str:
    if len(national) < 10:
        return "the number is too short: area code and subscriber have 10 or 11 digits"
    if len(national) > 11:
        return "the number is too long: area code and subscriber have 10 or 11 digits"
    if not _STARTS_WITH_AREA_CODE.match(national):
        return "the area code does not exist"
    if len(national) == 10 and national[2] in "6789":
        return "the ninth digit of a mobile number is missing"
    return "the subscriber number is neither a mobile's (9 and eight digits) nor a landline's (eight digits from 2 to 5)"


@dataclass(frozen=True, slots=True)
class Sender:
    """A source address with its type of number and numbering plan. SMPP 3.4 s5.2.5, s5.2.6"""

    address: str
    ton: int
    npi: int


def parse_sender(raw: str) -> Sender:
    """Read a sender: a short code, a name, or a Brazilian number. Raises InvalidSenderError.

    A short code has 3 to 8 digits (the manual's large accounts 4 to 6) and goes with TON 3, NPI 0, as most SMSCs document it; a number
    goes international with TON 1, NPI 1; a name with TON 5, NPI 0. A name has at most 11 characters, and only such as are no risk in a
    C-octet string: '@' is 0x00 in GSM 03.38 and would end it.
    """
    bare = raw.strip(" ")
    if not bare:
        raise InvalidSenderError("the sender is empty")
    if _SHORT_CODE.fullmatch(bare):
        return Sender(bare, TON_NETWORK_SPECIFIC, NPI_UNKNOWN)
    if any(character.isalpha() for character in bare):
        return _alphanumeric(bare)
    try:
        return Sender(parse(bare).international, TON_INTERNATIONAL, NPI_ISDN)
    except InvalidNumberError as error:
        raise InvalidSenderError(error.reason) from None


def _alphanumeric(name: str) -> Sender:
    if len(name) > 11:
        raise InvalidSenderError("a sender's name has at most 11 characters")
    if not _ALPHANUMERIC.fullmatch(name):
        raise InvalidSenderError("a sender's name has only letters without accents, digits, spaces and . _ & -")
    return Sender(name, TON_ALPHANUMERIC, NPI_UNKNOWN)
