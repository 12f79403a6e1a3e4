"""The contract of every journal: the way of a message from append to its final event."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.journal.base import Settlement
from gateway.message import (
    Answer,
    Cancel,
    CancelAnswer,
    CancelFailed,
    Cancelled,
    Deferred,
    InDoubt,
    QueueState,
    Reason,
    Refusal,
    Rejected,
    Scope,
    Submitted,
)

Counted = Callable[..., int]


def refusal(digest: bytes = b"d", **fields: Any) -> Refusal:
    values: dict[str, Any] = {
        "source": "shop", "id": "x", "reason": Reason.INVALID_PAYLOAD, "detail": "no text", "digest": digest, "raw": b"{}",
        "received_at": 1.0,
    }  # fmt: skip
    return Refusal(**(values | fields))


async def test_a_message_is_submitted_and_delivered_with_two_events(bench: Any, counted: Counted) -> None:
    message = await bench.send("a", metadata={"k": "v"})
    report = await bench.receive("a", done_at=bench.now)
    accepted, receipt = await bench.events()
    assert accepted["type"] == "accepted"
    assert accepted["event_id"] == "shop/a/1"
    assert accepted["message_ids"] == ["a"]
    assert accepted["metadata"] == {"k": "v"}
    assert not accepted["final"]
    assert receipt["event_id"] == "shop/a/2"
    assert (receipt["code"], receipt["state"], receipt["final"]) == (2, "delivered", True)
    assert receipt["done_at"] == "2027-01-15T08:00:00.000Z"
    assert counted(report, "receipts", "smpp", "delivered", "exact") == 1
    assert report.receipt_latencies == [("smpp", 0.0)]
    assert message.attempt == 1
    assert await bench.state() == "done"


async def test_without_a_receipt_asked_for_accepted_is_final(bench: Any) -> None:
    await bench.send("a", receipt=False)
    (accepted,) = await bench.events()
    assert accepted["final"]
    assert await bench.state() == "done"
    await bench.receive("a")
    assert await bench.types() == ["accepted"]


async def test_claims_take_priority_first_then_arrival(bench: Any) -> None:
    await bench.journal.append([bench.message(id, priority=priority) for id, priority in (("a", 0), ("b", 2), ("c", 0), ("d", 2))])
    assert [message.id for message in await bench.claim(3)] == ["b", "d", "a"]
    assert [message.id for message in await bench.claim(3)] == ["c"]


async def test_claims_merge_routes_by_priority_and_arrival(bench: Any) -> None:
    await bench.journal.append(
        [bench.message("a"), bench.message("b", routes=("smpp",)), bench.message("c"), bench.message("d", routes=("http",))]
    )
    claimed = await bench.journal.claim("smpp", [("smpp", "http"), ("smpp",)], 10, bench.now)
    assert [message.id for message in claimed] == ["a", "b", "c"]


async def test_a_claim_takes_one_part_of_each_message_and_never_more_than_its_limit(bench: Any) -> None:
    await bench.journal.append([bench.message("a", parts=2), bench.message("b", parts=3), bench.message("c", parts=9)])
    assert [(message.id, message.part, message.parts) for message in await bench.claim(2)] == [("a", 1, 2), ("b", 1, 3)]
    assert [message.id for message in await bench.claim(4)] == ["c"]
    assert await bench.claim(0) == []


async def test_a_scheduled_message_waits_until_it_is_due(bench: Any) -> None:
    await bench.queue("a", schedule_at=bench.now + 50)
    assert await bench.claim() == []
    tick = await bench.journal.tick(bench.now)
    assert (tick.woken, tick.next_due) == (0, bench.now + 50)
    bench.now += 50
    assert (await bench.journal.tick(bench.now)).woken == 1
    assert [message.id for message in await bench.claim()] == ["a"]


async def test_the_same_message_again_is_not_sent_again_but_told_again(bench: Any, counted: Counted) -> None:
    await bench.queue("a")
    report = await bench.queue("a")
    assert counted(report, "duplicates") == 1
    assert await bench.events() == []
    (message,) = await bench.claim()
    await bench.answer(message, Submitted(("1",)))
    await bench.queue("a")
    first, again = await bench.events()
    assert first == again
    assert bench.journal.stats().queue[QueueState.QUEUED].number == 0


async def test_what_was_taken_under_other_settings_is_told_again_and_not_refused(bench: Any, counted: Counted) -> None:
    message = await bench.send("a")
    again = refusal(id="a", reason=Reason.NO_ROUTE, content=message.digest)
    report = await bench.journal.append([again])
    assert (counted(report, "duplicates"), counted(report, "messages", "", "rejected")) == (1, 0)
    assert [event["type"] for event in await bench.events()] == ["accepted", "accepted"]
    await bench.journal.append([refusal(id="a", reason=Reason.NO_ROUTE, content=b"other")])
    assert [event["type"] for event in await bench.events()] == ["accepted", "accepted", "rejected"]


async def test_the_same_id_twice_in_one_batch_is_one_message(bench: Any, counted: Counted) -> None:
    report = await bench.journal.append([bench.message("a"), bench.message("b"), bench.message("a")])
    assert counted(report, "duplicates") == 1
    assert len(await bench.claim()) == 2


async def test_the_same_id_with_other_content_is_rejected_and_the_first_untouched(bench: Any) -> None:
    await bench.queue("a")
    await bench.queue("a", digest=b"other", text="other")
    (event,) = await bench.events()
    assert (event["type"], event["reason"], event["final"], event["id"]) == ("rejected", "duplicate_id", True, "a")
    assert event["event_id"].startswith("-/rejected/")
    await bench.queue("a", digest=b"other", text="other")
    first, again = await bench.events()
    assert first == again
    assert [message.text for message in await bench.claim()] == ["a text that is long enough"]


async def test_the_same_id_of_another_source_is_another_message(bench: Any) -> None:
    await bench.journal.append([bench.message("a"), bench.message("a", source="bank")])
    assert len(await bench.claim()) == 2


async def test_a_refusal_is_told_once_with_the_same_event_id_however_often_it_comes(bench: Any, counted: Counted) -> None:
    report = await bench.journal.append([refusal()])
    assert counted(report, "messages", "", "rejected") == 1
    assert counted(await bench.journal.append([refusal()]), "messages", "", "rejected") == 0
    first, again = await bench.events()
    assert first == again
    assert first["digest"] == b"d".hex()
    assert first["raw"] is None


async def test_the_raw_payload_goes_to_the_response_topic_alone(bench: Any) -> None:
    await bench.journal.append([refusal(raw=b"x" * 5000, response_topic="reply/to", correlation=b"c")])
    event, response = await bench.journal.outbox(0, 10)
    assert b'"raw":null' in event.payload
    assert b'"raw":"' + b"x" * 2048 + b'"' in response.payload
    assert (event.topic, response.topic, response.correlation) == (None, "reply/to", b"c")


async def test_refusals_are_kept_up_to_a_limit(new_bench: Any) -> None:
    bench = await new_bench(refused_limit=2)
    await bench.journal.append([refusal(bytes([n])) for n in range(4)])
    await bench.journal.append([refusal(bytes([0])), refusal(bytes([3]))])
    ids = [event["event_id"] for event in await bench.events()]
    assert len(set(ids)) == 5  # the first was forgotten, the last was not


async def test_events_go_to_the_response_topic_too(bench: Any) -> None:
    await bench.send("a", response_topic="reply/to", correlation=b"c")
    event, response = await bench.journal.outbox(0, 10)
    assert event.payload == response.payload
    assert (event.topic, response.topic, response.correlation) == (None, "reply/to", b"c")
    assert (event.type, event.source) == ("accepted", "shop")


async def test_a_rejected_message_ends(bench: Any, rejected: Rejected, counted: Counted) -> None:
    message = await bench.send("a", rejected)
    (event,) = await bench.events()
    assert (event["reason"], event["detail"], event["code"], event["final"]) == ("refused_by_provider", "no such number", 11, True)
    assert counted(await bench.answer(message, rejected), "messages", "smpp", "rejected") == 0
    assert await bench.types() == ["rejected"]


async def test_a_deferred_message_comes_back_when_due_and_counts(bench: Any) -> None:
    message = await bench.send("a", Deferred("busy", Scope.MESSAGE))
    (message,) = await bench.claim()
    await bench.answer(message, Deferred("busy", Scope.MESSAGE), retry_at=bench.now + 10, counts=True)
    assert await bench.claim() == []
    assert await bench.state() == "deferred"
    bench.now += 10
    assert (await bench.journal.tick(bench.now)).woken == 1
    (message,) = await bench.claim()
    assert (message.attempt, message.deferrals) == (3, 1)


async def test_a_message_deferred_for_its_carrier_keeps_its_place(bench: Any, throttled: Deferred) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    await bench.queue("b")
    await bench.answer(message, throttled)
    assert [message.id for message in await bench.claim()] == ["a", "b"]


async def test_what_waits_too_long_expires(bench: Any, counted: Counted) -> None:
    await bench.journal.append([bench.message("a"), bench.message("b", schedule_at=bench.now + 10), bench.message("c")])
    await bench.hold(ids=("c",))
    bench.now += 1000
    report = (await bench.journal.tick(bench.now)).report
    assert sorted(event["id"] for event in await bench.events() if event["type"] == "expired" and event["final"]) == ["a", "b", "c"]
    assert counted(report, "messages", "", "expired") == 3


async def test_a_claim_ends_what_has_expired_instead(bench: Any, counted: Counted) -> None:
    await bench.journal.append([bench.message("a"), bench.message("b", expires_at=bench.now + 2000)])
    bench.now += 1500
    assert [message.id for message in await bench.claim(1)] == ["b"]
    assert await bench.types() == ["expired"]
    assert counted((await bench.journal.tick(bench.now)).report, "messages", "", "expired") == 1


async def test_nothing_expires_while_the_clock_is_suspected(bench: Any) -> None:
    await bench.send("b")
    await bench.queue("a")
    bench.now += 100_000
    tick = await bench.journal.tick(bench.now, expire=False)
    assert tick.next_due is None
    assert await bench.claim() == []
    assert await bench.types() == ["accepted"]
    await bench.journal.tick(bench.now)
    assert await bench.types() == ["accepted", "expired", "receipt"]


async def test_a_receipt_that_never_comes_ends_the_message(bench: Any) -> None:
    await bench.send("a")
    bench.now += 3600
    await bench.journal.tick(bench.now)
    *_, event = await bench.events()
    assert (event["code"], event["state"], event["final"]) == (None, "no_receipt", True)
    await bench.receive("a", 2)
    *_, late = await bench.events()
    assert (late["late"], late["code"], late["final"]) == (True, 2, False)


async def test_a_late_answer_after_the_end_changes_nothing(bench: Any, rejected: Rejected) -> None:
    message = await bench.send("a", rejected)
    await bench.answer(message, Submitted(("1",)))
    assert await bench.types() == ["rejected"]


async def test_an_answer_for_no_message_is_ignored(bench: Any) -> None:
    await bench.journal.settle([Settlement(Answer(12345, 1, Submitted(("1",)), bench.now), "smpp")], bench.now)


# --- Cancels ----------------------------------------------------------------------------------------------------------------------


def cancel(id: str = "a") -> Cancel:
    return Cancel(source="shop", id=id, received_at=1.0)


async def test_a_waiting_message_is_cancelled_here(bench: Any, counted: Counted) -> None:
    await bench.queue("a")
    report = await bench.journal.append([cancel()])
    (event,) = await bench.events()
    assert (event["type"], event["final"]) == ("cancelled", True)
    assert counted(report, "messages", "", "cancelled") == 1
    assert await bench.claim() == []


async def test_a_cancel_that_comes_again_is_told_the_same(bench: Any) -> None:
    await bench.queue("a")
    await bench.journal.append([cancel()])
    await bench.journal.append([cancel()])
    first, again = await bench.events()
    assert first == again


async def test_a_cancel_may_overtake_its_message(bench: Any) -> None:
    await bench.journal.append([cancel()])
    await bench.queue("a")
    assert await bench.types() == ["cancelled"]
    assert await bench.claim() == []
    bench.now += 1000
    await bench.journal.tick(bench.now)
    assert await bench.types() == ["cancelled"]


async def test_a_cancel_for_no_message_fails_when_its_tombstone_expires(bench: Any) -> None:
    await bench.journal.append([cancel("nobody")])
    assert (await bench.journal.tick(bench.now)).next_due == bench.now + 300
    bench.now += 300
    await bench.journal.tick(bench.now)
    (event,) = await bench.events()
    assert (event["type"], event["reason"], event["id"]) == ("cancel_failed", "not_found", "nobody")
    assert event["event_id"].startswith("-/cancel/")


async def test_a_cancel_after_the_end_is_too_late(bench: Any) -> None:
    await bench.send("a", receipt=False)
    await bench.journal.append([cancel()])
    await bench.journal.append([cancel()])
    assert await bench.types() == ["accepted", "cancel_failed", "cancel_failed"]
    assert len({event["event_id"] for event in await bench.events()}) == 2


async def test_a_cancel_waits_for_the_response_and_goes_to_the_carrier(bench: Any, counted: Counted) -> None:
    await bench.queue("a", sender="1234")
    (message,) = await bench.claim()
    await bench.journal.append([cancel()])
    assert await bench.journal.cancels("smpp", 10, bench.now) == []
    await bench.answer(message, Submitted(("id1",)))
    (order,) = await bench.journal.cancels("smpp", 10, bench.now)
    assert (order.row, order.to, order.sender, order.message_ids) == (message.row, "11987650000", "1234", ("id1",))
    assert await bench.journal.cancels("smpp", 10, bench.now) == []
    report = await bench.journal.settle_cancels([CancelAnswer(message.row, Cancelled(), bench.now)], "smpp", bench.now)
    assert counted(report, "messages", "smpp", "cancelled") == 1
    assert await bench.types() == ["accepted", "cancelled"]


async def test_a_cancel_of_what_was_taken_without_an_id_goes_to_the_carrier_which_says_so(bench: Any) -> None:
    message = await bench.send("a", outcome=Submitted((), under_review=True))
    await bench.journal.append([cancel()])
    (order,) = await bench.journal.cancels("smpp", 10, bench.now)
    assert (order.row, order.message_ids) == (message.row, ())


async def test_a_cancel_without_an_answer_is_handed_out_again(bench: Any) -> None:
    await bench.send("a")
    await bench.journal.append([cancel()])
    assert len(await bench.journal.cancels("smpp", 10, bench.now)) == 1
    bench.now += 60
    assert len(await bench.journal.cancels("smpp", 10, bench.now)) == 1
    assert await bench.journal.cancels("other", 10, bench.now) == []


async def test_a_cancel_that_the_provider_refuses_is_told_and_the_message_goes_on(bench: Any) -> None:
    message = await bench.send("a")
    await bench.journal.append([cancel()])
    await bench.journal.cancels("smpp", 10, bench.now)
    await bench.journal.settle_cancels([CancelAnswer(message.row, CancelFailed("refused"), bench.now)], "smpp", bench.now)
    await bench.receive("a")
    assert await bench.types() == ["accepted", "cancel_failed", "receipt"]
    assert (await bench.events())[1]["reason"] == "refused"


async def test_a_message_that_ends_while_its_cancel_is_wanted_says_too_late(bench: Any) -> None:
    await bench.send("a")
    await bench.journal.append([cancel()])
    await bench.receive("a")
    assert await bench.types() == ["accepted", "receipt", "cancel_failed"]
    assert [event["final"] for event in await bench.events()] == [False, True, False]


async def test_a_message_whose_doubt_ends_while_its_cancel_is_wanted_says_unknown(bench: Any) -> None:
    await bench.send("a", InDoubt("timeout"))
    await bench.journal.append([cancel()])
    bench.now += 901
    await bench.journal.tick(bench.now)
    assert await bench.types() == ["in_doubt", "in_doubt", "cancel_failed"]
    assert (await bench.events())[-1]["reason"] == "unknown"


async def test_a_suspected_clock_does_not_let_old_messages_keep_new_ones_waiting(bench: Any) -> None:
    for number in range(20):
        await bench.queue(f"old{number}", expires_at=bench.now + 60)
    bench.now += 86400
    await bench.journal.tick(bench.now, expire=False)
    await bench.queue("new", expires_at=bench.now + 60)
    assert [message.id for message in await bench.claim(limit=5)] == ["new"]
    assert await bench.state("old0") == "queued"


async def test_a_cancelled_message_is_not_sent_again_when_its_carrier_defers_it(bench: Any, throttled: Deferred) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    await bench.journal.append([cancel()])
    await bench.answer(message, throttled)
    assert await bench.types() == ["cancelled"]


async def test_a_message_that_expired_on_its_way_ends_when_it_is_deferred(bench: Any, throttled: Deferred) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    bench.now += 1000
    await bench.answer(message, throttled, retry_at=bench.now + 5)
    assert await bench.types() == ["expired"]


@pytest.mark.parametrize("limit", [1, 1000])
async def test_the_routes_of_what_waits_are_listed(bench: Any, limit: int) -> None:
    await bench.journal.append([bench.message("a"), bench.message("b", routes=("http",))])
    assert sorted(await bench.journal.routes()) == [("http",), ("smpp", "http")]
