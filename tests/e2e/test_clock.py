"""The wall clock jumps a day while the gateway runs. `tests.support.skewed` moves `time.time` in the gateway's process."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeStack
from tests.support import skewed
from tests.support.stack import now

DAY = 86400.0


@pytest.mark.fault
async def test_a_wall_clock_that_jumps_a_day_ahead_and_back_ends_nothing(stack: MakeStack, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    skewed.set_skew(clock, 0)
    run = await stack(
        {"gateway": {"in_doubt_deadline": 3600.0}, "carriers.smpp": {"response_timeout": 1.0}},
        sandbox=("--receipt-delay", "3"),
        entry=(skewed.__file__, str(clock)),
    )
    submitted = await run.send(*run.traffic.messages(10, valid_for=3600))
    doubtful = await run.send(*run.traffic.messages(3, "2001", valid_for=3600))
    for id in doubtful:
        await run.until_told(id, "in_doubt")
    held = await run.send(*run.traffic.messages(10, valid_for=3600, schedule_at=(now() + timedelta(days=30)).isoformat()))
    await run.until_metric('mensageiro_queue_messages{state="scheduled"}', lambda number: number == 10)
    assert (await run.json("queue", "hold", *held))["changed"] == 10

    skewed.set_skew(clock, DAY)
    await run.until_metric("mensageiro_clock_steps_total", lambda steps: steps == 1)
    fresh = await run.send(*run.traffic.messages(10, valid_for=3600))
    await run.until_ended([*submitted, *fresh])  # receipts end what they are about, whatever the clock says
    skewed.set_skew(clock, 0)
    await run.until_metric("mensageiro_clock_steps_total", lambda steps: steps == 2)

    assert {tuple(run.story(id)) for id in (*submitted, *fresh)} == {("accepted", "receipt:delivered!")}
    assert {tuple(run.story(id)) for id in doubtful} == {("in_doubt",)}
    assert {tuple(run.story(id)) for id in held} == {()}
    assert await run.metric('mensageiro_messages_total{carrier="",outcome="expired"}') == 0


@pytest.mark.fault
async def test_a_wall_clock_that_jumps_a_day_ahead_under_load_expires_nothing(stack: MakeStack, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    skewed.set_skew(clock, 0)
    run = await stack({"carriers.smpp": {"max_rate": 100.0}}, entry=(skewed.__file__, str(clock)))
    await run.send(*run.traffic.messages(300, valid_for=3600))
    await run.until_metric('mensageiro_messages_total{carrier="smpp",outcome="submitted"}', lambda number: number > 20)
    skewed.set_skew(clock, DAY)
    await run.until_metric("mensageiro_clock_steps_total", lambda steps: steps == 1)
    assert await run.metric('mensageiro_messages_total{carrier="",outcome="expired"}') == 0
    skewed.set_skew(clock, 0)
    result = await run.accounted()
    assert result.by_type["expired"] == 0
