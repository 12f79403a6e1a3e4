"""The HTTP carrier: the provider's HTTP API as a `Wire` of `requests.RequestCarrier`.

One message goes by `send`, several that fit by one `mult` of layout 1: texts without delimiters; kind, cost centre, `fsd`, `z` and `arq` in
common, since a batch has them once; each number once, since an answer may name its message by the number alone; no more than `batch` and
what `max_url_bytes` holds. Each message goes under its surrogate number. A request is a GET with everything in its
URL, the user too: none of it is ever in a log line, an error or a metric.

An answer is one only with status 200, and in words that the manual knows; anything else leaves the request's messages in doubt. `crdtf`
serves as the probe: it is free, and says whether the account is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, cast
from urllib.parse import quote

import aiohttp

from gateway.carriers.base import Prepared
from gateway.carriers.gathering import Fit, gather
from gateway.carriers.http_client import OK, Exchange, Fetched, NeverWritten, fetch, open_session
from gateway.carriers.plain_text import fits_batch, not_encodable, plain_text, wants_priority
from gateway.carriers.verdicts import Effect, Verdict, cancel_outcomes, verdict_of, verdicts_of_batch
from gateway.carriers.wire import Load, Probe, Purse, verdict_without_answer
from gateway.config import Http
from gateway.message import CancelOutcome, InDoubt, Kind, Message, Reason, Rejected
from gateway.provider.answers import (
    BY_COST_CENTRE,
    GENERAL,
    Answer,
    CreditRow,
    Credits,
    Entry,
    OutOfDate,
    Refused,
    SendMultipleAnswer,
)
from gateway.provider.http import (
    AskCredits,
    BatchItem,
    CancelMessages,
    Request,
    Send,
    SendDifferent,
    url_query,
)
from gateway.provider.parsing import parse
from gateway.provider.results import ResultClass

_DELIMITER = len("%3B")


class Part(NamedTuple):
    """A message as it goes."""

    send: Send
    fit: Fit | None  # into a `mult`, by the bytes of its URL


class HttpWire:
    """How messages go by the HTTP API."""

    def __init__(self, settings: Http, user: str) -> None:
        self._settings, self._user = settings, user
        self._url = settings.base_url.rstrip("/")

    @property
    def batch(self) -> int:
        """How many messages a `mult` may take."""
        return self._settings.batch

    @property
    def default_cost_centre(self) -> int:
        """What a message is paid by that names none."""
        return self._settings.cost_centre

    @property
    def knows_account(self) -> bool:
        """Whether a probe tells of the account, too."""
        return True

    # --- from message to request ---

    def prepare(self, message: Message) -> Prepared | Rejected:
        """Say how a message would go, or why it cannot."""
        text = plain_text(message, self._settings)
        if isinstance(text, Rejected):
            return text
        send = Send(
            number=message.to,
            text=text.characters,
            kind=message.kind,
            normalise=message.normalise,
            cost_centre=message.cost_centre or self._settings.cost_centre or None,
            id=message.surrogate,
            priority=wants_priority(message),
            label=message.label,
        )
        try:
            length = self._url_bytes(send)
        except UnicodeEncodeError as error:
            return self._not_encodable(send, error)
        if length > self._settings.max_url_bytes:
            return Rejected(Reason.NO_ROUTE, f"text: makes a URL of {length} bytes, beyond max_url_bytes")
        return Prepared((Part(send, self._fit(send)),), self._settings.charset, text.replaced)

    def _fit(self, send: Send) -> Fit | None:
        if not fits_batch(send.text):
            return None
        item = quote("|".join((send.number, send.text, str(send.id))).encode(self._settings.charset), safe="")
        shared = (send.kind, send.cost_centre, send.priority, send.normalise, send.label)
        room = self._settings.max_url_bytes - self._url_bytes(_mult(send, ())) + _DELIMITER
        return Fit(shared, send.number, len(item) + _DELIMITER, room)

    def _not_encodable(self, send: Send, error: UnicodeEncodeError) -> Rejected:
        character = error.object[error.start]
        if character in send.text:
            return not_encodable(character, self._settings.charset)
        return Rejected(Reason.NO_ROUTE, f"label: {self._settings.charset} lacks U+{ord(character):04X}")

    def _url_bytes(self, request: Request) -> int:
        return len(self._url) + len(f"/{request.FUNCTION.value}?") + len(url_query(request, self._user, self._settings.charset))

    def plan(self, loads: Sequence[Load]) -> list[tuple[Load, ...]]:
        """Gather what fits one `mult`; the requests stand in the order of their first messages."""
        return gather(loads, lambda load: _part(load).fit, self.batch)

    # --- from answer to verdict ---

    def connect(self, connections: int) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """Open what requests go over."""
        return open_session(connections)

    async def submit(self, session: aiohttp.ClientSession, loads: Sequence[Load]) -> Sequence[Verdict]:
        """Send one message by `send`, several by `mult`."""
        sends = [_part(load).send for load in loads]
        request = sends[0] if len(sends) == 1 else _mult(sends[0], sends)
        exchange = await self._fetch(session, request)
        if isinstance(exchange, Fetched):
            return _verdicts(request, exchange)
        return [verdict_without_answer(exchange)] * len(loads)

    async def cancel(self, session: aiohttp.ClientSession, message_ids: Sequence[str]) -> Mapping[str, CancelOutcome]:
        """Ask to cancel by `cacl`, as many at a time as a URL holds; of an id that could not be asked for nothing is told."""
        outcomes: dict[str, CancelOutcome] = {}
        for group in self._cancel_groups(message_ids):
            exchange = await self._fetch(session, CancelMessages(protocols=tuple(group)))
            if isinstance(exchange, NeverWritten):
                break
            answer = _answer_of(CancelMessages(protocols=()), exchange) if isinstance(exchange, Fetched) else None
            outcomes |= cancel_outcomes(answer, group)
        return outcomes

    def _cancel_groups(self, message_ids: Sequence[str]) -> Iterator[list[str]]:
        room = self._settings.max_url_bytes - self._url_bytes(CancelMessages(protocols=()))
        group: list[str] = []
        used = 0
        for message_id in message_ids:
            size = len(quote(message_id, safe="")) + _DELIMITER
            if group and (used + size > room):
                yield group
                group, used = [], 0
            group.append(message_id)
            used += size
        if group:
            yield group

    async def probe(self, session: aiohttp.ClientSession) -> Probe:
        """Ask for the credits: any answer of the manual's shows that the provider is there."""
        exchange = await self._fetch(session, AskCredits())
        if not isinstance(exchange, Fetched):
            return Probe(verdict_without_answer(exchange).effect, exchange.detail)
        match _answer_of(AskCredits(), exchange):
            case Credits() | OutOfDate():  # were it withdrawn as others were, nothing else would ever find the provider there
                return Probe(Effect.ANSWERED)
            case Refused() as refused:
                bad = refused.result.result_class is ResultClass.BAD_ACCOUNT
                return Probe(Effect.REFUSED if bad else Effect.ANSWERED, f"code {refused.code}: {refused.result.description}")
            case _:
                return Probe(Effect.SILENT, _why_unread(exchange))

    async def credits(self, session: aiohttp.ClientSession) -> Sequence[CreditRow] | None:
        """Ask what is left."""
        exchange = await self._fetch(session, AskCredits())
        answer = _answer_of(AskCredits(), exchange) if isinstance(exchange, Fetched) else None
        return answer.rows if isinstance(answer, Credits) else None

    def pays(self, rows: Sequence[CreditRow], purse: Purse) -> bool:
        """Tell whether credits of everybody, or of this cost centre, pay for such messages."""
        column = _COLUMNS[purse.kind]
        return any(
            getattr(row, column) > 0
            for row in rows
            if row.distribution == GENERAL or (row.distribution == BY_COST_CENTRE and row.id == purse.cost_centre)
        )

    async def _fetch(self, session: aiohttp.ClientSession, request: Request) -> Exchange:
        query = url_query(request, self._user, self._settings.charset)
        return await fetch(session, f"{self._url}/{request.FUNCTION.value}", query, self._settings.timeout)


_COLUMNS: Mapping[Kind, str] = {"common": "long_code", "flash": "flash", "short_code": "short_code", "short_code_flash": "short_code"}


def _part(load: Load) -> Part:
    return cast("Part", load.prepared.parts[0])


def _mult(send: Send, sends: Sequence[Send]) -> SendDifferent:
    """Make one request of messages that share what `send` has."""
    return SendDifferent(
        items=tuple(BatchItem(each.number, each.text, cast("int", each.id)) for each in sends),
        kind=send.kind,
        normalise=send.normalise,
        cost_centre=send.cost_centre,
        priority=send.priority,
        label=send.label,
    )


def _verdicts(request: Send | SendDifferent, fetched: Fetched) -> Sequence[Verdict]:
    match _answer_of(request, fetched):
        case Entry() as entry if isinstance(request, Send):
            return [verdict_of(entry)]
        case SendMultipleAnswer(entries=entries) if isinstance(request, SendDifferent):
            return verdicts_of_batch(entries, request.asked)
        case _:
            unread = Verdict(InDoubt(_why_unread(fetched)), Effect.SILENT)
            return [unread] * (1 if isinstance(request, Send) else request.size)


def _answer_of(request: Request, fetched: Fetched) -> Answer | None:
    return parse(request.FUNCTION, fetched.body) if fetched.status == OK else None


def _why_unread(fetched: Fetched) -> str:
    return f"HTTP status {fetched.status}" if fetched.status != OK else "the answer cannot be read"
