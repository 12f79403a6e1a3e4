"""The broker stopped, killed and restarted under load. mosquitto saves its queues a second behind what it acknowledges."""

import asyncio

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.waiting import until

DELIVERED = ("accepted", "receipt:delivered!")


@pytest.mark.fault
async def test_a_broker_restarted_under_load_loses_nothing_of_what_it_acknowledged(stack: MakeStack) -> None:
    run = await stack(persistence=True, sandbox=("--receipt-delay", "0.3"))
    for _ in range(4):
        heard = len(run.events)
        await run.publish(run.traffic.messages(250))
        await until(lambda heard=heard: len(run.events) > heard + 20, "some way into the load")  # type: ignore[misc] # mypy #15459
        await asyncio.to_thread(run.broker.stop)
        await asyncio.to_thread(run.broker.start)
        await run.ready()
    await run.accounted()
    assert {tuple(run.story(id)) for id in run.traffic.ids} == {DELIVERED}
    assert await run.metric("mensageiro_broker_reconnects_total") >= 4


@pytest.mark.fault
async def test_a_broker_killed_under_load_loses_nothing_when_the_producer_repeats_and_the_operator_replays(stack: MakeStack) -> None:
    run = await stack(persistence=True)
    payloads = []
    for _ in range(4):
        batch = run.traffic.messages(250)
        payloads += batch
        heard = len(run.events)
        await run.publish(batch)
        await until(lambda heard=heard: len(run.events) > heard + 20, "some way into the load")  # type: ignore[misc] # mypy #15459
        await asyncio.to_thread(run.broker.restart)
        await run.ready()
    # What the broker acknowledged to the producer and forgot comes again from the producer; an id that is known is not sent again.
    await run.publish(payload for payload in payloads if payload["id"] not in run.ended())
    await run.until_metric("mensageiro_outbox_events", lambda number: number == 0)
    await run.until_metric('mensageiro_queue_messages{state="', lambda number: number == 0)
    # What the broker acknowledged to the gateway and forgot comes again from the journal.
    heard = len(run.events)
    replayed = (await run.json("queue", "replay", "--all", "--limit", "100000"))["changed"]
    assert replayed == 2000
    await until(lambda: len(run.events) >= heard + replayed, "all that was replayed")
    result = await run.accounted()
    assert set(result.taken.values()) == {1}


@pytest.mark.fault
async def test_events_wait_in_the_journal_while_the_broker_is_away(stack: MakeStack) -> None:
    run = await stack(persistence=True, sandbox=("--receipt-delay", "1"))
    ids = await run.send(*run.traffic.messages(50))
    for id in ids:
        await run.until_told(id, "accepted")
    await asyncio.to_thread(run.broker.stop)
    await run.until_metric("mensageiro_outbox_events", lambda number: number == 50)
    await run.http_until("/readyz", lambda status, body: status == 503 and '"broker": false' in body)
    await asyncio.to_thread(run.broker.start)
    await run.accounted()
    await run.until_metric("mensageiro_outbox_events", lambda number: number == 0)
