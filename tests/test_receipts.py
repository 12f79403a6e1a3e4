"""What carriers report: committed, then acknowledged; put off where the journal cannot commit."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from gateway import receipts
from gateway.carriers.base import Arrival, Carrier
from gateway.journal.base import Bells, Journal, JournalBrokenError, JournalUnavailableError, Report, Settlement
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Answer, Message, QueueState, Receipt, Reply, Submitted
from gateway.metrics import Metrics
from gateway.receipts import Receipts
from tests.support.waiting import AT_ONCE, DEADLINE, until, write_locked

NOW = 1_800_000_000.0
POLICIES = Policies(instance="test", owner="test")


class Reporting:
    """A carrier that reports what a test puts in, and shows what it is told of it."""

    def __init__(self, name: str = "smpp") -> None:
        self.name = name
        self.alive = True
        self.arrivals: asyncio.Queue[list[Arrival]] = asyncio.Queue()
        self.answers: asyncio.Queue[tuple[Sequence[object], bool]] = asyncio.Queue()

    def report(self, *items: Receipt | Reply, token: object = None) -> None:
        self.arrivals.put_nowait([Arrival(item, item if token is None else token) for item in items])

    async def inbound(self) -> list[Arrival]:
        return await self.arrivals.get()

    def acknowledge(self, tokens: Sequence[object], *, committed: bool) -> list[bool]:
        self.answers.put_nowait((tokens, committed))
        return [self.alive for _ in tokens]

    async def answered(self) -> tuple[Sequence[object], bool]:
        async with asyncio.timeout(DEADLINE):
            return await self.answers.get()


class Bench:
    """The stage between two such carriers and a real journal."""

    def __init__(self, path: Path, patience: float) -> None:
        self.path = path
        self.smpp, self.other = Reporting("smpp"), Reporting("other")
        self.journal = SqliteJournal(path, POLICIES, commit_interval=0.0, clock=lambda: NOW, lock_timeout=0.05)
        self.metrics = Metrics(["smpp", "other"])
        self.bells = Bells()
        carriers = cast("dict[str, Carrier]", {"smpp": self.smpp, "other": self.other})
        self.stage = Receipts(carriers, self.journal, self.metrics, self.bells, lambda: NOW, patience=patience)

    async def send(self, id: str) -> Message:
        """Bring a message as far as claimed."""
        message = Message(
            source="shop", id=id, to="11987654321", text="x", digest=id.encode(), received_at=NOW, expires_at=NOW + 60, routes=("smpp",)
        )
        await self.journal.append([message])
        (claimed,) = await self.journal.claim("smpp", [("smpp",)], 1, NOW)
        return claimed

    async def until_idle(self) -> None:
        await until(lambda: self.stage.idle, "all is acknowledged", poll=AT_ONCE)

    async def events(self) -> list[dict[str, Any]]:
        return [json.loads(row.payload) for row in await self.journal.outbox(0, 100)]


@pytest.fixture
async def bench(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "journal.db", getattr(request, "param", receipts.PATIENCE))
    await bench.journal.open()
    task = asyncio.create_task(bench.stage.run())
    yield bench
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await bench.journal.close()


def receipt(message_id: str, code: int = 2) -> Receipt:
    return Receipt(
        carrier="smpp", message_id=message_id, code=code, final=code == 2, to="5511987654321", raw=f"{message_id}{code}".encode()
    )


def reply(text: str = "SIM") -> Reply:
    return Reply(carrier="smpp", sender="11987654321", to=None, text=text, encoding="gsm7", received_at=NOW)


def submitted(message: Message, message_id: str) -> Settlement:
    return Settlement(Answer(message.row, message.attempt, Submitted((message_id,), "gsm7"), NOW), "smpp")


async def test_a_receipt_is_matched_and_told_before_it_is_acknowledged(bench: Bench) -> None:
    await bench.journal.settle([submitted(await bench.send("a"), "77")], NOW)
    bench.smpp.report(receipt("77"), token="t1")
    assert await bench.smpp.answered() == (["t1"], True)
    assert [(event["type"], event["final"]) for event in await bench.events()] == [("accepted", False), ("receipt", True)]
    assert bench.stage.idle
    assert bench.bells.outbox.is_set()
    assert bench.metrics.receipts.labels("smpp", "delivered", "exact")._value.get() == 1.0
    assert bench.metrics.receipt_latency.labels("smpp")._sum.get() == 0.0


async def test_a_reply_is_published_before_it_is_acknowledged(bench: Bench) -> None:
    bench.smpp.report(reply(), token="t1")
    assert await bench.smpp.answered() == (["t1"], True)
    ((event),) = await bench.events()
    assert (event["type"], event["text"], event["from"]) == ("reply", "SIM", "11987654321")


async def test_a_reply_that_was_answered_is_no_duplicate_when_the_same_word_comes_again(bench: Bench) -> None:
    for _ in range(2):
        bench.smpp.report(reply())
        await bench.smpp.answered()
        await bench.until_idle()
    assert [event["possible_duplicate"] for event in await bench.events()] == [False, False]


async def test_a_reply_whose_session_was_over_before_its_response_is_a_possible_duplicate_when_it_comes_again(bench: Bench) -> None:
    bench.smpp.alive = False
    bench.smpp.report(reply())
    await bench.smpp.answered()
    await bench.until_idle()
    bench.smpp.report(reply(), reply("NAO"))
    await bench.smpp.answered()
    assert [event["possible_duplicate"] for event in await bench.events()] == [False, True, False]


async def test_a_receipt_never_overtakes_the_response_that_came_before_it(bench: Bench) -> None:
    message = await bench.send("a")
    settled = bench.journal.settle([submitted(message, "77")], NOW)  # on the FIFO, not awaited
    bench.smpp.report(receipt("77"))
    assert (await bench.smpp.answered())[1]
    await settled
    assert bench.journal.stats().unmatched == 0


async def test_a_receipt_that_matches_nothing_is_parked_and_acknowledged_all_the_same(bench: Bench) -> None:
    bench.smpp.report(receipt("nobody's"), token="t1")
    assert await bench.smpp.answered() == (["t1"], True)
    assert (bench.journal.stats().parked, await bench.events()) == (1, [])


async def test_batches_are_acknowledged_in_the_order_of_their_arrival(bench: Bench) -> None:
    for number in range(20):
        bench.smpp.report(receipt(str(number)), reply(str(number)), token=number)
    assert [(await bench.smpp.answered())[0] for _ in range(20)] == [[number, number] for number in range(20)]


@pytest.mark.parametrize("bench", [0.1], indirect=True)
async def test_what_the_journal_cannot_commit_in_time_is_put_off_and_leaves_nothing_behind(bench: Bench) -> None:
    with write_locked(bench.path):
        bench.smpp.report(receipt("77"), token="t1")
        assert await bench.smpp.answered() == (["t1"], False)
        assert bench.stage.idle
    assert (await bench.journal.tick(NOW)).woken == 0, "it commits again"
    bench.smpp.report(receipt("77"), token="t2")
    assert await bench.smpp.answered() == (["t2"], True)
    assert bench.journal.stats().parked == 1


async def test_what_the_journal_commits_in_time_after_all_is_acknowledged(bench: Bench) -> None:
    with write_locked(bench.path):
        bench.smpp.report(receipt("77"), token="t1")
        await until(lambda: not bench.journal.available, "the journal cannot commit")
        assert bench.smpp.answers.empty()
        assert not bench.stage.idle
    assert await bench.smpp.answered() == (["t1"], True)


async def test_a_final_receipt_of_the_same_message_twice_is_told_once(bench: Bench) -> None:
    await bench.journal.settle([submitted(await bench.send("a"), "77")], NOW)
    bench.smpp.report(receipt("77"), receipt("77"))
    assert (await bench.smpp.answered())[1]
    assert [event["type"] for event in await bench.events()] == ["accepted", "receipt"]
    assert bench.journal.stats().queue.get(QueueState.SUBMITTED) is None or bench.journal.stats().queue[QueueState.SUBMITTED].number == 0


class Owing:
    """A journal whose matches end when a test says so."""

    def __init__(self) -> None:
        self.matches: list[asyncio.Future[Report]] = []

    def match(self, items: Sequence[Receipt | Reply], now: float, patience: float) -> "asyncio.Future[Report]":
        self.matches.append(asyncio.get_running_loop().create_future())
        return self.matches[-1]


async def test_each_carrier_hears_of_its_own_and_none_waits_for_another() -> None:
    journal, smpp, other = Owing(), Reporting("smpp"), Reporting("other")
    carriers = cast("dict[str, Carrier]", {"smpp": smpp, "other": other})
    stage = Receipts(carriers, cast("Journal", journal), Metrics(["smpp", "other"]), Bells(), lambda: NOW)
    task = asyncio.create_task(stage.run())
    smpp.report(receipt("1"), token="t1")
    await until(lambda: len(journal.matches) == 1, "the first is matched", poll=0)
    other.report(receipt("2"), token="t2")
    await until(lambda: len(journal.matches) == 2, "the second is matched", poll=0)
    journal.matches[1].set_result(Report())
    assert await other.answered() == (["t2"], True)
    still = stage.idle
    journal.matches[0].set_exception(JournalUnavailableError())
    assert await smpp.answered() == (["t1"], False)
    assert (still, stage.idle) == (False, True)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_journal_that_is_broken_ends_the_stage_and_nothing_is_acknowledged() -> None:
    journal, smpp = Owing(), Reporting("smpp")
    stage = Receipts(cast("dict[str, Carrier]", {"smpp": smpp}), cast("Journal", journal), Metrics(["smpp"]), Bells(), lambda: NOW)
    task = asyncio.create_task(stage.run())
    smpp.report(receipt("1"))
    await until(lambda: journal.matches != [], "it is matched", poll=0)
    journal.matches[0].set_exception(JournalBrokenError("SQLITE_IOERR_FSYNC"))
    with pytest.RaisesGroup(JournalBrokenError):
        await asyncio.wait_for(task, DEADLINE)
    assert smpp.answers.empty()


async def test_no_more_than_a_bounded_number_of_batches_is_read_while_the_journal_is_slow() -> None:
    journal, smpp = Owing(), Reporting("smpp")
    stage = Receipts(cast("dict[str, Carrier]", {"smpp": smpp}), cast("Journal", journal), Metrics(["smpp"]), Bells(), lambda: NOW)
    task = asyncio.create_task(stage.run())
    for number in range(3 * receipts.UNDER_WAY):
        smpp.report(receipt(str(number)))
    for _ in range(10 * receipts.UNDER_WAY):
        await asyncio.sleep(0)
    assert receipts.UNDER_WAY <= len(journal.matches) <= receipts.UNDER_WAY + 2
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_reporter_may_have_more_patience_than_the_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal.db", 0.2)
    await bench.journal.open()
    stage = Receipts({"smpp": bench.smpp, "other": bench.other}, bench.journal, bench.metrics, bench.bells, lambda: NOW,
                     patience=0.2, patience_of={"other": 30.0})  # fmt: skip
    task = asyncio.create_task(stage.run())
    with write_locked(bench.path):
        bench.smpp.report(receipt("77"), token="impatient")
        bench.other.report(receipt("78"), token="patient")
        assert await bench.smpp.answered() == (["impatient"], False)
        assert bench.other.answers.empty()
    assert await bench.other.answered() == (["patient"], True)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await bench.journal.close()
