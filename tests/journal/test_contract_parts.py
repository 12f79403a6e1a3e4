"""The contract of every journal: messages of several parts."""

from collections.abc import Callable
from typing import Any

from gateway.message import Cancel, CancelAnswer, Cancelled, Deferred, InDoubt, Reason, Rejected, Scope, Submitted, part_reference

Counted = Callable[..., int]
DAY = 86400.0


async def test_parts_go_one_after_the_other_and_are_told_when_all_were_taken(bench: Any) -> None:
    await bench.queue("a", parts=3)
    first = await bench.send_part(Submitted(("x",), "ucs2"), 3)
    assert (first.part, first.parts, first.attempt) == (1, 3, 1)
    assert await bench.events() == []
    second = await bench.send_part(Submitted(("y",), "ucs2"), 3)
    third = await bench.send_part(Submitted(("z",), "ucs2"), 3)
    assert [(message.part, message.concatenation) for message in (second, third)] == [(2, first.concatenation), (3, first.concatenation)]
    (accepted,) = await bench.events()
    assert (accepted["message_ids"], accepted["parts"], accepted["encoding"], accepted["attempt"]) == (["x", "y", "z"], 3, "ucs2", 1)
    assert await bench.state() == "submitted"


async def test_each_part_has_a_reference_of_its_own(bench: Any) -> None:
    await bench.queue("a", parts=2)
    first = await bench.send_part(Submitted(("x",)), 2)
    second = await bench.send_part(Submitted(("y",)), 2)
    assert (first.reference, second.reference) == (part_reference(first.row, 1), part_reference(first.row, 2))
    assert first.reference != second.reference


async def test_two_messages_to_one_destination_never_share_a_concatenation_reference_within_their_life(bench: Any, new_bench: Any) -> None:
    seen = []
    for number in range(300):
        await bench.queue(f"m{number}", parts=2)
    seen = [message.concatenation & 0xFF for message in await bench.claim(300)]
    assert all(len(set(seen[place : place + 256])) == len(seen[place : place + 256]) for place in range(45))
    await bench.queue("before", parts=2, to="11911112222")
    (before,) = await bench.claim()
    await bench.restart()
    await bench.queue("after", parts=2, to="11911112222")
    (after,) = await bench.claim()
    assert after.concatenation == (before.concatenation + 1) & 0xFFFF


async def test_references_that_no_phone_waits_for_any_more_are_forgotten(bench: Any) -> None:
    await bench.send_parts("x", "y", receipt=False)
    (before,) = bench.journal._connection.execute("SELECT count(*) FROM concatenation").fetchone()
    bench.now += 5 * DAY
    await bench.journal.tick(bench.now)
    (after,) = bench.journal._connection.execute("SELECT count(*) FROM concatenation").fetchone()
    assert (before, after) == (1, 0)


async def test_a_part_that_is_refused_ends_the_message_and_keeps_the_rest_from_being_sent(bench: Any, rejected: Rejected) -> None:
    await bench.queue("a", parts=3)
    await bench.send_part(Submitted(("x",)), 3)
    await bench.send_part(rejected, 3)
    (event,) = await bench.events()
    assert (event["type"], event["reason"], event["final"]) == ("rejected", "refused_by_provider", True)
    assert event["detail"] == "part 2 of 3: no such number; part 1 was sent, the rest not"
    assert await bench.claim() == []


async def test_the_receipt_of_a_part_that_was_sent_before_another_was_refused_is_told_as_late(bench: Any, rejected: Rejected) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(Submitted(("x",)), 2)
    await bench.receive("x")  # while the second one waits
    assert await bench.events() == []
    await bench.send_part(rejected, 2)
    assert [(event["type"], event["final"], event.get("late")) for event in await bench.events()] == [
        ("rejected", True, None), ("receipt", False, True),
    ]  # fmt: skip


async def test_a_throttled_part_is_sent_again_with_the_same_references(bench: Any, throttled: Deferred) -> None:
    await bench.queue("a", parts=2)
    first = await bench.send_part(Submitted(("x",)), 2)
    once = await bench.send_part(throttled, 2)
    again = await bench.send_part(Submitted(("y",)), 2)
    assert (once.part, once.concatenation, once.reference) == (again.part, again.concatenation, again.reference)
    assert again.concatenation == first.concatenation
    (accepted,) = await bench.events()
    assert (accepted["message_ids"], accepted["attempt"]) == (["x", "y"], 2)


async def test_a_message_that_was_begun_is_no_other_carriers(bench: Any) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(Submitted(("x",)), 2)
    assert await bench.claim(carrier="http") != []  # claim asks for all routes; what counts is the message's own
    assert ("smpp",) in await bench.journal.routes()


async def test_a_message_that_was_begun_waits_on_the_route_of_its_carrier_alone(bench: Any) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(Submitted(("x",)), 2)
    assert await bench.journal.claim("http", [("smpp", "http"), ("http",)], 10, bench.now) == []
    assert len(await bench.journal.claim("smpp", [("smpp",)], 10, bench.now)) == 1


async def test_progress_survives_a_restart(bench: Any) -> None:
    await bench.queue("a", parts=3)
    await bench.send_part(Submitted(("x",)), 3)
    await bench.restart()
    message = await bench.send_part(Submitted(("y",)), 3)
    assert (message.part, message.parts) == (2, 3)
    await bench.send_part(Submitted(("z",)), 3)
    assert (await bench.events())[0]["message_ids"] == ["x", "y", "z"]


async def test_a_part_in_doubt_puts_the_message_in_doubt_and_ends_so(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=3)
    await bench.send_part(Submitted(("x",)), 3)
    await bench.receive("x")
    await bench.send_part(unanswered, 3)
    assert await bench.state() == "in_doubt"
    bench.now += 900
    await bench.journal.tick(bench.now)
    assert [(event["type"], event["final"]) for event in await bench.events()] == [
        ("in_doubt", False), ("in_doubt", True), ("receipt", False),
    ]  # fmt: skip


async def test_a_late_response_lets_the_rest_go_on(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=2)
    message = await bench.send_part(unanswered, 2)
    await bench.journal.settle([bench.settlement(message, Submitted(("x",)), 1, 2)], bench.now)
    assert await bench.state() == "queued"
    await bench.send_part(Submitted(("y",)), 2)
    assert (await bench.events())[-1]["message_ids"] == ["x", "y"]


async def test_a_receipt_with_our_reference_proves_a_part_and_the_rest_goes_on(bench: Any, unanswered: InDoubt, counted: Counted) -> None:
    await bench.queue("a", parts=3)
    await bench.send_part(Submitted(("x",)), 3)
    message = await bench.send_part(unanswered, 3)
    report = await bench.receive("y", to="5511987650000", reference=message.reference)
    assert counted(report, "in_doubt", "smpp", "reference") == 1
    await bench.send_part(Submitted(("z",)), 3)
    await bench.receive("x")
    await bench.receive("z")
    events = await bench.events()
    assert [event["type"] for event in events] == ["in_doubt", "accepted", "receipt", "receipt", "receipt"]
    assert events[1]["message_ids"] == ["x", "y", "z"]
    assert (events[-1]["state"], events[-1]["final"]) == ("delivered", True)


async def test_a_receipt_that_proves_the_last_part_tells_that_all_were_taken(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(Submitted(("x",)), 2)
    message = await bench.send_part(unanswered, 2)
    await bench.receive("x")
    await bench.receive("y", to="5511987650000", reference=message.reference)
    events = await bench.events()
    assert [(event["type"], event["final"]) for event in events] == [
        ("in_doubt", False), ("accepted", False), ("receipt", False), ("receipt", True),
    ]  # fmt: skip
    assert events[1]["message_ids"] == ["x", "y"]


async def test_what_is_told_of_the_encoding_needs_no_response_to_the_last_part(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(Submitted(("x",), "gsm7", replaced={"ã": "a"}), 2)
    message = await bench.send_part(unanswered, 2)
    await bench.restart()
    await bench.receive("y", to="5511987650000", reference=message.reference)
    accepted = (await bench.events())[1]
    assert (accepted["type"], accepted["encoding"], accepted["replaced"]) == ("accepted", "gsm7", {"ã": "a"})


async def test_a_receipt_with_the_reference_of_another_part_proves_nothing(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=2)
    message = await bench.send_part(unanswered, 2)
    await bench.receive("y", to="5511987650000", reference=part_reference(message.row, 2))
    assert await bench.state() == "in_doubt"
    assert bench.journal.stats().parked == 1


async def test_a_part_left_open_by_a_killed_process_is_in_doubt_and_the_parts_before_it_are_known(bench: Any) -> None:
    await bench.queue("a", parts=3)
    await bench.send_part(Submitted(("x",)), 3)
    await bench.claim()
    await bench.restart()
    await bench.journal.recover(bench.now)
    assert await bench.state() == "in_doubt"
    (shown,) = await bench.journal.show(None, "a")
    assert ([part["message_id"] for part in shown["part_ids"]], shown["parts_sent"]) == (["x"], 1)


async def test_resubmit_sends_the_doubtful_part_again_and_no_other(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=2, in_doubt="resubmit")
    await bench.send_part(Submitted(("x",)), 2)
    first = await bench.send_part(unanswered, 2)
    second = await bench.send_part(Submitted(("y",)), 2)
    assert (first.part, second.part, second.concatenation, second.possible_duplicate) == (2, 2, first.concatenation, True)
    await bench.journal.settle([bench.settlement(first, Submitted(("y0",)), 2, 2)], bench.now)
    await bench.receive("x")
    await bench.receive("y0", 5)
    await bench.receive("y")
    events = await bench.events()
    assert (events[1]["type"], events[1]["possible_duplicate"]) == ("accepted", True)
    assert [(event["code"], event["final"], event["late"]) for event in events if event["type"] == "receipt"] == [
        (2, False, False), (5, True, False), (2, False, True),
    ]  # fmt: skip


async def test_what_was_begun_is_not_expired_but_incomplete(bench: Any) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(Submitted(("x",)), 2)
    bench.now += 1000
    assert await bench.claim() == []
    (event,) = await bench.events()
    assert (event["type"], event["reason"], event["final"]) == ("rejected", Reason.INCOMPLETE, True)
    assert event["detail"] == "1 of 2 parts were sent, and the time of the others is over"


async def test_a_deferred_part_whose_time_is_over_ends_incomplete(bench: Any) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(Submitted(("x",)), 2)
    await bench.send_part(Deferred("busy", Scope.MESSAGE), 2, retry_at=bench.now + 5000, counts=True)
    bench.now += 1000
    await bench.journal.tick(bench.now)
    assert [event.get("reason") for event in await bench.events()] == ["incomplete"]


async def test_a_cancel_while_parts_are_sent_waits_for_all_and_names_all_ids(bench: Any) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(Submitted(("x",)), 2)
    await bench.journal.append([Cancel(source="shop", id="a", received_at=bench.now)])
    assert await bench.journal.cancels("smpp", 10, bench.now) == []
    await bench.send_part(Submitted(("y",)), 2)
    (order,) = await bench.journal.cancels("smpp", 10, bench.now)
    assert order.message_ids == ("x", "y")
    await bench.journal.settle_cancels([CancelAnswer(order.row, Cancelled(), bench.now)], "smpp", bench.now)
    assert [event["type"] for event in await bench.events()] == ["accepted", "cancelled"]


async def test_an_operator_who_says_that_a_part_was_sent_lets_the_rest_go_on(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(unanswered, 2)
    await bench.journal.resolve(bench.selection("a"), "submitted", bench.now)
    message = await bench.send_part(Submitted(("y",)), 2)
    assert message.part == 2
    assert (await bench.events())[-1]["message_ids"] == ["", "y"]


async def test_an_operator_who_says_that_a_part_was_not_sent_does_not_hide_those_that_were(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=3)
    await bench.send_part(Submitted(("x",)), 3)
    await bench.send_part(unanswered, 3)
    await bench.journal.resolve(bench.selection("a"), "rejected", bench.now)
    detail = (await bench.events())[-1]["detail"]
    assert detail.startswith("part 2 of 3: an operator says that it was not sent; ")
    assert detail.endswith("; part 1 was sent, the rest not")


async def test_a_doubt_says_which_part_it_is_about_and_what_became_of_the_others(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=4)
    await bench.send_part(unanswered, 4)
    await bench.journal.resolve(bench.selection("a"), "submitted", bench.now)
    await bench.send_part(Submitted(("y",)), 4)
    await bench.send_part(unanswered, 4)
    bench.now += 901
    await bench.journal.tick(bench.now)
    assert [event["reason"] for event in await bench.events()] == [
        "part 1 of 4: no response; the rest not sent",
        "part 3 of 4: no response; parts 1 to 2 were sent, the rest not",
        "part 3 of 4: no proof in time; parts 1 to 2 were sent, the rest not",
    ]


async def test_a_carrier_that_cannot_carry_it_after_all_leaves_it_to_the_next_one(bench: Any) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    await bench.answer(message, Rejected(Reason.NO_ROUTE, "this account may not"))
    assert await bench.journal.claim("smpp", [("smpp", "http"), ("smpp",)], 10, bench.now) == []
    (message,) = await bench.journal.claim("http", [("http",)], 10, bench.now)
    await bench.answer(message, Rejected(Reason.NO_ROUTE, "nor this one"), "http")
    (event,) = await bench.events()
    assert (event["type"], event["reason"], event["carrier"]) == ("rejected", "no_route", "http")


async def test_a_cancel_that_came_meanwhile_ends_what_a_carrier_cannot_carry(bench: Any) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    await bench.journal.append([Cancel(source="shop", id="a", received_at=bench.now)])
    await bench.answer(message, Rejected(Reason.NO_ROUTE, "this account may not"))
    assert await bench.types() == ["cancelled"]


async def test_what_was_several_parts_by_one_carrier_may_be_one_by_another(bench: Any) -> None:
    await bench.queue("a", parts=3)
    await bench.send_part(Deferred("no bind", Scope.CARRIER), 3)
    await bench.send_part(Submitted(("md5",)), 1, carrier="http")
    await bench.receive("md5", carrier="http")
    accepted, receipt = await bench.events()
    assert (accepted["parts"], receipt["part"], receipt["parts"], receipt["final"]) == (1, 1, 1, True)


async def test_a_kill_leaves_no_guess_about_how_many_parts_a_carrier_makes(bench: Any) -> None:
    await bench.queue("a", parts_by={"smpp": 2, "other": 9}, routes=("smpp", "other"))
    (message,) = await bench.claim()
    await bench.restart()
    await bench.journal.recover(bench.now)
    await bench.receive("x", to="5511987650000", reference=message.reference)
    message = await bench.send_part(Submitted(("y",)), 2)
    assert (message.part, message.parts) == (2, 2)
    assert [event["message_ids"] for event in await bench.events() if event["type"] == "accepted"] == [["x", "y"]]
