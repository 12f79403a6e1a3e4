"""The provider killed and restarted under load. What dies with it are its receipts: those messages end at the receipt deadline."""

import asyncio
import random

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.waiting import until

SEED = 20261123


@pytest.mark.fault
async def test_a_provider_killed_and_restarted_under_load_loses_and_doubles_nothing(stack: MakeStack) -> None:
    run = await stack({"gateway": {"receipt_deadline": 8.0}}, sandbox=("--response-delay", "0.02"))
    rng = random.Random(SEED)
    for _ in range(6):
        taken = run.ledger_path.stat().st_size
        wanted = taken + 100 * rng.randrange(1, 200)
        async with asyncio.TaskGroup() as group:
            group.create_task(run.publish(run.traffic.messages(300)))
            await until(lambda wanted=wanted: run.ledger_path.stat().st_size > wanted, "the provider takes some")  # type: ignore[misc] # mypy #15459
            await run.sandbox.kill()
            await run.until_metric("mensageiro_smpp_bound", lambda bound: bound == 0)
            await run.start_sandbox()
    result = await run.accounted()
    assert result.by_type["in_doubt"] > 0, "the kills hit nothing"


async def test_messages_wait_while_the_provider_is_away_and_leave_in_their_order_when_it_is_back(stack: MakeStack) -> None:
    run = await stack(start=False)
    await run.start_broker()
    run.write_config()
    await run.start_gateway()
    await run.http_until("/livez", lambda status, _: status == 200)
    await run.http_until("/readyz", lambda status, body: status == 503 and '"broker": true' in body and '"carrier": false' in body)
    for priority in (0, 3, 1):
        await run.send(*run.traffic.messages(20, priority=priority))
    await run.until_metric('mensageiro_queue_messages{state="queued"}', lambda number: number == 60)
    await run.start_sandbox()
    await run.ready()
    await run.accounted()
    order = [f"5555-{number}" for number in (*range(20, 40), *range(40, 60), *range(20))]
    assert list(run.traffic.taken(run.ledger())) == order, "by priority, then by arrival"
