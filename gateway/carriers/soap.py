"""One call of the provider's web service for `mensageiro account`: SOAP 1.1 by hand, over `http_client`. For questions, not for messages.

`call` returns the text of the operation's result, which `provider.webservice.parse` reads, or `NoResult` with a line that says why there is
none. Nothing is repeated, but `inbox` under the manual's other spelling where the server does not know the first: SOAPAction is
case-sensitive.
"""

import re
from typing import NamedTuple
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import aiohttp

from gateway.carriers.http_client import Fetched, post
from gateway.config import Webservice
from gateway.provider.results import Function
from gateway.provider.webservice import Request, arguments

OTHER_SPELLING = {Function.INBOX: "inBox"}
_UNKNOWN_ACTION = re.compile("soapaction", re.IGNORECASE)
_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
    '<{operation} xmlns="{namespace}">{arguments}</{operation}></soap:Body></soap:Envelope>'
)


class NoResult(NamedTuple):
    """Why there is no result."""

    detail: str
    unknown_operation: bool = False


async def call(session: aiohttp.ClientSession, section: Webservice, request: Request, user: str) -> str | NoResult:
    """Call the operation of a request; at most `timeout` seconds for each of its spellings."""
    result = await _call(session, section, request.OPERATION.value, request, user)
    other = OTHER_SPELLING.get(request.OPERATION)
    if isinstance(result, NoResult) and result.unknown_operation and other is not None:
        return await _call(session, section, other, request, user)
    return result


async def _call(session: aiohttp.ClientSession, section: Webservice, operation: str, request: Request, user: str) -> str | NoResult:
    values = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in arguments(request, user).items())
    envelope = _ENVELOPE.format(operation=operation, namespace=escape(section.namespace, {'"': "&quot;"}), arguments=values)
    headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{section.namespace.rstrip("/")}/{operation}"'}
    exchange = await post(session, section.url, envelope.encode(), headers, section.timeout)
    return _result(exchange, operation) if isinstance(exchange, Fetched) else NoResult(exchange.detail)


def _result(fetched: Fetched, operation: str) -> str | NoResult:
    """Find the result in an answer, whatever its namespaces."""
    strange = NoResult(f"answered by HTTP status {fetched.status}, and not by SOAP")
    if b"<!DOCTYPE" in fetched.body:  # SOAP 1.1 s3 allows none: it would be HTML, or entities that grow
        return strange
    try:
        tree = ET.fromstring(fetched.body)  # noqa: S314 - without a DTD
    except (ET.ParseError, ValueError):
        return strange
    texts = {element.tag.rpartition("}")[2].lower(): element.text or "" for element in tree.iter()}
    if "fault" in texts:
        said = " ".join(texts.get("faultstring", texts.get("text", "")).split())[:200]
        return NoResult("answered by a SOAP fault", unknown_operation=_UNKNOWN_ACTION.search(said) is not None)
    result = texts.get(f"{operation}result".lower())
    return result if result is not None else NoResult(f"answered by HTTP status {fetched.status}, without a result")
