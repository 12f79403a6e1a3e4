"""The web service carrier against a server on loopback: envelopes, results, faults, rubbish, and what the service cannot carry."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lxml import etree

from gateway.carriers.base import CarrierState, Prepared
from gateway.carriers.http_client import Fetched, NeverWritten, open_session
from gateway.carriers.suspension import REST, SILENCES, STREAK
from gateway.carriers.verdicts import Effect
from gateway.carriers.webservice import Fault, SoapClient, SoapWire, Unread
from gateway.config import Webservice
from gateway.demo.ports import free_port
from gateway.message import (
    CancelAnswer,
    CancelFailed,
    Cancelled,
    CancelOrder,
    Deferred,
    InDoubt,
    Outcome,
    Reason,
    Rejected,
    Scope,
    Submitted,
)
from gateway.provider.answers import Inbox, OutOfDate, Statuses
from gateway.provider.webservice import AskStatuses, ReadInbox, SendUnique
from tests.carriers.rawhttp import CLOSE, HANG, RawServer, Reply, Request, ok
from tests.carriers.requests_rig import USER, Rig, batch, rigs, serving
from tests.carriers.smsc import message
from tests.support.waiting import DEADLINE, until

MD5 = "8eb339e2545a9e01d60e542d6798a4b5"
NAMESPACE = "http://tempuri.org/"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
Start = Callable[..., Rig]


def settings(url: str = "http://127.0.0.1/wbsapi.asmx", **changes: Any) -> Webservice:
    return Webservice(**{"url": url, "user": USER, "timeout": 10.0, **changes})


def method_of(request: Request) -> str:
    return request.headers["soapaction"].strip('"').rpartition("/")[2]


def arguments_of(request: Request) -> dict[str, str]:
    """Read what was asked, by a parser of XML that knows no WSDL."""
    (call,) = etree.fromstring(request.body).find(f"{{{SOAP}}}Body")
    return {etree.QName(child).localname: child.text or "" for child in call}


def envelope(content: str) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{SOAP}"><soap:Body>{content}</soap:Body></soap:Envelope>'


def result(method: str, text: str, namespace: str = NAMESPACE) -> str:
    return envelope(f'<{method}Response xmlns="{namespace}"><{method}Result>{escape(text)}</{method}Result></{method}Response>')


def fault(code: str, text: str, status: int = 500) -> Reply:
    return ok(envelope(f"<soap:Fault><faultcode>soap:{code}</faultcode><faultstring>{text}</faultstring></soap:Fault>"), status)


UNKNOWN_ACTION = fault("Client", f"Server did not recognize the value of HTTP Header SOAPAction: {NAMESPACE}sendUnique.")
UNREADABLE = fault("Client", "Server was unable to read request. ---&gt; There is an error in XML document (1, 1).")


def decent(request: Request) -> Reply:
    """Answer as a provider does with whom all is well."""
    method, arguments = method_of(request), arguments_of(request)
    match method:
        case "sendUnique":
            return ok(result(method, f"1;{int(arguments['IdExterno']):032x}"))
        case "sendMultiple":
            records = [record.split("|") for record in arguments["Conteudo"].split(";")]
            return ok(result(method, "\n".join(f"1;{int(id):032x};{number};{id}" for number, _, id in records)))
        case _:
            return ok(result(method, ""))


def returning(text: str) -> Callable[[Request], Reply]:
    return lambda request: ok(result(method_of(request), text))


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with serving(decent) as server:
        yield server


@pytest.fixture
async def start(server: RawServer) -> AsyncIterator[Start]:
    """Start a carrier; keyword arguments are settings, and `options` those of the rig."""
    async with rigs() as make:
        yield lambda options=None, **changes: make(SoapWire(settings(**{"url": server.url} | changes), USER), options)


# --- One message ------------------------------------------------------------------------------------------------------------------


async def test_a_message_goes_by_send_unique_and_comes_back_with_its_protocol(server: RawServer, start: Start) -> None:
    text = "olá <você> & \"eu\" 'x'; a|b\r\nfim 😀"
    assert await start().outcome(message(5, text=text)) == Submitted((f"{5:032x}",), "utf-8")
    (request,) = server.requests
    assert request.method == "POST"
    assert request.headers["content-type"] == "text/xml; charset=utf-8"
    assert request.headers["soapaction"] == f'"{NAMESPACE}sendUnique"'
    assert arguments_of(request) == {"Identificacao": USER, "Telefone": "11987654321", "Mensagem": text, "IdExterno": "5"}


async def test_optional_arguments_are_sent_where_a_message_has_them_and_never_empty(server: RawServer, start: Start) -> None:
    rig = start(cost_centre=622)
    await rig.outcome(message(1, kind="short_code"))
    await rig.outcome(message(2, kind="flash", cost_centre=9))
    first, second = (arguments_of(request) for request in server.requests)
    assert (first["TipoMensagem"], first["CentroCustos"]) == ("2", "622")
    assert (second["TipoMensagem"], second["CentroCustos"]) == ("1", "9")
    assert "Agenda" not in first


async def test_namespace_and_address_are_settings(server: RawServer, start: Start) -> None:
    namespace = "http://provider.example/sms&mais/"
    server.answer = lambda request: ok(result(method_of(request), f"1;{MD5}", escape(namespace)))
    assert isinstance(await start(namespace=namespace).outcome(message()), Submitted)
    (request,) = server.requests
    assert request.headers["soapaction"] == f'"{namespace}sendUnique"'
    (call,) = etree.fromstring(request.body).find(f"{{{SOAP}}}Body")
    assert etree.QName(call).namespace == namespace


RESULTS: list[tuple[str, Outcome]] = [
    (f"1;{MD5}", Submitted((MD5,), "utf-8")),
    (MD5, Submitted((MD5,), "utf-8")),
    ("200", Submitted((), "utf-8")),
    ("0", Deferred("code 0: not concluded, to be tried again", Scope.MESSAGE, None, 0)),
    ("94", InDoubt("code 94: the credits could not be updated")),
    ("", InDoubt("the answer cannot be read")),
    ("OUT-OF-DATE", InDoubt("the answer cannot be read")),
    ("12", InDoubt("the answer cannot be read: code 12, which is none of sendUnique")),
]


@pytest.mark.parametrize(("text", "outcome"), RESULTS)
async def test_a_result_becomes_an_outcome(server: RawServer, start: Start, text: str, outcome: Outcome) -> None:
    server.answer = returning(text)
    assert await start().outcome(message()) == outcome


@pytest.mark.parametrize("code", [83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 95, 96, 300])
async def test_a_message_that_is_at_fault_is_rejected_and_the_carrier_goes_on(server: RawServer, start: Start, code: int) -> None:
    server.answer = returning(str(code))
    rig = start()
    outcome = await rig.outcome(message())
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.code) == (Reason.REFUSED_BY_PROVIDER, code)
    assert rig.carrier.state is CarrierState.READY


@pytest.mark.parametrize("code", [93, 98, 99])
async def test_an_account_that_may_not_send_suspends_the_carrier(server: RawServer, start: Start, code: int) -> None:
    server.answer = returning(str(code))
    rig = start({"patience": 0.01})
    outcome = await rig.outcome(message())
    assert isinstance(outcome, Deferred)
    assert (outcome.scope, outcome.code) == (Scope.CARRIER, code)
    assert rig.carrier.state is CarrierState.SUSPENDED
    server.answer = decent
    assert isinstance(await rig.outcome(message()), Submitted)
    assert rig.observer.states[-1] is CarrierState.READY


async def test_a_suspended_service_is_asked_for_by_a_message_alone_since_a_connection_says_nothing_of_the_account(
    server: RawServer, start: Start
) -> None:
    server.answer = returning("93")
    now, looks = [1000.0], [0]

    def monotonic() -> float:
        looks[0] += 1
        return now[0]

    rig = start({"monotonic": monotonic})
    await rig.outcome(message())
    now[0] += REST[0]
    seen = looks[0]
    await until(lambda: looks[0] > seen + 20, "it has looked")
    assert (rig.carrier.state, rig.carrier.credit()) == (CarrierState.SUSPENDED, 1)


async def test_a_kind_without_credits_comes_back_by_a_message_that_tries(server: RawServer, start: Start) -> None:
    server.answer = returning("97")
    rig = start()
    assert isinstance(await rig.outcome(message(1)), Deferred)
    server.answer = decent
    async with asyncio.timeout(DEADLINE):
        while not isinstance(await rig.outcome(message(2)), Submitted):
            await asyncio.sleep(0.01)
    assert len(server.requests) == 2


# --- Faults and rubbish -----------------------------------------------------------------------------------------------------------

RUBBISH: list[tuple[Reply, Outcome]] = [
    (CLOSE, InDoubt("the connection ended before the answer")),
    (ok(result("sendUnique", f"1;{MD5}"), 500), InDoubt("HTTP status 500")),
    (ok("moved", 302, "Location: /elsewhere"), InDoubt("HTTP status 302")),
    (ok("<html><body>1</body></html>"), InDoubt("the answer cannot be read")),
    (ok("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), InDoubt("the answer cannot be read")),
    (ok(envelope("")), InDoubt("the answer cannot be read")),
    (ok(envelope("<!-- nothing -->")), InDoubt("the answer cannot be read")),
    (ok(result("cancel", f"1;{MD5}")), InDoubt("the answer cannot be read")),
    (ok(result("sendUnique", f"1;{MD5}", "http://elsewhere/")), InDoubt("the answer cannot be read")),
    (ok(f'<soap:Envelope xmlns:soap="{SOAP}"/>'), InDoubt("the answer cannot be read")),
    (ok(result("sendUnique", f"1;{MD5}")[:-60]), InDoubt("the answer cannot be read")),
    (fault("Server", "Server was unable to process request."), InDoubt("the server failed")),
    (fault("Server", "SOAPAction: unable to read request", 200), InDoubt("the server failed")),
    (fault("Client", "the moon is wrong"), InDoubt("a SOAP fault")),
]


@pytest.mark.parametrize(("reply", "outcome"), RUBBISH)
async def test_what_is_no_result_of_the_method_leaves_the_message_in_doubt(
    server: RawServer, start: Start, reply: Reply, outcome: Outcome
) -> None:
    server.answer = lambda _: reply
    assert await start().outcome(message()) == outcome
    assert len(server.requests) == 1


async def test_a_service_that_does_not_know_the_action_was_asked_nothing_and_suspends(server: RawServer, start: Start) -> None:
    server.answer = lambda _: UNKNOWN_ACTION
    rig = start()
    outcome = await rig.outcome(message())
    assert isinstance(outcome, Deferred)
    assert outcome.scope is Scope.CARRIER
    assert rig.carrier.state is CarrierState.SUSPENDED


async def test_a_request_that_the_service_cannot_read_has_no_route_here(server: RawServer, start: Start) -> None:
    server.answer = lambda _: UNREADABLE
    rig = start()
    for row in range(STREAK):
        assert rig.carrier.state is not CarrierState.SUSPENDED
        outcome = await rig.outcome(message(row + 1))
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.NO_ROUTE
    assert rig.carrier.state is CarrierState.SUSPENDED


async def test_a_service_that_only_faults_goes_down_and_is_looked_for(server: RawServer, start: Start) -> None:
    server.answer = lambda _: fault("Server", "database")
    rig = start()
    for row in range(SILENCES):
        assert isinstance(await rig.outcome(message(row + 1)), InDoubt)
    assert CarrierState.DOWN in rig.observer.states
    await rig.until(CarrierState.READY)
    assert isinstance(await rig.outcome(message(9)), InDoubt)
    assert len(server.requests) == SILENCES + 1


async def test_nobody_listening_defers_and_a_connection_brings_it_back(server: RawServer, start: Start) -> None:
    await server.stop()
    rig = start()
    assert await rig.outcome(message()) == Deferred("no connection: Connection refused", Scope.CARRIER)
    await rig.until(CarrierState.DOWN)
    await server.start()
    await rig.until(CarrierState.READY)
    assert isinstance(await rig.outcome(message()), Submitted)


@pytest.mark.parametrize("host", ["nowhere.invalid", "url..com.br", f"{'x' * 64}.com.br"])
async def test_a_name_that_nobody_knows_keeps_the_service_down_and_the_message(start: Start, host: str) -> None:
    rig = start(url=f"http://{host}/wbsapi.asmx")
    outcome = await rig.outcome(message())
    assert outcome == Deferred("no connection: the name is not known", Scope.CARRIER)
    async with open_session(1) as session:
        probe = await SoapWire(settings(f"http://{host}/wbsapi.asmx"), USER).probe(session)
    assert probe.effect is Effect.UNREACHABLE
    assert rig.carrier.state is CarrierState.DOWN


async def test_an_answer_that_does_not_come_leaves_the_message_in_doubt(server: RawServer, start: Start) -> None:
    server.answer = lambda _: HANG
    assert await start(timeout=0.2).outcome(message()) == InDoubt("no answer in time")


SOAP_CLIENT = SoapClient(settings(), USER)


@given(st.binary(max_size=60) | st.text(max_size=60).map(envelope).map(str.encode), st.sampled_from([200, 302, 500]))
@hypothesis_settings(max_examples=200, deadline=None)
def test_any_bytes_are_an_answer(body: bytes, status: int) -> None:
    SOAP_CLIENT._read("sendUnique", Fetched(status, body))


tags = st.sampled_from(
    ["soap:Envelope", "soap:Body", "soap:Header", "soap:Fault", "sendUniqueResponse", "sendUniqueResult", "faultcode", "x"]
)
types = st.sampled_from(["", "xsd:string", "xsd:int", "xsd:dateTime", "xsd:nothing", "nobody:string", "sendUniqueResponse"])
attributes = st.just("") | types.map(lambda type: f' xsi:type="{type}"') | st.just(' xsi:nil="true"')
trees = st.recursive(
    st.text("1;a<>", max_size=4).map(escape),
    lambda inner: st.tuples(tags, attributes, st.lists(inner, max_size=3)).map(
        lambda node: f"<{node[0]}{node[1]}>{''.join(node[2])}</{node[0]}>"
    ),
    max_leaves=8,
)


@given(trees, trees)
@hypothesis_settings(max_examples=200, deadline=None)
def test_any_tree_of_familiar_names_is_an_answer(first: str, second: str) -> None:
    SOAP_CLIENT._read("sendUnique", Fetched(200, typed(first, second)))


@given(attributes, attributes, st.text("1;a", max_size=4))
@hypothesis_settings(max_examples=200, deadline=None)
def test_any_type_of_a_result_is_an_answer(outer: str, inner: str, result: str) -> None:
    body = f"<sendUniqueResponse{outer}><sendUniqueResult{inner}>{result}</sendUniqueResult></sendUniqueResponse>"
    SOAP_CLIENT._read("sendUnique", Fetched(200, typed("", body)))


def typed(header: str, body: str) -> bytes:
    schema = "http://www.w3.org/2001/XMLSchema"
    names = f'xmlns:soap="{SOAP}" xmlns="{NAMESPACE}" xmlns:xsd="{schema}" xmlns:xsi="{schema}-instance"'
    return f"<soap:Envelope {names}>{header}<soap:Body>{body}</soap:Body></soap:Envelope>".encode()


def test_a_result_that_zeep_cannot_read_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    body = '<sendUniqueResponse><sendUniqueResult xsi:type="xsd:int">1;11987654321</sendUniqueResult></sendUniqueResponse>'
    SOAP_CLIENT._read("sendUnique", Fetched(200, typed("", body)))
    assert caplog.records == []


# --- Batches ----------------------------------------------------------------------------------------------------------------------


async def test_plain_messages_that_have_gathered_go_by_send_multiple_and_others_by_themselves(server: RawServer, start: Start) -> None:
    rig = start()
    await rig.prove()
    wanted = [*batch(4), message(5, to="11987650005", kind="flash"), message(6, to="11987650006", text="a;b"), message(7, to="11987650001")]
    await rig.send(*wanted)
    assert [type(outcome) for outcome in await rig.outcomes(7)] == [Submitted] * 7
    (multiple,) = [request for request in server.requests if method_of(request) == "sendMultiple"]
    assert arguments_of(multiple)["Conteudo"] == ";".join(f"1198765000{row}|oi {row}|{row}" for row in range(1, 5))
    assert sum(method_of(request) == "sendUnique" for request in server.requests) == 4


async def test_messages_with_a_cost_centre_go_by_themselves(server: RawServer, start: Start) -> None:
    rig = start(cost_centre=622)
    await rig.prove()
    await rig.send(*batch(3))
    await rig.outcomes(3)
    assert {method_of(request) for request in server.requests} == {"sendUnique"}


@pytest.mark.parametrize("answer", [returning("83"), returning("86"), lambda _: UNREADABLE])
async def test_a_batch_refused_for_its_shape_goes_again_one_by_one(
    server: RawServer, start: Start, answer: Callable[[Request], Reply]
) -> None:
    server.answer = lambda request: answer(request) if method_of(request) == "sendMultiple" else decent(request)
    rig = start()
    await rig.prove()
    await rig.send(*batch(3))
    assert [type(outcome) for outcome in await rig.outcomes(3)] == [Submitted] * 3
    assert [method_of(request) for request in server.requests].count("sendUnique") == 4


async def test_half_a_result_leaves_exactly_the_other_half_in_doubt(server: RawServer, start: Start) -> None:
    server.answer = lambda request: (
        ok(result("sendMultiple", f"1;{MD5};11987650001;1\n91;11987650003;3")) if method_of(request) == "sendMultiple" else decent(request)
    )
    rig = start()
    await rig.prove()
    await rig.send(*batch(4))
    assert [type(outcome) for outcome in await rig.outcomes(4)] == [Submitted, InDoubt, Rejected, InDoubt]


@pytest.mark.parametrize("reply", [CLOSE, fault("Server", "x"), ok("<html/>"), ok(result("sendMultiple", ""))])
async def test_a_batch_without_an_answer_is_in_doubt_as_a_whole(server: RawServer, start: Start, reply: Reply) -> None:
    server.answer = lambda request: reply if method_of(request) == "sendMultiple" else decent(request)
    rig = start()
    await rig.prove()
    await rig.send(*batch(3))
    assert [type(outcome) for outcome in await rig.outcomes(3)] == [InDoubt] * 3
    assert len(server.requests) == 2


# --- What the web service cannot carry --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"sender": "EMPRESA"}, Reason.NO_ROUTE, "from: this carrier cannot carry a sender"),
        ({"kind": "short_code_flash"}, Reason.NO_ROUTE, "kind: the web service cannot carry it"),
        ({"label": "campanha"}, Reason.NO_ROUTE, "label: the web service cannot carry it"),
        ({"normalise": True}, Reason.NO_ROUTE, "normalise: the web service cannot carry it"),
        ({"kind": "short_code", "priority": 3}, Reason.NO_ROUTE, "priority: the web service cannot carry it"),
        ({"encoding": "gsm7"}, Reason.NO_ROUTE, "encoding: this carrier leaves it to the provider"),
        ({"text": "x" * 601}, Reason.TEXT_TOO_LONG, "text: 601 characters, and this carrier takes 600"),
        ({"text": "x" * 141, "kind": "short_code"}, Reason.TEXT_TOO_LONG, "text: 141 characters, and this carrier takes 140"),
        ({"text": "a\x07b"}, Reason.NOT_ENCODABLE, "text: U+0007 does not exist in XML"),
        ({"text": "a\uffff"}, Reason.NOT_ENCODABLE, "text: U+FFFF does not exist in XML"),
    ],
)
def test_what_the_web_service_cannot_carry_is_not_eligible(changes: dict[str, Any], reason: Reason, detail: str) -> None:
    assert SoapWire(settings(), USER).prepare(message(**changes)) == Rejected(reason, detail)


@pytest.mark.parametrize(
    "changes",
    [{"text": "ã😀" * 300}, {"kind": "short_code"}, {"kind": "flash"}, {"priority": 3}, {"receipt": False}, {"text": "a\tb\r\nc"}],
)
def test_what_it_can_carry_goes_whole(changes: dict[str, Any]) -> None:
    prepared = SoapWire(settings(), USER).prepare(message(**changes))
    assert isinstance(prepared, Prepared)
    assert len(prepared.parts) == 1


# --- Cancel, and what the commands ask --------------------------------------------------------------------------------------------


async def test_cancels_go_by_one_call_and_only_a_nine_is_cancelled(server: RawServer, start: Start) -> None:
    outcomes = {1: CancelFailed("too_late"), 2: CancelFailed("refused"), 5: CancelFailed("refused"), 9: Cancelled()}
    server.answer = returning("\n".join(f"{status:032x};{status}" for status in outcomes))
    rig = start()
    await rig.until(CarrierState.READY)
    rig.carrier.cancel([CancelOrder(status, "11987654321", None, (f"{status:032x}",)) for status in outcomes])
    answers = {answer.row: answer.outcome for answer in await rig.answers(4) if isinstance(answer, CancelAnswer)}
    assert answers == outcomes
    (request,) = server.requests
    assert (method_of(request), arguments_of(request)["Hash"].count(";")) == ("cancel", 3)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (returning("9"), Cancelled()),
        (returning("93"), CancelFailed("refused")),
        (returning("86"), CancelFailed("refused")),
        (returning(""), CancelFailed("unknown")),
        (lambda _: UNKNOWN_ACTION, CancelFailed("unknown")),
        (lambda _: CLOSE, CancelFailed("unknown")),
    ],
)
async def test_a_cancel_of_one_message_may_be_answered_without_its_protocol(
    server: RawServer, start: Start, answer: Callable[[Request], Reply], outcome: object
) -> None:
    server.answer = answer
    rig = start()
    await rig.until(CarrierState.READY)
    rig.carrier.cancel([CancelOrder(1, "11987654321", None, (MD5,))])
    (told,) = await rig.answers(1)
    assert isinstance(told, CancelAnswer)
    assert told.outcome == outcome


async def test_inbox_is_asked_for_as_the_manual_writes_it_the_other_time_where_the_service_knows_no_inbox(server: RawServer) -> None:
    row = f"1;{MD5};2016-09-23 16:30:39;11987654321;sim;7;"
    server.answer = lambda request: ok(result("inBox", row)) if method_of(request) == "inBox" else UNKNOWN_ACTION
    async with open_session(1) as session:
        answer = await SoapClient(settings(server.url), USER).call(session, ReadInbox(since="2016-09-23T00:00:00", again=True))
    assert isinstance(answer, Inbox)
    assert answer.rows[0].text == "sim"
    assert [method_of(request) for request in server.requests] == ["inbox", "inBox"]
    assert arguments_of(server.requests[1]) == {"Identificacao": USER, "DataInicial": "2016-09-23T00:00:00", "Reexibir": "1"}


async def test_another_fault_of_inbox_is_not_asked_again(server: RawServer) -> None:
    server.answer = lambda _: fault("Server", "x")
    async with open_session(1) as session:
        assert await SoapClient(settings(server.url), USER).call(session, ReadInbox()) == Fault("Server", "x")
    assert len(server.requests) == 1


async def test_a_client_tells_every_end_of_a_call(server: RawServer) -> None:
    client = SoapClient(settings(server.url), USER)
    async with open_session(1) as session:
        server.answer = returning("OUT-OF-DATE")
        assert isinstance(await client.call(session, AskStatuses(protocols=(MD5,))), OutOfDate)
        server.answer = returning(f"{MD5};1")
        assert isinstance(await client.call(session, AskStatuses(protocols=(MD5,))), Statuses)
        server.answer = lambda _: ok("<html/>")
        assert isinstance(await client.call(session, AskStatuses(protocols=(MD5,))), Unread)
        nowhere = SoapClient(settings(f"http://127.0.0.1:{free_port()}/x"), USER)
        assert isinstance(await nowhere.call(session, AskStatuses(protocols=(MD5,))), NeverWritten)


# --- Secrets ----------------------------------------------------------------------------------------------------------------------


async def test_no_log_line_and_no_outcome_tells_user_number_or_text(
    server: RawServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    number, text = "11912345678", "segredo meu"
    echo = f"{USER} {number} {text}"
    replies = [ok(result("sendUnique", f"1;{MD5}")), fault("Server", echo), ok(f"<html>{echo}</html>"), ok(echo), CLOSE, UNREADABLE]
    rig = start()
    told: list[object] = []
    for row, reply in enumerate(replies, 1):
        server.answer = lambda _, reply=reply: reply  # type: ignore[misc] # mypy #15459
        await rig.send(message(row, to=number, text=text))
        told += await rig.answers(1)
    await until(lambda: len(server.requests) == len(replies), "every reply")
    told.append(SendUnique(number=number, text=text, id=1))
    for secret in (USER, number, text):
        assert secret not in repr(told)
        assert secret not in repr(rig.log.entries)
        assert secret not in caplog.text
