"""The sandbox's HTTP API: every function of the manual, every code and every magic number, over real sockets."""

import asyncio
import re
import time
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from gateway.sandbox.answers import HTTP_TEXTS, LOCAL, Status, moment, stamp
from gateway.sandbox.callbacks import LostError
from gateway.sandbox.customer import CreditKind
from gateway.sandbox.ledger import read
from gateway.sandbox.settings import Distribution, MultForm
from tests.sandbox.conftest import StartWeb
from tests.sandbox.web import USER, CalledBack, Customer
from tests.support.waiting import DEADLINE

FUNCTIONS = ("send", "mult", "cacl", "crdtf", "cnnvl", "cnus", "cadus", "altus", "crctn", "cict", "cact", "oper", "recv")
TOMORROW = stamp(time.time() + 86400)


# --- send ---


async def test_send_is_answered_by_1_and_a_protocol_of_its_own(customer: Customer) -> None:
    answers = {await customer.send() for _ in range(3)}
    assert len(answers) == 3
    assert all(re.fullmatch("1;[0-9a-f]{32}", answer) for answer in answers)


@pytest.mark.parametrize("name", ["send", "SEND", "Send"])
async def test_functions_directories_and_parameters_are_known_in_any_letter_case(customer: Customer, name: str) -> None:
    url = customer.web.http_url.replace("/sms", "/SMS")
    async with customer.session.get(f"{url}/{name}?U={USER}&N=11987654321&M=oi") as response:
        assert (await response.text()).startswith("1;")


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
async def test_only_get_is_taken(customer: Customer, method: str) -> None:
    async with customer.session.request(method, f"{customer.web.http_url}/send?u={USER}&n=11987654321&m=oi") as response:
        assert response.status == 405
    assert customer.web.provider.ledger.entries == []


async def test_what_is_no_function_is_not_found(customer: Customer) -> None:
    assert (await customer.ask("sent"))[0] == 404


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"u": ""}, 93),
        ({"m": ""}, 79),
        ({"m": "  "}, 79),
        ({"m": "x" * 601}, 84),
        ({"n": "1198765432a"}, 96),
        ({"n": ""}, 96),
        ({"n": "+5511987654321"}, 96),
        ({"n": "119876543"}, 95),
        ({"n": "5511987654321"}, 95),
        ({"n": "10987654321"}, 91),
        ({"n": "11887654321"}, 92),
        ({"n": "1107654321"}, 89),
        ({"f": "3"}, 83),
        ({"c": "1"}, 76),
        ({"c": "a"}, 76),
        ({"id": "a b"}, 95),
        ({"id": "x" * 41}, 95),
        ({"d": "amanhã"}, 95),
    ],
)
async def test_send_refuses_what_is_wrong_by_its_code(customer: Customer, parameters: dict[str, str], code: int) -> None:
    assert await customer.get("send", **({"n": "11987654321", "m": "oi"} | parameters)) == str(code)
    assert customer.web.provider.ledger.entries == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"m": "x" * 600},
        {"n": "1132654321"},
        {"f": "0"},
        {"f": "1"},
        {"f": "2", "fsd": "1"},
        {"f": "4"},
        {"c": "622"},
        {"id": "x" * 40},
        {"arq": "lote 1"},
        {"d": TOMORROW},
        {"n": "+55 (11) 98765-4321", "z": "1"},
        {"n": "1187654321", "z": "1"},
    ],
)
async def test_send_takes_every_parameter_of_the_manual(customer: Customer, parameters: dict[str, str]) -> None:
    assert (await customer.get("send", **({"n": "11987654321", "m": "oi"} | parameters))).startswith("1;")


async def test_a_number_is_normalised_where_asked_for(customer: Customer) -> None:
    await customer.get("send", n="+55 (11) 8765-4321", m="oi", z="1")
    assert customer.web.provider.ledger.entries[0].to == "11987654321"


async def test_text_is_read_as_utf_8_else_as_windows_1252_and_its_apostrophes_become_spaces(customer: Customer) -> None:
    protocol = await customer.protocol(text="pé d'água + 1;2|3")
    stored = customer.web.provider.look(protocol)
    assert stored is not None
    assert stored.text == "pé d água + 1;2|3"
    url = URL(f"{customer.web.http_url}/send?u={USER}&n=11987654321&m=p%E9+d%60%E1gua", encoded=True)
    async with customer.session.get(url) as response:
        protocol = (await response.text()).removeprefix("1;")
    stored = customer.web.provider.look(protocol)
    assert stored is not None
    assert stored.text == "pé d`água"


async def test_a_cost_centre_that_was_put_out_of_use_is_refused_and_one_is_asked_for_by_setting(start_web: StartWeb) -> None:
    customer = await start_web(centre_required=True)
    assert await customer.send() == "76"
    await customer.protocol(c="623")
    assert await customer.get("cact", id="623", s="0") == "1;CENTRO ATUALIZADO COM SUCESSO"
    assert await customer.send(c="623") == "76"


# --- magic numbers of one message ---


@pytest.mark.parametrize("code", sorted(HTTP_TEXTS))
async def test_3nnn_is_answered_by_code_nnn(customer: Customer, code: int) -> None:
    answer = await customer.send(f"3{code:03d}")
    assert answer.partition(";")[0] == str(code)
    assert len(customer.web.provider.ledger.entries) == (code in {1, 61, 94})


async def test_a_refusal_is_explained_by_setting(start_web: StartWeb) -> None:
    customer = await start_web(explain=True)
    assert await customer.send("3097") == "97;CREDITOS INSUFICIENTES"
    assert await customer.get("send", u="") == "93;USUARIO/CLIENTE INVALIDO OU DESABILITADO"


async def test_2001_is_left_open_and_not_taken(customer: Customer) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await customer.send("2001")
    assert customer.web.provider.ledger.entries == []


async def test_2001_is_cut_in_the_end_and_stopping_does_not_wait_for_it(start_web: StartWeb) -> None:
    customer = await start_web(silence=0.05)
    with pytest.raises(LostError):
        await customer.send("2001")
    patient = await start_web()
    asking = asyncio.ensure_future(patient.send("2001"))
    while patient.web.provider.statistics.requests == 0:
        await asyncio.sleep(0)
    await asyncio.wait_for(patient.web.stop(), DEADLINE)
    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_2002_is_taken_and_called_back_but_cut(customer: Customer, called_back: CalledBack) -> None:
    with pytest.raises(LostError):
        await customer.send("2002", id="77")
    assert [entry.reference for entry in customer.web.provider.ledger.entries] == [77]
    assert await called_back.until(2) == ["s1", "d2"]


async def test_2003_calls_back_before_it_answers(customer: Customer, called_back: CalledBack) -> None:
    protocol = await customer.protocol("2003")
    assert called_back.told == ["s1", "d2"]
    assert {query["md5"] for _, query in called_back.calls} == {protocol}


async def test_2014_is_an_http_error_and_not_taken(customer: Customer) -> None:
    assert await customer.ask("send", n="11987652014", m="oi") == (500, "Internal Server Error")
    assert customer.web.provider.ledger.entries == []


async def test_2015_is_answered_late(start_web: StartWeb) -> None:
    customer = await start_web(slow_answer=0.2)
    started = time.monotonic()
    await customer.protocol("2015")
    assert time.monotonic() - started >= 0.2


async def test_2016_is_answered_and_then_the_connection_ends(customer: Customer) -> None:
    async with aiohttp.ClientSession() as keeping:
        async with keeping.get(f"{customer.web.http_url}/send?u={USER}&n=11987654321&m=oi") as response:
            assert "Connection" not in response.headers
        async with keeping.get(f"{customer.web.http_url}/send?u={USER}&n=11987652016&m=oi") as response:
            assert response.headers["Connection"] == "close"
            assert (await response.text()).startswith("1;")


async def test_2017_is_taken_but_answered_by_html(customer: Customer) -> None:
    assert (await customer.send("2017")).startswith("<!DOCTYPE html>")
    assert len(customer.web.provider.ledger.entries) == 1


async def test_2018_is_sent_elsewhere_and_not_taken(customer: Customer) -> None:
    assert await customer.ask("send", n="11987652018", m="oi") == (302, "")
    assert customer.web.provider.ledger.entries == []


async def test_2019_of_a_single_message_is_taken_and_its_answer_empty(customer: Customer) -> None:
    assert await customer.send("2019") == ""
    assert len(customer.web.provider.ledger.entries) == 1


async def test_2020_is_taken_but_its_answer_breaks_off(customer: Customer) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await customer.send("2020")
    assert len(customer.web.provider.ledger.entries) == 1


# --- mult ---


async def test_mult_echoes_number_and_id_of_each_message(customer: Customer) -> None:
    first, second = await customer.mult("4321", "3097")
    assert re.fullmatch("1;[0-9a-f]{32};11987654321;1", first)
    assert second == "97;;11987653097;2"


async def test_mult_layout_0_sends_one_text_to_many(customer: Customer) -> None:
    lines = (await customer.get("mult", n="11987654321;1132654321;11987653061", m="a; b | c")).splitlines()
    assert [line.split(";")[0] for line in lines] == ["1", "1", "61"]
    assert [line.split(";")[2:] for line in lines] == [["11987654321", ""], ["1132654321", ""], ["11987653061", ""]]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (MultForm.ORDER, [r"1;\w{32}", "97", r"1;\w{32}"]),
        (MultForm.FEWER, [r"1;\w{32}", "97"]),
        (MultForm.SHUFFLED, [r"1;\w{32};11987650002;3", "97;;11987653097;2", r"1;\w{32};11987654321;1"]),
    ],
)
async def test_mult_is_answered_in_other_forms_by_setting(start_web: StartWeb, form: MultForm, expected: list[str]) -> None:
    customer = await start_web(mult_form=form)
    lines = await customer.mult("4321", "3097", "0002")
    assert len(lines) == len(expected)
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(expected, lines, strict=True))
    assert len(customer.web.provider.ledger.entries) == 2


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"l": "2", "c": "11987654321|a|1;11987654322|b|2"}, 86),
        ({"l": "1", "c": "11987654321|a|1"}, 87),
        ({"n": "11987654321", "m": "a"}, 87),
        ({"n": "", "m": "a"}, 87),
        ({"n": ";".join(["11987654321"] * 1001), "m": "a"}, 88),
        ({"l": "1", "c": "11987654321|a|1|x;11987654322|b|2"}, 85),
        ({"l": "1", "c": "11987654321;11987654322|b|2"}, 85),
        ({"u": "", "n": "11987654321;11987654322", "m": "a"}, 93),
    ],
)
async def test_mult_refuses_the_shape_of_a_request_as_a_whole(customer: Customer, parameters: dict[str, str], code: int) -> None:
    assert await customer.get("mult", **parameters) == str(code)
    assert customer.web.provider.ledger.entries == []


async def test_a_thousand_messages_are_the_most_that_mult_takes(customer: Customer) -> None:
    lines = (await customer.get("mult", n=";".join(f"119{number:08d}" for number in range(40_000_000, 40_001_000)), m="a")).splitlines()
    assert len({line.split(";")[1] for line in lines}) == 1000


async def test_a_url_beyond_its_limit_is_refused(start_web: StartWeb) -> None:
    customer = await start_web(max_url_bytes=1000)
    assert (await customer.ask("send", n="11987654321", m="x" * 600))[0] == 200
    assert (await customer.ask("send", n="11987654321", m="x" * 600, arq="y" * 600))[0] == 400


async def test_in_mult_a_bad_message_is_refused_alone_and_the_cost_centre_is_t(customer: Customer) -> None:
    lines = (await customer.get("mult", l="1", c="1198765432x|a|1;11987654321||2;11987654321|c|x;11987654321|d", t="622")).splitlines()
    assert [line.split(";")[0] for line in lines] == ["96", "79", "95", "1"]
    assert [line.split(";")[0] for line in await customer.mult("4321", "4322", t="1")] == ["76", "76"]


@pytest.mark.parametrize("code", [85, 86, 87, 88])
async def test_in_mult_a_magic_number_of_the_shape_refuses_the_whole_request(customer: Customer, code: int) -> None:
    assert await customer.mult("4321", f"30{code}") == [str(code)]
    assert customer.web.provider.ledger.entries == []


async def test_in_mult_2019_takes_all_and_answers_half(customer: Customer) -> None:
    assert len(await customer.mult("4321", "2019", "4322", "4323")) == 2
    assert len(customer.web.provider.ledger.entries) == 4


async def test_in_mult_what_breaks_an_answer_breaks_it_for_all(customer: Customer, called_back: CalledBack) -> None:
    with pytest.raises(LostError):
        await customer.mult("4321", "2002")
    assert len(customer.web.provider.ledger.entries) == 2
    assert (await customer.ask("mult", l="1", c="11987654321|a;11987652014|b"))[0] == 500
    assert len(customer.web.provider.ledger.entries) == 2


# --- the ledger ---


async def test_the_ledger_tells_what_was_taken_and_by_which_way(start_web: StartWeb, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    customer = await start_web(ledger_path=path)
    protocol = await customer.protocol(id="12")
    await customer.mult("4321", "3097")
    entries = read(path)
    assert [(entry.way, entry.to, entry.reference) for entry in entries] == [("http", "11987654321", 12), ("http", "11987654321", 1)]
    assert entries[0].message_id == protocol


# --- cacl ---


async def test_cacl_cancels_a_message_that_waits_and_gives_its_credit_back(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(credits=(5, 5, 5))
    protocol = await customer.protocol(d=TOMORROW, id="9")
    assert "1;1;0;0;4;5;5;" in await customer.get("crdtf")
    line = (await customer.get("cacl", h=protocol)).rstrip("\n")
    md5, status, text, id, number, at = line.split(";")
    assert (md5, status, text, id, number) == (protocol, "9", "CANCELADO", "9", "11987654321")
    assert moment(at) is not None
    assert "1;1;0;0;5;5;5;" in await customer.get("crdtf")
    assert await called_back.until(1) == ["s9"]
    assert (await customer.get("cacl", h=protocol)).split(";")[1] == "9"  # it stays so, and gives nothing back again
    assert "1;1;0;0;5;5;5;" in await customer.get("crdtf")


async def test_cacl_is_too_late_for_a_message_that_was_sent_and_says_so(customer: Customer, called_back: CalledBack) -> None:
    protocol = await customer.protocol()
    await called_back.until(1)
    assert (await customer.get("cacl", h=protocol)).split(";")[1:3] == ["1", "ENVIADO"]
    assert await called_back.until(2) == ["s1", "d2"]


@pytest.mark.parametrize(("digits", "status"), [("0000", "9"), ("0003", "3"), ("0005", "2"), ("0007", "0"), ("0008", "5"), ("0004", "9")])
async def test_cacl_tells_each_status_of_the_manual(start_web: StartWeb, called_back: CalledBack, digits: str, status: str) -> None:
    customer = await start_web(step_delay=60.0)
    protocol = await customer.protocol(digits)
    await called_back.until(1)
    assert (await customer.get("cacl", h=protocol)).split(";")[1] == status


async def test_cacl_takes_many_and_tells_what_is_not_found(customer: Customer) -> None:
    first, second = await customer.protocol(d=TOMORROW), await customer.protocol(d=TOMORROW)
    lines = (await customer.get("cacl", h=f"{first};{'0' * 32};{second.upper()}")).splitlines()
    assert [line.split(";")[:3] for line in lines] == [
        [first, "9", "CANCELADO"],
        ["0" * 32, "255", "MENSAGEM NAO ENCONTRADA"],
        [second.upper(), "9", "CANCELADO"],
    ]
    assert await customer.get("cacl") == "86"


async def test_a_scheduled_message_is_sent_when_it_is_due(customer: Customer, called_back: CalledBack) -> None:
    protocol = await customer.protocol(d=stamp(time.time() - 60))
    assert await called_back.until(2) == ["s1", "d2"]
    later = await customer.protocol(d=TOMORROW)
    stored = customer.web.provider.look(later)
    assert stored is not None
    assert (stored.status, stored.md5 != protocol) == (Status.WAITING, True)


# --- credits ---


@pytest.mark.parametrize(("type", "place"), [("0", 0), ("1", 1), ("2", 2), ("4", 2)])
async def test_credits_run_down_by_kind_and_then_97_is_answered(start_web: StartWeb, type: str, place: int) -> None:
    customer = await start_web(credits=(2, 2, 2))
    for _ in range(2):
        await customer.protocol(f=type)
    assert await customer.send(f=type) == "97"
    left = ["0" if each == place else "2" for each in range(3)]
    assert await customer.get("crdtf") == f"1;1;0;0;{';'.join(left)};\n"
    assert [line.split(";")[0] for line in await customer.mult("4321", "4322", f="0" if place else "1")] == ["1", "1"]


async def test_a_batch_is_taken_as_far_as_the_credits_last(start_web: StartWeb) -> None:
    customer = await start_web(credits=(1, 0, 0))
    assert [line.split(";")[0] for line in await customer.mult("4321", "4322")] == ["1", "97"]
    customer.web.provider.customer.give_back(0, CreditKind.LONG_CODE)
    await customer.protocol()


async def test_post_paid_credits_never_run_out(start_web: StartWeb) -> None:
    customer = await start_web(credits=(0, 0, 0), post_paid=True)
    await customer.protocol()
    assert await customer.get("crdtf") == "1;0;0;0;0;0;0;\n"


async def test_credits_are_dealt_out_by_user_or_by_cost_centre(start_web: StartWeb) -> None:
    by_user = await start_web(credits=(3, 2, 1), distribution=Distribution.USER)
    await by_user.protocol()
    assert await by_user.get("crdtf") == "1;1;1;1;3;2;1;\n1;1;1;2;2;2;1;\n"
    by_centre = await start_web(credits=(3, 2, 1), distribution=Distribution.COST_CENTRE)
    await by_centre.protocol(c="623")
    assert await by_centre.send() == "97"  # nobody pays for it
    await by_centre.get("cict", d="NOVO")
    assert await by_centre.send(c="624") == "97"  # it has none yet
    assert await by_centre.get("crdtf") == "1;1;2;622;3;2;1;\n1;1;2;623;2;2;1;\n1;1;2;624;0;0;0;\n"


# --- users, levels, cost centres, operators ---


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("code", [0, 73, 93, 98, 99])
async def test_a_user_that_ends_in_3nnn_is_answered_by_nnn_by_every_function(customer: Customer, function: str, code: int) -> None:
    user = f"abcd3{code:03d}"
    assert await customer.get(function, u=user, h=user) == str(code)


async def test_any_other_user_than_the_one_of_the_setting_is_refused(start_web: StartWeb) -> None:
    customer = await start_web(user="abcd3099")
    assert await customer.get("crdtf") == "93"
    assert (await customer.get("crdtf", u="abcd3099")).startswith("1;1;")


async def test_levels_users_and_operators_are_listed(customer: Customer) -> None:
    assert await customer.get("cnnvl") == "1;0;USUARIO;\n1;1;ADMINISTRADOR;\n1;6;NIVEL 1;\n1;7;NIVEL 2;\n"
    assert (await customer.get("cnus")).splitlines() == ["1;1;0;master@example.com;MASTER;0;", "1;2;1;operador@example.com;OPERADOR;1;"]
    head, *lines = (await customer.get("oper")).splitlines()
    assert head == "CODIGO DA OPERADORA;NOME DA OPERADORA"
    assert "55115;VIVO - FIXO" in lines


async def test_a_user_is_added_and_changed(customer: Customer) -> None:
    answer = await customer.get("cadus", n="Ana Lima", d="ana.lima", p="segredo", t="6", c="622|623")
    assert answer == "1;3;USUARIO ADICIONADO COM SUCESSO"
    assert (await customer.get("cnus")).splitlines()[-1] == "1;3;1;ana.lima;Ana Lima;6;"
    assert await customer.get("altus", id="3", n="Ana", s="0", p="outro", t="0", c="622") == "1;USUARIO ATUALIZADO COM SUCESSO"
    assert (await customer.get("cnus")).splitlines()[-1] == "1;3;0;ana.lima;Ana;0;"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"d": "MASTER@example.com"}, -1),
        ({"d": "ana lima"}, -2),
        ({"d": ""}, -2),
        ({"t": "99"}, -3),
        ({"n": " "}, -4),
        ({"c": "622|1"}, -5),
        ({"p": ""}, -6),
    ],
)
async def test_cadus_refuses_by_every_code_of_the_manual(customer: Customer, changes: dict[str, str], code: int) -> None:
    answer = await customer.get("cadus", **({"n": "Ana", "d": "ana", "p": "segredo"} | changes))
    assert answer.split(";")[0] == str(code)
    assert len((await customer.get("cnus")).splitlines()) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"id": "77"}, -1), ({"id": "x"}, -1), ({"t": "5"}, -2), ({"s": "2"}, -3), ({"n": ""}, -4), ({"c": "1"}, 0), ({"p": " "}, 0)],
)
async def test_altus_refuses_by_every_code_of_the_manual(customer: Customer, changes: dict[str, str], code: int) -> None:
    before = await customer.get("cnus")
    assert (await customer.get("altus", **({"id": "2"} | changes))).split(";")[0] == str(code)
    assert await customer.get("cnus") == before


async def test_a_cost_centre_is_added_and_changed_and_the_answer_s_code_is_its_id(start_web: StartWeb) -> None:
    customer = await start_web(first_centre=91)
    assert await customer.get("crctn") == "1;91;PRINCIPAL;1;;\n1;92;SECUNDARIO;1;;\n"
    assert await customer.get("cict", d="Vendas", e="a@example.com|b@example.com") == "93;CENTRO ADICIONADO COM SUCESSO"
    assert await customer.get("cact", Id="93", s="0") == "1;CENTRO ATUALIZADO COM SUCESSO"
    assert (await customer.get("crctn")).splitlines()[-1] == "1;93;Vendas;0;a@example.com|b@example.com;"
    assert await customer.get("cact", id="93", s="1", E="c@example.com") == "1;CENTRO ATUALIZADO COM SUCESSO"
    assert (await customer.get("crctn")).splitlines()[-1] == "1;93;Vendas;1;c@example.com;"


async def test_cict_and_cact_refuse_what_is_taken_or_wrong(customer: Customer) -> None:
    assert await customer.get("cict", d="principal") == "-1;CENTRO DE CUSTOS JÁ CADASTRADO"
    for parameters in ({"d": ""}, {"d": "x" * 51}, {"d": "Novo", "e": "x" * 1000}):
        assert (await customer.get("cict", **parameters)).startswith("0;")
    for parameters in ({"id": "1"}, {"id": "622", "s": "2"}, {"id": "622", "e": "x" * 1000}):
        assert (await customer.get("cact", **parameters)).startswith("0;")


# --- what was withdrawn ---


@pytest.mark.parametrize("function", ["stat", "stam", "recv"])
async def test_what_was_withdrawn_answers_out_of_date(customer: Customer, function: str) -> None:
    assert await customer.get(function, h=USER) == "OUT-OF-DATE"


async def test_stat_and_stam_answer_as_before_2020_by_setting(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(out_of_date=False)
    protocol = await customer.protocol(id="5")
    await called_back.until(1)
    date, text = (await customer.get("stat", h=protocol)).split(";")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", date)
    assert text == "ENVIADO"
    assert await customer.get("stat", h=protocol, o="1") == f"{date};ENVIADO;55114"
    waiting = await customer.protocol(d=TOMORROW)
    lines = (await customer.get("stam", h=f"{protocol};{waiting};x", o="1", C="1")).splitlines()
    assert lines[0] == f"{protocol};{date};ENVIADO;55114;1;5;11987654321"
    assert lines[1].split(";")[2:] == ["AGUARDANDO ENVIO", "55114", "0", "", "11987654321"]
    assert lines[2] == "x;MENSAGEM NAO ENCONTRADA"


async def test_recv_shows_replies_once_and_again_where_asked_for(start_web: StartWeb, called_back: CalledBack) -> None:
    customer = await start_web(out_of_date=False)
    protocol = await customer.protocol("2012", id="8")
    await called_back.until(3)
    line = (await customer.get("recv", h=USER)).rstrip("\n")
    code, md5, date, number, text, id, reference = line.split(";")
    assert (code, md5, number, text, id, reference) == ("1", protocol, "11987652012", "Sim, pode confirmar. Até à vista!", "8", "")
    assert moment(date) is not None
    assert await customer.get("recv", h=USER) == ""
    assert (await customer.get("recv", h=USER, r="1")).rstrip("\n") == line
    assert await customer.get("recv", h=USER, r="1", di="2020-01-01 00:00:00", df="2020-01-02 00:00:00") == ""
    assert await customer.get("recv", h=USER, di="ontem") == "0"


# --- dates ---


def test_dates_are_written_and_read_in_the_provider_s_zone() -> None:
    assert stamp(0.5) == "1969-12-31 21:00:00"
    assert stamp(0.5, milliseconds=True) == "1969-12-31 21:00:00.500"
    assert moment("1969-12-31 21:00:00") == 0
    assert moment("1970-01-01T00:00:00+00:00") == 0
    assert moment("31/12/1969") is None
    assert LOCAL.utcoffset(None) is not None


async def test_a_door_that_was_cut_opens_again_where_it_was_with_the_state_kept(customer: Customer) -> None:
    protocol = await customer.protocol(d=TOMORROW)
    await customer.web.cut("http")
    with pytest.raises(LostError):
        await customer.send()
    await customer.web.open("http")
    assert (await customer.get("cacl", h=protocol)).split(";")[1] == "9"
