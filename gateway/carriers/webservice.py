"""The web service carrier: the provider's SOAP methods as a `Wire` of `requests.RequestCarrier`, and a client of all of them.

zeep makes the envelopes and reads the answers, by the WSDL that stands beside this module; nothing is fetched, neither WSDL nor schema. The
bytes go over `http_client`, as those of the HTTP carrier do, since it alone knows whether they may have left (docs/decisions/0008).

One message goes by `sendUnique`, several by `sendMultiple`, but only such as need no more than `number|text|id`: whether fields between may
be blank is unproven. Of the API's fields it has no priority, no normalising, no label and no short code with flash: a message that
needs one is not eligible here.

A fault was answered after the request was written, so it leaves messages in doubt, but for two of ASP.NET's that come before the method
runs: a SOAPAction that the server does not know (our settings are wrong: suspended), and a request that it cannot read (this message, this
way). They are told by faultcode and a few words, all of which must fit.
"""

import asyncio
import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import aiohttp
import zeep
from lxml import etree

from gateway.carriers.base import Prepared
from gateway.carriers.gathering import Fit, gather
from gateway.carriers.http_client import OK, Fetched, NeverWritten, Unanswered, open_session, post
from gateway.carriers.plain_text import fits_batch, not_encodable, plain_text, wants_priority
from gateway.carriers.verdicts import Effect, Verdict, cancel_outcomes, verdict_of, verdicts_of_batch
from gateway.carriers.wire import Load, Probe, Purse, verdict_without_answer
from gateway.config import Webservice
from gateway.message import CancelOutcome, Deferred, InDoubt, Message, Reason, Rejected, Scope
from gateway.provider import webservice as provider
from gateway.provider.answers import Answer, CreditRow, Entry, SendMultipleAnswer
from gateway.provider.http import BatchItem

BATCH = 50
DEFAULT_NAMESPACE = "http://tempuri.org/"
_ENVELOPE = "{http://schemas.xmlsoap.org/soap/envelope/}Envelope"
_BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
_ZEEP_STUMBLES = (zeep.exceptions.Error, etree.LxmlError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_PARSER = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


logging.getLogger("zeep").setLevel(logging.CRITICAL)  # it logs values that it cannot read, and an answer's values name people


class Fault(NamedTuple):
    """A SOAP fault."""

    code: str  # "Client", "Server", or what else stands there
    text: str

    @property
    def unknown_action(self) -> bool:
        """Whether the server knows no such method: nothing was done."""
        return self.code == "Client" and "SOAPAction" in self.text

    @property
    def unreadable(self) -> bool:
        """Whether the server could not read the request: nothing was done."""
        return self.code == "Client" and "unable to read request" in self.text


class Unread(NamedTuple):
    """An answer that is not SOAP, or not this method's."""

    detail: str


Called = Answer | Fault | Unread | NeverWritten | Unanswered


class SoapClient:
    """The web service's methods. Raises OSError, zeep's and lxml's errors at the start only, where the WSDL was damaged."""

    def __init__(self, settings: Webservice, user: str) -> None:
        self._settings, self._user = settings, user
        wsdl = files("gateway.carriers").joinpath("wbsapi.wsdl").read_bytes()
        namespace = settings.namespace.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        wsdl = wsdl.replace(DEFAULT_NAMESPACE.encode(), namespace.encode())
        self._client: Any = zeep.Client(  # type: ignore[no-untyped-call] # zeep has no types
            io.BytesIO(wsdl), transport=_Offline(), settings=zeep.Settings(forbid_dtd=True)
        )
        self._binding: Any = next(iter(self._client.wsdl.bindings.values()))

    async def call(self, session: aiohttp.ClientSession, request: provider.Request) -> Called:
        """Call a method. The manual writes `inbox` and `inBox`: where the server does not know the one, the other is tried."""
        name = request.OPERATION.value
        called = await self._call(session, request, name)
        if isinstance(called, Fault) and called.unknown_action and name == "inbox":
            return await self._call(session, request, "inBox")
        return called

    async def _call(self, session: aiohttp.ClientSession, request: provider.Request, name: str) -> Called:
        envelope = self._client.create_message(self._client.service, name, **provider.arguments(request, self._user))
        body = etree.tostring(envelope, encoding="utf-8", xml_declaration=True)
        action = self._binding.get(name).soapaction
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        exchange = await post(session, self._settings.url, body, headers, self._settings.timeout)
        if isinstance(exchange, NeverWritten | Unanswered):
            return exchange
        result = self._read(name, exchange)
        return result if isinstance(result, Fault | Unread) else provider.parse(request.OPERATION, result)

    def _read(self, name: str, fetched: Fetched) -> str | Fault | Unread | None:
        """Return what the method returned. Total: any bytes are a result, a fault or unread."""
        strange = Unread(f"HTTP status {fetched.status}" if fetched.status != OK else "the answer cannot be read")
        if not _has_content(fetched.body):
            return strange
        try:
            result = self._binding.process_reply(self._client, self._binding.get(name), _Reply(fetched))
        except zeep.exceptions.Fault as fault:
            code = str(fault.code or "").rpartition(":")[2]
            return Fault(code, str(fault.message or "")) if code else strange
        except _ZEEP_STUMBLES:
            return strange
        return str(result) if result is not None else None


class _Reply:
    """An answer, as zeep wants to see it."""

    def __init__(self, fetched: Fetched) -> None:
        self.status_code, self.content = fetched
        self.headers: dict[str, str] = {}
        self.encoding = "utf-8"


class _Offline:
    """What zeep fetches documents with: nothing."""

    def load(self, url: str) -> bytes:
        """Refuse: the WSDL imports nothing."""
        raise ValueError(f"the WSDL must not import {url}")


def _has_content(body: bytes) -> bool:
    """Tell whether it is an envelope with something in it: without, zeep stumbles."""
    try:
        root = etree.fromstring(body, etree.XMLParser(**_PARSER))
    except (etree.XMLSyntaxError, ValueError):
        return False
    content = root.find(_BODY) if root.tag == _ENVELOPE else None
    return content is not None and any(isinstance(child.tag, str) for child in content)


class Part(NamedTuple):
    """A message as it goes."""

    unique: provider.SendUnique
    fit: Fit | None  # into a `sendMultiple`


class SoapWire:
    """How messages go by the web service."""

    def __init__(self, settings: Webservice, user: str) -> None:
        self._settings = settings
        self._soap = SoapClient(settings, user)

    @property
    def batch(self) -> int:
        """How many messages a `sendMultiple` may take."""
        return BATCH

    @property
    def default_cost_centre(self) -> int:
        """What a message is paid by that names none."""
        return self._settings.cost_centre

    @property
    def knows_account(self) -> bool:
        """Whether a probe tells of the account, too."""
        return False

    # --- from message to request ---

    def prepare(self, message: Message) -> Prepared | Rejected:
        """Say how a message would go, or why it cannot."""
        lacking = _lacking(message)
        if lacking:
            return Rejected(Reason.NO_ROUTE, f"{lacking}: the web service cannot carry it")
        text = plain_text(message, self._settings)
        if isinstance(text, Rejected):
            return text
        stranger = next((character for character in text.characters if not _in_xml(character)), None)
        if stranger is not None:
            return not_encodable(stranger, "XML")
        unique = provider.SendUnique(
            number=message.to,
            text=text.characters,
            kind=message.kind,
            cost_centre=message.cost_centre or self._settings.cost_centre or None,
            id=message.surrogate,
        )
        plain = unique.kind == "common" and unique.cost_centre is None and fits_batch(unique.text)
        return Prepared((Part(unique, Fit(None, unique.number) if plain else None),), "utf-8", text.replaced)

    def plan(self, loads: Sequence[Load]) -> list[tuple[Load, ...]]:
        """Gather what fits one `sendMultiple`; the requests stand in the order of their first messages."""
        return gather(loads, lambda load: _part(load).fit, BATCH)

    # --- from answer to verdict ---

    def connect(self, connections: int) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """Open what requests go over."""
        return open_session(connections)

    async def submit(self, session: aiohttp.ClientSession, loads: Sequence[Load]) -> Sequence[Verdict]:
        """Send one message by `sendUnique`, several by `sendMultiple`."""
        uniques = [_part(load).unique for load in loads]
        if len(uniques) == 1:
            called = await self._soap.call(session, uniques[0])
            return [verdict_of(called) if isinstance(called, Entry) else _without_result(called)]
        items = tuple(BatchItem(unique.number, unique.text, unique.id) for unique in uniques)
        called = await self._soap.call(session, provider.SendMultiple(items=items))
        if isinstance(called, SendMultipleAnswer):
            return verdicts_of_batch(called.entries, items)
        if isinstance(called, Fault) and called.unreadable:
            return [Verdict(None, Effect.ANSWERED)] * len(loads)  # which of them, each by itself will show
        return [_without_result(called)] * len(loads)

    async def cancel(self, session: aiohttp.ClientSession, message_ids: Sequence[str]) -> Mapping[str, CancelOutcome]:
        """Ask to cancel, as many at a time as the manual admits; of an id that could not be asked for nothing is told."""
        outcomes: dict[str, CancelOutcome] = {}
        for start in range(0, len(message_ids), provider.MAX_HASHES):
            group = message_ids[start : start + provider.MAX_HASHES]
            answer = await self._soap.call(session, provider.CancelMessages(protocols=tuple(group)))
            if isinstance(answer, NeverWritten):
                break
            outcomes |= cancel_outcomes(answer, group)
        return outcomes

    async def probe(self, session: aiohttp.ClientSession) -> Probe:
        """Connect, and no more: there is no method that asks for nothing."""
        parts = urlsplit(self._settings.url)
        try:
            async with asyncio.timeout(self._settings.timeout):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        except (OSError, TimeoutError, UnicodeError) as error:  # UnicodeError: a name that the DNS cannot have
            return Probe(Effect.UNREACHABLE, f"no connection ({type(error).__name__})")
        writer.close()
        return Probe(Effect.ANSWERED)

    async def credits(self, session: aiohttp.ClientSession) -> Sequence[CreditRow] | None:
        """Tell nothing: only the HTTP API knows."""
        return None

    def pays(self, rows: Sequence[CreditRow], purse: Purse) -> bool:
        """Tell nothing."""
        return False


def _part(load: Load) -> Part:
    return cast("Part", load.prepared.parts[0])


def _lacking(message: Message) -> str:
    """Name the first field that the web service does not have."""
    if message.kind == "short_code_flash":
        return "kind"
    if message.label is not None:
        return "label"
    if message.normalise:
        return "normalise"
    return "priority" if wants_priority(message) else ""


def _in_xml(character: str) -> bool:
    """Tell whether XML 1.0 has a character. XML 1.0 s2.2"""
    return character in "\t\n\r" or " " <= character <= "\ufffd" or character >= "\U00010000"


def _without_result(called: Called) -> Verdict:
    match called:
        case NeverWritten() | Unanswered():
            return verdict_without_answer(called)
        case Fault() as fault if fault.unknown_action:
            return Verdict(Deferred("the server knows no such method: namespace?", Scope.CARRIER), Effect.REFUSED)
        case Fault() as fault if fault.unreadable:
            return Verdict(Rejected(Reason.NO_ROUTE, "the web service could not read the request"), Effect.NOT_HERE)
        case Fault(code=code):
            return Verdict(InDoubt("the server failed" if code == "Server" else "a SOAP fault"), Effect.SILENT)
        case Unread(detail=detail):
            return Verdict(InDoubt(detail), Effect.SILENT)
        case _:
            return Verdict(InDoubt("the answer cannot be read"), Effect.SILENT)
