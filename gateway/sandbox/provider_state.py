"""What the sandbox's HTTP API and web service share: one customer's messages, from the request to the last call-back. Pure.

`Provider.submit` checks, charges and takes one message; `Provider.cancel` and `Provider.look` are for what asks later. Time and chance are
arguments. Who unfolds a message's fate in time is `gateway.sandbox.fates`.

The order of the checks is our choice, since the manual has none: user, shape of the request, then number, text, type, cost centre, id and
date of each message, then the magic number, then credits. A credit pays for one message, however long, and comes back when it is cancelled.

Known limits: numbers are checked for length, area code and first digit alone; two hundred messages a second are fine, thousands are not
its purpose.
"""

import hashlib
import random
import re
from collections import deque
from typing import Literal, NamedTuple

from msgspec import Struct

from gateway.sandbox.answers import Code, Status, moment
from gateway.sandbox.customer import CreditKind, Customer
from gateway.sandbox.ledger import Entry, Ledger
from gateway.sandbox.scenario import WebBehaviour, web_behaviour
from gateway.sandbox.settings import WebSettings, WebStatistics

TEXT_LENGTH = 600
SHORT_CODE_LENGTH = 140  # stated by the web service alone
BATCH = 1000
ID_LENGTH = 40

Function = Literal["send", "mult", "sendUnique", "sendMultiple"]

_AREA_CODE = re.compile("1[1-9]|2[12478]|3[1-5]|3[78]|4[1-9]|5[1345]|6[1-9]|7[134579]|[89][1-9]")
_HTTP = frozenset({"send", "mult"})
_KINDS = {"0": CreditKind.LONG_CODE, "1": CreditKind.FLASH, "2": CreditKind.SHORT_CODE, "4": CreditKind.SHORT_CODE}
_ANSWER_OF_USER = re.compile("3([0-9]{3})$")


class Submission(NamedTuple):
    """One message as it was asked for; "" where the request has nothing."""

    number: str
    text: str
    type: str = ""
    external_id: str = ""
    schedule: str = ""
    centre: str = ""
    normalise: bool = False


class Stored(Struct, kw_only=True, gc=False):
    """One message that was taken."""

    md5: str
    function: Function
    number: str
    text: str
    external_id: str
    reports_id: bool  # the id comes back as `uuid`
    kind: CreditKind
    account: int | None  # that paid
    taken_at: float
    due_at: float
    behaviour: WebBehaviour
    status: Status = Status.WAITING


class Verdict(NamedTuple):
    """What became of a request to send one message; `code` None is a success in the way of the function."""

    submission: Submission
    code: int | None
    stored: Stored | None = None


class Received(NamedTuple):
    """A reply, for `recv` and `inbox`."""

    message: Stored
    text: str
    at: float


class Provider:
    """Keep the state; `seed` makes protocols repeatable."""

    def __init__(self, settings: WebSettings, seed: int | None = None) -> None:
        self.settings = settings
        self.statistics = WebStatistics()
        self.customer = Customer(settings)
        self.ledger = Ledger(settings.ledger_path, keep=settings.keep_messages)
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        self._messages: dict[str, Stored] = {}
        self._inbox: deque[Received] = deque(maxlen=settings.remember)
        self._shown: deque[Received] = deque(maxlen=settings.remember)

    def refusal(self, user: str) -> int | None:
        """Check who asks; return the code of a refusal that concerns the whole request."""
        if not user or self.settings.user not in {"", user}:
            return Code.NO_USER
        asked = _ANSWER_OF_USER.search(user) if not self.settings.user else None
        return int(asked[1]) if asked else None

    # --- sending ---

    def submit(self, submission: Submission, function: Function, now: float) -> Verdict:
        """Take one message, or say why not. One that breaks its answer before it is taken must not come here."""
        number = normalise(submission.number) if submission.normalise else submission.number
        behaviour = web_behaviour(number)
        code = self._fault(submission, number, function)
        if code is None and not behaviour.takes:
            code = behaviour.code
        if code is None:
            account = self.customer.account(int(submission.centre) if submission.centre else None)
            kind = _KINDS[submission.type or "0"]
            if self.customer.charge(account, kind):
                return Verdict(submission, behaviour.code, self._take(submission, number, function, kind, account, now))
            code = Code.NO_CREDITS
        self.statistics.refused += 1
        return Verdict(submission, code)

    def _fault(self, submission: Submission, number: str, function: Function) -> int | None:
        http = function in _HTTP
        type = submission.type or "0"
        if (fault := number_fault(number)) is not None:
            return fault
        if not submission.text.strip():
            return Code.BLANK if http else Code.INVALID
        if len(submission.text) > (SHORT_CODE_LENGTH if not http and type == "2" else TEXT_LENGTH):
            return Code.TOO_LONG
        if type not in _KINDS or (not http and type == "4"):
            return Code.MODALITY if http else Code.LAYOUT
        return self._centre_fault(submission.centre, http=http) or _fault_of_rest(submission, function)

    def _centre_fault(self, centre: str, *, http: bool) -> int | None:
        fault = Code.CENTRE_REQUIRED if http else Code.INVALID
        if not centre:
            return fault if self.settings.centre_required else None
        return None if _is_number(centre) and self.customer.knows_centre(int(centre)) else fault

    def _take(self, submission: Submission, number: str, function: Function, kind: CreditKind, account: int | None, now: float) -> Stored:
        stored = Stored(
            md5=f"{self._random.getrandbits(128):032x}",
            function=function,
            number=number,
            text=submission.text.replace("'", " "),
            external_id=submission.external_id,
            reports_id=function == "send" or self.settings.uuid_always,
            kind=kind,
            account=account,
            taken_at=now,
            due_at=max(now, moment(submission.schedule) or now),
            behaviour=web_behaviour(number),
        )
        self._messages[stored.md5] = stored
        if len(self._messages) > self.settings.remember:
            del self._messages[next(iter(self._messages))]
        self.statistics.taken += 1
        if self.ledger.wanted:
            self.ledger.add(_entry(stored))
        return stored

    # --- asking later ---

    def look(self, md5: str) -> Stored | None:
        """Look up a message."""
        return self._messages.get(md5.lower())

    def cancel(self, stored: Stored) -> bool:
        """Cancel a message that waits; False where it is too late."""
        if stored.status is not Status.WAITING:
            return False
        stored.status = Status.CANCELLED
        self.customer.give_back(stored.account, stored.kind)
        return True

    def receive(self, stored: Stored, text: str, at: float) -> None:
        """Keep a reply."""
        self._inbox.append(Received(stored, text, at))

    def inbox(self, since: float, until: float, *, again: bool) -> list[Received]:
        """Return the replies of a span, and remember that they were shown: they come again only when asked for."""
        found = [each for each in self._inbox if since <= each.at <= until]
        before = [each for each in self._shown if since <= each.at <= until] if again else []
        self._inbox = deque((each for each in self._inbox if not since <= each.at <= until), self.settings.remember)
        self._shown.extend(found)
        return before + found


def _entry(stored: Stored) -> Entry:
    digest = hashlib.blake2b(stored.text.encode(), digest_size=8).hexdigest()
    reference = int(stored.external_id) if _is_number(stored.external_id) else None
    return Entry(stored.number, digest, reference, stored.md5, stored.taken_at, "http" if stored.function in _HTTP else "webservice")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def normalise(number: str) -> str:
    """Bring a number into the form that Anatel's rules ask for, as far as it can be told (`z=1`)."""
    digits = re.sub("[^0-9]", "", number).lstrip("0")
    if len(digits) in {12, 13} and digits.startswith("55"):
        digits = digits[2:]
    return f"{digits[:2]}9{digits[2:]}" if len(digits) == 10 and digits[2] in "6789" else digits


def number_fault(number: str) -> int | None:
    """Return the code of what is wrong with a number."""
    if not _is_number(number):
        return Code.NOT_DIGITS
    if len(number) not in {10, 11}:
        return Code.INVALID
    if not _AREA_CODE.match(number):
        return Code.AREA_CODE
    if len(number) == 11 and number[2] != "9":
        return Code.PREFIX
    return Code.OPERATOR_PREFIX if number[2] in "01" else None


def _fault_of_rest(submission: Submission, function: Function) -> int | None:
    """Check id and date: `send` takes letters in an id, the others numbers, the web service up to 32 bits."""
    id = submission.external_id
    fits = id.isalnum() and id.isascii() and len(id) <= ID_LENGTH if function == "send" else _is_number(id)
    if id and (not fits or (function not in _HTTP and int(id) > 0xFFFFFFFF)):
        return Code.INVALID
    return Code.INVALID if submission.schedule and moment(submission.schedule) is None else None
