"""The contract of every journal: parts of which several copies, or several attempts in doubt, are under way at once."""

from typing import Any

from gateway.message import Cancel, Deferred, InDoubt, Reason, Rejected, Scope, Submitted

PHONE = "5511987650000"


async def restarted_in_the_middle(bench: Any) -> None:
    await bench.restart()
    await bench.journal.recover(bench.now)


async def begin_with_a_doubtful_copy(bench: Any, unanswered: InDoubt, parts: int) -> Any:
    """Send part 1 twice: the first copy was not answered, the second one was taken. Return the first."""
    await bench.queue("a", parts=parts, in_doubt="resubmit")
    first = await bench.send_part(unanswered, parts)
    await bench.send_part(Submitted(("x",)), parts)
    return first


async def test_a_kill_during_a_part_after_a_resubmitted_one_does_not_end_the_message(bench: Any, unanswered: InDoubt) -> None:
    await begin_with_a_doubtful_copy(bench, unanswered, 3)
    await bench.claim()
    await restarted_in_the_middle(bench)
    assert await bench.state() == "in_doubt"
    assert "accepted" not in await bench.types("a")


async def test_a_part_that_cannot_be_prepared_after_a_resubmitted_one_is_not_taken_for_that_one(bench: Any, unanswered: InDoubt) -> None:
    await begin_with_a_doubtful_copy(bench, unanswered, 2)
    await bench.send_part(Rejected(Reason.INCOMPLETE, "the settings were changed"), 2)
    event = (await bench.events())[-1]
    assert (event["type"], event["final"]) == ("rejected", True)
    assert event["detail"].endswith("; part 1 was sent")


async def test_a_late_response_of_an_earlier_part_does_not_send_the_part_in_doubt_again(bench: Any, unanswered: InDoubt) -> None:
    first = await begin_with_a_doubtful_copy(bench, unanswered, 3)
    await bench.send_part(unanswered, 3)
    await bench.journal.settle([bench.settlement(first, Submitted(("x0",)), 1, 3)], bench.now)
    assert await bench.state() == "in_doubt"
    assert await bench.claim() == []


async def test_a_receipt_of_an_earlier_part_does_not_send_the_part_in_doubt_again(bench: Any, unanswered: InDoubt) -> None:
    first = await begin_with_a_doubtful_copy(bench, unanswered, 3)
    await bench.send_part(unanswered, 3)
    await bench.receive("x0", to=PHONE, reference=first.reference)
    assert await bench.state() == "in_doubt"
    assert await bench.claim() == []


async def test_a_receipt_of_an_earlier_part_that_an_operator_took_as_sent_sends_nothing_again(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=2)
    first = await bench.send_part(unanswered, 2)
    await bench.journal.resolve(bench.selection("a"), "submitted", bench.now)
    second = await bench.send_part(unanswered, 2)
    await bench.receive("x", 2, to=PHONE, reference=first.reference)
    assert await bench.claim() == []
    await bench.receive("y", 2, to=PHONE, reference=second.reference)
    events = await bench.events()
    assert [(event["type"], event.get("part"), event["final"]) for event in events[-3:]] == [
        ("accepted", None, False), ("receipt", 1, False), ("receipt", 2, True),
    ]  # fmt: skip
    assert events[-3]["message_ids"] == ["x", "y"]


async def test_the_receipt_of_a_doubtful_copy_counts_when_all_parts_were_taken(bench: Any, unanswered: InDoubt) -> None:
    first = await begin_with_a_doubtful_copy(bench, unanswered, 2)
    await bench.send_part(Submitted(("y",)), 2)
    await bench.receive("x0", 2, to=PHONE, reference=first.reference)
    await bench.receive("y", 2)
    events = await bench.events()
    assert [(event["part"], event["final"]) for event in events if event["type"] == "receipt"] == [(1, False), (2, True)]


async def test_a_part_of_which_one_copy_was_delivered_counts_as_delivered(bench: Any, unanswered: InDoubt) -> None:
    first = await begin_with_a_doubtful_copy(bench, unanswered, 2)
    await bench.journal.settle([bench.settlement(first, Submitted(("x0",)), 1, 2)], bench.now)
    await bench.send_part(Submitted(("y",)), 2)
    for id, code in (("x0", 2), ("x", 5), ("y", 2)):
        await bench.receive(id, code)
    accepted, *_, event = [event for event in await bench.events() if event["type"] != "in_doubt"]
    assert accepted["message_ids"] == ["x", "y"], "the newest copies"
    assert (event["part"], event["state"], event["final"]) == (2, "delivered", True)


async def test_a_message_of_which_one_copy_was_delivered_counts_as_delivered(bench: Any, unanswered: InDoubt) -> None:
    first = await begin_with_a_doubtful_copy(bench, unanswered, 1)
    await bench.receive("x0", 8, to=PHONE, reference=first.reference)
    await bench.receive("x", 2)
    await bench.receive("x0", 5)
    events = [event for event in await bench.events() if event["type"] == "receipt"]
    assert [(event["state"], event["final"], event["late"]) for event in events] == [("rejected", True, False), ("delivered", False, True)]


async def test_a_message_that_was_sent_once_and_failed_is_not_delivered_afterwards(bench: Any) -> None:
    await bench.queue("a")
    await bench.send_part(Submitted(("x",)), 1)
    await bench.receive("x", 5)
    await bench.receive("x", 2)
    assert await bench.types("a") == ["accepted", "receipt"]


async def test_the_receipt_of_a_part_that_an_operator_took_as_sent_counts(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=2)
    await bench.send_part(Submitted(("x",)), 2)
    second = await bench.send_part(unanswered, 2)
    await bench.journal.resolve(bench.selection("a"), "submitted", bench.now)
    assert await bench.state() == "submitted"
    await bench.receive("x")
    await bench.receive("y", 5, to=PHONE, reference=second.reference)
    event = (await bench.events())[-1]
    assert (event["type"], event["part"], event["state"], event["final"]) == ("receipt", 2, "undeliverable", True)


async def test_a_refused_part_is_not_in_doubt_because_a_copy_of_an_earlier_one_is(
    bench: Any, unanswered: InDoubt, rejected: Rejected
) -> None:
    await begin_with_a_doubtful_copy(bench, unanswered, 2)
    await bench.send_part(rejected, 2)
    assert await bench.state() == "done"
    assert (await bench.types("a"))[-1] == "rejected"


async def test_a_part_whose_time_is_over_is_not_in_doubt_because_a_copy_of_an_earlier_one_is(bench: Any, unanswered: InDoubt) -> None:
    await begin_with_a_doubtful_copy(bench, unanswered, 2)
    bench.now += 1000
    await bench.claim()
    event = (await bench.events())[-1]
    assert (event["type"], event.get("reason")) == ("rejected", "incomplete")


async def test_a_late_refusal_of_a_part_in_doubt_counts_though_a_copy_of_an_earlier_one_is_in_doubt(
    bench: Any, unanswered: InDoubt, rejected: Rejected
) -> None:
    await begin_with_a_doubtful_copy(bench, unanswered, 2)
    second = await bench.send_part(unanswered, 2)
    await bench.journal.settle([bench.settlement(second, rejected, 2, 2)], bench.now)
    assert (await bench.types("a"))[-1] == "rejected"


async def test_a_receipt_that_proves_the_first_copy_while_the_second_is_on_its_way_counts_when_that_one_is_refused(
    bench: Any, unanswered: InDoubt, rejected: Rejected
) -> None:
    await bench.queue("a", in_doubt="resubmit")
    first = await bench.send_part(unanswered, 1)
    (second,) = await bench.claim()
    await bench.receive("x0", 2, to=PHONE, reference=first.reference)
    await bench.answer(second, rejected)
    event = (await bench.events())[-1]
    assert (event["type"], event["state"], event["final"]) == ("receipt", "delivered", True)


async def test_a_receipt_that_proves_the_first_copy_keeps_a_deferred_second_one_from_being_sent(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", in_doubt="resubmit")
    first = await bench.send_part(unanswered, 1)
    (second,) = await bench.claim()
    await bench.receive("x0", 2, to=PHONE, reference=first.reference)
    await bench.answer(second, Deferred("busy", Scope.CARRIER))
    assert await bench.claim() == []
    assert (await bench.types("a"))[-1] == "receipt"


async def test_the_receipt_of_a_part_taken_as_sent_that_comes_while_the_next_is_on_its_way_is_told(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=2)
    first = await bench.send_part(unanswered, 2)
    await bench.journal.resolve(bench.selection("a"), "submitted", bench.now)
    (second,) = await bench.claim()
    await bench.receive("x", 2, to=PHONE, reference=first.reference)
    await bench.journal.settle([bench.settlement(second, Submitted(("y",)), 2, 2)], bench.now)
    await bench.receive("y", 2)
    events = await bench.events()
    assert [(event["part"], event["final"]) for event in events if event["type"] == "receipt"] == [(1, False), (2, True)]


# --- Receipts that wait, and a message that ends before all its parts were taken ---------------------------------------------------


async def begin_and_hear_of_the_first(bench: Any, **fields: Any) -> None:
    await bench.queue("a", parts=2, **fields)
    await bench.send_part(Submitted(("x",)), 2)
    await bench.receive("x")


async def assert_told_late(bench: Any, *types: str) -> None:
    events = await bench.events()
    assert [event["type"] for event in events] == [*types, "receipt"]
    assert (events[-1]["part"], events[-1]["state"], events[-1]["late"], events[-1]["final"]) == (1, "delivered", True, False)
    assert bench.journal.stats().parked == 0


async def test_the_receipt_of_a_part_is_told_when_the_time_of_the_others_is_over(bench: Any) -> None:
    await begin_and_hear_of_the_first(bench)
    bench.now += 1000
    await bench.journal.tick(bench.now)
    await assert_told_late(bench, "rejected")


async def test_the_receipt_of_a_part_is_told_when_an_operator_says_that_the_next_was_not_sent(bench: Any, unanswered: InDoubt) -> None:
    await begin_and_hear_of_the_first(bench)
    await bench.send_part(unanswered, 2)
    await bench.journal.resolve(bench.selection("a"), "rejected", bench.now)
    await assert_told_late(bench, "in_doubt", "rejected")


async def test_a_response_after_the_end_brings_the_receipt_that_waited_for_it(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=3)
    await bench.send_part(Submitted(("x",)), 3)
    second = await bench.send_part(unanswered, 3)
    await bench.receive("y", to="5521999999999")  # in another spelling of the number: it proves nothing
    bench.now += 900
    await bench.journal.tick(bench.now)
    await bench.journal.settle([bench.settlement(second, Submitted(("y",)), 2, 3)], bench.now)
    event = (await bench.events())[-1]
    assert (event["type"], event.get("part"), event.get("late")) == ("receipt", 2, True)


async def test_the_receipt_of_a_part_is_told_when_the_next_cannot_be_prepared(bench: Any) -> None:
    await begin_and_hear_of_the_first(bench)
    (message,) = await bench.claim()
    await bench.journal.settle([bench.settlement(message, Rejected(Reason.NO_ROUTE, "kind"), 2, 2)], bench.now)
    await assert_told_late(bench, "rejected")


async def test_a_cancel_of_what_is_in_doubt_halfway_waits_for_what_became_of_the_part(bench: Any, unanswered: InDoubt) -> None:
    await begin_and_hear_of_the_first(bench)
    message = await bench.send_part(unanswered, 2)
    await bench.journal.append([Cancel(source="shop", id="a", received_at=bench.now)])
    assert await bench.journal.cancels("smpp", 10, bench.now) == []
    await bench.journal.settle([bench.settlement(message, Submitted(("y",)), 2, 2)], bench.now)
    bench.now += 60
    (order,) = await bench.journal.cancels("smpp", 10, bench.now)
    assert order.message_ids == ("x", "y")


async def test_receipts_of_parts_that_wait_for_the_others_are_no_strays(bench: Any) -> None:
    await begin_and_hear_of_the_first(bench)
    stats = bench.journal.stats()
    assert (stats.parked, stats.unmatched) == (1, 0)


# --- Ids that are another message's when they are read in another way --------------------------------------------------------------


async def test_a_receipt_in_hex_of_one_message_is_not_taken_for_that_of_another_phone(bench: Any) -> None:
    await bench.send("16")
    await bench.receive("22", to="5511911112222")  # in hex the 22 is 16
    assert await bench.state("16") == "submitted"


async def test_a_receipt_that_waits_for_one_message_is_not_applied_to_another_phones(bench: Any) -> None:
    await bench.queue("a", parts=2, to="11911112222")
    await bench.send_part(Submitted(("22",)), 2)
    await bench.receive("22", to="5511911112222")
    await bench.send("16", Submitted(("16",)), priority=3)
    assert await bench.state("16") == "submitted"


async def test_all_receipts_that_came_before_the_doubt_are_applied_to_what_the_first_of_them_proves(
    bench: Any, unanswered: InDoubt
) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    for code in (1, 2):
        await bench.receive("x", code, to=PHONE, reference=message.reference)
    await bench.answer(message, unanswered)
    events = await bench.events()
    assert [(event["type"], event.get("code"), event["final"]) for event in events] == [
        ("in_doubt", None, False), ("receipt", 1, False), ("receipt", 2, True),
    ]  # fmt: skip


async def test_a_receipt_proves_a_message_of_which_two_copies_are_in_doubt(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", in_doubt="resubmit")
    first = await bench.send_part(unanswered, 1)
    await bench.send_part(unanswered, 1)
    await bench.receive("x", 1, to=PHONE, reference=first.reference)
    await bench.receive("x0", 2, to=PHONE, reference=first.reference)
    events = await bench.events()
    assert [(event["type"], event.get("code"), event["final"]) for event in events] == [
        ("in_doubt", None, False), ("in_doubt", None, False), ("receipt", 1, False), ("receipt", 2, True),
    ]  # fmt: skip


# --- Taken, and no id was told -----------------------------------------------------------------------------------------------------


async def test_the_receipt_of_what_was_taken_without_an_id_is_found_by_our_reference(bench: Any) -> None:
    message = await bench.send("a", Submitted(()))
    await bench.receive("x", 1, to=PHONE, reference=message.reference)
    await bench.receive("x", 2)
    events = await bench.events()
    assert [(event["type"], event["final"]) for event in events] == [("accepted", False), ("receipt", False), ("receipt", True)]


async def test_parts_that_were_taken_without_an_id_are_found_by_their_references(bench: Any) -> None:
    await bench.queue("a", parts=2)
    first = await bench.send_part(Submitted(()), 2)
    await bench.receive("x", 2, to=PHONE, reference=first.reference)  # it has to wait
    second = await bench.send_part(Submitted(()), 2)
    await bench.receive("y", 2, to=PHONE, reference=second.reference)
    events = await bench.events()
    assert events[0]["message_ids"] == ["x", ""]
    assert [(event.get("part"), event["final"]) for event in events[1:]] == [(1, False), (2, True)]


async def test_the_receipt_of_what_was_taken_without_an_id_is_told_late_where_its_message_has_ended(bench: Any) -> None:
    message = await bench.send("a", Submitted(("",)))
    bench.now += 3600
    await bench.journal.tick(bench.now)
    await bench.receive("1", to=message.to, reference=message.reference)
    told = [(event["state"], event["final"], event["late"]) for event in await bench.events() if event["type"] == "receipt"]
    assert told == [("no_receipt", True, False), ("delivered", False, True)]
