"""`mensageiro account`: what the provider knows of the account, asked by the HTTP API or by the web service, as plain records.

`ask` makes requests one after the other over one connection and returns their answers; what is no answer is an `AccountError` of one line.
A request that changes something and is not answered may have been done all the same: the error says so, nothing is repeated.

URLs, users and passwords are in no error. What the provider wrote is data: characters that no terminal should see are replaced.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import msgspec

from gateway import config
from gateway.config import Config, Http, Webservice
from gateway.events import rfc3339
from gateway.provider import http, webservice
from gateway.provider.answers import (
    BY_COST_CENTRE,
    BY_USER,
    GENERAL,
    Answer,
    CostCentres,
    CreditRow,
    Credits,
    Inbox,
    Levels,
    Operators,
    OutOfDate,
    Refused,
    Statuses,
    Unparsable,
    Users,
)
from gateway.provider.fields import date_time, local_text
from gateway.provider.parsing import parse
from gateway.provider.results import Function, message_status

if TYPE_CHECKING:
    from gateway.carriers.http_client import Exchange
    from gateway.carriers.webservice import Called

Via = Literal["http", "webservice"]
Request = http.Request | webservice.Request
Record = dict[str, Any]

MODALITIES = {0: "post-paid", 1: "pre-paid"}
DISTRIBUTIONS = {GENERAL: "general", BY_USER: "user", BY_COST_CENTRE: "cost centre"}
CHANGES = frozenset({Function.CADUS, Function.ALTUS, Function.CICT, Function.CACT})
HASH_BYTES = 35  # of a URL: 32 digits and the escaped delimiter
OK = 200

T = TypeVar("T")
A = TypeVar("A")


class AccountError(Exception):
    """The provider did not do what was asked. Its text is one line."""


class Account(NamedTuple):
    """A carrier that answers questions about its account."""

    name: str
    settings: Http | Webservice


def choose(settings: Config, kinds: Sequence[Via], name: str | None) -> Account:
    """Choose the carrier to ask, of the first of `kinds` that is configured. Raises ConfigError where that leaves none or several."""
    if name is not None and name not in settings.carriers:
        raise config.ConfigError(f"--carrier: there is no carrier {name}")
    carriers = settings.carriers if name is None else {name: settings.carriers[name]}
    for kind in kinds:
        found = [Account(key, each) for key, each in carriers.items() if isinstance(each, _SECTIONS[kind])]
        if len(found) > 1:
            raise config.ConfigError(f"--carrier: say which: {', '.join(account.name for account in found)}")
        if found:
            return found[0]
    kind_wanted = " or ".join(kinds)
    raise config.ConfigError(f"--carrier: {name} is not of kind {kind_wanted}" if name else f"carriers: none is of kind {kind_wanted}")


_SECTIONS: Mapping[Via, type[Http] | type[Webservice]] = {"http": Http, "webservice": Webservice}


# --- Asking -----------------------------------------------------------------------------------------------------------------------


def ask(account: Account, requests: Sequence[Request]) -> list[Answer]:
    """Make requests of the kind of the carrier, in order. Raises AccountError and ConfigError."""
    section = account.settings
    return asyncio.run(_ask(section, config.user(section, account.name), requests))


async def _ask(section: Http | Webservice, user: str, requests: Sequence[Request]) -> list[Answer]:
    match section:
        case Http():
            return await _ask_by_http(section, user, [request for request in requests if isinstance(request, http.Request)])
        case Webservice():
            return await _ask_by_webservice(section, user, [request for request in requests if isinstance(request, webservice.Request)])


async def _ask_by_http(section: Http, user: str, requests: Sequence[http.Request]) -> list[Answer]:
    from gateway.carriers import http_client  # takes long to load, and the other commands do without

    async with http_client.open_session(1) as session:
        answers = []
        for request in requests:
            url = f"{section.base_url.rstrip('/')}/{request.FUNCTION.value}"
            exchange = await http_client.fetch(session, url, _query(request, user, section.charset), section.timeout)
            answers.append(_checked(request.FUNCTION, _read(request.FUNCTION, exchange)))
    return answers


async def _ask_by_webservice(section: Webservice, user: str, requests: Sequence[webservice.Request]) -> list[Answer]:
    from gateway.carriers.http_client import open_session
    from gateway.carriers.webservice import SoapClient  # takes long to load, likewise

    client = SoapClient(section, user)
    async with open_session(1) as session:
        return [_checked(request.OPERATION, _called(request.OPERATION, await client.call(session, request))) for request in requests]


def _called(operation: Function, called: "Called") -> Answer:
    """Return what an operation answered, or say why that is nothing."""
    from gateway.carriers.http_client import NeverWritten, Unanswered
    from gateway.carriers.webservice import Fault, Unread

    match called:
        case Fault():
            raise AccountError(f"{operation}: answered by a SOAP fault")
        case Unread(detail=detail) | NeverWritten(detail=detail) | Unanswered(detail=detail):
            raise AccountError(f"{operation}: {detail}")
        case _:
            return called


def _query(request: http.Request, user: str, charset: str) -> str:
    try:
        return http.url_query(request, user, charset)
    except UnicodeEncodeError:  # it may be of a password: what is lacking is not said
        raise AccountError(f"{request.FUNCTION}: has a character that {charset} lacks") from None


def _read(function: Function, exchange: "Exchange") -> Answer:
    """Return what the provider answered, or say why that is nothing."""
    from gateway.carriers.http_client import Fetched, NeverWritten

    if isinstance(exchange, NeverWritten):
        raise AccountError(f"{function}: {exchange.detail}")
    if not isinstance(exchange, Fetched):
        raise AccountError(f"{function}: {exchange.detail}{_perhaps_done(function)}")
    answer = parse(function, exchange.body)
    if exchange.status != OK and not isinstance(answer, OutOfDate):
        raise AccountError(f"{function}: answered by HTTP status {exchange.status}{_perhaps_done(function)}")
    return answer


def _checked(function: Function, answer: Answer) -> Answer:
    """Return an answer that is one. Raises AccountError."""
    match answer:
        case OutOfDate():
            raise AccountError(f"{function}: the provider has withdrawn it (OUT-OF-DATE); call-backs tell statuses and replies")
        case Refused(code=code, result=result):
            raise AccountError(f"{function}: refused by code {code}: {result.description}")
        case Unparsable(size=size):
            raise AccountError(f"{function}: the answer, {size} bytes, is none that the manual knows{_perhaps_done(function)}")
        case _:
            return answer


def _perhaps_done(function: Function) -> str:
    return "; it may have been done all the same: look before you ask again" if function in CHANGES else ""


# --- What is asked ----------------------------------------------------------------------------------------------------------------


def status_requests(account: Account, protocols: Sequence[str]) -> list[Request]:
    """Ask for the states of messages: `stat` for one, `stam` for several, status by the web service."""
    if isinstance(account.settings, Webservice):
        return [webservice.AskStatuses(protocols=each) for each in _groups(protocols, webservice.MAX_HASHES)]
    if len(protocols) == 1:
        return [http.AskStatus(protocol=protocols[0], with_operator=True)]
    room = account.settings.max_url_bytes - len(account.settings.base_url) - HASH_BYTES
    groups = _groups(protocols, max(1, min(room // HASH_BYTES, http.MAX_BATCH)))
    return [http.AskStatuses(protocols=each, with_operator=True, complete=True) for each in groups]


def inbox_request(account: Account, since: float | None, until: float | None, zone: tzinfo, *, again: bool) -> Request:
    """Ask for replies, of today where no time is given: `recv`, or inbox by the web service."""
    if isinstance(account.settings, Webservice):
        return webservice.ReadInbox(since=_local(since, zone, "T"), until=_local(until, zone, "T"), again=again)
    return http.ReadInbox(since=_local(since, zone, " "), until=_local(until, zone, " "), again=again)


def _local(at: float | None, zone: tzinfo, separator: str) -> str | None:
    return None if at is None else local_text(at, zone, separator)


def _groups(things: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    rest = iter(things)
    while group := tuple(islice(rest, size)):
        yield group


# --- What is told -----------------------------------------------------------------------------------------------------------------


def one(answers: Sequence[Answer], kind: type[A]) -> A:
    """Return the one answer that was asked for."""
    (answer,) = answers
    assert isinstance(answer, kind)
    return answer


def records(answers: Sequence[Answer], zone: tzinfo) -> tuple[list[Record], int]:
    """Turn lists into records of plain data; return how many rows did not fit, too."""
    found: list[Record] = []
    strange = 0
    for answer in answers:
        assert isinstance(answer, Credits | Levels | Users | CostCentres | Operators | Statuses | Inbox)
        found += [_record(row, zone) for row in answer.rows]
        strange += len(answer.strange)
    return found, strange


def _record(row: msgspec.Struct, zone: tzinfo) -> Record:
    record: Record = {name: printable(value) for name, value in msgspec.to_builtins(row).items()}
    if isinstance(row, CreditRow):
        record["modality"] = MODALITIES.get(row.modality, row.modality)
        record["distribution"] = DISTRIBUTIONS.get(row.distribution, row.distribution)
    if "at_text" in record:
        written = record.pop("at_text")
        at = date_time(written, zone)
        record["at"] = written if at is None else rfc3339(at)
    if "status" in record:
        status = message_status(record["status"])
        record["state"] = None if status is None else status.name.lower()
    return record


def printable(value: Any) -> Any:
    """Replace what would command a terminal instead of being shown."""
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else " " for letter in value)
    return [printable(each) for each in value] if isinstance(value, list) else value
