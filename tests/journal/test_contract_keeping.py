"""The contract of every journal: the outbox, operators, retention, counts and reading."""

from typing import Any

import pytest

from gateway.journal.base import Selection
from gateway.message import Deferred, InDoubt, QueueState, Reason, Refusal, Reply, Scope, Submitted


async def rows(bench: Any) -> list[int]:
    return [row.row for row in await bench.journal.outbox(0, 1000)]


async def test_published_rows_are_deleted_and_the_rest_stays_in_order(bench: Any) -> None:
    for id in "abcde":
        await bench.send(id)
    first, second, third, fourth, fifth = await rows(bench)
    await bench.journal.published([fifth, first, second])
    assert await rows(bench) == [third, fourth]
    assert [row.row for row in await bench.journal.outbox(third, 10)] == [fourth]
    await bench.journal.published([first, third])
    assert bench.journal.stats().outbox.number == 1


async def test_the_outbox_survives_a_restart(bench: Any) -> None:
    await bench.send("a")
    before = await bench.journal.outbox(0, 10)
    await bench.restart()
    assert await bench.journal.outbox(0, 10) == before
    assert bench.journal.stats().outbox.number == 1


async def test_a_row_cut_off_five_times_is_set_aside(bench: Any) -> None:
    await bench.send("a")
    (row,) = await rows(bench)
    for _ in range(4):
        assert await bench.journal.unpublished([], [row], bench.now) == []
    assert await bench.journal.unpublished([], [row], bench.now) == [row]
    assert await rows(bench) == []
    assert bench.journal.stats().set_aside == 1
    assert await bench.journal.retry_set_aside() == 1
    assert len(await rows(bench)) == 1
    assert bench.journal.stats().set_aside == 0


async def test_a_refused_row_stays_until_its_tenth_refusal(bench: Any) -> None:
    await bench.send("a")
    (row,) = await rows(bench)
    aside = [await bench.journal.unpublished([row], [], bench.now) for _ in range(10)]
    assert aside == [[]] * 9 + [[row]]
    await bench.journal.published([row])
    stats = bench.journal.stats()
    assert (stats.set_aside, stats.outbox.number) == (0, 0)


async def test_held_messages_are_not_claimed_until_released(bench: Any) -> None:
    await bench.queue("a")
    await bench.queue("b")
    assert await bench.hold(ids=("a",)) == 1
    assert [message.id for message in await bench.claim()] == ["b"]
    assert await bench.journal.release(Selection(state="held")) == 1
    assert [message.id for message in await bench.claim()] == ["a"]


async def test_what_was_scheduled_and_held_waits_for_its_time_again_after_its_release(bench: Any) -> None:
    due = bench.now + 500
    await bench.queue("later", schedule_at=due)
    await bench.queue("passed", schedule_at=bench.now + 50)
    assert await bench.hold(all=True) == 2
    bench.now += 100
    assert await bench.journal.release(Selection(all=True)) == 2
    assert (await bench.state("later"), await bench.state("passed")) == ("scheduled", "queued")
    assert [message.id for message in await bench.claim()] == ["passed"]
    tick = await bench.journal.tick(due - 1)
    assert (tick.woken, tick.next_due) == (0, due)
    await bench.journal.tick(due)
    assert [message.id for message in await bench.claim()] == ["later"]


async def test_the_age_of_what_was_scheduled_counts_from_its_schedule_and_hides_nothing_older(bench: Any) -> None:
    begin = bench.now
    due = begin + 500
    await bench.queue("scheduled", schedule_at=due, expires_at=due + 1000)
    await bench.journal.tick(due)
    assert bench.journal.stats().queue[QueueState.QUEUED].oldest == due
    bench.now = begin + 10
    await bench.queue("older")
    await bench.journal.tick(due)
    assert bench.journal.stats().queue[QueueState.QUEUED].oldest == begin + 10


async def test_an_empty_selection_selects_nothing_and_all_selects_all(bench: Any) -> None:
    await bench.queue("a")
    assert await bench.hold() == 0
    assert await bench.hold(all=True) == 1


async def test_retry_makes_deferred_messages_due(bench: Any) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    await bench.answer(message, Deferred("busy", Scope.MESSAGE), retry_at=bench.now + 500)
    assert await bench.journal.retry(Selection(source="shop"), bench.now) == 1
    assert len(await bench.claim()) == 1


@pytest.mark.parametrize(
    ("verdict", "state", "types"),
    [
        ("submitted", "submitted", ["in_doubt", "accepted"]),
        ("rejected", "done", ["in_doubt", "rejected"]),
        ("resubmit", "queued", ["in_doubt"]),
    ],
)
async def test_an_operator_ends_the_doubt(bench: Any, unanswered: InDoubt, verdict: Any, state: str, types: list[str]) -> None:
    await bench.send("a", unanswered)
    await bench.journal.resolve(Selection(ids=("a",)), verdict, bench.now)
    assert (await bench.state(), await bench.types()) == (state, types)


async def test_what_an_operator_called_submitted_is_still_found_by_its_receipt(bench: Any, unanswered: InDoubt) -> None:
    message = await bench.send("a", unanswered)
    await bench.journal.resolve(Selection(ids=("a",)), "submitted", bench.now)
    await bench.receive("9", reference=message.reference, to=message.to)
    assert await bench.state() == "done"


async def test_replay_publishes_again_with_the_old_event_ids(bench: Any) -> None:
    for id in "ab":
        await bench.send(id)
        await bench.receive(id)
    before = [event["event_id"] for event in await bench.events()]
    await bench.journal.published(await rows(bench))
    assert await bench.journal.replay(Selection()) == 0
    assert await bench.journal.replay(Selection(ids=("a",))) == 2
    assert await bench.journal.replay(Selection(type="receipt")) == 2
    assert await bench.journal.replay(Selection(since=bench.now + 1)) == 0
    assert [event["event_id"] for event in await bench.events()] == [before[0], before[1], before[1], before[3]]


async def test_stats_count_states_and_ages(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a")
    bench.now += 10
    await bench.queue("b")
    await bench.journal.tick(bench.now)
    stats = bench.journal.stats()
    assert stats.queue[QueueState.QUEUED] == (2, bench.now - 10)
    assert QueueState.DONE not in stats.queue
    await bench.claim(1)
    await bench.restart()
    counts = {state: stat.number for state, stat in bench.journal.stats().queue.items() if stat.number}
    assert counts == {QueueState.QUEUED: 1, QueueState.ACTIVE: 1}


async def test_text_is_erased_some_time_after_the_end(new_bench: Any) -> None:
    bench = await new_bench(text_retention=100.0)
    await bench.send("a", receipt=False)
    await bench.queue("waits", expires_at=bench.now + 9999)
    await bench.journal.match(
        [Reply(carrier="smpp", sender="1", to=None, text="secret", encoding="", received_at=bench.now)], bench.now, 5.0
    )
    refused = Refusal(source="", id=None, reason=Reason.INVALID_PAYLOAD, detail="", digest=b"d", raw=b"secret", received_at=bench.now)
    await bench.journal.append([refused])
    await bench.journal.published(await rows(bench))
    bench.now += 101
    await bench.journal.tick(bench.now)
    await bench.journal.replay(Selection(type="reply"))
    assert [event["text"] for event in await bench.events()] == [""]
    assert [message.text for message in await bench.claim()] == ["a text that is long enough"]


async def test_what_ended_is_deleted_after_its_retention_but_never_before_it_is_published(new_bench: Any) -> None:
    bench = await new_bench(retention=1000.0)
    await bench.send("a", Submitted(("1", "2")), receipt=False)
    bench.now += 1001
    await bench.journal.tick(bench.now)
    assert len(await bench.journal.show(None, "a")) == 1
    await bench.journal.published(await rows(bench))
    await bench.journal.tick(bench.now)
    assert await bench.journal.show(None, "a") == []
    message = await bench.send("a")
    await bench.restart()
    assert (await bench.journal.show(None, "a"))[0]["row"] == message.row


async def test_row_numbers_are_never_used_twice(new_bench: Any) -> None:
    bench = await new_bench(retention=1000.0)
    first = await bench.send("a", receipt=False)
    await bench.journal.published(await rows(bench))
    bench.now += 1001
    await bench.journal.tick(bench.now)
    await bench.restart()
    assert (await bench.send("b")).row > first.row


async def test_show_tells_the_whole_story_without_text_and_number(bench: Any) -> None:
    await bench.send("a")
    await bench.receive("a", 1)
    (story,) = await bench.journal.show("shop", "a")
    assert [event["type"] for event in story["events"]] == ["accepted", "receipt"]
    assert story["part_ids"][0]["message_id"] == "a"
    assert story["state"] == "submitted"
    assert "11987650000" not in str(story)
    assert "long enough" not in str(story)
    assert await bench.journal.show("bank", "a") == []


async def test_select_lists_newest_first_up_to_a_limit(bench: Any) -> None:
    for id in "abc":
        await bench.queue(id)
    assert [message["id"] for message in await bench.journal.select(Selection(all=True, limit=2))] == ["c", "b"]
    assert [message["id"] for message in await bench.journal.select(Selection(state="queued", ids=("a",)))] == ["a"]
    with pytest.raises(ValueError, match="no such state"):
        await bench.journal.select(Selection(state="lost"))
