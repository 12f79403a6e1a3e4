"""The HTTP and the web service carrier against servers that are not theirs: the sandbox's, and one of npm's `soap` on our WSDL."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import gateway.carriers
from gateway.carriers.base import CarrierState
from gateway.carriers.http import HttpWire
from gateway.carriers.webservice import SoapWire
from gateway.config import Http, Webservice
from gateway.message import CancelAnswer, Cancelled, CancelOrder, Deferred, InDoubt, Message, Outcome, Rejected, Submitted
from gateway.sandbox.provider_state import Stored
from gateway.sandbox.settings import MultForm
from gateway.sandbox.web import WebProvider, WebSettings
from tests.carriers.requests_rig import USER, Rig, rigs
from tests.carriers.smsc import message
from tests.sandbox.test_webservice import NODE
from tests.support import npm
from tests.support.waiting import DEADLINE

StartAt = Callable[..., Rig]
WAYS = ("http", "webservice")


@pytest.fixture
async def provider() -> AsyncIterator[WebProvider]:
    provider = WebProvider(WebSettings(http_port=0, webservice_port=0, user=USER), seed=7)
    await provider.start()
    yield provider
    await provider.stop()


@pytest.fixture
async def start_at(provider: WebProvider) -> AsyncIterator[StartAt]:
    """Start a carrier of either kind at the sandbox."""
    async with rigs() as make:

        def start(way: str, user: str = USER, **changes: Any) -> Rig:
            if way == "http":
                return make(HttpWire(Http(base_url=provider.http_url, user=user, **changes), user), None)
            return make(SoapWire(Webservice(url=provider.webservice_url, user=user, **changes), user), None)

        yield start


def to(digits: str, row: int = 1, **changes: Any) -> Message:
    return message(row, to=f"1198765{digits}", **changes)


def stored(provider: WebProvider, outcome: Outcome) -> Stored:
    assert isinstance(outcome, Submitted), outcome
    found = provider.provider.look(outcome.message_ids[0])
    assert found is not None
    return found


@pytest.mark.parametrize("way", WAYS)
async def test_the_sandbox_stores_what_we_sent(provider: WebProvider, start_at: StartAt, way: str) -> None:
    text = 'ação & <reação>; "1|2"\n+55 100% 😀'
    found = stored(provider, await start_at(way).outcome(to("4321", 77, text=text, kind="flash")))
    assert (found.text, found.number, found.external_id) == (text, "11987654321", "77")


@pytest.mark.parametrize("way", WAYS)
async def test_the_sandbox_takes_a_long_text_whole(provider: WebProvider, start_at: StartAt, way: str) -> None:
    text = "ã" * 600
    assert stored(provider, await start_at(way).outcome(to("4321", text=text))).text == text


@pytest.mark.parametrize("way", WAYS)
async def test_a_batch_of_the_sandboxs_gives_each_message_its_own_fate(provider: WebProvider, start_at: StartAt, way: str) -> None:
    rig = start_at(way)
    await rig.prove()
    rig.carrier.submit([(each, rig.prepared(each)) for each in [to("4321", 1), to("3090", 2), to("4322", 3), to("3097", 4)]])
    outcomes = await rig.outcomes(4)
    assert [type(outcome) for outcome in outcomes] == [Submitted, Rejected, Submitted, Deferred]
    assert [stored(provider, outcomes[place]).number for place in (0, 2)] == ["11987654321", "11987654322"]


@pytest.mark.parametrize("form", MultForm)
async def test_whatever_the_form_of_a_batchs_answer_no_message_gets_anothers_protocol(form: MultForm) -> None:
    provider = WebProvider(WebSettings(http_port=0, webservice_port=None, user=USER, mult_form=form), seed=7)
    await provider.start()
    rig = Rig(HttpWire(Http(base_url=provider.http_url, user=USER), USER))
    await rig.prove()
    wanted = [to(f"43{row:02d}", row) for row in range(1, 6)]
    rig.carrier.submit([(each, rig.prepared(each)) for each in wanted])
    outcomes = await rig.outcomes(5)
    for each, outcome in zip(wanted, outcomes, strict=True):
        if not isinstance(outcome, InDoubt):
            assert stored(provider, outcome).number == each.to
    assert sum(isinstance(outcome, InDoubt) for outcome in outcomes) == (5 if form is MultForm.FEWER else 0)
    await rig.close()
    await provider.stop()


FATES = [
    ("2002", InDoubt),  # taken, then cut
    ("2014", InDoubt),  # HTTP 500, or a fault
    ("2016", Submitted),  # answered, then closed
    ("2017", InDoubt),  # HTML
    ("2018", InDoubt),  # redirect
    ("2020", InDoubt),  # breaks off
    ("3000", Deferred),
    ("3061", Submitted),
    ("3093", Deferred),
    ("3094", InDoubt),
    ("3097", Deferred),
    ("3090", Rejected),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("digits", "outcome"), FATES)
async def test_every_fate_of_the_sandboxs_is_understood(start_at: StartAt, way: str, digits: str, outcome: type[Outcome]) -> None:
    assert isinstance(await start_at(way).outcome(to(digits)), outcome)


@pytest.mark.parametrize("way", WAYS)
async def test_an_account_that_the_sandbox_does_not_know_suspends(start_at: StartAt, way: str) -> None:
    rig = start_at(way, user="ffffffff")
    await rig.outcome(to("4321"))
    assert CarrierState.SUSPENDED in rig.observer.states


async def test_the_sandbox_tells_its_credits(start_at: StartAt) -> None:
    rig = start_at("http")
    await rig.observer.signal.until(lambda: rig.observer.rows)
    assert rig.observer.rows[0][0].long_code > 0


@pytest.mark.parametrize("way", WAYS)
async def test_the_sandbox_cancels_what_waits(provider: WebProvider, start_at: StartAt, way: str) -> None:
    rig = start_at(way)
    waiting = [await rig.outcome(to("0003", row)) for row in (1, 2)]  # its call-backs say: waiting
    ids = [outcome.message_ids[0] for outcome in waiting if isinstance(outcome, Submitted)]
    rig.carrier.cancel([CancelOrder(row, "11987650003", None, (id,)) for row, id in enumerate(ids, 1)])
    answers = await rig.answers(2)
    for answer, id in zip(answers, ids, strict=True):
        found = provider.provider.look(id)
        assert isinstance(answer, CancelAnswer)
        assert found is not None
        assert isinstance(answer.outcome, Cancelled) is (found.status == 9)


# --- npm soap, on our WSDL --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def npm_soap() -> AsyncIterator[tuple[asyncio.StreamReader, str]]:
    wsdl = Path(gateway.carriers.__path__[0]) / "wbsapi.wsdl"
    process = await asyncio.create_subprocess_exec("node", "server.js", str(wsdl), cwd=npm.folder(NODE), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    yield process.stdout, f"http://127.0.0.1:{(await line(process.stdout))['port']}/wbsapi.asmx"
    process.terminate()
    await process.wait()


async def line(stream: asyncio.StreamReader) -> Any:
    return json.loads(await asyncio.wait_for(stream.readline(), DEADLINE))


async def test_npm_soap_serves_our_wsdl_reads_our_envelopes_and_we_read_its_answers(npm_soap: tuple[asyncio.StreamReader, str]) -> None:
    output, url = npm_soap
    rig = Rig(SoapWire(Webservice(url=url, user=USER), USER))
    text = "ação <1> & 'x' 😀"
    assert await rig.outcome(message(5, text=text)) == Submitted((f"{5:032x}",), "utf-8")
    assert await line(output) == {"Identificacao": USER, "Telefone": "11987654321", "Mensagem": text, "IdExterno": "5"}
    assert isinstance(await rig.outcome(to("3090", 6, kind="flash", cost_centre=622)), Rejected)
    asked = await line(output)
    assert (asked["TipoMensagem"], asked["CentroCustos"]) == (1, 622)
    assert await rig.outcome(to("2014", 7)) == InDoubt("the server failed")
    await line(output)
    await rig.prove()
    await line(output)
    rig.carrier.submit([(each, rig.prepared(each)) for each in [to("4321", 8), to("4322", 9)]])
    assert await rig.outcomes(2) == [Submitted((f"{8:032x}",), "utf-8"), Submitted((f"{9:032x}",), "utf-8")]
    assert (await line(output))["Conteudo"] == "11987654321|oi 8|8;11987654322|oi 9|9"
    rig.carrier.cancel([CancelOrder(8, "11987654321", None, (f"{8:032x}",))])
    (answer,) = await rig.answers(1)
    assert isinstance(answer, CancelAnswer)
    assert answer.outcome == Cancelled()
    await rig.close()
