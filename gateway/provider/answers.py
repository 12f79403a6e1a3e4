"""The provider's answers, typed: of the HTTP API and of the web service, whose results are the same text.

`parsing.parse` makes them. What does not follow the manual is `Unparsable` and keeps the bytes; `OutOfDate` is what withdrawn functions
say. A row of a list that does not fit its columns is kept as it is in `strange`. No repr shows a number, a person's name or a text.
"""

from typing import ClassVar

from gateway.provider.fields import Hidden, plain_words
from gateway.provider.results import Function, Result, ResultClass, result


class OutOfDate(Hidden, frozen=True, kw_only=True):
    """The function was withdrawn."""


class Unparsable(Hidden, frozen=True, kw_only=True):
    """Nothing that the manual knows; the bytes are kept."""

    body: bytes

    @property
    def size(self) -> int:
        """How many bytes."""
        return len(self.body)

    SHOWN: ClassVar[tuple[str, ...]] = ("size",)


class Refused(Hidden, frozen=True, kw_only=True):
    """The provider did not do it."""

    function: Function
    code: int
    text: str = ""  # the provider's words

    SHOWN: ClassVar[tuple[str, ...]] = ("function", "code")

    @property
    def result(self) -> Result:
        """Its class and what it says."""
        return result(self.function, self.code)


class Entry(Hidden, frozen=True, kw_only=True):
    """What a sending function answers about one message, or about the whole request."""

    function: Function
    code: int | None  # None: not understood
    protocol: str = ""  # md5; opaque
    fields: tuple[str, ...] = ()  # what else stands there: echoes of number and id, words

    SHOWN: ClassVar[tuple[str, ...]] = ("function", "code", "protocol")

    @property
    def result(self) -> Result:
        """Its class and what it says. A 0 counts only exactly and alone."""
        if self.code is None or (self.code == 0 and not self._exactly_zero):
            return Result(ResultClass.UNKNOWN, "not understood")
        return result(self.function, self.code)

    @property
    def result_class(self) -> ResultClass:
        """What it asks of us."""
        return self.result.result_class

    @property
    def _exactly_zero(self) -> bool:
        """Whether a 0 stands with nothing, or with the manual's words for it: else it may be no code, and the message taken."""
        return self.alone and all(plain_words(field).startswith("REQUISI") for field in self.fields)

    @property
    def alone(self) -> bool:
        """Whether nothing but words stands beside the code."""
        return not self.protocol and not any(letter.isdigit() for field in self.fields for letter in field)


class SendMultipleAnswer(Hidden, frozen=True, kw_only=True):
    """What `mult` and sendMultiple answer: `batch.match` tells which entry is whose."""

    entries: tuple[Entry, ...]

    SHOWN: ClassVar[tuple[str, ...]] = ("entries",)


class CancelRow(Hidden, frozen=True, kw_only=True):
    """What became of one cancel. Only CANCELLED is cancelled; SENT came too late."""

    protocol: str  # "" where only one was asked and the answer names none
    status: int | None
    description: str = ""
    external_id: str = ""
    number: str = ""
    at_text: str = ""

    SHOWN: ClassVar[tuple[str, ...]] = ("protocol", "status")


class StatusRow(Hidden, frozen=True, kw_only=True):
    """How far one message is."""

    protocol: str  # "" where only one was asked and the answer names none
    status: int | None
    description: str = ""
    at_text: str = ""  # when the provider took it
    operator: str = ""
    external_id: str = ""
    number: str = ""

    SHOWN: ClassVar[tuple[str, ...]] = ("protocol", "status")


GENERAL, BY_USER, BY_COST_CENTRE = 0, 1, 2  # how credits are dealt out


class CreditRow(Hidden, frozen=True, kw_only=True):
    """What one account, user or cost centre has left."""

    modality: int  # 0 post-paid, 1 pre-paid
    distribution: int  # GENERAL, BY_USER, BY_COST_CENTRE
    id: int  # of the user or the cost centre; 0 where general
    long_code: int
    flash: int
    short_code: int

    SHOWN: ClassVar[tuple[str, ...]] = ("modality", "distribution", "id", "long_code", "flash", "short_code")


class Level(Hidden, frozen=True, kw_only=True):
    """A level of access."""

    id: int
    name: str

    SHOWN: ClassVar[tuple[str, ...]] = ("id", "name")


class User(Hidden, frozen=True, kw_only=True):
    """A user of the provider's platform."""

    id: int
    active: bool
    login: str
    name: str
    level: str

    SHOWN: ClassVar[tuple[str, ...]] = ("id", "active", "level")


class CostCentre(Hidden, frozen=True, kw_only=True):
    """A cost centre."""

    id: int
    name: str
    active: bool | None
    mails: tuple[str, ...] = ()

    SHOWN: ClassVar[tuple[str, ...]] = ("id", "active")


class Operator(Hidden, frozen=True, kw_only=True):
    """A telephone operator by Anatel's code."""

    code: int
    name: str

    SHOWN: ClassVar[tuple[str, ...]] = ("code", "name")


class InboxRow(Hidden, frozen=True, kw_only=True):
    """A reply."""

    protocol: str  # of the message that it answers
    at_text: str
    number: str
    text: str
    external_id: str = ""
    reference: str = ""

    SHOWN: ClassVar[tuple[str, ...]] = ("protocol", "at_text")


class _Rows(Hidden, frozen=True, kw_only=True):
    strange: tuple[str, ...] = ()  # rows that do not fit the columns


class Cancels(_Rows, frozen=True, kw_only=True):
    """What `cacl` and cancel answer."""

    rows: tuple[CancelRow, ...]
    SHOWN: ClassVar[tuple[str, ...]] = ("rows",)


class Statuses(_Rows, frozen=True, kw_only=True):
    """What `stat`, `stam` and status answer."""

    rows: tuple[StatusRow, ...]
    SHOWN: ClassVar[tuple[str, ...]] = ("rows",)


class Credits(_Rows, frozen=True, kw_only=True):
    """What `crdtf` answers."""

    rows: tuple[CreditRow, ...]
    SHOWN: ClassVar[tuple[str, ...]] = ("rows",)


class Levels(_Rows, frozen=True, kw_only=True):
    """What `cnnvl` answers."""

    rows: tuple[Level, ...]
    SHOWN: ClassVar[tuple[str, ...]] = ("rows",)


class Users(_Rows, frozen=True, kw_only=True):
    """What `cnus` answers."""

    rows: tuple[User, ...]
    SHOWN: ClassVar[tuple[str, ...]] = ("rows",)


class CostCentres(_Rows, frozen=True, kw_only=True):
    """What `crctn` answers."""

    rows: tuple[CostCentre, ...]
    SHOWN: ClassVar[tuple[str, ...]] = ("rows",)


class Operators(_Rows, frozen=True, kw_only=True):
    """What `oper` answers."""

    rows: tuple[Operator, ...]
    SHOWN: ClassVar[tuple[str, ...]] = ("rows",)


class Inbox(_Rows, frozen=True, kw_only=True):
    """What `recv` and inbox answer."""

    rows: tuple[InboxRow, ...]
    SHOWN: ClassVar[tuple[str, ...]] = ("rows",)


class Added(Hidden, frozen=True, kw_only=True):
    """A user or a cost centre was added."""

    id: int | None  # None where the answer does not tell it
    text: str = ""

    SHOWN: ClassVar[tuple[str, ...]] = ("id", "text")


class Changed(Hidden, frozen=True, kw_only=True):
    """A user or a cost centre was changed."""

    text: str = ""

    SHOWN: ClassVar[tuple[str, ...]] = ("text",)


Lists = Cancels | Statuses | Credits | Levels | Users | CostCentres | Operators | Inbox
Answer = Entry | SendMultipleAnswer | Lists | Added | Changed | Refused | OutOfDate | Unparsable
