"""The requests of the provider's HTTP API, typed, and how they are written into a URL. Pure.

    url_query(Send(number="11987654321", text="oi", id=7), user, "utf-8")  ->  "u=...&n=11987654321&m=oi&id=7"

A parameter's letter changes its meaning with the function (`c` is a cost centre, the content of a batch, or the centres that a user may
use), so each request writes its own. `u` goes first, as the manual advises; optional parameters are left out where they say nothing.
Everything is percent-encoded, a space as %20, in a character set that is the account's setting.

There is no password: the user is all the authentication, so a query is a secret as a whole. No repr shows a user, a password, a number or a
text. Answers are read by `parsing.parse`.
"""

from typing import ClassVar, NamedTuple
from urllib.parse import quote

from gateway.message import Kind
from gateway.provider.fields import Hidden
from gateway.provider.results import Function

MAX_BATCH = 1000  # numbers of a `mult`
MAX_TEXT = 600
MAX_COST_CENTRE_NAME = 50
MAX_COST_CENTRE_MAILS = 999

KIND_NUMBERS: dict[Kind, int] = {"common": 0, "flash": 1, "short_code": 2, "short_code_flash": 4}

Parameters = list[tuple[str, object]]


class Request(Hidden, frozen=True, kw_only=True):
    """A request of one function."""

    FUNCTION: ClassVar[Function]

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order; one that is None is left out."""
        raise NotImplementedError


class Send(Request, frozen=True, kw_only=True):
    """One message."""

    FUNCTION: ClassVar[Function] = Function.SEND
    SHOWN: ClassVar[tuple[str, ...]] = ("id", "kind", "cost_centre")

    number: str  # national digits
    text: str
    schedule: str | None = None  # local, "yyyy-MM-dd HH:mm:ss": fields.local_text
    kind: Kind = "common"
    normalise: bool = False
    cost_centre: int | None = None
    id: int | str | None = None  # comes back as the `uuid` of call-backs
    priority: bool = False  # short codes only
    label: str | None = None  # the file's name on the provider's platform

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order."""
        return [
            ("u", user),
            ("n", self.number),
            ("m", self.text),
            ("d", self.schedule),
            ("f", KIND_NUMBERS[self.kind] or None),
            ("z", _flag(on=self.normalise)),
            ("c", self.cost_centre),
            ("id", self.id),
            ("fsd", _flag(on=self.priority)),
            ("arq", self.label),
        ]


class _Batch(Request, frozen=True, kw_only=True):
    """What the messages of a `mult` share."""

    FUNCTION: ClassVar[Function] = Function.MULT
    SHOWN: ClassVar[tuple[str, ...]] = ("size", "kind", "cost_centre")

    schedule: str | None = None
    kind: Kind = "common"
    normalise: bool = False
    cost_centre: int | None = None
    priority: bool = False
    label: str | None = None

    def _shared(self) -> Parameters:
        return [
            ("d", self.schedule),
            ("f", KIND_NUMBERS[self.kind] or None),
            ("t", self.cost_centre),
            ("z", _flag(on=self.normalise)),
            ("fsd", _flag(on=self.priority)),
            ("arq", self.label),
        ]


class SendSame(_Batch, frozen=True, kw_only=True):
    """One text to several numbers: layout 0."""

    numbers: tuple[str, ...]
    text: str

    @property
    def size(self) -> int:
        """How many messages."""
        return len(self.numbers)

    @property
    def asked(self) -> tuple["BatchItem", ...]:
        """What `sends.match_batch` matches answers to."""
        return tuple(BatchItem(number, self.text) for number in self.numbers)

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order."""
        return [("u", user), ("n", ";".join(self.numbers)), ("m", self.text), *self._shared()]


class BatchItem(NamedTuple):
    """One message of a batch."""

    number: str
    text: str  # without ";" and "|": `fits_batch`
    id: int | None = None

    def __repr__(self) -> str:
        """Show only what a log may hold."""
        return f"BatchItem(id={self.id})"


class SendDifferent(_Batch, frozen=True, kw_only=True):
    """A text of its own to each number: layout 1."""

    items: tuple[BatchItem, ...]

    @property
    def size(self) -> int:
        """How many messages."""
        return len(self.items)

    @property
    def asked(self) -> tuple[BatchItem, ...]:
        """What `sends.match_batch` matches answers to."""
        return self.items

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order."""
        return [("u", user), ("l", 1), ("c", batch_content(self.items)), *self._shared()]


def fits_batch(text: str) -> bool:
    """Tell whether a text has none of the delimiters of a batch, which nothing escapes."""
    return ";" not in text and "|" not in text


def batch_content(items: tuple[BatchItem, ...]) -> str:
    """Write messages as number|text|id, joined by semicolons. Raises ValueError where a text has one of these delimiters."""
    if not all(fits_batch(item.text) for item in items):
        raise ValueError("a text of a batch has ; or |")
    return ";".join("|".join((item.number, item.text, *(() if item.id is None else (str(item.id),)))) for item in items)


class CancelMessages(Request, frozen=True, kw_only=True):
    """Cancel messages that the provider has not sent yet."""

    FUNCTION: ClassVar[Function] = Function.CACL
    SHOWN: ClassVar[tuple[str, ...]] = ("protocols",)

    protocols: tuple[str, ...]

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order."""
        return [("u", user), ("h", ";".join(self.protocols))]


class _OfTheAccount(Request, frozen=True, kw_only=True):
    """A question about the account that needs no more than the user."""

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order."""
        return [("u", user)]


class AskCredits(_OfTheAccount, frozen=True, kw_only=True):
    """What is left."""

    FUNCTION: ClassVar[Function] = Function.CRDTF


class ListLevels(_OfTheAccount, frozen=True, kw_only=True):
    """The levels of access."""

    FUNCTION: ClassVar[Function] = Function.CNNVL


class ListUsers(_OfTheAccount, frozen=True, kw_only=True):
    """The users of the platform."""

    FUNCTION: ClassVar[Function] = Function.CNUS


class ListCostCentres(_OfTheAccount, frozen=True, kw_only=True):
    """The cost centres."""

    FUNCTION: ClassVar[Function] = Function.CRCTN


class ListOperators(_OfTheAccount, frozen=True, kw_only=True):
    """The telephone operators."""

    FUNCTION: ClassVar[Function] = Function.OPER


class AddUser(Request, frozen=True, kw_only=True):
    """A new user of the platform."""

    FUNCTION: ClassVar[Function] = Function.CADUS

    name: str
    login: str
    password: str
    level: int | None = None
    cost_centres: tuple[int, ...] = ()  # that the user may use

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order."""
        return [
            ("u", user),
            ("n", self.name),
            ("d", self.login),
            ("p", self.password),
            ("t", self.level),
            ("c", _piped(self.cost_centres)),
        ]


class ChangeUser(Request, frozen=True, kw_only=True):
    """What is to be different of a user."""

    FUNCTION: ClassVar[Function] = Function.ALTUS
    SHOWN: ClassVar[tuple[str, ...]] = ("id", "active", "level", "cost_centres")

    id: int
    name: str | None = None
    active: bool | None = None
    password: str | None = None
    level: int | None = None
    cost_centres: tuple[int, ...] = ()

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order."""
        return [
            ("u", user),
            ("id", self.id),
            ("n", self.name),
            ("s", _state(active=self.active)),
            ("p", self.password),
            ("t", self.level),
            ("c", _piped(self.cost_centres)),
        ]


class AddCostCentre(Request, frozen=True, kw_only=True):
    """A new cost centre."""

    FUNCTION: ClassVar[Function] = Function.CICT

    name: str  # at most 50 characters
    mails: str | None = None  # at most 999; several are joined by a pipe

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order."""
        return [("u", user), ("d", self.name), ("e", self.mails)]


class ChangeCostCentre(Request, frozen=True, kw_only=True):
    """What is to be different of a cost centre; its name stays."""

    FUNCTION: ClassVar[Function] = Function.CACT
    SHOWN: ClassVar[tuple[str, ...]] = ("id", "active")

    id: int
    active: bool | None = None
    mails: str | None = None

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order. The manual also writes `Id`, but its example does not."""
        return [("u", user), ("id", self.id), ("s", _state(active=self.active)), ("e", self.mails)]


class AskStatus(Request, frozen=True, kw_only=True):
    """How far one message is. Withdrawn."""

    FUNCTION: ClassVar[Function] = Function.STAT
    SHOWN: ClassVar[tuple[str, ...]] = ("protocol",)

    protocol: str
    with_operator: bool = False

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order; this function takes no user."""
        return [("h", self.protocol), ("o", _flag(on=self.with_operator))]


class AskStatuses(Request, frozen=True, kw_only=True):
    """How far messages are. Withdrawn."""

    FUNCTION: ClassVar[Function] = Function.STAM
    SHOWN: ClassVar[tuple[str, ...]] = ("protocols",)

    protocols: tuple[str, ...]
    with_operator: bool = False
    complete: bool = False

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order; this function takes no user, and its C is a capital."""
        return [("h", ";".join(self.protocols)), ("o", _flag(on=self.with_operator)), ("C", _flag(on=self.complete))]


class ReadInbox(Request, frozen=True, kw_only=True):
    """The replies of a span of time; of today where none is given. Withdrawn."""

    FUNCTION: ClassVar[Function] = Function.RECV
    SHOWN: ClassVar[tuple[str, ...]] = ("since", "until", "again")

    since: str | None = None  # local, "yyyy-MM-dd HH:mm:ss"
    until: str | None = None
    again: bool = False  # what was shown before, too

    def parameters(self, user: str) -> Parameters:
        """Return names and values in order; the user is `h` here."""
        return [("h", user), ("di", self.since), ("df", self.until), ("r", _flag(on=self.again))]


def url_query(request: Request, user: str, charset: str = "utf-8") -> str:
    """Write the query of a request's URL, without the question mark. Raises UnicodeEncodeError where `charset` lacks a character."""
    return "&".join(f"{name}={_escaped(value, charset)}" for name, value in request.parameters(user) if value is not None)


def _escaped(value: object, charset: str) -> str:
    return quote(str(value).encode(charset), safe="")


def _flag(*, on: bool) -> int | None:
    return 1 if on else None


def _state(*, active: bool | None) -> int | None:
    return None if active is None else int(active)


def _piped(ids: tuple[int, ...]) -> str | None:
    return "|".join(map(str, ids)) or None
