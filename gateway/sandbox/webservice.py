"""The provider's web service, to try against: the manual's five methods by SOAP 1.1 and 1.2, and by the forms that ASP.NET offers too.

`/wbsapi.asmx` takes SOAP by POST and answers `?wsdl`; `/wbsapi.asmx/<method>` takes a form by POST. Namespaces of a request are not looked
at, its SOAPAction is: a method that it does not name exactly, letter case included, is answered by the fault that ASP.NET gives. State,
magic numbers and call-backs are those of the HTTP API.

What the manual does not show, and is decided here: `sendUnique` answers `1;<md5>` (by setting: 200 alone), `sendMultiple` the same a line a
message, with number and external id behind it; `cancel` and `status` answer `md5;status` a line; what is not known is 5. What concerns the
whole request is its code alone. `inbox` answers as the HTTP API's `recv`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from aiohttp import web

from gateway.sandbox.answers import OUT_OF_DATE, Code, Status, span_of
from gateway.sandbox.desk import Answer, Desk, echo, told, told_reply
from gateway.sandbox.provider_state import BATCH, Function, Submission, Verdict
from gateway.sandbox.wsdl import SOAP_11, SOAP_12, wsdl

PATH = "/wbsapi.asmx"

_FIELDS = 6  # of one message in `sendMultiple`
_ACTION = re.compile(r'action="?([^";]+)"?')

Arguments = Mapping[str, str]


class FaultError(Exception):
    """A SOAP fault to be answered: whose fault, and what."""

    def __init__(self, whose: str, text: str) -> None:
        super().__init__(text)
        self.whose = whose


class WebService:
    """Serve the methods at a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._provider, self._settings = desk, desk.provider, desk.provider.settings
        self._asking: dict[str, Callable[[Arguments], str]] = {
            self._settings.inbox_name: self._inbox,
            "status": self._status,
            "cancel": self._cancel,
        }
        self._methods = frozenset({"sendUnique", "sendMultiple", *self._asking})

    def routes(self) -> list[web.RouteDef]:
        """Return what an application needs to serve it."""
        return [
            web.get(PATH, self._serve_wsdl, allow_head=False),
            web.post(PATH, self._serve_soap),
            web.post(PATH + "/{method}", self._serve_form),
        ]

    async def _serve_wsdl(self, request: web.Request) -> web.Response:
        if "wsdl" not in {name.lower() for name in request.query}:
            raise web.HTTPNotFound
        document = wsdl(self._settings.namespace, str(request.url.with_query(None)), self._settings.inbox_name)
        return Answer(document, "text/xml").response()

    async def _serve_form(self, request: web.Request) -> web.StreamResponse:
        self._provider.statistics.requests += 1
        method = request.match_info["method"]
        if method not in self._methods:
            raise web.HTTPInternalServerError(text=f"Unknown web method {method}.")
        arguments = dict(parse_qsl(await request.text(), keep_blank_values=True))
        namespace = escape(self._settings.namespace, {'"': "&quot;"})

        def write(result: str) -> Answer:
            text = f'<?xml version="1.0" encoding="utf-8"?>\n<string xmlns="{namespace}">{escape(result)}</string>'
            return Answer(text, "text/xml")

        return await self._call(request, method, arguments, write, Answer("Internal Server Error", status=500))

    async def _serve_soap(self, request: web.Request) -> web.StreamResponse:
        self._provider.statistics.requests += 1
        envelope = SOAP_12 if request.content_type == "application/soap+xml" else SOAP_11
        try:
            method, arguments = _read(await request.read())
            self._check(_action(request), method)
        except FaultError as fault:
            return _fault(envelope, fault).response()
        error = _fault(envelope, FaultError("Server", "Server was unable to process request."))
        return await self._call(request, method, arguments, lambda result: self._envelope(envelope, method, result), error)

    def _check(self, action: str, method: str) -> None:
        """Dispatch as ASP.NET does: by the SOAPAction where there is one, and the body must agree."""
        if action and action not in {self._settings.namespace + each for each in self._methods}:
            raise FaultError("Client", f"Server did not recognize the value of HTTP Header SOAPAction: {action}.")
        if method not in self._methods or (action and action != self._settings.namespace + method):
            raise FaultError("Client", "Unable to handle request without a valid action parameter. Please supply a valid soap action.")

    async def _call(
        self, request: web.Request, method: str, arguments: Arguments, write: Callable[[str], Answer], error: Answer
    ) -> web.StreamResponse:
        refusal = self._provider.refusal(arguments.get("Identificacao", ""))
        if refusal is not None:
            return write(str(refusal)).response()
        if method not in {"sendUnique", "sendMultiple"}:
            return write(self._asking[method](arguments)).response()
        unique = method == "sendUnique"
        submissions = [_single(arguments)] if unique else _batch(arguments)
        if isinstance(submissions, Code):
            return write(str(int(submissions))).response()

        def write_all(verdicts: Sequence[Verdict]) -> Answer:
            success = self._settings.webservice_success
            return write("\n".join(self._line(each) if unique else echo(each, success) for each in verdicts))

        function: Function = "sendUnique" if unique else "sendMultiple"
        refuse = lambda code: write(str(code))  # noqa: E731 - one line says it
        return await self._desk.send(request, submissions, function, write=write_all, refuse=refuse, error=error)

    def _envelope(self, envelope: str, method: str, result: str) -> Answer:
        namespace = escape(self._settings.namespace, {'"': "&quot;"})
        body = f'<{method}Response xmlns="{namespace}"><{method}Result>{escape(result)}</{method}Result></{method}Response>'
        return _enveloped(envelope, body)

    # --- the methods ---

    def _line(self, verdict: Verdict) -> str:
        code, md5 = told(verdict, self._settings.webservice_success)
        return f"{code};{md5}" if md5 else str(code)

    def _cancel(self, arguments: Arguments) -> str:
        return self._for_each(arguments, self._cancelled)

    def _cancelled(self, md5: str) -> Status:
        stored = self._provider.look(md5)
        if stored is None:
            return Status.INVALID
        self._desk.fates.cancel(stored)
        known = {Status.SENT, Status.ERROR, Status.INVALID, Status.CANCELLED}
        return stored.status if stored.status in known else Status.SENT  # queued, or on hold: it will be

    def _status(self, arguments: Arguments) -> str:
        return self._withdrawn(lambda: self._for_each(arguments, self._state))

    def _state(self, md5: str) -> Status:
        stored = self._provider.look(md5)
        return Status.INVALID if stored is None else stored.status

    def _for_each(self, arguments: Arguments, ask: Callable[[str], Status]) -> str:
        hashes = [each.strip() for each in arguments.get("Hash", "").split(";") if each.strip()]
        if not 0 < len(hashes) <= BATCH:
            return str(int(Code.LAYOUT))
        return "\n".join(f"{md5};{int(ask(md5))}" for md5 in hashes)

    def _inbox(self, arguments: Arguments) -> str:
        return self._withdrawn(lambda: self._replies(arguments))

    def _replies(self, arguments: Arguments) -> str:
        span = span_of(arguments.get("DataInicial", ""), arguments.get("DataFinal", ""))
        if span is None:
            return str(int(Code.LAYOUT))
        found = self._provider.inbox(*span, again=arguments.get("Reexibir") == "1")
        return "\n".join(told_reply(each) for each in found)

    def _withdrawn(self, answer: Callable[[], str]) -> str:
        return OUT_OF_DATE if self._settings.out_of_date else answer()


def _read(body: bytes) -> tuple[str, dict[str, str]]:
    """Read method and arguments out of an envelope of either version, whatever its namespaces. Raises FaultError."""
    if b"<!DOCTYPE" in body:
        raise FaultError("Client", "For security reasons DTD is prohibited in this XML document.")
    try:
        root = ET.fromstring(body)  # noqa: S314 - no DTD, hence no entities
    except (ET.ParseError, UnicodeError, LookupError, ValueError):
        raise FaultError("Client", "Server was unable to read request.") from None
    call = next((element for child in root if _name(child) == "Body" for element in child), None)
    if _name(root) != "Envelope" or call is None:
        raise FaultError("Client", "Server was unable to read request.")
    return _name(call), {_name(argument): "".join(argument.itertext()) for argument in call}


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _action(request: web.Request) -> str:
    """Return the action without its quotes: SOAP 1.1 has it in a header, 1.2 in the content type; "" where there is none."""
    header = request.headers.get("SOAPAction")
    if header is not None:
        return header.strip().strip('"')
    found = _ACTION.search(request.headers.get("Content-Type", ""))
    return found[1] if found else ""


def _enveloped(envelope: str, body: str, status: int = 200) -> Answer:
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<soap:Envelope xmlns:soap="{envelope}"><soap:Body>{body}</soap:Body></soap:Envelope>'
    return Answer(text, "application/soap+xml" if envelope == SOAP_12 else "text/xml", status)


def _fault(envelope: str, fault: FaultError) -> Answer:
    text = escape(str(fault))
    if envelope == SOAP_11:
        body = f"<faultcode>soap:{fault.whose}</faultcode><faultstring>{text}</faultstring><detail />"
    else:
        whose = {"Client": "Sender", "Server": "Receiver"}[fault.whose]
        reason = f'<soap:Reason><soap:Text xml:lang="en">{text}</soap:Text></soap:Reason>'
        body = f"<soap:Code><soap:Value>soap:{whose}</soap:Value></soap:Code>{reason}<soap:Detail />"
    return _enveloped(envelope, f"<soap:Fault>{body}</soap:Fault>", 500)


def _single(arguments: Arguments) -> Submission:
    return Submission(
        number=arguments.get("Telefone", ""),
        text=arguments.get("Mensagem", ""),
        type=arguments.get("TipoMensagem", ""),
        external_id=arguments.get("IdExterno", ""),
        schedule=arguments.get("Agenda", ""),
        centre=arguments.get("CentroCustos", ""),
    )


def _batch(arguments: Arguments) -> list[Submission] | Code:
    """Read `number|text|external id|schedule|type|cost centre`, joined by semicolons; all behind the text may be missing."""
    items = [item.split("|") for item in arguments.get("Conteudo", "").split(";") if item]
    if not items:
        return Code.TOO_FEW
    if len(items) > BATCH:
        return Code.TOO_MANY
    if not all(2 <= len(item) <= _FIELDS for item in items):
        return Code.MODALITY  # the web service's 83: an inner delimiter too many or too few
    whole = (item + [""] * (_FIELDS - len(item)) for item in items)
    return [Submission(number.strip(), text, type, id, schedule, centre) for number, text, id, schedule, type, centre in whole]
