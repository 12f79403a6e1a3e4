"""SMPP cut, then the HTTP API, then back: every message leaves by one way, once, and ends in a published result."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.fallback import TOKEN, USER, Fallback, sent_by_two_ways, taken_by_way
from tests.support.stack import Stack

MakeBoth = Callable[..., Awaitable[tuple[Stack, Fallback]]]


@pytest.fixture
async def installation(stack: MakeStack) -> AsyncIterator[MakeBoth]:
    """Make a Stack with all three ways, its web side running; keyword arguments change sections."""
    made: list[tuple[Stack, Fallback]] = []

    async def make(*options: str, smsc: bool = True, **changes: Any) -> tuple[Stack, Fallback]:
        fallback = Fallback()
        run = await stack(fallback.sections(**changes), start=False)
        made.append((run, fallback))
        fallback.attach(run, *options)
        await fallback.start()
        await run.start_broker()
        if smsc:
            await run.start_sandbox()
        run.write_config()
        await run.start_gateway()
        await run.ready()
        return run, fallback

    yield make
    for run, fallback in made:
        await fallback.close()
        for secret in (USER, TOKEN):
            assert secret not in run.gateway.output
        assert sent_by_two_ways(run) == {}


async def carrier_of(run: Stack, id: str) -> str:
    """Wait until a message is accepted, and return by which carrier."""
    return str((await run.until_told(id, "accepted"))["carrier"])


async def send_one(run: Stack, magic: str = "5555", **fields: Any) -> str:
    (id,) = await run.send(run.traffic.message(magic, **fields))
    return id


@pytest.mark.fault
async def test_each_way_takes_over_when_the_better_ones_are_cut_and_gives_back_when_they_return(installation: MakeBoth) -> None:
    run, fallback = await installation()

    async def lives_by(way: str, **fields: Any) -> None:
        id = await send_one(run, **fields)
        assert await carrier_of(run, id) == way
        await run.until_ended([id])
        assert run.told(id)[-1]["carrier"] == way, "its receipt or call-back ends it"

    await lives_by("smpp")
    await run.sandbox.kill()
    await lives_by("http", text="Segredo longo: " + "ã" * 300)
    await fallback.processes["http"].kill()
    await lives_by("webservice")
    await run.start_sandbox()
    await run.until_metric('mensageiro_carrier_state{carrier="smpp",state="ready"}', lambda value: value == 1)
    await lives_by("smpp")
    await run.accounted()
    assert await run.metric("mensageiro_carrier_switches_total") == 3
    assert run.gateway.output.count('"carrier switch"') == 3


@pytest.mark.fault
async def test_a_message_may_name_its_ways_and_wishes_choose_them_too(installation: MakeBoth) -> None:
    run, _ = await installation()
    ids = {
        "webservice": await send_one(run, routes=["webservice", "smpp"]),
        "http": await send_one(run, label="campanha", cost_centre=622),
        "smpp": await send_one(run, **{"from": "EMPRESA"}),
    }
    assert {name: await carrier_of(run, id) for name, id in ids.items()} == {name: name for name in ids}
    await run.accounted()


@pytest.mark.fault
async def test_what_waits_goes_in_its_order_when_a_way_comes_back(installation: MakeBoth) -> None:
    run, fallback = await installation()
    for process in (run.sandbox, *fallback.processes.values()):
        await process.kill()
    await run.until_metric('mensageiro_carrier_state{carrier="smpp",state="down"}', lambda value: value == 1)
    await run.send(*run.traffic.messages(30, routes=["smpp", "http"]))
    await fallback.start("http")
    await run.until_ended(run.traffic.ids)
    order = [entry["to"] for entry in run.ledger()]
    assert order == [run.traffic.number_of[id] for id in run.traffic.ids]
    assert set(taken_by_way(run)) == {"http"}
    await run.accounted()


@pytest.mark.fault
async def test_a_cancel_reaches_the_way_that_took_the_message(installation: MakeBoth) -> None:
    run, _ = await installation("--receipt-delay", "30")  # until then it waits at the provider
    for way in ("http", "webservice"):
        id = await send_one(run, routes=[way])
        assert await carrier_of(run, id) == way
        await run.publish([{"id": id}], topic="sms/cancel")
        assert (await run.until_told(id, "cancelled"))["carrier"] == way
    await run.accounted()


FATES = {
    "2001": "in_doubt",  # hangs
    "2002": "in_doubt",  # taken, then cut
    "2014": "in_doubt",  # HTTP 500, or a fault
    "2017": "in_doubt",  # HTML
    "2018": "in_doubt",  # redirects
    "2020": "in_doubt",  # breaks off in the middle
    "3012": "in_doubt",  # a code that nobody knows
    "2016": "accepted",  # answers, then closes the connection
    "3061": "accepted",
    "3090": "rejected",
}


@pytest.mark.fault
@pytest.mark.parametrize("way", ["http", "webservice"])
async def test_whatever_an_answer_is_its_message_ends_and_the_next_one_goes_on(installation: MakeBoth, way: str) -> None:
    run, _ = await installation("--receipt-delay", "0.05", gateway={"receipt_deadline": 6.0})
    for magic, type in FATES.items():
        id = await send_one(run, magic, routes=[way])
        event = await run.until_told(id, type)
        assert event["carrier"] == way
        assert await carrier_of(run, await send_one(run, routes=[way])) == way
    await run.accounted()


@pytest.mark.fault
@pytest.mark.parametrize("form", ["fewer", "shuffled", "order"])
async def test_batches_answered_in_part_or_in_disorder_never_mix_their_messages(installation: MakeBoth, form: str) -> None:
    run, _ = await installation("--mult-form", form, smsc=False, gateway={"receipt_deadline": 6.0})
    await run.send(*run.traffic.messages(3, routes=["http"]))
    await run.until_ended(run.traffic.ids)
    await run.send(*run.traffic.messages(60, routes=["http"]), *run.traffic.messages(5, "3090", routes=["http"]))
    result = await run.accounted()
    assert (result.by_type["in_doubt"] > 0) is (form == "fewer")
    if form != "fewer":
        assert all(result.final[id]["type"] == "rejected" for id in run.traffic.ids if id.startswith("3090"))
