"""The contract of every journal: receipts, parking, and what is in doubt."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.journal.records import instant
from gateway.message import Cancel, Deferred, InDoubt, QueueState, Rejected, Submitted

Counted = Callable[..., int]
TEXT = "a text that is long enough"
PHONE = "5511987650000"


async def codes(bench: Any) -> list[Any]:
    return [(event["code"], event["final"], event["late"]) for event in await bench.events() if event["type"] == "receipt"]


async def test_a_receipt_that_is_not_final_is_told_once(bench: Any) -> None:
    await bench.send("a")
    for code in (1, 1, 6, 1, 2):
        await bench.receive("a", code)
    assert await codes(bench) == [(1, False, False), (6, False, False), (1, False, False), (2, True, False)]


async def test_a_final_state_is_sticky(bench: Any) -> None:
    await bench.send("a")
    for code in (2, 5, 1, 2, None):
        await bench.receive("a", code)
    assert await codes(bench) == [(2, True, False)]


async def test_unknown_yields_to_a_better_code_and_is_told_late(bench: Any) -> None:
    await bench.send("a")
    for code in (7, 2, 5):
        await bench.receive("a", code)
    assert await codes(bench) == [(7, True, False), (2, False, True)]


async def test_unconfirmed_becomes_confirmed(bench: Any) -> None:
    await bench.send("a")
    await bench.receive("a", 2, confirmed=False)
    await bench.receive("a", 2)
    await bench.receive("a", 2)
    assert await codes(bench) == [(2, True, False), (2, False, True)]


async def test_a_final_code_of_an_intermediate_notification_ends_nothing(bench: Any) -> None:
    await bench.send("a")
    await bench.receive("a", 2, final=False)
    await bench.receive("a", 2)
    assert await codes(bench) == [(2, False, False), (2, True, False)]


async def test_a_code_that_is_not_understood_is_told_as_null(bench: Any) -> None:
    await bench.send("a")
    await bench.receive("a", None)
    *_, event = await bench.events()
    assert (event["code"], event["state"], event["final"]) == (None, "unknown", False)


@pytest.mark.parametrize(
    ("recorded", "received", "rule"),
    [("1a2B", "1A2b", "case"), ("12", "0012", "zeros"), ("ff01", "65281", "hex_decimal"), ("65281", "FF01", "hex_decimal")],
)
async def test_ids_match_by_their_spellings(bench: Any, counted: Counted, recorded: str, received: str, rule: str) -> None:
    await bench.send("a", Submitted((recorded,)))
    assert counted(await bench.receive(received), "receipts", "smpp", "delivered", rule) == 1


@pytest.mark.parametrize(("form", "found"), [("raw", False), ("hex-decimal", True), ("decimal-hex", False)])
async def test_the_format_limits_what_is_tried(new_bench: Any, form: str, *, found: bool) -> None:
    bench = await new_bench(message_id_formats={"smpp": form})
    await bench.send("a", Submitted(("ff01",)))
    await bench.receive("65281")
    assert (await bench.state() == "done") is found


async def test_an_id_of_another_carrier_is_another_id(bench: Any) -> None:
    await bench.send("a")
    await bench.receive("a", carrier="http")
    assert bench.journal.stats().parked == 1


async def test_an_id_used_again_means_the_newest_unless_the_destination_tells(bench: Any) -> None:
    await bench.send("a", Submitted(("7",)))
    bench.now += 1
    await bench.send("b", Submitted(("7",)), to="11987651111")
    await bench.receive("7", to="5511987650000")
    assert (await bench.state("a"), await bench.state("b")) == ("done", "submitted")
    await bench.receive("7", to="")
    assert await bench.state("b") == "done"


async def test_the_rule_that_served_before_is_preferred(bench: Any) -> None:
    for n in range(3):
        await bench.send(f"x{n}", Submitted((f"a{n}",)))
        await bench.receive(str(0xA0 + n))
    await bench.send("hex", Submitted(("1000",)))
    await bench.send("plain", Submitted(("4096",)))
    await bench.receive("4096")
    assert (await bench.state("hex"), await bench.state("plain")) == ("done", "submitted")


async def test_a_receipt_before_its_response_is_parked_and_applied(bench: Any, counted: Counted) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    await bench.receive("0001F")
    assert (bench.journal.stats().parked, bench.journal.stats().unmatched) == (1, 1)
    report = await bench.answer(message, Submitted(("31",)))
    assert await bench.types() == ["accepted", "receipt"]
    assert counted(report, "receipts", "smpp", "delivered", "parked") == 1
    assert bench.journal.stats().parked == 0


async def test_a_parked_receipt_is_parked_once(bench: Any) -> None:
    await bench.receive("x")
    await bench.receive("x")
    assert bench.journal.stats().parked == 1


async def test_parked_receipts_are_bounded_in_number_and_in_time(new_bench: Any) -> None:
    bench = await new_bench(parked_limit=2, parked_retention=100.0)
    for id in "xyz":
        await bench.receive(id)
    assert bench.journal.stats().parked == 2
    bench.now += 101
    await bench.journal.tick(bench.now)
    assert bench.journal.stats().parked == 0


async def test_a_response_settled_before_its_receipt_in_one_go_needs_no_parking(bench: Any) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    settled = bench.answer(message, Submitted(("1",)))
    matched = bench.receive("1")
    await settled
    await matched
    assert bench.journal.stats().unmatched == 0


# --- Several parts ----------------------------------------------------------------------------------------------------------------


async def test_a_message_of_parts_ends_when_all_are_final(bench: Any) -> None:
    await bench.send_parts("1", "2", "3")
    for id, code in (("3", 2), ("3", 1), ("1", 1), ("1", 5), ("3", 2), ("2", 2)):
        await bench.receive(id, code)
    events = [event for event in await bench.events() if event["type"] == "receipt"]
    assert [(event["part"], event["code"], event["part_final"], event["final"]) for event in events] == [
        (3, 2, True, False), (1, 1, False, False), (1, 5, True, False), (2, 5, True, True),
    ]  # fmt: skip
    assert {event["parts"] for event in events} == {3}
    assert [(event["state"], event["part_state"]) for event in events[-2:]] == [("undeliverable", None), ("undeliverable", "delivered")]


async def test_a_message_takes_the_state_of_its_first_part_that_was_not_delivered_whichever_was_reported_first(bench: Any) -> None:
    await bench.send_parts("1", "2", "3")
    for id, code in (("3", 8), ("2", 3), ("1", 2)):
        await bench.receive(id, code)
    event = (await bench.events())[-1]
    assert (event["state"], event["part"], event["part_state"], event["final"]) == ("expired", 1, "delivered", True)


async def test_parts_all_delivered_are_delivered(bench: Any) -> None:
    await bench.send_parts("1", "2")
    await bench.receive("1")
    await bench.receive("2")
    assert (await bench.events())[-1]["state"] == "delivered"


# --- In doubt ---------------------------------------------------------------------------------------------------------------------


async def test_no_answer_is_in_doubt_and_ends_so_at_the_deadline(bench: Any, unanswered: InDoubt, counted: Counted) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    report = await bench.answer(message, unanswered)
    assert counted(report, "in_doubt", "smpp", "entered") == counted(report, "messages", "smpp", "in_doubt") == 1
    bench.now += 900
    report = (await bench.journal.tick(bench.now)).report
    assert counted(report, "in_doubt", "smpp", "deadline") == 1
    assert [(event["type"], event["final"]) for event in await bench.events()] == [("in_doubt", False), ("in_doubt", True)]


async def test_a_receipt_with_our_reference_is_told_late_where_the_doubt_has_ended(
    bench: Any, unanswered: InDoubt, counted: Counted
) -> None:
    message = await bench.send("a", unanswered)
    bench.now += 900
    await bench.journal.tick(bench.now)
    bench.now += 3600  # the phone was off
    report = await bench.receive("1", to=message.to, reference=message.reference)
    assert counted(report, "receipts", "smpp", "delivered", "reference") == 1
    assert counted(report, "in_doubt", "smpp", "reference") == 0, "it was counted at its deadline"
    *_, event = await bench.events()
    assert (event["id"], event["state"], event["late"], event["final"]) == ("a", "delivered", True, False)
    assert bench.journal.stats().parked == 0


async def test_the_part_that_a_message_ended_in_doubt_about_is_told_late_too(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a", parts=3)
    await bench.send_part(Submitted(("1",)), 3)
    message = await bench.send_part(unanswered, 3)
    bench.now += 900
    await bench.journal.tick(bench.now)
    await bench.receive("2", to=message.to, reference=message.reference)
    *_, event = await bench.events()
    assert (event["type"], event["part"], event["parts"], event["late"]) == ("receipt", 2, 3, True)
    assert await bench.claim() == [], "the third part stays unsent"


async def test_a_doubt_that_a_message_ended_with_is_kept_as_long_as_receipts_are(bench: Any, unanswered: InDoubt) -> None:
    message = await bench.send("a", unanswered)
    bench.now += bench.policies.parked_retention
    await bench.journal.tick(bench.now)
    (shown,) = await bench.journal.show(None, "a")
    assert shown["attempts"] == []
    await bench.receive("1", to=message.to, reference=message.reference)
    assert bench.journal.stats().parked == 1


async def test_a_doubt_says_when_the_message_was_written_however_long_nobody_looked(bench: Any) -> None:
    await bench.queue("a")
    await bench.claim()
    written = instant(bench.now)
    bench.now += 3600  # the process was killed, and is started now
    await bench.journal.recover(bench.now)
    bench.now += 7200
    await bench.journal.tick(bench.now)
    assert [(event["type"], event["since"]) for event in await bench.events()] == [("in_doubt", written)] * 2


async def test_a_late_response_ends_the_doubt(bench: Any, unanswered: InDoubt, counted: Counted) -> None:
    message = await bench.send("a", unanswered)
    report = await bench.answer(message, Submitted(("1",)))
    assert counted(report, "in_doubt", "smpp", "late_response") == 1
    await bench.receive("1")
    assert await bench.types() == ["in_doubt", "accepted", "receipt"]


async def test_a_late_refusal_ends_the_doubt(bench: Any, unanswered: InDoubt, rejected: Rejected, throttled: Deferred) -> None:
    await bench.answer(await bench.send("a", unanswered), rejected)
    await bench.answer(await bench.send("b", unanswered), throttled)
    assert await bench.types("a") == ["in_doubt", "rejected"]
    assert await bench.state("b") == "queued"


async def test_a_restart_puts_open_attempts_in_doubt(bench: Any, counted: Counted) -> None:
    await bench.queue("a")
    await bench.claim()
    await bench.restart()
    assert bench.journal.stats().queue[QueueState.ACTIVE].number == 1
    report = await bench.journal.recover(bench.now)
    assert counted(report, "in_doubt", "smpp", "entered") == 1
    (event,) = await bench.events()
    assert (event["type"], event["reason"]) == ("in_doubt", "restart")
    assert (await bench.journal.recover(bench.now)).counts == {}


async def test_attempts_of_another_owner_are_left_alone_until_their_lease_ends(bench: Any) -> None:
    await bench.queue("a")
    await bench.claim()
    await bench.restart(owner="another")
    await bench.journal.recover(bench.now)
    assert await bench.state() == "active"
    bench.now += 121
    await bench.journal.recover(bench.now)
    assert await bench.state() == "in_doubt"


async def test_our_reference_and_the_destination_prove_what_is_in_doubt(bench: Any, unanswered: InDoubt, counted: Counted) -> None:
    message = await bench.send("a", unanswered)
    await bench.receive("9", reference=message.reference + 1 & 0xFFFF, to=PHONE, text=TEXT)
    await bench.receive("9", reference=message.reference, to="5521987650000")
    assert bench.journal.stats().parked == 2
    report = await bench.receive("9", 1, reference=message.reference, to=PHONE)
    assert counted(report, "in_doubt", "smpp", "reference") == 1
    await bench.receive("9", 2)
    assert await bench.types() == ["in_doubt", "receipt", "receipt"]


async def test_the_text_proves_the_only_candidate(bench: Any, unanswered: InDoubt, counted: Counted) -> None:
    await bench.send("a", unanswered)
    report = await bench.receive("9", to=PHONE, text=TEXT[:20])
    assert counted(report, "in_doubt", "smpp", "receipt") == 1
    assert await bench.state() == "done"


@pytest.mark.parametrize("text", [None, "a text", "another text", TEXT.upper()])
async def test_a_text_that_does_not_agree_proves_nothing(bench: Any, unanswered: InDoubt, text: str | None) -> None:
    await bench.send("a", unanswered)
    await bench.receive("9", to=PHONE, text=text)
    assert (await bench.state(), bench.journal.stats().parked) == ("in_doubt", 1)


async def test_two_in_doubt_to_one_number_are_not_guessed_between(bench: Any, unanswered: InDoubt) -> None:
    for id in "ab":
        await bench.send(id, unanswered)
    await bench.receive("9", to=PHONE, text=TEXT)
    assert bench.journal.stats().queue[QueueState.IN_DOUBT].number == 2


async def test_a_rival_on_its_way_forbids_the_guess_and_its_doubt_tries_again(bench: Any, unanswered: InDoubt) -> None:
    await bench.send("a", unanswered)
    await bench.queue("b", text="quite another text")
    (rival,) = await bench.claim()
    await bench.receive("9", to=PHONE, text=TEXT)
    assert await bench.state("a") == "in_doubt"
    await bench.answer(rival, Submitted(("9",)))
    assert (await bench.state("a"), await bench.state("b")) == ("in_doubt", "done")


async def test_a_parked_receipt_proves_what_comes_in_doubt_after_it(bench: Any, unanswered: InDoubt) -> None:
    await bench.queue("a")
    (message,) = await bench.claim()
    await bench.receive("9", to=PHONE, text=TEXT)
    await bench.answer(message, unanswered)
    assert await bench.types() == ["in_doubt", "receipt"]
    assert bench.journal.stats().parked == 0


async def test_a_receipt_older_than_the_attempt_proves_nothing(bench: Any, unanswered: InDoubt) -> None:
    await bench.send("a", unanswered)
    await bench.receive("9", to=PHONE, text=TEXT, received_at=bench.now - 10)
    assert await bench.state() == "in_doubt"


# --- Sent again -------------------------------------------------------------------------------------------------------------------


async def doubtful_twice(bench: Any, unanswered: InDoubt) -> tuple[Any, Any]:
    first = await bench.send("a", unanswered, in_doubt="resubmit")
    (second,) = await bench.claim()
    return first, second


async def test_resubmit_sends_again_by_the_same_carrier_and_says_so(bench: Any, unanswered: InDoubt) -> None:
    _, second = await doubtful_twice(bench, unanswered)
    assert (second.attempt, second.possible_duplicate) == (2, True)
    await bench.answer(second, Submitted(("2",)))
    assert (await bench.events())[-1]["possible_duplicate"] is True
    assert ("smpp",) in await bench.journal.routes()


async def test_a_message_is_resubmitted_once(bench: Any, unanswered: InDoubt) -> None:
    _, second = await doubtful_twice(bench, unanswered)
    await bench.answer(second, unanswered)
    assert await bench.state() == "in_doubt"
    bench.now += 900
    await bench.journal.tick(bench.now)
    assert (await bench.types(), await bench.state()) == (["in_doubt"] * 3, "done")


async def test_the_first_copys_id_still_matches(bench: Any, unanswered: InDoubt) -> None:
    first, second = await doubtful_twice(bench, unanswered)
    await bench.answer(first, Submitted(("1",)))
    assert await bench.state() == "active"
    await bench.receive("1")
    await bench.answer(second, Submitted(("2",)))
    assert await bench.types() == ["in_doubt", "accepted", "receipt"]


async def test_a_late_response_of_the_first_copy_saves_sending_the_second(bench: Any, unanswered: InDoubt) -> None:
    first = await bench.send("a", unanswered, in_doubt="resubmit")
    await bench.answer(first, Submitted(("1",)))
    assert await bench.claim() == []
    assert await bench.types() == ["in_doubt", "accepted"]


@pytest.mark.parametrize("outcome", ["rejected", "throttled", "unanswered"])
async def test_when_the_first_copy_was_taken_the_seconds_fate_does_not_matter(
    bench: Any, unanswered: InDoubt, outcome: str, request: pytest.FixtureRequest
) -> None:
    first, second = await doubtful_twice(bench, unanswered)
    await bench.answer(first, Submitted(("1",)))
    await bench.answer(second, request.getfixturevalue(outcome))
    assert (await bench.types(), await bench.state()) == (["in_doubt", "accepted"], "submitted")


async def test_a_refused_second_copy_leaves_the_first_in_doubt(bench: Any, unanswered: InDoubt, rejected: Rejected) -> None:
    _, second = await doubtful_twice(bench, unanswered)
    await bench.answer(second, rejected)
    assert await bench.state() == "in_doubt"
    bench.now += 900
    await bench.journal.tick(bench.now)
    assert [event["final"] for event in await bench.events()] == [False, False, True]


async def test_both_copies_refused_is_rejected(bench: Any, unanswered: InDoubt, rejected: Rejected) -> None:
    first, second = await doubtful_twice(bench, unanswered)
    await bench.answer(first, rejected)
    await bench.answer(second, rejected)
    assert await bench.types() == ["in_doubt", "rejected"]


async def test_a_second_copy_that_is_cancelled_or_expires_leaves_the_first_in_doubt(bench: Any, unanswered: InDoubt) -> None:
    for id in "ab":
        await bench.send(id, unanswered, in_doubt="resubmit", expires_at=bench.now + (100 if id == "b" else 1000))
        await bench.hold(ids=("a",))
    await bench.journal.append([Cancel(source="shop", id="a", received_at=bench.now)])
    bench.now += 100
    await bench.journal.tick(bench.now)
    assert (await bench.state("a"), await bench.state("b")) == ("in_doubt", "in_doubt")
