"""The web service: the arguments that the manual names, and its answers, which are like those of the HTTP API."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.provider import webservice
from gateway.provider.answers import (
    CancelRow,
    Cancels,
    Entry,
    Inbox,
    InboxRow,
    OutOfDate,
    Refused,
    SendMultipleAnswer,
    Statuses,
    StatusRow,
    Unparsable,
)
from gateway.provider.fields import local_text
from gateway.provider.http import BatchItem
from gateway.provider.results import RESULTS, STATUSES, Function, MessageStatus, ResultClass
from gateway.provider.webservice import Request, arguments, parse

F = Function
USER = "126b114c"
MD5, SECOND = "12d609dddeccd59e392b8e2374f52d1a", "8cbacfc4719d05b8c57ec392049b995"
SOAP = [F.SEND_UNIQUE, F.SEND_MULTIPLE, F.INBOX, F.STATUS, F.CANCEL]

REQUESTS: list[tuple[Request, dict[str, object]]] = [
    (webservice.SendUnique(number="11900000001", text="oi"), {"Telefone": "11900000001", "Mensagem": "oi"}),
    (
        webservice.SendUnique(
            number="11900000001",
            text="oi",
            schedule=local_text(datetime(2026, 11, 24, 15, 0, tzinfo=UTC).timestamp(), ZoneInfo("America/Sao_Paulo"), "T"),
            kind="short_code",
            cost_centre=7,
            id=4294967295,
        ),
        {
            "Telefone": "11900000001",
            "Mensagem": "oi",
            "Agenda": "2026-11-24T12:00:00",
            "TipoMensagem": 2,
            "CentroCustos": 7,
            "IdExterno": 4294967295,
        },
    ),
    (
        webservice.SendMultiple(items=(BatchItem("11900000002", "MSG 1"), BatchItem("11900000002", "MSG 2/435", 436))),
        {"Conteudo": "11900000002|MSG 1;11900000002|MSG 2/435|436"},
    ),
    (webservice.ReadInbox(), {}),
    (
        webservice.ReadInbox(since="2026-11-24T00:00:00", until="2026-11-24T23:59:59", again=True),
        {"DataInicial": "2026-11-24T00:00:00", "DataFinal": "2026-11-24T23:59:59", "Reexibir": 1},
    ),
    (webservice.AskStatuses(protocols=(MD5, SECOND)), {"Hash": f"{MD5};{SECOND}"}),
    (webservice.CancelMessages(protocols=(MD5,)), {"Hash": MD5}),
]


@pytest.mark.parametrize(("request_", "named"), REQUESTS)
def test_an_operation_has_the_manuals_arguments_and_leaves_out_what_says_nothing(request_: Request, named: dict[str, object]) -> None:
    assert arguments(request_, USER) == {"Identificacao": USER, **named}


def test_every_operation_has_a_request() -> None:
    assert {request.OPERATION for request, _ in REQUESTS} == set(SOAP)


def test_a_text_with_a_delimiter_is_refused_and_one_with_a_slash_is_not() -> None:
    with pytest.raises(ValueError, match="has ; or"):
        arguments(webservice.SendMultiple(items=(BatchItem("11900000001", "a|b"),)), USER)


@pytest.mark.parametrize("result", [f"1;{MD5}", f"1 {MD5}", f"200;{MD5}", f"200\r\n{MD5}"])
def test_success_is_1_or_200_with_a_protocol(result: str) -> None:
    answer = parse(F.SEND_UNIQUE, result)
    assert isinstance(answer, Entry)
    assert (answer.result_class, answer.protocol) == (ResultClass.ACCEPTED, MD5)


def test_a_number_and_bytes_are_results_too() -> None:
    assert (
        parse(F.SEND_UNIQUE, 300) == parse(F.SEND_UNIQUE, "300") == parse(F.SEND_UNIQUE, b"300") == Entry(function=F.SEND_UNIQUE, code=300)
    )
    assert parse(F.SEND_UNIQUE, None) == Unparsable(body=b"")


def test_a_batch_is_read_entry_by_entry() -> None:
    answer = parse(F.SEND_MULTIPLE, f"1|{MD5}|435;90|NUMERO DE TELEFONE EM BLACKLIST|436")
    assert answer == SendMultipleAnswer(
        entries=(
            Entry(function=F.SEND_MULTIPLE, code=1, protocol=MD5, fields=("435",)),
            Entry(function=F.SEND_MULTIPLE, code=90, fields=("NUMERO DE TELEFONE EM BLACKLIST", "436")),
        )
    )


@pytest.mark.parametrize("function", [F.STATUS, F.CANCEL])
def test_every_status_is_read_in_every_form(function: Function) -> None:
    for status in STATUSES[function]:
        for protocol, form in (("", "{}"), ("", "{};PALAVRAS"), (MD5, f"{MD5};{{}}"), (MD5, f"{MD5};{{}};PALAVRAS"), (MD5, f"{{}};{MD5}")):
            answer = parse(function, form.format(int(status)))
            assert isinstance(answer, Statuses | Cancels)
            assert [(row.protocol, row.status) for row in answer.rows] == [(protocol, status)]


@pytest.mark.parametrize("form", ["{0};9\n{1};1", "{0}|9;{1}|1", "{0};9;{1};1", "{0};9;{1};1;", "{0}|9\r\n{1}|1"])
def test_states_of_several_messages_are_read_in_every_form(form: str) -> None:
    result = form.format(MD5, SECOND)
    assert parse(F.CANCEL, result) == Cancels(rows=(CancelRow(protocol=MD5, status=9), CancelRow(protocol=SECOND, status=1)))
    assert parse(F.STATUS, result) == Statuses(rows=(StatusRow(protocol=MD5, status=9), StatusRow(protocol=SECOND, status=1)))


def test_a_state_may_be_written_as_http_writes_it() -> None:
    row = StatusRow(protocol=MD5, status=MessageStatus.SENT, description="ENVIADO", at_text="2014-12-11 14:07:29.000")
    assert parse(F.STATUS, f"{MD5};2014-12-11 14:07:29.000;ENVIADO") == Statuses(rows=(row,))
    answer = parse(F.CANCEL, f"{MD5};9;CANCELADO;544;11900000001;2016-09-23 16:30:39.571")
    assert answer == Cancels(
        rows=(
            CancelRow(
                protocol=MD5,
                status=9,
                description="CANCELADO",
                external_id="544",
                number="11900000001",
                at_text="2016-09-23 16:30:39.571",
            ),
        )
    )


@pytest.mark.parametrize("function", [F.INBOX, F.STATUS, F.CANCEL])
def test_every_refusal_is_read(function: Function) -> None:
    for code, each in RESULTS[function].items():
        if each.result_class is not ResultClass.ACCEPTED:
            assert parse(function, f"{code}") == Refused(function=function, code=code)
            assert parse(function, f"{code};PALAVRAS") == Refused(function=function, code=code, text="PALAVRAS")


def test_the_inbox_is_read_as_that_of_http() -> None:
    row = InboxRow(protocol=MD5, at_text="2014-12-11 12:43:16.000", number="11900000001", text="sim", external_id="544", reference="ref")
    assert parse(F.INBOX, f"1;{MD5};2014-12-11 12:43:16.000;11900000001;sim;544;ref") == Inbox(rows=(row,))
    assert parse(F.INBOX, "1") == parse(F.INBOX, "") == parse(F.INBOX, None) == Inbox(rows=())


@pytest.mark.parametrize("function", [F.INBOX, F.STATUS])
def test_what_was_withdrawn_says_so(function: Function) -> None:
    assert parse(function, "out-of-date") == OutOfDate()


@pytest.mark.parametrize("function", SOAP)
@settings(deadline=None, max_examples=40)
@given(result=st.none() | st.text() | st.integers() | st.binary() | st.just("\ud800"))
def test_any_result_has_an_answer(function: Function, result: object) -> None:
    repr(parse(function, result))


@pytest.mark.parametrize("request_", [request for request, _ in REQUESTS])
def test_no_repr_shows_a_number_or_a_text(request_: Request) -> None:
    assert not [secret for secret in ("119000", "MSG", "'oi'") if secret in repr(request_)]
