"""The gateway killed by SIGKILL, or stopped, at any moment: nothing is lost, and nothing is sent twice without saying so."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.smpp.constants import CommandId
from tests.e2e.conftest import MakeStack
from tests.support.stack import Stack, now
from tests.support.waiting import until
from tests.support.wiretap import wiretap

SEED = 20261123
BATCH = 120
MAGIC = ("5555", "5555", "5555", "0000", "0002", "0005", "0006", "0007", "2003", "2005", "2007", "2008", "2009", "2001", "1011")


async def _moment(run: Stack, rng: random.Random) -> None:
    """Wait for a moment to kill it: some way into a start, or some messages or events further on."""
    log, ledger, heard = len(run.gateway.output), len(run.ledger()), len(run.events)
    more = rng.randrange(1, BATCH // 2)
    reached: Callable[[], bool] = rng.choice(
        [
            lambda: len(run.gateway.output) > log,
            lambda: len(run.ledger()) >= ledger + more,
            lambda: False,
        ]
    )
    await until(lambda: reached() or len(run.events) >= heard + more, "a moment to kill the gateway")


@pytest.mark.fault
@pytest.mark.parametrize(("policy", "kills"), [("hold", 24), ("resubmit", 14)])
async def test_a_gateway_killed_again_and_again_under_load_loses_nothing_and_sends_nothing_twice_silently(
    stack: MakeStack, policy: str, kills: int
) -> None:
    settings = {"gateway": {"in_doubt": policy, "in_doubt_deadline": 8.0}, "carriers.smpp": {"max_rate": 400.0}}
    run = await stack(settings, sandbox=("--response-delay", "0.03"))
    await run.send(run.traffic.message())
    await run.accounted()
    rng = random.Random(f"{SEED} {policy}")
    for _ in range(kills):
        async with asyncio.TaskGroup() as group:
            group.create_task(run.publish([run.traffic.message(rng.choice(MAGIC)) for _ in range(BATCH)]))
            await _moment(run, rng)
            await run.gateway.kill()
            await run.start_gateway()
    result = await run.accounted()
    assert result.by_type["in_doubt"] > kills, "the kills hit nothing"
    duplicates = sum(event.get("possible_duplicate", False) for event in run.events)
    assert bool(duplicates) == (policy == "resubmit")
    assert await run.gateway.stop() == 0


@pytest.mark.fault
async def test_what_was_scheduled_queued_or_submitted_before_a_kill_goes_on_after_it(stack: MakeStack) -> None:
    run = await stack(sandbox=("--receipt-delay", "1.5"))
    submitted = await run.send(*run.traffic.messages(20))
    for id in submitted:
        await run.until_told(id, "accepted")
    await run.sandbox.kill()  # and with it the receipts of what it has taken
    await run.until_metric("mensageiro_smpp_bound", lambda bound: bound == 0)
    queued = await run.send(*run.traffic.messages(20))
    scheduled = await run.send(*run.traffic.messages(20, schedule_at=(now() + timedelta(days=30)).isoformat()))
    await run.until_metric('mensageiro_queue_messages{state="scheduled"}', lambda number: number == 20)
    await run.gateway.kill()
    run.write_config({"gateway": {"receipt_deadline": 5.0}})
    await run.start_sandbox()
    await run.start_gateway()
    await run.publish([{"id": id} for id in scheduled], "sms/cancel")
    await run.until_ended([*queued, *scheduled])
    assert {tuple(run.story(id)) for id in queued} == {("accepted", "receipt:delivered!")}
    assert {tuple(run.story(id)) for id in scheduled} == {("cancelled!",)}
    assert {tuple(run.story(id)) for id in submitted} == {("accepted",)}, "nobody reported: they wait for their deadline of 72 h"
    stats = await run.json("queue", "stats")
    assert stats["queue"]["submitted"]["number"] == 20


@pytest.mark.fault
async def test_what_was_on_its_way_at_a_kill_is_in_doubt_though_the_instance_is_called_otherwise_now(stack: MakeStack) -> None:
    run = await stack({"carriers.smpp": {"response_timeout": 30.0}})
    (id,) = await run.send(run.traffic.message("2001"))
    await run.until_metric('mensageiro_queue_messages{state="active"}', lambda number: number == 1)
    await run.gateway.kill()
    run.write_config({"gateway": {"instance": "outra"}})
    await run.start_gateway()
    await run.accounted()
    assert run.story(id) == ["in_doubt", "in_doubt!"]


async def test_what_was_scheduled_leaves_at_its_time_after_a_restart(stack: MakeStack) -> None:
    run = await stack()
    soon = (now() + timedelta(seconds=2)).isoformat()
    (id,) = await run.send(run.traffic.message(schedule_at=soon))
    await run.until_metric('mensageiro_queue_messages{state="scheduled"}', lambda number: number == 1)
    assert await run.gateway.stop() == 0
    assert run.ledger() == []
    await run.start_gateway()
    await run.accounted()
    assert run.story(id) == ["accepted", "receipt:delivered!"]


@pytest.mark.fault
async def test_sigterm_under_load_drains_and_leaves_nothing_in_doubt(stack: MakeStack) -> None:
    run = await stack(start=False, sandbox=("--response-delay", "0.1"))
    await run.start_broker()
    await run.start_sandbox()
    async with wiretap(run.smpp_port) as tap:
        run.write_config({"carriers.smpp": {"window": 20, "port": tap.port}})
        await run.start_gateway()
        await run.ready()
        await run.publish(run.traffic.messages(600))
        await until(lambda: len(run.ended()) > 100, "some way into the load")
        assert await run.gateway.stop() == 0
        after = tap.commands[tap.commands.index(CommandId.UNBIND) + 1 :]
        assert set(after) <= {CommandId.DELIVER_SM_RESP}, "after it we only answer what crossed it on the wire"
    stats = await run.json("queue", "stats")
    waiting = {state: each["number"] for state, each in stats["queue"].items()}
    assert (waiting["active"], waiting["in_doubt"]) == (0, 0), "ACTIVE, IN_DOUBT"
    assert waiting["queued"] > 0, "the rest waits, QUEUED"
    assert (await run.retained("sms/gateway/mensageiro"))["state"] == "down"
    run.write_config()
    await run.start_gateway()
    result = await run.accounted()
    assert result.by_type["in_doubt"] == 0
    assert set(result.taken.values()) == {1}
