"""Claim within credit, record before the bytes leave, settle what comes back: a real journal between two carriers of paper."""

import asyncio
from collections import Counter

import pytest

from gateway.carriers.base import CarrierState
from gateway.dispatch.dispatcher import CLAIM_LIMIT
from gateway.dispatch.retry import RetryPolicy
from gateway.message import (
    Cancel,
    CancelFailed,
    Cancelled,
    Deferred,
    InDoubt,
    Outcome,
    Reason,
    Rejected,
    Scope,
    Submitted,
)
from tests.dispatch.bench import NOW, REFUSED, Bench
from tests.support.waiting import DEADLINE, write_locked

# --- Claim and submit -------------------------------------------------------------------------------------------------------------


async def test_the_first_choice_gets_what_is_queued_in_order_of_priority_then_arrival(bench: Bench) -> None:
    await bench.queue("a", "b")
    await bench.queue("c", priority=3)
    bench.start()
    await bench.sends(bench.smpp, "c", "a", "b")
    assert bench.http.submitted == []


async def test_the_attempt_is_on_disk_before_the_carrier_sees_the_message(bench: Bench) -> None:
    bench.start()
    await bench.queue("a", "b")
    await bench.sends(bench.smpp, "a", "b")
    assert sum(bench.smpp.attempts_on_disk) >= 2
    assert bench.smpp.attempts_on_disk[-1] == 2


async def test_no_more_is_claimed_than_the_credit_admits(bench: Bench) -> None:
    bench.smpp.widen(2)
    await bench.queue("a", "b", "c", "d", "e")
    bench.start()
    await bench.sends(bench.smpp, "a", "b")
    await bench.look()
    assert await bench.state("c") == "queued"
    bench.smpp.answer(bench.smpp.submitted[0], Submitted(("1",)))
    await bench.sends(bench.smpp, "a", "b", "c")
    bench.smpp.widen(10)
    await bench.sends(bench.smpp, "a", "b", "c", "d", "e")


async def test_credit_is_counted_in_messages_of_each_one_part(bench: Bench) -> None:
    bench.smpp.widen(2)
    await bench.queue("a", "b", "c", parts_by={"smpp": 2})
    bench.start()
    await bench.sends(bench.smpp, "a", "b")
    await bench.look()
    assert await bench.state("c") == "queued"


async def test_one_claim_is_bounded_however_wide_the_window_is(bench: Bench) -> None:
    bench.smpp.widen(10_000)
    await bench.queue(*(str(number) for number in range(CLAIM_LIMIT + 1)))
    bench.start()
    await bench.until(lambda: len(bench.smpp.submitted) == CLAIM_LIMIT + 1)
    assert len(bench.smpp.attempts_on_disk) == 2


async def test_a_message_that_settings_no_longer_admit_is_refused_and_told(bench: Bench) -> None:
    bench.smpp.refuses.add("a")
    await bench.queue("a", "b", routes=("smpp",))
    bench.start()
    await bench.sends(bench.smpp, "b")
    await bench.until(lambda: bench.counted("messages", "smpp", "rejected") == 1.0)
    (event,) = await bench.events()
    assert (event["type"], event["id"], event["reason"], event["carrier"], event["final"]) == ("rejected", "a", "no_route", "smpp", True)


async def test_a_part_that_settings_no_longer_admit_is_refused_as_that_part(bench: Bench) -> None:
    bench.start()
    await bench.queue("a", parts_by={"smpp": 2}, in_doubt="resubmit")
    await bench.sends(bench.smpp, "a")
    bench.smpp.answer(bench.smpp.submitted[0], InDoubt("no response"))
    await bench.sends(bench.smpp, "a", "a")
    bench.smpp.refuses.add("a")
    bench.smpp.answer(bench.smpp.submitted[1], Submitted(("1",)))
    await bench.until(lambda: bench.counted("messages", "smpp", "rejected") == 1.0)
    event = (await bench.events())[-1]
    assert (event["type"], event["final"]) == ("rejected", True)
    assert event["detail"] == f"part 2 of 2: {REFUSED.detail}; part 1 was sent"


async def test_parts_that_would_not_fit_those_that_have_left_are_not_sent(bench: Bench) -> None:
    bench.start()
    await bench.queue("a", parts_by={"smpp": 2}, cuts_by={"smpp": 7})
    await bench.sends(bench.smpp, "a")
    bench.smpp.way = (2, 8)
    bench.smpp.answer(bench.smpp.submitted[0], Submitted(("1",)))
    await bench.until(lambda: bench.counted("messages", "smpp", "rejected") == 1.0)
    (event,) = await bench.events()
    assert (event["reason"], event["final"]) == ("incomplete", True)
    assert event["detail"] == "part 2 of 2: the settings were changed while parts of it were sent; part 1 was sent"
    assert bench.smpp.ids == ["a"]


@pytest.mark.parametrize(("planned", "way"), [({}, (3, 5)), ({"smpp": 2}, (3, 5)), ({"smpp": 3}, (3, 5))])
async def test_what_is_cut_otherwise_than_planned_is_on_disk_before_it_leaves(
    bench: Bench, planned: dict[str, int], way: tuple[int, int]
) -> None:
    bench.smpp.way = way
    await bench.queue("a", parts_by=planned, cuts_by=dict.fromkeys(planned, 4))
    bench.start()
    await bench.sends(bench.smpp, "a")
    await bench.journal.recover(NOW)  # as after a kill
    bench.smpp.answer(bench.smpp.submitted[0], Submitted(("1",)))
    await bench.sends(bench.smpp, "a", "a")
    assert [(message.part, message.parts, message.cut) for message in bench.smpp.submitted] == [(1, 3, 5), (2, 3, 5)]
    assert bench.smpp.submitted[0].concatenation == bench.smpp.submitted[1].concatenation is not None


async def test_a_second_copy_that_would_not_be_like_the_first_is_not_sent(bench: Bench) -> None:
    bench.start()
    await bench.queue("a", parts_by={"smpp": 2}, in_doubt="resubmit")
    await bench.sends(bench.smpp, "a")
    bench.smpp.way = (1, 0)
    bench.smpp.answer(bench.smpp.submitted[0], InDoubt("no response"))
    await bench.until(lambda: bench.counted("in_doubt", "smpp", "resubmitted") == 1.0)
    async with asyncio.timeout(DEADLINE):
        while await bench.state() != "in_doubt":
            await bench.look()
    (shown,) = await bench.journal.show(None, "a")
    assert (shown["attempt"], bench.smpp.ids) == (2, ["a"])


async def test_what_was_to_be_several_parts_may_become_one(bench: Bench) -> None:
    bench.smpp.way = (1, 0)
    await bench.queue("a", parts_by={"smpp": 2}, cuts_by={"smpp": 4})
    bench.start()
    await bench.sends(bench.smpp, "a")
    bench.smpp.answer(bench.smpp.submitted[0], Submitted(("1",)))
    await bench.settled()
    assert [(event["type"], event["parts"]) for event in await bench.events()] == [("accepted", 1)]


async def test_what_has_expired_is_told_and_never_submitted(bench: Bench) -> None:
    await bench.queue("a", expires_at=NOW - 1)
    bench.start()
    await bench.until(lambda: bench.journal.stats().outbox.number == 1)
    assert [event["type"] for event in await bench.events()] == ["expired"]
    assert bench.smpp.submitted == []


async def test_the_latency_of_a_scheduled_message_counts_from_its_schedule(bench: Bench) -> None:
    await bench.queue("a", schedule_at=NOW - 2.0, received_at=NOW - 1000.0)
    bench.start()
    await bench.sends(bench.smpp, "a")
    assert bench.metrics.submit_latency.labels("smpp")._sum.get() == 2.0


# --- Settle -----------------------------------------------------------------------------------------------------------------------

OUTCOMES: dict[str, tuple[Outcome, str, list[str], str]] = {
    "submitted": (Submitted(("77",), "gsm7"), "submitted", ["accepted"], "submitted"),
    "rejected": (Rejected(Reason.REFUSED_BY_PROVIDER, "no such number", 11), "done", ["rejected"], "rejected"),
    "deferred": (Deferred("busy", Scope.MESSAGE), "deferred", [], "deferred"),
    "in doubt": (InDoubt("no response"), "in_doubt", ["in_doubt"], "in_doubt"),
}


@pytest.mark.parametrize(("outcome", "state", "events", "counted"), OUTCOMES.values(), ids=OUTCOMES.keys())
async def test_each_outcome_is_settled_told_and_counted(
    bench: Bench, outcome: Outcome, state: str, events: list[str], counted: str
) -> None:
    await bench.queue("a")
    bench.start()
    await bench.sends(bench.smpp, "a")
    assert not bench.dispatcher.idle, "it waits for its answer"
    bench.smpp.answer(bench.smpp.submitted[0], outcome, latency=0.25)
    await bench.settled()
    assert await bench.state() == state
    assert [event["type"] for event in await bench.events()] == events
    assert bench.counted("messages", "smpp", counted) == 1.0
    assert bench.metrics.response_latency.labels("smpp")._sum.get() == 0.25


async def test_a_fault_of_the_carrier_puts_the_message_back_at_once_in_its_place(bench: Bench) -> None:
    bench.smpp.widen(1)
    await bench.queue("a", "b")
    bench.start()
    await bench.sends(bench.smpp, "a")
    bench.smpp.answer(bench.smpp.submitted[0], Deferred("throttled", Scope.CARRIER))
    await bench.sends(bench.smpp, "a", "a")
    assert [message.deferrals for message in bench.smpp.submitted] == [0, 0]


async def test_a_fault_of_the_message_waits_counts_and_then_tries_again(bench: Bench) -> None:
    await bench.queue("a")
    bench.start()
    await bench.sends(bench.smpp, "a")
    bench.smpp.answer(bench.smpp.submitted[0], Deferred("busy", Scope.MESSAGE))
    await bench.settled()
    assert (await bench.journal.tick(NOW + 4.9)).woken == 0
    assert (await bench.journal.tick(NOW + 5.0)).woken == 1
    bench.bells.ring()
    await bench.sends(bench.smpp, "a", "a")
    assert [(message.attempt, message.deferrals) for message in bench.smpp.submitted] == [(1, 0), (2, 1)]


async def test_what_was_put_aside_need_not_wait_out_its_pause_once_its_carrier_has_credits_again(bench: Bench) -> None:
    bench.start()
    await bench.queue("a")
    await bench.sends(bench.smpp, "a")
    bench.smpp.answer(bench.smpp.submitted[0], Deferred("no credits", Scope.ASIDE, 600.0, 97))
    await bench.settled()
    bench.smpp.has_refilled = True
    await bench.sends(bench.smpp, "a", "a")


@pytest.mark.parametrize("bench", [RetryPolicy(5.0, 5.0, 2)], indirect=True)
async def test_a_message_that_is_put_off_too_often_ends_with_the_last_word_of_the_provider(bench: Bench) -> None:
    await bench.queue("a")
    bench.start()
    for number in (1, 2):
        await bench.sends(bench.smpp, *["a"] * number)
        bench.smpp.answer(bench.smpp.submitted[-1], Deferred("ESME_RSYSERR", Scope.MESSAGE, code=8))
        await bench.settled()
        await bench.journal.tick(NOW + 5.0 * number)
        bench.bells.ring()
    (event,) = await bench.events()
    assert (event["reason"], event["code"], event["final"]) == ("attempts_exhausted", 8, True)
    assert "ESME_RSYSERR" in event["detail"]


async def test_an_answer_that_comes_twice_changes_nothing(bench: Bench) -> None:
    await bench.queue("a")
    bench.start()
    await bench.sends(bench.smpp, "a")
    for _ in range(2):
        bench.smpp.answer(bench.smpp.submitted[0], Submitted(("77",), "gsm7"))
        await bench.settled()
    await bench.look()
    assert [event["type"] for event in await bench.events()] == ["accepted"]


async def test_a_late_answer_resolves_the_doubt(bench: Bench) -> None:
    await bench.queue("a")
    bench.start()
    await bench.sends(bench.smpp, "a")
    bench.smpp.answer(bench.smpp.submitted[0], InDoubt("no response"))
    await bench.settled()
    bench.smpp.answer(bench.smpp.submitted[0], Submitted(("77",), "gsm7"))
    await bench.until(lambda: bench.counted("in_doubt", "smpp", "late_response") == 1.0)
    assert [event["type"] for event in await bench.events()] == ["in_doubt", "accepted"]


# --- Cancel -----------------------------------------------------------------------------------------------------------------------


async def submit_and_cancel(bench: Bench) -> None:
    """Bring a message as far as submitted with a cancel waiting, before the dispatcher starts to look for cancels."""
    bench.smpp.ready_to_cancel = False
    bench.start()
    await bench.queue("a")
    await bench.sends(bench.smpp, "a")
    bench.smpp.answer(bench.smpp.submitted[0], Submitted(("77",), "gsm7"))
    await bench.settled()
    await bench.journal.append([Cancel(source="", id="a", received_at=NOW)])


@pytest.mark.parametrize(
    ("outcome", "told"), [(Cancelled(), ("cancelled", True, None)), (CancelFailed("too_late"), ("cancel_failed", False, "too_late"))]
)
async def test_a_cancel_goes_to_the_carrier_once_it_is_ready_and_its_answer_is_told(
    bench: Bench, outcome: Cancelled | CancelFailed, told: tuple[str, bool, str | None]
) -> None:
    await submit_and_cancel(bench)
    assert bench.smpp.cancelled == []
    bench.smpp.ready_to_cancel = True
    await bench.until(lambda: bench.smpp.cancelled != [])
    (order,) = bench.smpp.cancelled
    assert (order.message_ids, order.to) == (("77",), "11987654321")
    bench.smpp.answer_cancel(order, outcome)
    await bench.until(lambda: bench.journal.stats().outbox.number == 2)
    event = (await bench.events())[-1]
    assert (event["type"], event["final"], event.get("reason")) == told
    await bench.settled()


async def test_a_cancel_before_the_claim_ends_the_message_here(bench: Bench) -> None:
    await bench.queue("a")
    await bench.journal.append([Cancel(source="", id="a", received_at=NOW)])
    bench.start()
    await bench.look()
    assert bench.smpp.submitted == []
    assert [event["type"] for event in await bench.events()] == ["cancelled"]


# --- Ending -----------------------------------------------------------------------------------------------------------------------


async def test_after_stop_feeding_nothing_is_claimed_and_answers_are_still_settled(bench: Bench) -> None:
    bench.start()
    await bench.queue("a")
    await bench.sends(bench.smpp, "a")
    bench.dispatcher.stop_feeding()
    await bench.queue("b")
    await bench.look()
    assert bench.smpp.ids == ["a"]
    assert not bench.dispatcher.idle
    bench.smpp.answer(bench.smpp.submitted[0], Submitted(("77",), "gsm7"))
    await bench.settled()
    assert (await bench.state("a"), await bench.state("b")) == ("submitted", "queued")


async def test_a_claim_that_waits_for_the_journal_is_waited_for(bench: Bench) -> None:
    await bench.queue("a")
    with write_locked(bench.path):
        bench.start()
        await bench.until(lambda: not bench.journal.available)
        bench.dispatcher.stop_feeding()
        assert not bench.dispatcher.idle, "an attempt may be open"
    await bench.sends(bench.smpp, "a")


async def test_nothing_is_claimed_while_the_journal_cannot_commit(bench: Bench) -> None:
    bench.smpp.widen(0)
    bench.http.widen(0)
    bench.start()
    await bench.queue("a")
    with write_locked(bench.path):
        put_off = bench.journal.published([])
        await bench.until(lambda: not bench.journal.available)
        bench.smpp.widen(1)
        for _ in range(20):
            bench.bells.ring()
            await asyncio.sleep(0)
        assert bench.dispatcher.idle
    await put_off
    bench.bells.ring()
    await bench.sends(bench.smpp, "a")


async def test_every_message_goes_out_once_whatever_both_carriers_do(bench: Bench) -> None:
    ids = [f"m{number}" for number in range(200)]
    bench.smpp.widen(7)
    bench.http.widen(3)
    bench.start()
    await bench.queue(*ids)
    answered: Counter[str] = Counter()
    async with asyncio.timeout(DEADLINE):
        while sum(answered.values()) < len(ids):
            for carrier in (bench.smpp, bench.http):
                waiting = carrier.submitted[answered[carrier.name] :]
                for message in waiting:
                    carrier.answer(message, Submitted((message.id,), "gsm7"))
                answered[carrier.name] += len(waiting)
            if answered["smpp"] > 50 and bench.monotonic == 100.0:
                bench.smpp.become(CarrierState.DOWN)
                await bench.look()
                bench.monotonic += 30.0
            bench.bells.ring()
            await asyncio.sleep(0.001)
    assert sorted(bench.smpp.ids + bench.http.ids) == sorted(ids)
    assert bench.http.ids != []
    await bench.settled()
    assert Counter(event["type"] for event in await bench.events()) == {"accepted": 200}
