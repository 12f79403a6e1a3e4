"""Answers of the HTTP API: the manual's examples, the ways in which servers deviate, and anything at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.provider.answers import (
    Added,
    Answer,
    CancelRow,
    Cancels,
    Changed,
    CostCentre,
    CostCentres,
    CreditRow,
    Credits,
    Entry,
    Inbox,
    InboxRow,
    Level,
    Levels,
    Operator,
    Operators,
    OutOfDate,
    Refused,
    SendMultipleAnswer,
    Statuses,
    StatusRow,
    Unparsable,
    User,
    Users,
)
from gateway.provider.parsing import parse
from gateway.provider.results import RESULTS, Function, ResultClass

F, C = Function, ResultClass
HTTP = [function for function in Function if list(Function).index(function) < list(Function).index(F.SEND_UNIQUE)]
MD5 = "12d609dddeccd59e392b8e2374f52d1a"
SHORT_MD5 = "8cbacfc4719d05b8c57ec392049b995"  # the manual prints one of 31 digits


def read(function: Function, text: str) -> Answer:
    return parse(function, text.encode())


# --- The manual's example answers -------------------------------------------------------------------------------------------------


def test_cancels_are_read_as_the_manual_shows_them() -> None:
    assert read(
        F.CACL,
        "8eb339e2545a9e01d60e542d6798a4b5;9;CANCELADO;;11900000001;2016-09-23 16:30:39.571\r\n"
        "7a487fdb33f8047d391637fb8d6beecf;9;CANCELADO;;11900000001;2016-09-23 16:30:39.571\r\n",
    ) == Cancels(
        rows=tuple(
            CancelRow(protocol=md5, status=9, description="CANCELADO", number="11900000001", at_text="2016-09-23 16:30:39.571")
            for md5 in ("8eb339e2545a9e01d60e542d6798a4b5", "7a487fdb33f8047d391637fb8d6beecf")
        )
    )


@pytest.mark.parametrize(
    ("rows", "credit_rows"),
    [
        ("1;1;0;0;100009205;1;99999897;", [(1, 0, 0, 100009205, 1, 99999897)]),
        ("1;1;1;10;0;0;0;\n1;1;1;13;497;0;10;\n1;1;1;37;0;0;0;", [(1, 1, 10, 0, 0, 0), (1, 1, 13, 497, 0, 10), (1, 1, 37, 0, 0, 0)]),
        ("1;1;2;38;6000;0;0;\n1;1;2;22;8;0;0;\n1;1;2;21;0;0;0;", [(1, 2, 38, 6000, 0, 0), (1, 2, 22, 8, 0, 0), (1, 2, 21, 0, 0, 0)]),
        ("1;0;0;0;0;0;-7", [(0, 0, 0, 0, 0, -7)]),
    ],
)
def test_credits_are_read_in_each_of_the_three_distributions(rows: str, credit_rows: list[tuple[int, ...]]) -> None:
    names = ("modality", "distribution", "id", "long_code", "flash", "short_code")
    expected = tuple(CreditRow(**dict(zip(names, row, strict=True))) for row in credit_rows)
    assert read(F.CRDTF, rows) == Credits(rows=expected)


def test_levels_are_read_as_the_manual_shows_them() -> None:
    assert read(F.CNNVL, "1;0;USUARIO;\n1;1;ADMINISTRADOR;\n1;6;NIVEL 1;\n1;7;NIVEL 2;") == Levels(
        rows=(Level(id=0, name="USUARIO"), Level(id=1, name="ADMINISTRADOR"), Level(id=6, name="NIVEL 1"), Level(id=7, name="NIVEL 2"))
    )


def test_users_are_read_as_the_manual_shows_them_with_letters_that_a_new_login_may_not_have() -> None:
    assert read(F.CNUS, "1;1;0;master@система.com.br;MASTER;0;\n1;2;1;douglas.eduardo@система.com.br;DOUGLAS EDUARDO;1;\n") == Users(
        rows=(
            User(id=1, active=False, login="master@система.com.br", name="MASTER", level="0"),
            User(id=2, active=True, login="douglas.eduardo@система.com.br", name="DOUGLAS EDUARDO", level="1"),
        )
    )


def test_a_new_user_has_an_id() -> None:
    assert read(F.CADUS, "1;782;USUARIO ADICIONADO COM SUCESSO") == Added(id=782, text="USUARIO ADICIONADO COM SUCESSO")
    assert read(F.CADUS, "1;USUARIO ADICIONADO COM SUCESSO") == Added(id=None, text="USUARIO ADICIONADO COM SUCESSO")
    assert read(F.CADUS, "1") == Added(id=None)


def test_a_changed_user_and_a_changed_cost_centre_are_told_in_words() -> None:
    assert read(F.ALTUS, "1;USUARIO ATUALIZADO COM SUCESSO") == Changed(text="USUARIO ATUALIZADO COM SUCESSO")
    assert read(F.CACT, "1;CENTRO ATUALIZADO COM SUCESSO") == Changed(text="CENTRO ATUALIZADO COM SUCESSO")
    assert read(F.CACT, "1") == Changed()


def test_cost_centres_are_read_as_the_manual_shows_them() -> None:
    assert read(F.CRCTN, "1;622;PRINCIPAL;1;;\n1;623;SECUNDARIO;0;a@x.br|b@x.br;") == CostCentres(
        rows=(
            CostCentre(id=622, name="PRINCIPAL", active=True),
            CostCentre(id=623, name="SECUNDARIO", active=False, mails=("a@x.br", "b@x.br")),
        )
    )


@pytest.mark.parametrize("id", [664, 1, 72, 93, 99, 0x7FFFFFFF])
def test_the_code_of_a_new_cost_centre_is_its_id_whatever_it_may_mean_elsewhere(id: int) -> None:
    assert read(F.CICT, f"{id};CENTRO ADICIONADO COM SUCESSO") == Added(id=id, text="CENTRO ADICIONADO COM SUCESSO")


def test_without_words_of_success_the_codes_of_refusals_are_refusals() -> None:
    assert read(F.CICT, "93;USUARIO/CLIENTE INVALIDO OU DESABILITADO") == Refused(
        function=F.CICT, code=93, text="USUARIO/CLIENTE INVALIDO OU DESABILITADO"
    )
    assert read(F.CICT, "99") == Refused(function=F.CICT, code=99)
    assert read(F.CICT, "-1;CENTRO DE CUSTOS JÁ CADASTRADO") == Refused(function=F.CICT, code=-1, text="CENTRO DE CUSTOS JÁ CADASTRADO")
    assert read(F.CICT, "93;CENTRO NÃO ADICIONADO") == Refused(function=F.CICT, code=93, text="CENTRO NÃO ADICIONADO")
    assert read(F.CICT, "664") == Added(id=664)
    assert read(F.CICT, "664;ERRO") == Unparsable(body=b"664;ERRO")


def test_operators_are_read_under_their_header() -> None:
    answer = "CODIGO DA OPERADORA;NOME DA OPERADORA\n55101;TELECALL - FIXO\n55105;T.P.A - FIXO\n93;X"
    rows = (Operator(code=55101, name="TELECALL - FIXO"), Operator(code=55105, name="T.P.A - FIXO"), Operator(code=93, name="X"))
    assert read(F.OPER, answer) == Operators(rows=rows)
    assert read(F.OPER, "55101;TELECALL - FIXO") == Operators(rows=rows[:1])
    assert read(F.OPER, "CODIGO DA OPERADORA;NOME DA OPERADORA") == Operators(rows=())
    assert read(F.OPER, "93;USUARIO/CLIENTE INVALIDO OU DESABILITADO") == Refused(
        function=F.OPER, code=93, text="USUARIO/CLIENTE INVALIDO OU DESABILITADO"
    )


@pytest.mark.parametrize(
    ("answer", "row"),
    [
        ("2013-09-02 21:51:00.112;ENVIADO", StatusRow(protocol="", status=1, description="ENVIADO", at_text="2013-09-02 21:51:00.112")),
        (
            "2015-02-24 10:16:14.714;AGUARDANDO ENVIO;55321",
            StatusRow(protocol="", status=0, description="AGUARDANDO ENVIO", at_text="2015-02-24 10:16:14.714", operator="55321"),
        ),
        (
            "2015-02-24 10:16:14.714;ERRO;55321;2;544;11900000001;",
            StatusRow(
                protocol="",
                status=2,
                description="ERRO",
                at_text="2015-02-24 10:16:14.714",
                operator="55321",
                external_id="544",
                number="11900000001",
            ),
        ),
        (
            "2015-02-24 10:16:14.714;ERRO;2;544;11900000001;",
            StatusRow(
                protocol="", status=2, description="ERRO", at_text="2015-02-24 10:16:14.714", external_id="544", number="11900000001"
            ),
        ),
        (
            "2015-02-24 10:16:14.714;ERRO;55321;2;;",
            StatusRow(protocol="", status=2, description="ERRO", at_text="2015-02-24 10:16:14.714", operator="55321"),
        ),
    ],
)
def test_a_status_is_read_with_and_without_what_may_follow(answer: str, row: StatusRow) -> None:
    assert read(F.STAT, answer) == Statuses(rows=(row,))


def test_statuses_of_several_messages_are_read_as_the_manual_shows_them() -> None:
    assert read(
        F.STAM,
        "a91d714c27f6a1f68a4c355784e468e9;2014-12-11 14:07:29.000;ENVIADO\n"
        "8cbacfc4719d05b8c57ec392049b995;2014-12-11 12:43:16.000;INVALIDO",
    ) == Statuses(
        rows=(
            StatusRow(protocol="a91d714c27f6a1f68a4c355784e468e9", status=1, description="ENVIADO", at_text="2014-12-11 14:07:29.000"),
            StatusRow(protocol=SHORT_MD5, status=5, description="INVALIDO", at_text="2014-12-11 12:43:16.000"),
        )
    )


def test_a_message_that_is_not_found_has_no_date() -> None:
    assert read(F.STAT, "MENSAGEM NÃO ENCONTRADA") == Statuses(
        rows=(StatusRow(protocol="", status=255, description="MENSAGEM NÃO ENCONTRADA"),)
    )
    assert read(F.STAM, f"{MD5};MENSAGEM NAO ENCONTRADA;") == Statuses(
        rows=(StatusRow(protocol=MD5, status=255, description="MENSAGEM NAO ENCONTRADA"),)
    )


@pytest.mark.parametrize(
    ("words", "status"),
    [("AGUARDANDO ENVIO", 0), ("ENVIADO", 1), ("ERRO", 2), ("EM FILA DE ENVIO", 3), ("INVÁLIDO", 5), ("CANCELADO", 9), ("OUTRO", None)],
)
def test_a_status_without_a_number_is_known_by_its_words(words: str, status: int | None) -> None:
    answer = read(F.STAT, f"2014-12-11 12:43:16.000;{words}")
    assert isinstance(answer, Statuses)
    assert answer.rows[0].status == status


def test_replies_are_read_with_delimiters_and_line_ends_in_their_text() -> None:
    answer = read(
        F.RECV,
        f"1;{MD5};2014-12-11 12:43:16.000;11900000001;sim; quero\r\namanhã;544;ref;\n1;{MD5};2014-12-11 12:44:00.000;11900000002;ok;;",
    )
    assert answer == Inbox(
        rows=(
            InboxRow(
                protocol=MD5,
                at_text="2014-12-11 12:43:16.000",
                number="11900000001",
                text="sim; quero\namanhã",
                external_id="544",
                reference="ref",
            ),
            InboxRow(protocol=MD5, at_text="2014-12-11 12:44:00.000", number="11900000002", text="ok"),
        )
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "AGUARDANDO ENVIO"),
        (1, "ENVIADO"),
        (2, "ERRO"),
        (3, "EM FILA DE ENVIO"),
        (5, "INVALIDO"),
        (9, "CANCELADO"),
        (255, "MENSAGEM NAO ENCONTRADA"),
    ],
)
def test_every_status_of_a_cancel_is_read_by_its_number_or_its_words(status: int, words: str) -> None:
    for row in (f"{MD5};{status};{words};544;11900000001;2016-09-23 16:30:39.571", f"{MD5};;{words}", f"{MD5};{status}"):
        answer = read(F.CACL, row)
        assert isinstance(answer, Cancels)
        assert (answer.rows[0].protocol, answer.rows[0].status) == (MD5, status)


# --- Every code, every function ---------------------------------------------------------------------------------------------------

LISTS = [function for function in HTTP if function not in {F.SEND, F.MULT, F.CICT}]


@pytest.mark.parametrize("function", LISTS)
def test_every_refusal_of_every_function_is_read_with_and_without_words(function: Function) -> None:
    for code, each in RESULTS[function].items():
        if each.result_class is not C.ACCEPTED:
            assert read(function, str(code)) == Refused(function=function, code=code)
            assert read(function, f"{code};PALAVRAS;\r\n") == Refused(function=function, code=code, text="PALAVRAS")
            assert Refused(function=function, code=code).result == each


@pytest.mark.parametrize("function", [F.SEND, F.SEND_UNIQUE])
def test_every_code_of_sending_is_read_with_and_without_words(function: Function) -> None:
    for code, each in RESULTS[function].items():
        for text in (str(code), f"{code};", f" {code} \r\n", f"{code};REQUISICAO NAO CONCLUIDA", f"{code} REQUISIÇÃO NÃO CONCLUÍDA"):
            answer = read(function, text)
            assert isinstance(answer, Entry)
            assert (answer.code, answer.result, answer.protocol) == (code, each, "")


@pytest.mark.parametrize("function", [F.CRDTF, F.CNNVL, F.CNUS, F.CRCTN, F.RECV])
def test_success_alone_is_a_list_without_rows(function: Function) -> None:
    answer = read(function, "1;\r\n")
    assert not isinstance(answer, Unparsable | Refused)
    assert getattr(answer, "rows", None) == ()


def test_a_row_that_does_not_fit_is_kept_and_the_others_are_read() -> None:
    assert read(F.CNNVL, "1;0;USUARIO;\nwhat is this\n1;x;Y") == Levels(
        rows=(Level(id=0, name="USUARIO"),), strange=("what is this", "1;x;Y")
    )


def test_names_may_hold_the_delimiter() -> None:
    assert read(F.CNUS, "1;2;1;a@b;SILVA; JOSE;1;") == Users(rows=(User(id=2, active=True, login="a@b", name="SILVA;JOSE", level="1"),))
    assert read(F.CNNVL, "1;0;A;B;") == Levels(rows=(Level(id=0, name="A;B"),))


# --- Sending ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("md5", [MD5, SHORT_MD5, MD5.upper(), "4fa2-XYZ-000000000000017"])
@pytest.mark.parametrize(
    "form",
    [
        "1;{}",
        "1 {}",
        "1|{}",
        "1\t{}",
        "1\r\n{}",
        "1;\n{};\n",
        "1 - {}",
        "{};1",
        "1;SUCESSO;{}",
        "1;{};11900000001;544",
        "\ufeff1;{};\r\n\r\n",
    ],
)
def test_success_is_read_in_whatever_form_it_comes(form: str, md5: str) -> None:
    answer = read(F.SEND, form.format(md5))
    assert isinstance(answer, Entry)
    assert (answer.code, answer.protocol, answer.result_class) == (1, md5, C.ACCEPTED)


@pytest.mark.parametrize("md5", [MD5, SHORT_MD5])
def test_an_md5_and_nothing_else_is_success(md5: str) -> None:
    assert read(F.SEND, md5) == Entry(function=F.SEND, code=1, protocol=md5)


def test_a_message_under_review_may_have_a_protocol_or_none() -> None:
    for text, protocol in (("61", ""), ("61;MENSAGEM EM ANALISE PELO ANTIFRAUDE", ""), (f"61;{MD5}", MD5)):
        answer = read(F.SEND, text)
        assert isinstance(answer, Entry)
        assert (answer.result_class, answer.protocol) == (C.UNDER_REVIEW, protocol)


@pytest.mark.parametrize(
    "text", [f"0;{MD5}", "0;544", "0;0", "0;x1", "0 Runtime Error", "00;1", "0;<html>", "00", "-0", "000", f"0;REQUISICAO {MD5}"]
)
def test_a_zero_that_is_not_alone_is_not_believed(text: str) -> None:
    answer = read(F.SEND, text)
    assert isinstance(answer, Unparsable) or (isinstance(answer, Entry) and answer.result_class is C.UNKNOWN)


@pytest.mark.parametrize("code", ["2", "60", "75", "500", "-1"])
def test_a_code_that_is_in_no_table_says_nothing_of_the_message(code: str) -> None:
    answer = read(F.SEND, f"{code};X")
    assert isinstance(answer, Entry)
    assert answer.result_class is C.UNKNOWN


@pytest.mark.parametrize("code", sorted(set(RESULTS[F.SEND]) - {0}))
@pytest.mark.parametrize("rest", ["", f";{MD5}", ";EM PALAVRAS", f";{MD5};11900000001;100544", f" {MD5}"])
def test_an_answer_that_breaks_off_never_says_something_else(code: int, rest: str) -> None:
    text = f"{code}{rest}"
    whole = read(F.SEND, text)
    for length in range(len(text)):
        part = read(F.SEND, text[:length])
        if isinstance(part, Entry) and part.result_class is not C.UNKNOWN:
            assert part.result == getattr(whole, "result", None)


@pytest.mark.parametrize("text", ["1;90", "90;1", "1\n90", f"1;{MD5}\n90", f"90\n{MD5}", f"1;{MD5}\n1;{SHORT_MD5}"])
def test_a_send_that_is_answered_twice_is_not_believed(text: str) -> None:
    answer = read(F.SEND, text)
    assert isinstance(answer, Unparsable) or (isinstance(answer, Entry) and answer.code is None)


# --- Anything -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", Function)
@pytest.mark.parametrize(
    "text", ["OUT-OF-DATE", "out-of-date;", "0;Out-Of-Date at 29/02/2020", "<html><body>OUT-OF-DATE</body></html>", "\ufeffOUT-OF-DATE"]
)
def test_a_withdrawn_function_is_told_wherever_and_however_it_says_so(function: Function, text: str) -> None:
    assert read(function, text) == OutOfDate()


@pytest.mark.parametrize("function", Function)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b";",
        b"   ",
        b"\xef\xbb\xbf",
        b"<html><body>502 Bad Gateway</body></html>",
        b'{"code": 1}',
        b"\0\0",
        b"Service Unavailable",
    ],
)
def test_what_is_no_answer_is_unparsable_and_keeps_the_bytes(function: Function, body: bytes) -> None:
    blank = not body.strip(b"\r\n \0\xef\xbb\xbf")
    assert parse(function, body) == (Inbox(rows=()) if blank and function in {F.RECV, F.INBOX} else Unparsable(body=body))


CODES = [str(code) for code in (-6, -1, 0, 1, 61, 72, 93, 255)]
BREAKS = [";", ";;", "|", "\n", "\r\n", " ", "\t", "\0"]
WORDS = ["ENVIADO", "SUCESSO", "11900000001", "544", "2014-12-11 12:43:16.000", "<", "ç", "²", "9" * 400, "out-of-date"]
FRAGMENTS = st.sampled_from([*CODES, *BREAKS, *WORDS, MD5, SHORT_MD5])


@pytest.mark.parametrize("function", Function)
@settings(deadline=None, max_examples=60)
@given(body=st.binary(max_size=200) | st.lists(FRAGMENTS, max_size=20).map(lambda parts: "".join(parts).encode()))
def test_any_bytes_have_an_answer(function: Function, body: bytes) -> None:
    answer = parse(function, body)
    if isinstance(answer, Unparsable):
        assert answer.body == body
    repr(answer)


@settings(deadline=None)
@given(body=st.lists(FRAGMENTS, max_size=12).map(lambda parts: "".join(parts).encode()))
def test_no_answer_invents_a_success(body: bytes) -> None:
    """Whatever a single send is taken for, its code and its protocol stand in the answer."""
    answer = parse(F.SEND, body)
    if isinstance(answer, Entry) and answer.code is not None:
        assert str(answer.code).encode() in body or (answer.code == 1 and answer.protocol)
        assert answer.protocol.encode() in body


def test_no_repr_shows_what_a_log_must_not_hold() -> None:
    answers = [
        read(F.CNUS, "1;2;1;login@x;NOME;1;"),
        read(F.RECV, f"1;{MD5};2014-12-11 12:43:16.000;11900000001;segredo;;"),
        read(F.CACL, f"{MD5};9;CANCELADO;544;11900000001;2016-09-23 16:30:39.571"),
        read(F.SEND, f"1;{MD5};11900000001"),
        read(F.CRCTN, "1;622;NOME;1;login@x;"),
        parse(F.SEND, b"segredo 11900000001"),
    ]
    assert not isinstance(answers[0], Unparsable)
    for secret in ("login", "NOME", "11900000001", "segredo"):
        assert secret not in repr(answers)


def test_a_batch_is_read_entry_by_entry() -> None:
    answer = read(F.MULT, f"1;{MD5};11900000001;544\r\n90;11900000002;545\r\n")
    assert answer == SendMultipleAnswer(
        entries=(
            Entry(function=F.MULT, code=1, protocol=MD5, fields=("11900000001", "544")),
            Entry(function=F.MULT, code=90, fields=("11900000002", "545")),
        )
    )
