"""Replies from phones, end to end: joined, assigned to what they answer, kept over kills, and honest about repetitions."""

import asyncio
import json
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from gateway.smpp.codec import encode
from gateway.smpp.pdu import DeliverSm
from tests.carriers.smsc import Smsc
from tests.e2e.conftest import MakeStack
from tests.support.accounting import Event
from tests.support.stack import Stack
from tests.support.waiting import DEADLINE, until, write_locked

WHOLE = "Primeira parte, segunda parte, terceira."
PHONE = "5511987650000"


def replies(run: Stack) -> list[Event]:
    """Every reply that was told, once."""
    return [event for event in {event["event_id"]: event for event in run.events}.values() if event["type"] == "reply"]


async def until_replies(run: Stack, number: int) -> list[Event]:
    await until(lambda: len(replies(run)) >= number, f"{number} replies")
    return replies(run)


def deliver_sm(text: bytes, number: int = 0, total: int = 0) -> DeliverSm:
    """A reply, or a part of one with the reference 7."""
    header = bytes([5, 0, 3, 7, total, number]) if total else b""
    return DeliverSm(source_addr=PHONE, destination_addr="27500", esm_class=0x40 if total else 0, short_message=header + text)


@asynccontextmanager
async def provider(run: Stack, **gateway: Any) -> AsyncIterator[Smsc]:
    """Start broker and gateway with a provider whose every PDU is the test's."""
    smsc = Smsc()
    await smsc.start()
    try:
        await run.start_broker()
        run.write_config({"carriers.smpp": {"port": smsc.port}, "gateway": gateway})
        await run.start_gateway()
        await run.ready()
        yield smsc
    finally:
        await run.gateway.kill()
        await smsc.stop()


async def bound_again(smsc: Smsc, binds: int) -> None:
    await until(lambda: len(smsc.binds) >= binds, f"{binds} binds")


@pytest.mark.parametrize("way", ["udh", "udh16", "sar"])
async def test_a_reply_in_three_parts_out_of_order_comes_whole_to_the_source_of_what_it_answers(stack: MakeStack, way: str) -> None:
    run = await stack(sandbox=("--reply-way", way))
    single, parted = run.traffic.message("2012"), run.traffic.message("2013", **{"from": "27123"})
    async with run.client() as consumer:
        await consumer.subscribe("sms/event/reply/shop", qos=1)
        await run.publish([single, parted], "sms/submit/shop")
        messages = aiter(consumer.messages)
        async with asyncio.timeout(DEADLINE):
            told = [json.loads((await anext(messages)).payload) for _ in range(2)]
    by_phone = {event["from"]: event for event in told}
    one, three = by_phone[single["to"]], by_phone[parted["to"]]
    assert (one["text"], one["parts"], one["in_reply_to"]) == ("Sim, pode confirmar. Até à vista!", 1, single["id"])
    assert (three["text"], three["parts"], three["in_reply_to"]) == (WHOLE, 3, parted["id"])
    assert (three["to"], three["encoding"], three["complete"], three["possible_duplicate"]) == ("27123", "gsm7", True, False)
    assert await run.metric('mensageiro_replies_total{carrier="smpp",complete="true"}') == 2
    await run.accounted()


async def test_what_lacks_a_part_is_told_when_its_time_is_over(stack: MakeStack) -> None:
    run = await stack(start=False)
    async with provider(run, reply_timeout=1.0) as smsc:
        for number in (3, 1):
            smsc.streams[-1].send(deliver_sm(b"part %d" % number, number, 3))
        assert [answer.command_status for answer in await smsc.answered(2)] == [0, 0]
        (reply,) = await until_replies(run, 1)
        assert (reply["text"], reply["complete"], reply["parts"]) == ("part 1[…]part 3", False, 3)
        assert await run.metric('mensageiro_replies_total{carrier="smpp",complete="false"}') == 1
        assert await run.gateway.stop() == 0


async def test_what_was_committed_but_not_answered_is_told_again_as_a_possible_duplicate(stack: MakeStack) -> None:
    run = await stack(start=False)
    pdus = [deliver_sm(b"SIM"), deliver_sm(b"um ", 1, 2), deliver_sm(b"dois", 2, 2)]
    async with provider(run) as smsc:
        with write_locked(run.state_dir / "journal.db"):  # nothing is committed, hence answered, before the session is cut
            transport = smsc.streams[-1]._transport
            assert transport is not None
            transport.write(b"".join(encode(pdu) for pdu in pdus))
            transport.close()
            await bound_again(smsc, 2)
        await until_replies(run, 2)
        assert smsc.answers == []
        for again in (1, 2):  # because it was not answered; and once more, though it was
            for pdu in pdus:
                smsc.streams[-1].send(pdu)
            await smsc.answered(3 * again)
            await until_replies(run, 2 + 2 * again)
            await until_answered(run)
        told = defaultdict(list)
        for reply in replies(run):
            told[reply["text"]].append(reply["possible_duplicate"])
        assert told["SIM"] == [False, True, False]
        assert told["um dois"][:2] == [False, True]
        assert await run.gateway.stop() == 0


async def until_answered(run: Stack) -> None:
    """Wait until the journal knows that every response has left."""
    with closing(sqlite3.connect(f"file:{run.state_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
        await until(lambda: journal.execute("SELECT count(*) FROM heard WHERE NOT answered").fetchone() == (0,), "responses known")


@pytest.mark.fault
async def test_parts_that_wait_survive_a_kill(stack: MakeStack) -> None:
    run = await stack(start=False)
    async with provider(run) as smsc:
        for number, text in ((3, b"tres"), (1, b"um ")):
            smsc.streams[-1].send(deliver_sm(text, number, 3))
        await smsc.answered(2)
        await run.gateway.kill()
        await run.start_gateway()
        await bound_again(smsc, 2)
        smsc.streams[-1].send(deliver_sm(b"dois ", 2, 3))
        (reply,) = await until_replies(run, 1)
        assert (reply["text"], reply["complete"], reply["possible_duplicate"]) == ("um dois tres", True, False)


@pytest.mark.fault
async def test_a_gateway_killed_again_and_again_loses_no_reply_and_tells_none_twice_silently(stack: MakeStack) -> None:
    run = await stack({"gateway": {"in_doubt_deadline": 8.0}}, sandbox=("--receipt-delay", "0.3"))
    sent: list[dict[str, Any]] = []
    for round in range(12):
        batch = run.traffic.messages(40, "2013") + run.traffic.messages(40, "2012")
        sent += batch
        heard = len(run.events)
        await run.publish(batch)
        await until(lambda heard=heard, round=round: len(run.events) > heard + 17 * round, "some way into it")  # type: ignore[misc] # mypy #15459
        await run.gateway.kill()
        await run.start_gateway()
    await run.ready()
    await run.accounted()
    taken = run.traffic.taken(run.ledger())
    phones = {payload["to"] for payload in sent if taken[payload["id"]]}
    await until(lambda: phones <= {reply["from"] for reply in replies(run)}, "a reply of each phone")
    told = defaultdict(list)
    for reply in replies(run):
        assert reply["complete"]
        assert reply["text"] == (WHOLE if reply["from"].endswith("2013") else "Sim, pode confirmar. Até à vista!")
        told[reply["from"]].append(reply["possible_duplicate"])
    silently = {phone: flags for phone, flags in told.items() if flags.count(False) > 1}
    assert silently == {}
