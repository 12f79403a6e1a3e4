"""`mensageiro account` against the sandbox's HTTP API and web service: every function, and how failures are told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.sandbox.web import WebProvider, WebSettings
from tests.sandbox.web import Customer

USER = "126b114c"
PASSWORD = "hunter22-s3cret"


class Desk:
    """The sandbox, and the command line that asks it."""

    def __init__(self, path: Path, provider: WebProvider) -> None:
        self.path, self.provider = path, provider
        self.write()

    def write(self, *more: str, **http: object) -> None:
        """Write the configuration: both ways, and what a test adds."""
        by_http = {"base_url": self.provider.http_url, "user": USER, "timeout": 5} | http
        by_soap = {"url": self.provider.webservice_url, "user": USER, "timeout": 5}
        tables = [_table("http", "http", by_http), _table("webservice", "webservice", by_soap), *more]
        self.path.write_text("\n".join(['[gateway]\nroutes = ["http", "webservice"]', *tables]))

    async def run(self, *arguments: str, input: str | None = None) -> Result:
        """Run a command beside the provider."""
        words = ["account", *arguments, "--config", str(self.path)]
        result = await asyncio.to_thread(CliRunner().invoke, main, words, input=input, env={"MENSAGEIRO_CONFIG": None})
        assert USER not in result.output
        assert PASSWORD not in result.output
        return result

    async def json(self, *arguments: str, **extra: Any) -> Any:
        """Run a command that must do well, and read what it prints."""
        result = await self.run(*arguments, "--json", **extra)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    async def fail(self, *arguments: str, code: int = 1, **extra: Any) -> str:
        """Run a command that must fail; return its line of error."""
        result = await self.run(*arguments, **extra)
        assert (result.exit_code, result.stdout) == (code, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith("mensageiro: ")
        return line


def _table(name: str, kind: str, keys: Mapping[str, object]) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join([f"[carriers.{name}]", f'kind = "{kind}"', *lines])


async def desk_at(path: Path, settings: WebSettings) -> AsyncIterator[Desk]:
    provider = WebProvider(settings, seed=1)
    await provider.start()
    try:
        yield Desk(path / "gateway.toml", provider)
    finally:
        await provider.stop()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """The provider of today: what was withdrawn is."""
    async for desk in desk_at(tmp_path, WebSettings(user=USER, explain=True)):
        yield desk


@pytest.fixture
async def old_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """The provider before 2020-02-29."""
    async for desk in desk_at(tmp_path, WebSettings(user=USER, out_of_date=False, sending_delay=0.01)):
        yield desk


# --- Lists ------------------------------------------------------------------------------------------------------------------------


async def test_credits_are_shown_to_people_and_to_programs(desk: Desk) -> None:
    assert await desk.json("credits") == [
        {"modality": "pre-paid", "distribution": "general", "id": 0, "long_code": 1_000_000, "flash": 1_000_000, "short_code": 1_000_000}
    ]
    shown = await desk.run("credits")
    assert shown.exit_code == 0
    head, row = shown.stdout.splitlines()
    assert head.split() == ["distribution", "id", "modality", "long", "code", "flash", "short", "code"]
    assert row.split() == ["general", "0", "pre-paid", "1000000", "1000000", "1000000"]


async def test_levels_and_operators_are_listed(desk: Desk) -> None:
    assert {"id": 1, "name": "ADMINISTRADOR"} in await desk.json("levels")
    assert {"code": 55321, "name": "CLARO"} in await desk.json("operators")
    assert "55321  CLARO" in (await desk.run("operators")).stdout


async def test_a_user_is_added_listed_and_changed(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    named = ("--name", "Eduardo Moreira", "--login", "eduardo_moreira", "--level", "1", "--cost-centre", "622")
    added = await desk.json("users", "add", *named, "--password-file", str(secret))
    assert "SUCESSO" in added["detail"]
    id = added["id"]
    user = {"id": id, "active": True, "login": "eduardo_moreira", "name": "Eduardo Moreira", "level": "1"}
    assert user in await desk.json("users", "list")
    changed = await desk.json("users", "change", str(id), "--name", "Eduardo Machado", "--inactive", "--level", "0")
    assert changed["id"] == id
    assert user | {"name": "Eduardo Machado", "active": False, "level": "0"} in await desk.json("users", "list")
    shown = await desk.run("users", "list")
    assert [str(id), "no", "eduardo_moreira", "Eduardo", "Machado", "0"] in [row.split() for row in shown.stdout.splitlines()]


async def test_a_password_is_asked_for_twice_and_never_shown(desk: Desk) -> None:
    named = ("users", "add", "--name", "Ana", "--login", "ana@x.br")
    result = await desk.run(*named, input=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0
    assert result.stdout.startswith("added: id ")
    assert "Password" in result.stderr
    id = result.stdout.split()[-1]
    changed = await desk.run("users", "change", id, "--password", input=f"{PASSWORD}2\n{PASSWORD}2\n")
    assert (changed.exit_code, changed.stdout) == (0, f"changed: id {id}\n")
    assert (await desk.run("users", "change", id, "--password", input="")).exit_code != 0


async def test_a_cost_centre_is_added_listed_and_changed(desk: Desk) -> None:
    added = await desk.json("cost-centres", "add", "Centro Via WebService", "--mail", "a@x.br", "--mail", "b@x.br")
    centre = {"id": added["id"], "active": True, "name": "Centro Via WebService", "mails": ["a@x.br", "b@x.br"]}
    assert centre in await desk.json("cost-centres", "list")
    await desk.json("cost-centres", "change", str(added["id"]), "--inactive", "--mail", "c@x.br")
    assert centre | {"active": False, "mails": ["c@x.br"]} in await desk.json("cost-centres", "list")
    shown = (await desk.run("cost-centres", "list")).stdout.splitlines()
    assert [row.split()[-1] for row in shown if row.startswith(str(added["id"]))] == ["c@x.br"]


@pytest.mark.parametrize("first", [1, 93, 99])
async def test_a_cost_centre_may_have_the_id_that_looks_like_a_code(tmp_path: Path, first: int) -> None:
    async for desk in desk_at(tmp_path, WebSettings(user=USER, first_centre=first)):
        existing = {centre["id"] for centre in await desk.json("cost-centres", "list")}
        added = await desk.json("cost-centres", "add", "Novo")
        assert added["id"] not in existing
        assert added["id"] in {centre["id"] for centre in await desk.json("cost-centres", "list")}


# --- What was withdrawn -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("via", ["http", "webservice"])
@pytest.mark.parametrize("command", [("status", "12d609dddeccd59e392b8e2374f52d1a"), ("inbox",)])
async def test_what_the_provider_has_withdrawn_is_said_in_one_line(desk: Desk, via: str, command: tuple[str, ...]) -> None:
    assert "has withdrawn it (OUT-OF-DATE)" in await desk.fail(*command, "--via", via)


async def test_states_of_messages_are_told_by_a_provider_of_old(old_desk: Desk) -> None:
    customer = Customer(old_desk.provider)
    try:
        one, other = (
            await customer.protocol("0004", d="2030-01-01 00:00:00", id="544"),
            await customer.protocol("4321", d="2030-01-01 00:00:00"),
        )
    finally:
        await customer.session.close()
    (single,) = await old_desk.json("status", one)
    assert (single["protocol"], single["status"], single["state"]) == (one, 0, "waiting")
    assert single["at"].endswith("Z")
    several = await old_desk.json("status", one, other, "f" * 32)
    assert [(row["protocol"], row["state"], row["external_id"]) for row in several] == [
        (one, "waiting", "544"),
        (other, "waiting", ""),
        ("f" * 32, "not_found", ""),
    ]
    by_soap = await old_desk.json("status", one, other, "--via", "webservice")
    assert [(row["protocol"], row["state"]) for row in by_soap] == [(one, "waiting"), (other, "waiting")]


@pytest.mark.parametrize(("via", "requests"), [("http", 3), ("webservice", 1)])
async def test_more_hashes_than_one_request_holds_are_asked_for_in_several(old_desk: Desk, via: str, requests: int) -> None:
    old_desk.write(max_url_bytes=800)
    hashes = [f"{place:032x}" for place in range(50)]
    rows = await old_desk.json("status", *hashes, "--via", via)
    assert [row["protocol"] for row in rows] == hashes
    assert old_desk.provider.provider.statistics.requests == requests


@pytest.mark.parametrize("via", ["http", "webservice"])
async def test_replies_are_read_from_the_inbox_of_a_provider_of_old(old_desk: Desk, via: str) -> None:
    customer = Customer(old_desk.provider)
    try:
        protocol = await customer.protocol("2012", id="544")
        deadline = asyncio.get_running_loop().time() + 10
        span = ("--from", "2020-01-01T00:00:00-03:00", "--to", "2040-01-01T00:00:00-03:00")
        while not (found := await old_desk.json("inbox", *span, "--again", "--via", via)):
            assert asyncio.get_running_loop().time() < deadline
    finally:
        await customer.session.close()
    (reply,) = found
    assert (reply["protocol"], reply["number"], reply["external_id"]) == (protocol, "11987652012", "544")
    assert reply["text"]
    assert reply["at"].endswith("Z")


# --- What goes wrong --------------------------------------------------------------------------------------------------------------


async def test_what_the_provider_refuses_is_told_by_code_and_in_words(desk: Desk) -> None:
    refused = await desk.fail("users", "change", "99999", "--name", "X")
    assert refused == "mensageiro: altus: refused by code -1: there is no such user"
    again = ("cost-centres", "add", "Repetido")
    await desk.json(*again)
    assert await desk.fail(*again) == "mensageiro: cict: refused by code -1: the cost centre exists already"


async def test_an_unknown_user_is_refused_without_being_named(desk: Desk) -> None:
    desk.write(user="badbad00")
    line = await desk.fail("credits")
    assert "refused by code 93: the user or the client is invalid or disabled" in line
    assert "badbad00" not in line


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("users", "change", "7"), "say what is to be different"),
        (("cost-centres", "change", "7"), "say what is to be different"),
        (("users", "add", "--name", "A", "--login", "joão"), "has only"),
        (("cost-centres", "add", "x" * 51), "1 to 50 characters"),
        (("cost-centres", "add", "x", "--mail", "x" * 1000), "at most 999"),
        (("users", "add", "--name", "A", "--login", "a", "--password-file", "/none"), "password_file: cannot read /none"),
        (("inbox", "--from", "ontem"), "needs a time"),
        (("credits", "--carrier", "smpp"), "there is no carrier smpp"),
        (("credits", "--carrier", "webservice"), "--carrier: webservice is not of kind http"),
        (("status",), "HASH"),
    ],
)
async def test_bad_usage_is_exit_code_2_and_asks_nothing(desk: Desk, arguments: tuple[str, ...], fault: str) -> None:
    assert fault in await desk.fail(*arguments, code=2)
    assert desk.provider.provider.statistics.requests == 0


async def test_of_several_accounts_one_must_be_named(desk: Desk) -> None:
    desk.write(_table("second", "http", {"base_url": desk.provider.http_url, "user": USER}))
    assert "say which: http, second" in await desk.fail("credits", code=2)
    assert await desk.json("credits", "--carrier", "second")


async def test_a_configuration_without_the_http_api_says_so(desk: Desk) -> None:
    soap = {"url": desk.provider.webservice_url, "user": USER}
    desk.path.write_text(_table("webservice", "webservice", soap))
    assert "none is of kind http" in await desk.fail("credits", code=2)


async def test_a_character_that_the_charset_lacks_is_told_without_what_it_stands_in(desk: Desk) -> None:
    desk.write(charset="latin-1")
    assert "cict: has a character that latin-1 lacks" in await desk.fail("cost-centres", "add", "✓")


async def test_a_provider_that_is_not_there_is_told(desk: Desk) -> None:
    await desk.provider.cut("http")
    assert "crdtf: no connection" in await desk.fail("credits")


class Nasty:
    """A provider that answers each request in one bad way."""

    def __init__(self, answer: Callable[[web.Request], Any]) -> None:
        self._answer, self._runner = answer, web.AppRunner(web.Application(), access_log=None)
        self._runner.app.router.add_route("*", "/{path:.*}", self._serve)
        self.requests = 0

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        answer = self._answer(request)
        assert isinstance(answer, web.StreamResponse)
        return answer

    async def start(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/sms"

    async def stop(self) -> None:
        await self._runner.cleanup()


def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


PERHAPS = "it may have been done all the same"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda request: web.Response(text="<html>busy</html>", status=502), "HTTP status 502"),
        (lambda request: web.Response(headers={"Location": str(request.url)}, status=302), "HTTP status 302"),
        (lambda request: web.Response(text=f"<html>{request.url}</html>"), "is none that the manual knows"),
        (lambda request: web.Response(text=""), "0 bytes"),
        (_cut, "the connection ended before the answer"),
    ],
)
async def test_a_change_that_is_not_answered_may_have_been_done_and_is_asked_once(desk: Desk, answer: Any, fault: str) -> None:
    nasty = Nasty(answer)
    desk.write(base_url=await nasty.start())
    try:
        line = await desk.fail("cost-centres", "add", "Novo")
        assert fault in line
        assert PERHAPS in line
        assert nasty.requests == 1
        listed = await desk.fail("levels")
        assert fault in listed
        assert PERHAPS not in listed
    finally:
        await nasty.stop()


async def test_the_inbox_of_the_web_service_is_found_under_its_other_spelling_too(tmp_path: Path) -> None:
    settings = WebSettings(user=USER, out_of_date=False, inbox_name="inBox")
    async for desk in desk_at(tmp_path, settings):
        assert await desk.json("inbox", "--via", "webservice") == []


def _envelope(body: str) -> str:
    return f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{body}</e:Body></e:Envelope>'


@pytest.mark.parametrize(
    ("text", "status", "fault"),
    [
        (_envelope("<e:Fault><faultcode>e:Server</faultcode><faultstring>no</faultstring></e:Fault>"), 500, "answered by a SOAP fault"),
        ("<!DOCTYPE html><html><body>busy</body></html>", 200, "the answer cannot be read"),
        ("busy", 503, "HTTP status 503"),
        (_envelope("<other/>"), 200, "0 bytes, is none that the manual knows"),
        (_envelope("<r><statusResult/></r>"), 200, "0 bytes, is none that the manual knows"),
        (_envelope("<r><statusResult>93</statusResult></r>"), 200, "refused by code 93"),
        (f'<!DOCTYPE e [<!ENTITY a "1;9">]>{_envelope("<r><statusResult>&a;</statusResult></r>")}', 200, "the answer cannot be read"),
    ],
)
async def test_a_web_service_that_gives_no_result_is_told_in_one_line(desk: Desk, text: str, status: int, fault: str) -> None:
    nasty = Nasty(lambda request: web.Response(text=text, status=status, content_type="text/xml"))
    desk.path.write_text(_table("webservice", "webservice", {"url": await nasty.start(), "user": USER}))
    try:
        assert fault in await desk.fail("status", "f" * 32)
        assert nasty.requests == 1
    finally:
        await nasty.stop()


async def test_rows_that_cannot_be_read_are_counted_and_the_others_shown(desk: Desk) -> None:
    nasty = Nasty(lambda request: web.Response(text="1;0;USUARIO;\nNOT A ROW\n1;1;\x1b[31mRED;"))
    desk.write(base_url=await nasty.start())
    try:
        result = await desk.run("levels", "--json")
        assert json.loads(result.stdout) == [{"id": 0, "name": "USUARIO"}, {"id": 1, "name": " [31mRED"}]
        assert result.stderr == "mensageiro: 1 rows of the answer cannot be read and are left out\n"
    finally:
        await nasty.stop()
