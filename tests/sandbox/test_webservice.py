"""The sandbox's web service: its methods by SOAP 1.1, SOAP 1.2 and forms, to our own bytes and to two foreign SOAP clients."""

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import aiohttp
import pytest

from gateway.demo.ports import free_port
from gateway.sandbox.answers import SOAP_TEXTS, stamp
from gateway.sandbox.callbacks import LostError
from gateway.sandbox.wsdl import SOAP_11, SOAP_12
from tests.sandbox.conftest import StartWeb
from tests.sandbox.web import USER, CalledBack, Customer
from tests.support import npm
from tests.support.waiting import DEADLINE

NAMESPACE = "http://tempuri.org/"
TOMORROW = stamp(time.time() + 86400)
NODE = Path(__file__).parent / "node"


def envelope(method: str, arguments: dict[str, str], version: str = SOAP_11, namespace: str = NAMESPACE) -> str:
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in arguments.items())
    body = f'<{method} xmlns="{namespace}">{fields}</{method}>'
    return f'<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="{version}"><e:Body>{body}</e:Body></e:Envelope>'


async def call(customer: Customer, method: str, action: str | None = None, **arguments: str) -> tuple[int, str]:
    """Call a method by SOAP 1.1; return status and result, or the text of a fault."""
    headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{NAMESPACE}{method}"' if action is None else action}
    body = envelope(method, {"Identificacao": USER} | arguments)
    status, _, text = await customer.post("", body, **headers)
    return status, result_of(text)


def result_of(text: str) -> str:
    (body,) = (element for element in ET.fromstring(text) if element.tag.endswith("}Body"))
    found = [element for element in body.iter() if element.tag.endswith(("Result", "faultstring", "}Text"))]
    return found[0].text or ""


async def send(customer: Customer, digits: str = "4321", **arguments: str) -> str:
    status, result = await call(customer, "sendUnique", Telefone=f"1198765{digits}", **({"Mensagem": "oi"} | arguments))
    assert status == 200
    return result


# --- envelopes ---


async def test_soap_1_1_is_answered_by_soap_1_1_in_the_namespace_of_the_wsdl(customer: Customer) -> None:
    body = envelope("sendUnique", {"Identificacao": USER, "Telefone": "11987654321", "Mensagem": "pé &amp; mão"})
    headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{NAMESPACE}sendUnique"'}
    status, content_type, text = await customer.post("", body, **headers)
    assert (status, content_type) == (200, "text/xml")
    root = ET.fromstring(text)
    path = f"{{{SOAP_11}}}Body/{{{NAMESPACE}}}sendUniqueResponse/{{{NAMESPACE}}}sendUniqueResult"
    result = root.findtext(path) or ""
    assert re.fullmatch("1;[0-9a-f]{32}", result)
    stored = customer.web.provider.look(result[2:])
    assert stored is not None
    assert stored.text == "pé & mão"


@pytest.mark.parametrize("action", ["", f'; action="{NAMESPACE}sendUnique"'])
async def test_soap_1_2_has_its_action_in_the_content_type_or_nowhere(customer: Customer, action: str) -> None:
    body = envelope("sendUnique", {"Identificacao": USER, "Telefone": "11987654321", "Mensagem": "oi"}, SOAP_12)
    status, content_type, text = await customer.post("", body, **{"Content-Type": f"application/soap+xml; charset=utf-8{action}"})
    assert (status, content_type) == (200, "application/soap+xml")
    assert ET.fromstring(text).tag == f"{{{SOAP_12}}}Envelope"
    assert result_of(text).startswith("1;")


async def test_the_namespaces_of_a_request_do_not_matter_but_its_action_does(start_web: StartWeb) -> None:
    customer = await start_web(namespace="http://wbsapi.example/")
    body = envelope("sendUnique", {"Identificacao": USER, "Telefone": "11987654321", "Mensagem": "oi"}, namespace="urn:other")
    headers = {"Content-Type": "text/xml", "SOAPAction": '"http://wbsapi.example/sendUnique"'}
    status, _, text = await customer.post("", body, **headers)
    assert (status, 'xmlns="http://wbsapi.example/"' in text) == (200, True)
    status, _, text = await customer.post("", body, **(headers | {"SOAPAction": '"http://tempuri.org/sendUnique"'}))
    assert (status, result_of(text)) == (
        500,
        "Server did not recognize the value of HTTP Header SOAPAction: http://tempuri.org/sendUnique.",
    )


@pytest.mark.parametrize(("right", "wrong"), [("inbox", "inBox"), ("inBox", "inbox")])
async def test_inbox_is_known_by_one_letter_case_alone(start_web: StartWeb, right: str, wrong: str) -> None:
    customer = await start_web(inbox_name=right)
    assert await call(customer, right) == (200, "OUT-OF-DATE")
    status, text = await call(customer, wrong)
    assert status == 500
    assert text.startswith("Server did not recognize the value of HTTP Header SOAPAction")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nada",
        "<a/>",
        f'<e:Envelope xmlns:e="{SOAP_11}"><e:Body/></e:Envelope>',
        envelope("drop", {}),
        '<!DOCTYPE a [<!ENTITY b "b">]>' + envelope("sendUnique", {}).partition("?>")[2],
        '<?xml version="1.0" encoding="nothing"?><a/>',
    ],
)
@pytest.mark.parametrize("version", [SOAP_11, SOAP_12])
async def test_what_is_no_call_is_answered_by_a_fault(customer: Customer, body: str, version: str) -> None:
    content_type = "text/xml" if version == SOAP_11 else "application/soap+xml"
    status, answered, text = await customer.post("", body, **{"Content-Type": content_type})
    assert (status, answered) == (500, content_type)
    fault = ET.fromstring(text).find(f"{{{version}}}Body/{{{version}}}Fault")
    assert fault is not None
    assert ("soap:Client" if version == SOAP_11 else "soap:Sender") in text


async def test_the_forms_that_asp_net_offers_are_taken_too(customer: Customer) -> None:
    form = {"Identificacao": USER, "Telefone": "11987654321", "Mensagem": "olá", "Agenda": "", "TipoMensagem": "", "IdExterno": ""}
    status, _, text = await customer.post("/sendUnique", form)
    assert status == 200
    root = ET.fromstring(text)
    assert root.tag == f"{{{NAMESPACE}}}string"
    assert (root.text or "").startswith("1;")
    assert (await customer.post("/sendunique", form))[0] == 500


async def test_both_doors_can_be_one_listener(start_web: StartWeb) -> None:
    port = free_port()
    customer = await start_web(http_port=port, webservice_port=port)
    assert (await send(customer)).startswith("1;")
    assert (await customer.send()).startswith("1;")
    assert len(customer.web.told) == 2


# --- sendUnique ---


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"Identificacao": ""}, 93),
        ({"Mensagem": ""}, 95),
        ({"Mensagem": "x" * 601}, 84),
        ({"Mensagem": "x" * 141, "TipoMensagem": "2"}, 84),
        ({"Telefone": "1198765432x"}, 96),
        ({"Telefone": "10987654321"}, 91),
        ({"TipoMensagem": "4"}, 86),
        ({"CentroCustos": "1"}, 95),
        ({"IdExterno": "4294967296"}, 95),
        ({"IdExterno": "abc"}, 95),
        ({"Agenda": "amanhã"}, 95),
    ],
)
async def test_send_unique_refuses_what_is_wrong_by_its_code(customer: Customer, arguments: dict[str, str], code: int) -> None:
    assert await call(customer, "sendUnique", **({"Telefone": "11987654321", "Mensagem": "oi"} | arguments)) == (200, str(code))
    assert customer.web.provider.ledger.entries == []


async def test_send_unique_takes_every_parameter_of_the_manual(customer: Customer) -> None:
    arguments = {"Agenda": TOMORROW.replace(" ", "T"), "TipoMensagem": "1", "CentroCustos": "622", "IdExterno": "4294967295"}
    result = await send(customer, **arguments)
    stored = customer.web.provider.look(result[2:])
    assert stored is not None
    assert stored.due_at > time.time() + 80_000
    (entry,) = customer.web.provider.ledger.entries
    assert (entry.way, entry.reference, entry.message_id) == ("webservice", 4294967295, result[2:])
    assert "999999;1000000;" in await customer.get("crdtf")  # a flash, from the same account
    assert (await send(customer, Mensagem="x" * 140, TipoMensagem="2")).startswith("1;")


@pytest.mark.parametrize("code", sorted(SOAP_TEXTS))
async def test_3nnn_is_answered_by_code_nnn(customer: Customer, code: int) -> None:
    assert (await send(customer, f"3{code:03d}")).partition(";")[0] == str(code)
    assert len(customer.web.provider.ledger.entries) == (code in {1, 94, 200})


async def test_a_success_is_200_without_a_protocol_by_setting(start_web: StartWeb) -> None:
    customer = await start_web(webservice_success=200)
    assert await send(customer) == "200"
    assert len(customer.web.provider.ledger.entries) == 1


async def test_magic_numbers_break_the_answer_as_by_the_http_api(customer: Customer, called_back: CalledBack) -> None:
    assert await call(customer, "sendUnique", Telefone="11987652014", Mensagem="oi") == (500, "Server was unable to process request.")
    headers = {"Content-Type": "text/xml", "SOAPAction": f'"{NAMESPACE}sendUnique"'}

    def body(digits: str) -> str:
        return envelope("sendUnique", {"Identificacao": USER, "Telefone": f"1198765{digits}", "Mensagem": "oi"})

    assert (await customer.post("", body("2018"), **headers))[0] == 302
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await customer.post("", body("2001"), **headers)
    assert customer.web.provider.ledger.entries == []
    assert (await customer.post("", body("2017"), **headers))[1:] == ("text/html", (await customer.send("2017")))
    assert await customer.post("", body("2019"), **headers) == (200, "text/plain", "")
    with pytest.raises(aiohttp.ClientPayloadError):
        await customer.post("", body("2020"), **headers)
    with pytest.raises(LostError):
        await customer.post("", body("2002"), **headers)
    assert len(customer.web.provider.ledger.entries) == 5
    await called_back.until(10)
    assert (await send(customer, "2003")).startswith("1;")
    assert len(called_back.calls) == 12


# --- sendMultiple ---


async def test_send_multiple_answers_a_line_a_message(customer: Customer) -> None:
    content = f"11987654321|MSG 1;11987653097|MSG 2|435;11987654322|MSG 3|436|{TOMORROW}|1|622"
    status, result = await call(customer, "sendMultiple", Conteudo=content)
    assert status == 200
    first, second, third = result.splitlines()
    assert re.fullmatch("1;[0-9a-f]{32};11987654321;", first)
    assert second == "97;;11987653097;435"
    assert re.fullmatch("1;[0-9a-f]{32};11987654322;436", third)
    assert [entry.reference for entry in customer.web.provider.ledger.entries] == [None, 436]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", 87),
        (";".join(["11987654321|a"] * 1001), 88),
        ("11987654321", 83),
        ("11987654321|a|1|2026-01-01 00:00:00|0|622|x", 83),
        ("11987653083|a;11987654321|b", 83),
        ("11987653085|a;11987654321|b", 85),
        ("11987653086|a;11987654321|b", 86),
        ("11987653087|a;11987654321|b", 87),
        ("11987653088|a;11987654321|b", 88),
    ],
)
async def test_send_multiple_refuses_the_shape_of_a_request_as_a_whole(customer: Customer, content: str, code: int) -> None:
    assert await call(customer, "sendMultiple", Conteudo=content) == (200, str(code))
    assert customer.web.provider.ledger.entries == []


async def test_send_multiple_takes_a_thousand_and_answers_half_where_its_number_says_so(customer: Customer) -> None:
    content = ";".join(f"119{number:08d}|a|{number}" for number in range(40_000_000, 40_000_999)) + ";11987652019|b|1"
    _, result = await call(customer, "sendMultiple", Conteudo=content)
    assert len(result.splitlines()) == 500
    assert len(customer.web.provider.ledger.entries) == 1000


# --- cancel, status, inbox ---


async def test_cancel_cancels_what_waits_and_is_too_late_for_what_was_sent(customer: Customer, called_back: CalledBack) -> None:
    waiting = (await send(customer, Agenda=TOMORROW))[2:]
    sent = (await send(customer, "0002"))[2:]
    failed = (await send(customer, "0005"))[2:]
    await called_back.until(2)
    status, result = await call(customer, "cancel", Hash=f"{waiting};{sent};{failed};nada")
    assert (status, result.splitlines()) == (200, [f"{waiting};9", f"{sent};1", f"{failed};2", "nada;5"])
    assert await called_back.until(3)
    assert called_back.calls[2][1]["status"] == "9"


@pytest.mark.parametrize("hashes", ["", ";".join(["0" * 32] * 1001)])
@pytest.mark.parametrize("method", ["cancel", "status"])
async def test_no_hash_and_too_many_are_a_shape_that_was_not_expected(start_web: StartWeb, method: str, hashes: str) -> None:
    customer = await start_web(out_of_date=False)
    assert await call(customer, method, Hash=hashes) == (200, "86")


@pytest.mark.parametrize("method", ["status", "inbox"])
async def test_what_was_withdrawn_answers_out_of_date(customer: Customer, method: str) -> None:
    assert await call(customer, method, Hash="0" * 32) == (200, "OUT-OF-DATE")


@pytest.mark.parametrize("method", ["sendUnique", "sendMultiple", "status", "inbox", "cancel"])
@pytest.mark.parametrize("code", [86, 93, 99])
async def test_a_user_that_ends_in_3nnn_is_answered_by_nnn_by_every_method(customer: Customer, method: str, code: int) -> None:
    assert await call(customer, method, Identificacao=f"abcd3{code:03d}") == (200, str(code))


@pytest.mark.parametrize(
    ("digits", "status"), [("0000", "0"), ("0001", "1"), ("0005", "2"), ("0003", "3"), ("0008", "5"), ("0007", "7"), ("0004", "9")]
)
async def test_status_tells_each_status_of_the_manual_as_before_2020(
    start_web: StartWeb, called_back: CalledBack, digits: str, status: str
) -> None:
    customer = await start_web(out_of_date=False, step_delay=60.0)
    md5 = (await send(customer, digits))[2:]
    await called_back.until(1)
    assert await call(customer, "status", Hash=f"{md5};nada") == (200, f"{md5};{status}\nnada;5")


async def test_inbox_shows_replies_as_before_2020(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(out_of_date=False)
    md5 = (await send(customer, "2012", IdExterno="8"))[2:]
    await called_back.until(3)
    _, result = await call(customer, "inbox")
    assert re.fullmatch(rf"1;{md5};[0-9 :.-]+;11987652012;Sim, pode confirmar\. Até à vista!;8;", result)
    assert await call(customer, "inbox") == (200, "")
    assert await call(customer, "inbox", Reexibir="1") == (200, result)
    assert await call(customer, "inbox", DataInicial="x") == (200, "86")


# --- foreign clients, by the WSDL that it shows ---


async def test_zeep_calls_every_method(start_web: StartWeb, called_back: CalledBack) -> None:
    zeep = pytest.importorskip("zeep")
    customer = await start_web(out_of_date=False)

    def work() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for port in ("WBSAPISoap", "WBSAPISoap12"):
            with zeep.Client(customer.web.webservice_url + "?wsdl") as client:
                service = client.bind("WBSAPI", port)
                unique = service.sendUnique(USER, "11987654321", "olá & adeus", "2099-01-01T12:00:00", 1, 622, 4294967295)
                multiple = service.sendMultiple(USER, "11987654321|a|1;11987653097|b|2")
                cancelled = service.cancel(USER, unique.partition(";")[2])
                status = service.status(Identificacao=USER, Hash=unique.partition(";")[2])
                found[port] = (unique, multiple, cancelled, status, service.inbox(Identificacao=USER, Reexibir=1))
        return found

    for unique, multiple, cancelled, status, inbox in (await asyncio.to_thread(work)).values():
        md5 = unique.partition(";")[2]
        assert re.fullmatch("1;[0-9a-f]{32}", unique)
        assert [line.split(";")[0] for line in multiple.splitlines()] == ["1", "97"]
        assert (cancelled, status, inbox) == (f"{md5};9", f"{md5};9", None)


async def test_npm_soap_calls_our_methods_and_reads_our_faults(customer: Customer) -> None:
    process = await asyncio.create_subprocess_exec(
        "node", "client.js", customer.web.webservice_url, cwd=npm.folder(NODE), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(DEADLINE):
        output, _ = await process.communicate()
    said = json.loads(output)
    assert said["methods"] == ["cancel", "inbox", "sendMultiple", "sendUnique", "status"]
    assert re.fullmatch("1;[0-9a-f]{32}", said["unique"])
    stored = customer.web.provider.look(said["unique"][2:])
    assert stored is not None
    assert (stored.text, stored.external_id) == ("olá & adeus", "7")
    assert [line.split(";")[0] for line in said["multiple"].splitlines()] == ["1", "97"]
    assert (said["cancel"], said["status"], said["fault"]) == ("0;5", "OUT-OF-DATE", "soap:Server")
