"""Requests of the HTTP API: each parameter by its function, as the manual's examples have them."""

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message import Kind
from gateway.provider import http
from gateway.provider.http import BatchItem, Request, url_query
from gateway.provider.results import Function

USER = "126b114c"
MD5S = ("8eb339e2545a9e01d60e542d6798a4b5", "7a487fdb33f8047d391637fb8d6beecf", "a807e958a5291dee5a9f33885ca7f4a6")

EXAMPLES: list[tuple[Request, str]] = [
    (
        http.Send(number="11900000001", text="Um primeiro envio", schedule="2026-11-24 12:00:00"),
        "u=126b114c&n=11900000001&m=Um primeiro envio&d=2026-11-24 12:00:00",
    ),
    (http.Send(number="1132000001", text="Um segundo envio", kind="short_code"), "u=126b114c&n=1132000001&m=Um segundo envio&f=2"),
    (
        http.SendSame(
            numbers=("11900000001", "1132000001", "11900000002"),
            text="Um primeiro envio em lote",
            schedule="2026-11-24 12:00:00",
            kind="short_code",
        ),
        "u=126b114c&n=11900000001;1132000001;11900000002&m=Um primeiro envio em lote&d=2026-11-24 12:00:00&f=2",
    ),
    (
        http.SendDifferent(items=(BatchItem("11900000001", "Primeira mensagem"), BatchItem("1132000001", "Segunda mensagem"))),
        "u=126b114c&l=1&c=11900000001|Primeira mensagem;1132000001|Segunda mensagem",
    ),
    (
        http.SendDifferent(items=(BatchItem("11900000001", "Primeira mensagem", 544), BatchItem("1132000001", "Segunda", 545))),
        "u=126b114c&l=1&c=11900000001|Primeira mensagem|544;1132000001|Segunda|545",
    ),
    (http.CancelMessages(protocols=MD5S), f"u=126b114c&h={';'.join(MD5S)}"),
    (http.AskCredits(), "u=126b114c"),
    (http.ListLevels(), "u=126b114c"),
    (http.ListUsers(), "u=126b114c"),
    (
        http.AddUser(name="Eduardo Moreira", login="eduardo_moreira", password="edu1982mrr", level=0, cost_centres=(6, 47, 52)),
        "u=126b114c&n=Eduardo Moreira&d=eduardo_moreira&p=edu1982mrr&t=0&c=6|47|52",
    ),
    (
        http.ChangeUser(id=664, name="Eduardo Machado", level=1, cost_centres=(6, 47, 52)),
        "u=126b114c&id=664&n=Eduardo Machado&t=1&c=6|47|52",
    ),
    (http.ListCostCentres(), "u=126b114c"),
    (
        http.AddCostCentre(name="Centro Via WebService", mails="responsavel@empresa.com.br"),
        "u=126b114c&d=Centro Via WebService&e=responsavel@empresa.com.br",
    ),
    (http.ChangeCostCentre(id=664, mails="novo-responsavel@empresa.com.br"), "u=126b114c&id=664&e=novo-responsavel@empresa.com.br"),
    (http.ListOperators(), "u=126b114c"),
    (http.AskStatus(protocol=MD5S[0]), f"h={MD5S[0]}"),
    (http.AskStatus(protocol=MD5S[0], with_operator=True), f"h={MD5S[0]}&o=1"),
    (http.AskStatuses(protocols=MD5S), f"h={';'.join(MD5S)}"),
    (http.AskStatuses(protocols=MD5S[:1], with_operator=True, complete=True), f"h={MD5S[0]}&o=1&C=1"),
    (
        http.ReadInbox(since="2026-11-24 00:00:00", until="2026-11-24 23:59:59"),
        "h=126b114c&di=2026-11-24 00:00:00&df=2026-11-24 23:59:59",
    ),
    (http.ReadInbox(), "h=126b114c"),
    (http.ReadInbox(again=True), "h=126b114c&r=1"),
]


@pytest.mark.parametrize(("request_", "query"), EXAMPLES)
def test_the_manuals_example_requests_are_written(request_: Request, query: str) -> None:
    assert unquote(url_query(request_, USER)) == query


def test_every_function_has_a_request() -> None:
    http_functions = set(list(Function)[: list(Function).index(Function.SEND_UNIQUE)])
    assert {request.FUNCTION for request, _ in EXAMPLES} == http_functions


def test_every_optional_parameter_has_its_letter() -> None:
    send = http.Send(
        number="11900000001",
        text="oi",
        schedule="2026-11-24 12:00:00",
        kind="short_code_flash",
        normalise=True,
        cost_centre=7,
        id="abc1",
        priority=True,
        label="lote",
    )
    assert unquote(url_query(send, USER)) == "u=126b114c&n=11900000001&m=oi&d=2026-11-24 12:00:00&f=4&z=1&c=7&id=abc1&fsd=1&arq=lote"


def test_a_batchs_cost_centre_is_t_and_a_single_messages_is_c() -> None:
    batch = http.SendSame(numbers=("11900000001",), text="oi", cost_centre=7, normalise=True, priority=True, label="lote", kind="flash")
    assert unquote(url_query(batch, USER)) == "u=126b114c&n=11900000001&m=oi&f=1&t=7&z=1&fsd=1&arq=lote"


@pytest.mark.parametrize(("kind", "number"), [("common", None), ("flash", "1"), ("short_code", "2"), ("short_code_flash", "4")])
def test_a_kind_has_the_manuals_number_and_the_usual_one_is_left_out(kind: Kind, number: str | None) -> None:
    query = url_query(http.Send(number="11900000001", text="oi", kind=kind), USER)
    assert dict(parse_qsl(query)).get("f") == number


def test_a_user_is_switched_off_and_a_cost_centre_on() -> None:
    assert url_query(http.ChangeUser(id=1, active=False, password="x y"), USER) == "u=126b114c&id=1&s=0&p=x%20y"
    assert url_query(http.ChangeCostCentre(id=1, active=True), USER) == "u=126b114c&id=1&s=1"


@pytest.mark.parametrize(
    ("charset", "escaped"),
    [("utf-8", "%C3%A7%E2%82%AC"), ("windows-1252", "%E7%80")],
)
def test_text_is_escaped_in_the_accounts_character_set(charset: str, escaped: str) -> None:
    assert url_query(http.Send(number="1", text="ç€"), USER, charset).endswith(f"m={escaped}")


def test_a_character_that_the_character_set_lacks_is_an_error_and_never_a_question_mark() -> None:
    with pytest.raises(UnicodeEncodeError):
        url_query(http.Send(number="1", text="ok ✓"), USER, "latin-1")


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), user=st.text("0123456789abcdef", min_size=1))
def test_any_text_comes_through_the_query_unchanged(text: str, user: str) -> None:
    query = url_query(http.Send(number="11900000001", text=text, id=1), user)
    assert query.isascii()
    assert parse_qsl(query, keep_blank_values=True, strict_parsing=True) == [("u", user), ("n", "11900000001"), ("m", text), ("id", "1")]


@pytest.mark.parametrize("text", ["a;b", "a|b"])
def test_a_text_with_a_delimiter_does_not_fit_a_batch(text: str) -> None:
    assert not http.fits_batch(text)
    with pytest.raises(ValueError, match="has ; or"):
        url_query(http.SendDifferent(items=(BatchItem("11900000001", text),)), USER)


@pytest.mark.parametrize("request_", [request for request, _ in EXAMPLES])
def test_no_repr_shows_a_number_a_text_a_password_or_a_name(request_: Request) -> None:
    shown = repr(request_) + repr(request_.__rich_repr__())
    secrets = ("119000", "113200", "envio", "mensagem", "Segunda", "edu", "Edu", "empresa", "Centro")
    assert not [secret for secret in secrets if secret in shown.replace(type(request_).__name__, "")]
