"""The contract of every journal: replies, whole and in parts, what they answer, and which of them may be repetitions."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.journal.base import Selection
from gateway.journal.replies import GAP, LARGEST, LOST_ANSWER, SAME_BREATH
from gateway.message import Deferred, Fragment, InDoubt, Rejected, Reply, Scope, Submitted
from gateway.text.inbound import Coding

Counted = Callable[..., int]
PHONE = "11987650000"
GSM7, UCS2, BINARY = Coding("gsm7"), Coding("ucs2"), Coding("binary")


def reply(bench: Any, text: str = "sim", **fields: Any) -> Reply:
    values: dict[str, Any] = {"carrier": "smpp", "sender": PHONE, "to": "27500", "received_at": bench.now, "session": 1}
    return Reply(**(values | {"text": text, "encoding": "gsm7"} | fields))


def part(bench: Any, number: int, octets: bytes, total: int = 3, reference: int = 7, coding: Coding = GSM7, **fields: Any) -> Reply:
    kind = fields.pop("kind", "udh8")
    return reply(bench, "", encoding="", fragment=Fragment(kind, reference, total, number, octets, coding), **fields)


def three(bench: Any, **fields: Any) -> list[Reply]:
    """The parts of a reply, the last one first."""
    return [part(bench, 3, b"tres", **fields), part(bench, 1, b"um ", **fields), part(bench, 2, b"dois ", **fields)]


async def hear(bench: Any, *replies: Reply) -> Any:
    return await bench.journal.match(replies, bench.now, 5.0)


async def told(bench: Any) -> list[dict[str, Any]]:
    return [event for event in await bench.events() if event["type"] == "reply"]


async def texts(bench: Any) -> list[tuple[str, bool]]:
    return [(event["text"], event["complete"]) for event in await told(bench)]


async def later(bench: Any, seconds: float) -> Any:
    bench.now += seconds
    return await bench.journal.tick(bench.now)


# --- Whole, and in parts ----------------------------------------------------------------------------------------------------------


async def test_a_reply_is_told(bench: Any, counted: Counted) -> None:
    report = await hear(bench, reply(bench), reply(bench))
    first, second = await told(bench)
    assert (first["from"], first["to"], first["text"], first["event_id"]) == (PHONE, "27500", "sim", "-/reply/1")
    assert (first["id"], first["final"], first["parts"], first["complete"]) == (None, False, 1, True)
    assert second["event_id"] == "-/reply/2"
    assert counted(report, "replies", "smpp", "true") == 2


async def test_parts_are_joined_once_all_are_there_whichever_comes_last(bench: Any, counted: Counted) -> None:
    third, first, second = three(bench)
    await hear(bench, third, first)
    assert await told(bench) == []
    bench.now += 60
    report = await hear(bench, second)
    (event,) = await told(bench)
    assert (event["text"], event["encoding"], event["parts"], event["complete"]) == ("um dois tres", "gsm7", 3, True)
    assert not event["possible_duplicate"]
    assert event["received_at"] == "2027-01-15T08:00:00.000Z", "when its first part came"
    assert counted(report, "replies", "smpp", "true") == 1


async def test_parts_wait_over_a_restart(bench: Any) -> None:
    third, first, second = three(bench)
    await hear(bench, third, first)
    await bench.restart()
    await hear(bench, second)
    assert await texts(bench) == [("um dois tres", True)]


async def test_a_part_that_comes_again_is_the_same_part(bench: Any) -> None:
    third, first, second = three(bench)
    await hear(bench, third, third, first, third, first, second)
    assert await texts(bench) == [("um dois tres", True)]


async def test_part_numbers_are_sorted_as_numbers(bench: Any) -> None:
    await hear(bench, *(part(bench, number, b"%d," % number, total=12) for number in (10, 2, 12, 1, 11, 9, 3, 4, 8, 7, 5, 6)))
    assert await texts(bench) == [("1,2,3,4,5,6,7,8,9,10,11,12,", True)]


async def test_a_character_that_a_phone_split_is_whole_again(bench: Any) -> None:
    octets = "não 🦜!".encode("utf-16-be")
    await hear(bench, part(bench, 2, octets[10:], 2, coding=UCS2), part(bench, 1, octets[:10], 2, coding=UCS2))
    (event,) = await told(bench)
    assert (event["text"], event["encoding"]) == ("não 🦜!", "ucs2")


async def test_binary_parts_are_base64_of_all_octets(bench: Any) -> None:
    await hear(bench, part(bench, 2, b"\xff\xfe", 2, coding=BINARY), part(bench, 1, b"\x00", 2, coding=BINARY))
    (event,) = await told(bench)
    assert (event["text"], event["encoding"]) == ("AP/+", "binary")


@pytest.mark.parametrize(
    "other", [{"sender": "11987650001"}, {"to": "27501"}, {"carrier": "other"}, {"reference": 8}, {"total": 4}, {"kind": "sar"}]
)
async def test_parts_of_different_replies_are_not_joined(bench: Any, other: dict[str, Any]) -> None:
    third, first, _ = three(bench)
    await hear(bench, third, first, part(bench, 2, b"dois ", **other))
    assert await told(bench) == []
    await later(bench, bench.policies.reply_timeout)
    assert len(await told(bench)) == 2


async def test_a_reference_that_is_used_again_ends_what_was_there_and_begins_anew(bench: Any) -> None:
    third, first, _ = three(bench)
    await hear(bench, third, first, part(bench, 1, b"eins "), part(bench, 2, b"zwei "), part(bench, 3, b"drei"))
    assert await texts(bench) == [(f"um {GAP}tres", False), ("eins zwei drei", True)]


# --- What never becomes whole -----------------------------------------------------------------------------------------------------


async def test_what_lacks_parts_is_told_as_it_is_when_the_time_from_the_first_part_is_over(bench: Any, counted: Counted) -> None:
    third, first, _ = three(bench)
    await hear(bench, third)
    await later(bench, bench.policies.reply_timeout - 1)
    await hear(bench, first)
    assert await told(bench) == []
    tick = await later(bench, 1)
    (event,) = await told(bench)
    assert (event["text"], event["parts"], event["complete"]) == (f"um {GAP}tres", 3, False)
    assert counted(tick.report, "replies", "smpp", "false") == 1


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((1,), f"a{GAP}"), ((5,), f"{GAP}e"), ((2, 3), f"{GAP}bc{GAP}"), ((1, 3, 5), f"a{GAP}c{GAP}e"), ((1, 2, 3, 4), f"abcd{GAP}")],
)
async def test_each_run_of_missing_parts_shows_as_a_gap(bench: Any, numbers: tuple[int, ...], text: str) -> None:
    await hear(bench, *(part(bench, number, b"-abcde"[number : number + 1], total=5) for number in numbers))
    await later(bench, bench.policies.reply_timeout)
    assert await texts(bench) == [(text, False)]


async def test_a_gap_joins_no_halves_of_different_characters_and_is_not_put_into_base64(bench: Any) -> None:
    parrot = "🦜".encode("utf-16-be")
    await hear(bench, part(bench, 1, parrot[:2], coding=UCS2), part(bench, 3, parrot[2:], coding=UCS2))
    await hear(bench, part(bench, 1, b"\x00", coding=BINARY, reference=8), part(bench, 3, b"\xff", coding=BINARY, reference=8))
    await later(bench, bench.policies.reply_timeout)
    assert await texts(bench) == [(f"\ufffd{GAP}\ufffd", False), ("AP8=", False)]


async def test_a_part_that_comes_too_late_is_told_by_itself(bench: Any) -> None:
    third, first, second = three(bench)
    await hear(bench, third, first)
    await later(bench, bench.policies.reply_timeout)
    await hear(bench, second)
    await later(bench, bench.policies.reply_timeout)
    assert await texts(bench) == [(f"um {GAP}tres", False), (f"{GAP}dois {GAP}", False)]


async def test_nothing_is_given_up_while_the_clock_is_suspected(bench: Any) -> None:
    third, first, second = three(bench)
    await hear(bench, third, first)
    bench.now += 1e6
    await bench.journal.tick(bench.now, expire=False)
    await hear(bench, second)
    assert await texts(bench) == [("um dois tres", True)]


async def test_a_flood_of_first_parts_is_bounded_and_the_oldest_are_told_first(new_bench: Any) -> None:
    bench = await new_bench(fragment_limit=50)
    for batch in range(10):
        await hear(bench, *(part(bench, 1, b"%d" % (batch * 30 + place), reference=batch * 30 + place, kind="sar") for place in range(30)))
    assert await texts(bench) == [(f"{number}{GAP}", False) for number in range(250)]
    await bench.restart()
    await later(bench, bench.policies.reply_timeout)
    assert len(await told(bench)) == 300


async def test_a_part_too_large_for_any_phone_does_not_wait(bench: Any) -> None:
    await hear(bench, part(bench, 1, b"a" * LARGEST), part(bench, 2, b"b" * (LARGEST + 1)))
    assert await texts(bench) == [(f"{GAP}{'b' * (LARGEST + 1)}{GAP}", False)]


async def test_many_that_are_over_at_once_are_told_in_bounded_steps(bench: Any) -> None:
    for batch in range(3):
        await hear(bench, *(part(bench, 1, b"x", reference=batch * 300 + place, kind="sar") for place in range(300)))
    await later(bench, bench.policies.reply_timeout)
    assert len(await told(bench)) == 500
    await later(bench, 0)
    assert len(await told(bench)) == 900


async def test_the_text_of_parts_is_under_the_retention_too(new_bench: Any) -> None:
    bench = await new_bench(text_retention=100.0, reply_timeout=50.0)
    await hear(bench, part(bench, 1, b"segredo"))
    await later(bench, 50)
    (row,) = await bench.journal.outbox(0, 10)
    await bench.journal.published([row.row])
    await later(bench, 101)
    await bench.journal.replay(Selection(type="reply"))
    assert await texts(bench) == [("", False)]


# --- What a reply answers ---------------------------------------------------------------------------------------------------------


async def answer_to(bench: Any, **fields: Any) -> tuple[str | None, str]:
    """Which message a reply answers, and to which source's topic that goes."""
    before = len(await told(bench))
    await hear(bench, reply(bench, **fields))
    row = [row for row in await bench.journal.outbox(0, 10_000) if row.type == "reply"][before]
    return (await told(bench))[before]["in_reply_to"], row.source


async def test_a_reply_answers_the_last_message_to_its_number_and_goes_to_its_source(bench: Any) -> None:
    await bench.send("a")
    await bench.send("b")
    await bench.send("c", to="21987650000")
    await bench.send("d", to="11987650001")
    assert await answer_to(bench) == ("b", "shop")
    assert await answer_to(bench, sender="21987650000") == ("c", "shop")
    assert await answer_to(bench, sender="31987650000") == (None, "")
    assert await answer_to(bench, sender="27500") == (None, "")


async def test_the_last_is_the_one_that_was_sent_last_not_the_one_that_came_last(bench: Any) -> None:
    await bench.queue("late", schedule_at=bench.now + 50)
    await bench.send("early")
    assert await answer_to(bench) == ("early", "shop")
    await later(bench, 60)
    (message,) = await bench.claim()
    await bench.answer(message, Submitted(("77",)))
    assert await answer_to(bench) == ("late", "shop")


async def test_a_parted_reply_answers_too(bench: Any) -> None:
    await bench.send("a")
    await hear(bench, *three(bench))
    await hear(bench, part(bench, 1, b"so", reference=9))
    await later(bench, bench.policies.reply_timeout)
    assert [event["in_reply_to"] for event in await told(bench)] == ["a", "a"]


async def test_after_the_window_a_reply_answers_nothing(new_bench: Any) -> None:
    bench = await new_bench(reply_window=100.0)
    await bench.send("a")
    bench.now += 100
    assert await answer_to(bench) == ("a", "shop")
    bench.now += 1
    assert await answer_to(bench) == (None, "")


async def test_the_sender_that_a_reply_names_decides_where_it_is_known(new_bench: Any) -> None:
    bench = await new_bench(senders={"smpp": "1140001000"})
    await bench.send("short", sender="27500")
    await bench.send("default")
    await bench.send("number", sender="11912345678")
    assert await answer_to(bench, to="27500") == ("short", "shop")
    assert await answer_to(bench, to="551140001000") == ("default", "shop")
    assert await answer_to(bench, to="5511912345678") == ("number", "shop")
    assert await answer_to(bench, to="99999") == ("number", "shop"), "an address that is none of ours tells nothing"
    assert await answer_to(bench, to=None) == ("number", "shop")


async def test_a_message_on_its_way_or_in_doubt_can_be_answered_one_that_never_left_cannot(
    bench: Any, rejected: Rejected, unanswered: InDoubt
) -> None:
    await bench.send("doubtful", unanswered)
    await bench.send("refused", rejected)
    await bench.send("deferred", Deferred("busy", Scope.MESSAGE))
    await bench.queue("waiting", schedule_at=bench.now + 500)
    await bench.queue("expired", expires_at=bench.now - 1)
    assert await answer_to(bench) == ("doubtful", "shop")
    await bench.queue("claimed")
    await bench.claim()
    assert await answer_to(bench) == ("claimed", "shop")


async def test_a_message_taken_without_an_id_can_be_answered(bench: Any) -> None:
    message = await bench.send("a", Submitted(()))
    assert await answer_to(bench) == ("a", "shop")
    await bench.receive("9", to=message.to, reference=message.reference)
    assert await answer_to(bench, text="ok") == ("a", "shop")


# --- Possible duplicates ----------------------------------------------------------------------------------------------------------


async def duplicates(bench: Any) -> list[bool]:
    return [event["possible_duplicate"] for event in await told(bench)]


async def test_what_comes_again_on_another_session_because_it_was_not_answered_may_be_a_duplicate(bench: Any) -> None:
    await hear(bench, reply(bench))
    await bench.restart()
    await hear(bench, reply(bench, session=2))
    assert await duplicates(bench) == [False, True]


async def test_what_comes_again_after_an_answer_is_another_reply(bench: Any) -> None:
    await hear(bench, reply(bench))
    await bench.journal.answered([reply(bench)], 5.0)
    await hear(bench, reply(bench))
    await bench.journal.answered([reply(bench)], 5.0)
    bench.now += LOST_ANSWER
    await hear(bench, reply(bench, session=2))
    assert await duplicates(bench) == [False, False, False]


async def test_what_comes_again_by_another_session_soon_after_its_answer_may_be_a_duplicate(bench: Any) -> None:
    await hear(bench, reply(bench))
    await bench.journal.answered([reply(bench)], 5.0)  # and the connection broke before the provider had read it
    await hear(bench, reply(bench, session=2))
    assert await duplicates(bench) == [False, True]


@pytest.mark.parametrize("other", [{"text": "Sim"}, {"sender": "11987650001"}, {"to": "27501"}, {"carrier": "other"}])
async def test_another_reply_is_no_duplicate(bench: Any, other: dict[str, Any]) -> None:
    await hear(bench, reply(bench), reply(bench, session=2, **other))
    assert await duplicates(bench) == [False, False]


@pytest.mark.parametrize(("changes", "duplicate"), [({}, True), ({"received_at": 1.0}, False), ({"answers": "b" * 32}, False)])
async def test_a_call_back_that_says_the_same_again_may_be_a_duplicate_though_it_was_answered(
    bench: Any, changes: dict[str, Any], duplicate: bool
) -> None:
    fields: dict[str, Any] = {"carrier": "", "session": None, "to": None, "answers": "a" * 32, "received_at": bench.now}
    first = reply(bench, **fields)
    await hear(bench, first)
    await bench.journal.answered([first], 5.0)
    await hear(bench, reply(bench, **fields | changes))
    assert await duplicates(bench) == [False, duplicate]


async def test_the_same_twice_on_one_session_is_a_duplicate_only_where_time_enough_passed_to_repeat_it(bench: Any) -> None:
    await hear(bench, reply(bench), reply(bench))
    bench.now += SAME_BREATH
    await hear(bench, reply(bench))
    assert await duplicates(bench) == [False, False, True]


async def test_a_reply_without_a_session_is_compared_with_all(bench: Any) -> None:
    await hear(bench, reply(bench, session=None), reply(bench, session=None))
    assert await duplicates(bench) == [False, True]


async def test_parts_repeated_while_the_others_are_missing_make_no_duplicate(bench: Any) -> None:
    third, first, _ = three(bench)
    await hear(bench, third, first)
    await hear(bench, *three(bench, session=2))
    assert await duplicates(bench) == [False]


async def test_a_parted_reply_that_is_repeated_as_a_whole_is_told_again_as_a_possible_duplicate(bench: Any) -> None:
    await hear(bench, *three(bench))
    await hear(bench, *three(bench, session=2))
    await hear(bench, *three(bench, session=3))
    assert await texts(bench) == [("um dois tres", True)] * 3
    assert await duplicates(bench) == [False, True, True]


async def test_parts_repeated_after_their_reply_was_told_are_ignored_unless_they_are_all(bench: Any) -> None:
    third, first, second = three(bench)
    await hear(bench, third, first, second, third)
    await bench.journal.answered([third, first], 5.0)
    await hear(bench, part(bench, 2, b"dois ", session=2))
    await later(bench, bench.policies.reply_timeout)
    assert await texts(bench) == [("um dois tres", True)]


async def test_a_part_like_that_of_an_old_reply_belongs_to_a_new_one(bench: Any) -> None:
    await hear(bench, *three(bench))
    await bench.journal.answered(three(bench), 5.0)
    await later(bench, bench.policies.reply_timeout + 1)
    await hear(bench, part(bench, 1, b"one "), part(bench, 2, b"dois "), part(bench, 3, b"three"))
    assert await texts(bench) == [("um dois tres", True), ("one dois three", True)]


async def test_repeated_parts_of_a_told_reply_do_not_mix_with_a_new_one_of_the_same_reference(bench: Any) -> None:
    await hear(bench, *three(bench))
    await hear(bench, part(bench, 3, b"tres", session=2))
    await hear(bench, part(bench, 1, b"one "), part(bench, 2, b"two "), part(bench, 3, b"three"))
    assert await texts(bench) == [("um dois tres", True), ("one two three", True)]


async def told_and_answered(bench: Any) -> None:
    await hear(bench, *three(bench))
    await bench.journal.answered(three(bench), 5.0)
    bench.now += 60.0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_a_phone_that_never_changes_its_reference_may_begin_or_end_two_replies_alike(bench: Any, order: tuple[int, ...]) -> None:
    await told_and_answered(bench)  # so the provider has no reason to repeat any of it
    alike = [part(bench, 1, b"um "), part(bench, 2, b"two "), part(bench, 3, b"tres")]
    await hear(bench, *(alike[place] for place in order))
    assert await texts(bench) == [("um dois tres", True), ("um two tres", True)]
    assert await duplicates(bench) == [False, False]
    await hear(bench, part(bench, 1, b"um "), part(bench, 2, b"zwei "), part(bench, 3, b"drei"))
    assert (await texts(bench))[-1] == ("um zwei drei", True)


async def test_what_such_a_reply_lacks_in_the_end_keeps_nothing_of_it_from_being_told(bench: Any) -> None:
    await told_and_answered(bench)
    await hear(bench, part(bench, 1, b"um "))
    await later(bench, 1)
    await hear(bench, part(bench, 2, b"two "))
    await later(bench, bench.policies.reply_timeout)
    assert await texts(bench) == [("um dois tres", True), (f"um two {GAP}", False)]
    await later(bench, bench.policies.reply_timeout)
    assert len(await told(bench)) == 2


async def test_a_part_that_comes_again_by_itself_after_its_answer_tells_nothing_new(bench: Any) -> None:
    await told_and_answered(bench)
    await hear(bench, part(bench, 1, b"um "))
    await later(bench, bench.policies.reply_timeout)
    await hear(bench, part(bench, 2, b"two "), part(bench, 3, b"three"))
    await later(bench, bench.policies.reply_timeout)
    assert await texts(bench) == [("um dois tres", True), (f"{GAP}two three", False)]


async def test_what_a_provider_repeats_for_want_of_an_answer_completes_no_other_reply(bench: Any) -> None:
    await told_and_answered(bench)  # a minute ago: the connection broke, and the provider may not have read it
    await hear(bench, part(bench, 1, b"um ", session=2), part(bench, 2, b"two ", session=2), part(bench, 3, b"three", session=2))
    assert await texts(bench) == [("um dois tres", True)]
    await hear(bench, part(bench, 1, b"one ", session=2))
    assert await texts(bench) == [("um dois tres", True), ("one two three", True)]


async def test_what_was_told_incomplete_and_not_answered_may_be_told_twice_and_says_so(bench: Any) -> None:
    await hear(bench, part(bench, 1, b"um "))
    await later(bench, bench.policies.reply_timeout)
    await hear(bench, *three(bench, session=2))
    assert await texts(bench) == [(f"um {GAP}", False), ("um dois tres", True)]
    assert await duplicates(bench) == [False, True]


async def test_what_was_not_answered_is_forgotten_after_some_time(bench: Any) -> None:
    await hear(bench, reply(bench))
    await later(bench, bench.policies.parked_retention)
    await hear(bench, reply(bench, session=2))
    assert await duplicates(bench) == [False, False]
