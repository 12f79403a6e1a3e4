"""The sandbox's call-backs: exactly the manual's parameters, and every status and DLR code of it."""

import re
import time

import pytest

from gateway.sandbox.answers import moment
from tests.sandbox.conftest import StartWeb
from tests.sandbox.web import NEVER, CalledBack, Customer
from tests.support.waiting import until

WAYS = ["send", "mult", "sendUnique", "sendMultiple"]


async def send_by(customer: Customer, way: str, digits: str) -> None:
    """Send one message with id 7 to a number that ends in `digits`, whichever way."""
    number = f"1198765{digits}"
    match way:
        case "send":
            await customer.send(digits, id="7")
        case "mult":  # which takes two at least; the other leads to no call-back
            await customer.get("mult", l="1", c=f"11987652004|a;{number}|oi|7")
        case "sendUnique":
            form = {"Identificacao": "u", "Telefone": number, "Mensagem": "oi", "IdExterno": "7"}
            await customer.post("/sendUnique", form)
        case _:
            await customer.post("/sendMultiple", {"Identificacao": "u", "Conteudo": f"{number}|oi|7"})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("digits", "told"),
    [
        ("4321", "s1 d2"),
        ("0000", "s0 s1 d2"),
        ("0001", "s1 d2"),
        ("0002", "d2"),
        ("0003", "s3 s1 d2"),
        ("0004", "s9"),
        ("0005", "s2"),
        ("0006", "s1 d5"),
        ("0007", "s7 s1 d2"),
        ("0008", "s5"),
        ("0009", "s1 d8"),
        ("2005", "s1 s1 d2 d2"),
        ("2006", "d2 s1"),
        ("2012", "s1 d2 r"),
        ("2013", "s1 d2 r"),
        ("2021", "s1 d5 d2"),
        ("2022", "s1 d4 d2"),
        ("2023", "?1 ?2"),
        ("2024", "s1 d2"),
    ],
)
async def test_a_magic_number_leads_to_its_call_backs_by_each_way(
    customer: Customer, called_back: CalledBack, way: str, digits: str, told: str
) -> None:
    await send_by(customer, way, digits)
    assert await called_back.until(len(told.split())) == told.split()


async def test_a_report_has_the_manual_s_parameters_in_its_order(customer: Customer, called_back: CalledBack) -> None:
    before = time.time()
    protocol = await customer.protocol(id="abc123")
    await called_back.until(2)
    path, query = called_back.calls[0]
    assert path == "/callback"
    assert list(query) == ["msisdn", "status", "date", "type", "md5", "uuid"]
    assert (query["msisdn"], query["md5"], query["uuid"]) == ("11987654321", protocol, "abc123")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", query["date"])
    assert before - 1 <= (moment(query["date"]) or 0) <= time.time()


async def test_a_reply_has_the_manual_s_parameters_and_goes_to_its_own_address(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(reply_url=called_back.url("/resposta?cliente=1"))
    protocol = await customer.protocol("2012")
    await called_back.until(3)
    assert [path for path, _ in called_back.calls] == ["/callback", "/callback", "/resposta"]
    query = called_back.calls[2][1]
    assert list(query) == ["cliente", "msisdn", "message", "date", "type", "md5"]
    assert (query["type"], query["message"], query["md5"]) == ("1", "Sim, pode confirmar. Até à vista!", protocol)


async def test_a_long_reply_comes_whole(customer: Customer, called_back: CalledBack) -> None:
    await customer.protocol("2013")
    await called_back.until(3)
    assert called_back.calls[2][1]["message"] == "Primeira parte, segunda parte, terceira."


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("always", [False, True])
async def test_only_send_s_id_comes_back_unless_a_setting_says_otherwise(
    start_web: StartWeb, called_back: CalledBack, way: str, always: bool
) -> None:
    customer = await start_web(uuid_always=always)
    await send_by(customer, way, "4321")
    await called_back.until(2)
    expected = "7" if always or way == "send" else None
    assert {query.get("uuid") for _, query in called_back.calls} == {expected}


async def test_2024_has_the_country_code_before_the_number(customer: Customer, called_back: CalledBack) -> None:
    await customer.protocol("2024")
    await called_back.until(2)
    assert {query["msisdn"] for _, query in called_back.calls} == {"5511987652024"}


async def test_2004_tells_nothing_and_is_sent_all_the_same(customer: Customer, called_back: CalledBack) -> None:
    protocol = await customer.protocol("2004")
    await customer.protocol("0002")
    await called_back.until(1)
    assert called_back.told == ["d2"]
    assert (await customer.get("cacl", h=protocol)).split(";")[1] == "1"


@pytest.mark.parametrize("digits", ["3061", "3094"])
async def test_what_was_taken_without_a_protocol_is_called_back_with_its_id(
    customer: Customer, called_back: CalledBack, digits: str
) -> None:
    assert await customer.send(digits, id="77") == digits[2:]
    assert await called_back.until(2) == ["s1", "d2"]
    assert {query["uuid"] for _, query in called_back.calls} == {"77"}


async def test_a_cancelled_message_is_told_once_and_nothing_follows(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(sending_delay=0.5, step_delay=0.0)
    protocol = await customer.protocol()
    await customer.get("cacl", h=f"{protocol};{protocol}")
    assert await called_back.until(1) == ["s9"]
    await until(lambda: not len(customer.web._agenda), "nothing is left to happen")
    assert await called_back.until(1) == ["s9"]


async def test_a_call_back_is_sent_once_whatever_is_answered(customer: Customer, called_back: CalledBack) -> None:
    called_back.statuses = [500, 302]
    await customer.protocol()
    await until(lambda: customer.web.provider.statistics.dropped == 2, "dropped 2")
    assert called_back.told == ["s1", "d2"]


async def test_a_call_back_is_sent_again_by_setting(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(callback_tries=3)
    called_back.statuses = [503, 503, 503, 503]
    await customer.protocol("0002")
    await customer.protocol("0002")
    await until(lambda: customer.web.provider.statistics.called_back + customer.web.provider.statistics.dropped == 2, "two were tried")
    assert customer.web.provider.statistics.repeated == 4
    assert (customer.web.provider.statistics.called_back, customer.web.provider.statistics.dropped) in {(1, 1), (2, 0)}


async def test_a_customer_that_does_not_answer_or_listen_costs_only_the_call_back(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(callback_timeout=0.1)
    called_back.statuses = [NEVER]
    await customer.protocol("0002")
    await until(lambda: customer.web.provider.statistics.dropped == 1, "dropped 1")
    await customer.protocol("0002")
    await until(lambda: customer.web.provider.statistics.called_back == 1, "called_back 1")
    await called_back.stop()
    await customer.protocol("0002")
    await until(lambda: customer.web.provider.statistics.dropped == 2, "dropped 2")


async def test_what_waits_to_be_called_back_is_bounded(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(callback_connections=1, callback_backlog=2)
    called_back.statuses = [NEVER]
    await customer.protocol("0002")
    await called_back.until(1)
    for _ in range(5):
        await customer.protocol("0002")
    await until(lambda: customer.web.provider.statistics.dropped == 3, "dropped 3")  # one is on its way, two wait


async def test_without_an_address_nobody_is_called(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(callback_url="")
    protocol = await customer.protocol("2012")
    await until(lambda: bool(customer.web.provider.inbox(0, 1e12, again=False)), "a reply in the inbox")
    assert (await customer.get("cacl", h=protocol)).split(";")[1] == "1"
    assert called_back.told == []
