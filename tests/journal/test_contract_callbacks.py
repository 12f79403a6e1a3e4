"""What every journal does with call-backs: receipts and replies that name no carrier, but the provider's id or our number."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.journal.base import Report, Settlement
from gateway.message import Answer, Deferred, InDoubt, Message, Outcome, Reply, Scope, Submitted, surrogate_of

MD5 = "0f6e2f7b2a1f9c7d5e4b3a2918070605"
OTHER = "a3c1d2e4f5061728394a5b6c7d8e9f00"
PHONE = "5511987650000"
DAY = 86400.0

Counted = Callable[..., int]


@pytest.fixture
async def bench(new_bench: Any) -> Any:
    return await new_bench(receipt_deadline=3 * DAY)


async def by_http(bench: Any, outcome: Outcome | None, id: str = "a", **fields: Any) -> Message:
    """Queue, claim by the HTTP carrier, and answer unless there is no answer yet."""
    await bench.queue(id, **fields)
    message: Message
    (message,) = [message for message in await bench.claim(carrier="http") if message.id == id]
    if outcome is not None:
        await bench.answer(message, outcome, "http")
    return message


async def call_back(bench: Any, md5: str, code: int | None = 2, **fields: Any) -> Report:
    report: Report = await bench.receive(md5, code, carrier="", **({"to": PHONE} | fields))
    return report


async def receipts(bench: Any, id: str = "a") -> list[tuple[int | None, bool, bool]]:
    return [(event["code"], event["confirmed"], event["final"]) for event in await bench.events(id) if event["type"] == "receipt"]


# --- By the provider's id ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("carrier", ["smpp", "http", "webservice"])
async def test_a_call_back_finds_its_message_by_the_id_whatever_carrier_it_went_by(bench: Any, carrier: str, counted: Counted) -> None:
    await bench.queue("a")
    (message,) = await bench.claim(carrier=carrier)
    await bench.answer(message, Submitted((MD5,)), carrier)
    report = await call_back(bench, MD5.upper())
    assert counted(report, "receipts", carrier, "delivered", "case") == 1
    event = (await bench.events("a"))[-1]
    assert (event["type"], event["carrier"], event["final"]) == ("receipt", carrier, True)
    assert report.receipt_latencies == [(carrier, 0.0)]


async def test_sent_then_unconfirmed_then_confirmed_are_told_each_once(bench: Any) -> None:
    await by_http(bench, Submitted((MD5,)))
    for _ in range(2):
        await call_back(bench, MD5, 1)
        await call_back(bench, MD5, 2, confirmed=False)
        await call_back(bench, MD5, 2)
    assert await receipts(bench) == [(1, True, False), (2, False, True), (2, True, False)]


async def test_disorder_tells_no_less_and_a_confirmed_delivery_stays_confirmed(bench: Any) -> None:
    await by_http(bench, Submitted((MD5,)))
    await call_back(bench, MD5, 2)
    await call_back(bench, MD5, 1)
    await call_back(bench, MD5, 2, confirmed=False)
    assert await receipts(bench) == [(2, True, True)]


async def test_a_call_back_before_the_answer_waits_for_it_once_however_often_it_comes(bench: Any, counted: Counted) -> None:
    message = await by_http(bench, None)
    for _ in range(3):
        await call_back(bench, MD5)
    assert bench.journal.stats().parked == 1
    await bench.restart()
    report = await bench.answer(message, Submitted((MD5,)), "http")
    assert counted(report, "receipts", "http", "delivered", "parked") == 1
    assert await bench.types("a") == ["accepted", "receipt"]
    assert bench.journal.stats().parked == 0


async def test_of_two_messages_with_one_id_the_phone_decides(bench: Any) -> None:
    await by_http(bench, Submitted(("77",)), "a", to="11987650000")
    await by_http(bench, Submitted(("77",)), "b", to="21987651111")
    await call_back(bench, "77", to="11987650000")
    assert (await receipts(bench, "a"), await receipts(bench, "b")) == ([(2, True, True)], [])
    await call_back(bench, "77", 5, to="21987651111")
    assert (await receipts(bench, "a"), await receipts(bench, "b")) == ([(2, True, True)], [(5, True, True)])


async def test_what_concerns_nobody_is_parked_and_does_not_stand_in_the_way_of_a_proof_by_text(bench: Any, unanswered: InDoubt) -> None:
    await bench.send("a", unanswered)
    await call_back(bench, OTHER)
    assert await bench.types("a") == ["in_doubt"]
    await bench.receive("77", to=PHONE, text="a text that is long enough")
    assert (await bench.types("a"), bench.journal.stats().parked) == (["in_doubt", "receipt"], 1)


# --- By our number ----------------------------------------------------------------------------------------------------------------


async def test_our_number_ends_a_doubt_and_the_id_is_known_from_then_on(bench: Any, unanswered: InDoubt, counted: Counted) -> None:
    message = await by_http(bench, unanswered)
    report = await call_back(bench, MD5, 1, surrogate=message.surrogate)
    assert counted(report, "in_doubt", "http", "reference") == 1
    assert counted(report, "receipts", "http", "enroute", "reference") == 1
    assert await bench.state() == "submitted"
    report = await call_back(bench, MD5, 2)
    assert counted(report, "receipts", "http", "delivered", "exact") == 1
    assert await bench.types("a") == ["in_doubt", "receipt", "receipt"]
    bench.now += 900
    assert not (await bench.journal.tick(bench.now)).report.counts, "no doubt is left"


async def test_an_id_that_came_alone_is_applied_once_our_number_came_with_it(bench: Any, unanswered: InDoubt) -> None:
    message = await by_http(bench, unanswered)
    await call_back(bench, MD5, 2)
    await call_back(bench, MD5, 1, surrogate=message.surrogate)
    assert await receipts(bench) == [(1, True, False), (2, True, True)]
    assert bench.journal.stats().parked == 0


async def test_our_number_is_kept_while_the_answer_is_awaited_and_ends_the_doubt_that_follows(bench: Any, unanswered: InDoubt) -> None:
    message = await by_http(bench, None)
    await call_back(bench, MD5, 1, surrogate=message.surrogate)
    await bench.answer(message, unanswered, "http")
    assert await bench.types("a") == ["in_doubt", "receipt"]


async def test_our_number_ends_the_doubt_of_a_restart(bench: Any) -> None:
    message = await by_http(bench, None)
    await call_back(bench, MD5, 2, surrogate=message.surrogate)
    await bench.restart()
    await bench.journal.recover(bench.now)
    assert await bench.types("a") == ["in_doubt", "receipt"]
    assert await bench.state() == "done"


async def test_a_message_under_review_without_an_id_is_found_by_our_number(bench: Any, counted: Counted) -> None:
    message = await by_http(bench, Submitted((), under_review=True))
    report = await call_back(bench, MD5, 1, surrogate=message.surrogate)
    assert counted(report, "in_doubt", "http", "reference") == 0
    await call_back(bench, MD5, 2)
    assert await receipts(bench) == [(1, True, False), (2, True, True)]


async def test_a_call_back_with_our_number_alone_is_applied_though_it_names_no_id(bench: Any, unanswered: InDoubt) -> None:
    message = await by_http(bench, unanswered)
    await call_back(bench, "", 2, surrogate=message.surrogate)
    assert await bench.types("a") == ["in_doubt", "receipt"]


async def test_an_id_that_differs_from_the_answers_does_not_hide_what_our_number_proves(bench: Any) -> None:
    message = await by_http(bench, Submitted(("another",)))
    await call_back(bench, MD5, 2, surrogate=message.surrogate)
    assert await receipts(bench) == [(2, True, True)]


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "5521987651111"},
        {"to": ""},
        {"surrogate": 0},
        {"surrogate": 4294967296},
        {"received_at": 1_800_000_000.0 + 8 * DAY},
    ],
    ids=["another phone", "no phone", "no number of ours", "too large a number", "days later"],
)
async def test_our_number_proves_nothing_without_phone_and_age(bench: Any, unanswered: InDoubt, fields: dict[str, Any]) -> None:
    message = await by_http(bench, unanswered)
    await call_back(bench, MD5, 2, **({"surrogate": message.surrogate} | fields))
    assert (await bench.types("a"), bench.journal.stats().parked) == (["in_doubt"], 1)


async def test_a_number_like_ours_proves_nothing_of_a_message_that_went_by_smpp(bench: Any, unanswered: InDoubt) -> None:
    doubtful = await bench.send("a", unanswered)
    taken = await bench.send("b", Submitted(("1",)))
    for message in (doubtful, taken):
        await call_back(bench, MD5, 2, surrogate=message.surrogate)
    assert (await bench.types("a"), await bench.types("b")) == (["in_doubt"], ["accepted"])


async def test_what_the_provider_took_after_all_is_not_sent_again(bench: Any) -> None:
    message = await by_http(bench, Deferred("not concluded", Scope.MESSAGE), "a")
    await call_back(bench, OTHER, 5, surrogate=message.surrogate)
    assert await bench.state() == "queued", "that copy failed: the next one may not"
    await call_back(bench, MD5, 1, surrogate=message.surrogate)
    assert (await bench.state(), await bench.types("a")) == ("submitted", ["receipt"])
    assert await bench.claim(carrier="http") == []


async def test_a_call_back_from_before_a_copy_left_proves_nothing_of_it(bench: Any, unanswered: InDoubt) -> None:
    message = await by_http(bench, Deferred("not concluded", Scope.MESSAGE))
    before = bench.now
    bench.now += 10
    (again,) = await bench.claim(carrier="http")
    await bench.answer(again, unanswered, "http")
    await call_back(bench, OTHER, 5, surrogate=message.surrogate, received_at=before)
    assert await bench.types("a") == ["in_doubt"]


@pytest.mark.parametrize("doubtful", [False, True])
async def test_a_copy_that_failed_before_the_next_one_left_says_nothing_of_that_one(
    bench: Any, doubtful: bool, unanswered: InDoubt
) -> None:
    message = await by_http(bench, Deferred("not concluded", Scope.MESSAGE))
    await call_back(bench, OTHER, 5, surrogate=message.surrogate, received_at=bench.now)
    bench.now += 10
    (again,) = await bench.claim(carrier="http")
    await bench.answer(again, unanswered if doubtful else Submitted((MD5,)), "http")
    await call_back(bench, MD5, 2, surrogate=message.surrogate, received_at=bench.now)
    assert await receipts(bench) == [(2, True, True)]


async def test_of_two_copies_in_doubt_each_call_back_ends_one(bench: Any, unanswered: InDoubt, counted: Counted) -> None:
    message = await by_http(bench, unanswered, in_doubt="resubmit")
    (again,) = await bench.claim(carrier="http")
    await bench.answer(again, unanswered, "http")
    report = await call_back(bench, MD5, 1, surrogate=message.surrogate)
    assert counted(report, "in_doubt", "http", "reference") == 1
    report = await call_back(bench, OTHER, 1, surrogate=message.surrogate)
    assert counted(report, "in_doubt", "http", "reference") == 1
    (shown,) = await bench.journal.show(None, "a")
    assert [(part["attempt"], part["message_id"]) for part in shown["part_ids"]] == [(1, MD5), (2, OTHER)]


async def test_news_after_the_doubt_ended_undecided_is_told_late(bench: Any, unanswered: InDoubt) -> None:
    message = await by_http(bench, unanswered)
    bench.now += 900
    await bench.journal.tick(bench.now)
    await call_back(bench, MD5, 2, surrogate=message.surrogate, received_at=bench.now)
    event = (await bench.events("a"))[-1]
    assert (event["type"], event["late"], event["final"]) == ("receipt", True, False)


async def test_numbers_of_journals_that_count_beyond_32_bits_still_name_the_newest_message(bench: Any, unanswered: InDoubt) -> None:
    def count_on(tx: Any) -> None:
        tx.memory.next_message = (1 << 32) + 5

    await bench.journal._submit(count_on)
    message = await by_http(bench, unanswered)
    assert message.surrogate == surrogate_of(message.row) < message.row
    await call_back(bench, MD5, 2, surrogate=message.surrogate)
    assert await bench.types("a") == ["in_doubt", "receipt"]


# --- Several parts ----------------------------------------------------------------------------------------------------------------


async def test_a_call_back_for_a_part_waits_until_all_parts_are_sent(bench: Any) -> None:
    await bench.queue("a", parts=2)
    for number in (1, 2):
        (message,) = await bench.claim()
        await bench.journal.settle(
            [Settlement(Answer(message.row, message.attempt, Submitted((f"{MD5}{number}",)), bench.now, part=number, parts=2), "smpp")],
            bench.now,
        )
        await call_back(bench, f"{MD5}1")
    await call_back(bench, f"{MD5}2")
    assert await receipts(bench) == [(2, True, False), (2, True, True)]
    assert bench.journal.stats().parked == 0


async def test_a_text_that_would_be_of_parts_by_smpp_is_whole_by_http(bench: Any, unanswered: InDoubt) -> None:
    message = await by_http(bench, unanswered, parts=3)
    await call_back(bench, MD5, 1, surrogate=message.surrogate)
    await call_back(bench, MD5, 2)
    assert await receipts(bench) == [(1, True, False), (2, True, True)]


# --- Replies ----------------------------------------------------------------------------------------------------------------------


def reply(**fields: Any) -> Reply:
    values: dict[str, Any] = {"carrier": "", "sender": "11987650000", "to": None, "text": "SIM", "encoding": "utf-8", "received_at": 0.0}
    return Reply(**(values | fields))


@pytest.mark.parametrize("by", ["id", "number"])
async def test_a_reply_answers_the_message_that_its_call_back_names(bench: Any, by: str, counted: Counted) -> None:
    message = await by_http(bench, Submitted((MD5,)))
    named: dict[str, Any] = {"answers": MD5} if by == "id" else {"surrogate": message.surrogate}
    report = await bench.journal.match([reply(**named)], bench.now, 5.0)
    assert counted(report, "replies", "http", "true") == 1
    rows = await bench.journal.outbox(0, 100)
    event = (await bench.events())[-1]
    assert (event["type"], event["in_reply_to"], event["carrier"], event["text"]) == ("reply", "a", "http", "SIM")
    assert rows[-1].source == "shop"


async def test_a_reply_to_nothing_that_we_sent_is_published_all_the_same(bench: Any, counted: Counted) -> None:
    report = await bench.journal.match([reply(answers=OTHER, surrogate=7)], bench.now, 5.0)
    assert counted(report, "replies", "", "true") == 1
    (event,) = await bench.events()
    assert (event["type"], event["in_reply_to"], event["carrier"]) == ("reply", None, "")


async def test_a_reply_that_comes_again_since_its_answer_was_lost_says_so(bench: Any) -> None:
    for _ in range(2):
        await bench.journal.match([reply()], bench.now, 5.0)
    await bench.journal.answered([reply()], 5.0)
    await bench.journal.match([reply(received_at=1.0)], bench.now, 5.0)
    assert [event["possible_duplicate"] for event in await bench.events()] == [False, True, False]


async def test_a_call_back_for_a_message_that_was_deleted_finds_nothing_though_a_reply_was_looking_at_it(new_bench: Any) -> None:
    bench = await new_bench(retention=DAY)
    message = await by_http(bench, Submitted((MD5,)))
    await call_back(bench, MD5, 7)
    await bench.journal.match(
        [Reply(carrier="smpp", sender="11987650000", to=None, text="oi", encoding="", received_at=bench.now)], bench.now, 5.0
    )
    await bench.journal.published([row.row for row in await bench.journal.outbox(0, 100)])
    bench.now += DAY
    await bench.journal.tick(bench.now)
    assert await bench.journal.show(None, "a") == []
    await call_back(bench, OTHER, 5, surrogate=surrogate_of(message.row))
    assert await bench.events() == []
