"""The outbox leaves in order, within the broker's credit, and a row goes only on a positive PUBACK."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.broker.base import CONNECTION_LOST, NO_MATCHING_SUBSCRIBERS, Broker, Outbound, PublishResult
from gateway.journal.base import Bells, Journal, OutboxRow
from gateway.journal.outbox import CUTS_LIMIT, TRIES_LIMIT
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Message, Reason, Refusal, Reply
from gateway.metrics import Metrics
from gateway.publish import Publish
from tests.support.waiting import AT_ONCE, DEADLINE, until

NOW = 1_800_000_000.0
QUOTA = 0x97


class Window:
    """A broker with a window that a test widens, narrows, answers and cuts."""

    def __init__(self, credit: int = 1000) -> None:
        self.window = credit
        self.connected = True
        self.in_flight: list[Outbound] = []
        self.published: list[Outbound] = []
        self._results: asyncio.Queue[list[PublishResult]] = asyncio.Queue()
        self._changed = asyncio.Event()

    @property
    def credit(self) -> int:
        return max(0, self.window - len(self.in_flight)) if self.connected else 0

    async def wait_credit(self) -> None:
        while self.credit <= 0:
            self._changed.clear()
            await self._changed.wait()

    def publish(self, messages: Sequence[Outbound]) -> None:
        assert len(messages) <= self.credit, "more than the credit of this moment"
        assert not {each.token for each in messages} & {each.token for each in self.in_flight}, "in flight twice"
        self.in_flight += messages
        self.published += messages

    async def results(self) -> list[PublishResult]:
        return await self._results.get()

    def answer(self, reason: int = 0, count: int | None = None) -> None:
        """Send PUBACKs for the oldest `count` in flight, or for all."""
        count = len(self.in_flight) if count is None else count
        answered, self.in_flight = self.in_flight[:count], self.in_flight[count:]
        self._results.put_nowait([PublishResult(each.token, reason) for each in answered])
        self._changed.set()

    def cut(self) -> None:
        self.connected = False
        self.answer(CONNECTION_LOST)

    def reconnect(self, window: int | None = None) -> None:
        self.connected = True
        self.window = self.window if window is None else window
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition, "what the broker was to see", poll=AT_ONCE)


class Bench:
    """The stage between a real journal and such a broker."""

    def __init__(self, journal: Journal, broker: Window, *, retry_refused: float = 3600.0, cloudevents: bool = True) -> None:
        self.journal, self.broker = journal, broker
        self.bells = Bells()
        self.metrics = Metrics(["smpp"])
        self.stage = Publish(
            cast("Broker", broker),
            journal,
            self.metrics,
            self.bells,
            lambda: NOW,
            topic_prefix="sms",
            cloudevents=cloudevents,
            retry_refused=retry_refused,
        )

    async def write(self, *texts: str) -> None:
        """Put an event for each text in the outbox."""
        replies = [Reply(carrier="smpp", sender="1", to=None, text=text, encoding="gsm7", received_at=NOW) for text in texts]
        await self.journal.match(replies, NOW, 5.0)
        self.bells.ring()

    @property
    def texts(self) -> list[str]:
        return [json.loads(each.payload)["text"] for each in self.broker.published]

    async def sees(self, *texts: str) -> None:
        """Wait for exactly these to have been published since the start."""
        await self.broker.until(lambda: len(self.broker.published) >= len(texts))
        assert self.texts == list(texts)

    async def left(self) -> int:
        """Count what the journal still holds, once it has done what it was asked."""
        await self.journal.outbox(0, 0)
        return self.journal.stats().outbox.number

    async def gone(self) -> None:
        await self.broker.until(lambda: self.journal.stats().outbox.number == 0)

    def pubacks(self, reason: str) -> float:
        return float(self.metrics.broker_pubacks.labels(reason)._value.get())


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(
        tmp_path / "journal.db", Policies(instance="test", owner="test"), commit_interval=0.0, synchronous="normal", clock=lambda: NOW
    )
    await journal.open()
    yield journal
    await journal.close()


class Runs:
    """Runs stages and ends them."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def __call__(self, bench: Bench) -> Bench:
        self.tasks.append(asyncio.create_task(bench.stage.run()))
        return bench

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def run() -> AsyncIterator[Runs]:
    run = Runs()
    yield run
    await run.end()


@pytest.fixture
async def bench(journal: SqliteJournal, run: Runs) -> Bench:
    return run(Bench(journal, Window()))


async def test_events_leave_in_order_and_stay_in_the_journal_until_they_are_acknowledged(bench: Bench) -> None:
    await bench.write("a", "b", "c")
    await bench.sees("a", "b", "c")
    assert await bench.left() == 3
    bench.broker.answer(count=1)
    await bench.broker.until(lambda: bench.journal.stats().outbox.number == 2)
    bench.broker.answer()
    await bench.gone()
    assert bench.pubacks("ok") == 3


async def test_a_publish_names_the_topic_of_its_event_and_its_cloudevents_attributes(bench: Bench) -> None:
    await bench.write("a")
    await bench.sees("a")
    (published,) = bench.broker.published
    assert (published.topic, published.content_type, published.retain) == ("sms/event/reply", "application/json", False)
    assert dict(published.properties)["id"] == json.loads(published.payload)["event_id"]


async def test_an_event_goes_to_its_source_and_to_its_response_topic_with_the_correlation(bench: Bench) -> None:
    refusal = Refusal(
        source="shop", id="a", reason=Reason.NO_ROUTE, detail="x", digest=b"d", raw=b"raw", received_at=NOW,
        response_topic="answers/a", correlation=b"c",
    )  # fmt: skip
    await bench.journal.append([refusal])
    bench.bells.ring()
    await bench.broker.until(lambda: len(bench.broker.published) == 2)
    assert [each.topic for each in bench.broker.published] == ["sms/event/rejected/shop", "answers/a"]
    assert [json.loads(each.payload).get("raw") for each in bench.broker.published] == [None, "raw"]
    assert bench.broker.published[1].correlation == b"c"


async def test_attributes_are_left_out_where_they_are_not_wanted(journal: SqliteJournal, run: Runs) -> None:
    bench = run(Bench(journal, Window(), cloudevents=False))
    await bench.write("a")
    await bench.sees("a")
    assert bench.broker.published[0].properties == ()


async def test_no_more_is_published_than_the_credit_admits(journal: SqliteJournal, run: Runs) -> None:
    bench = run(Bench(journal, Window(2)))
    await bench.write("a", "b", "c", "d", "e")
    await bench.sees("a", "b")
    bench.broker.answer(count=1)
    await bench.sees("a", "b", "c")
    bench.broker.answer()
    await bench.sees("a", "b", "c", "d", "e")
    bench.broker.answer()
    await bench.gone()


async def test_nobody_subscribing_is_a_success_that_is_counted(bench: Bench) -> None:
    await bench.write("a")
    await bench.sees("a")
    bench.broker.answer(NO_MATCHING_SUBSCRIBERS)
    await bench.gone()
    assert (bench.pubacks("no_subscribers"), bench.pubacks("ok")) == (1, 0)


async def test_a_refused_event_stays_and_comes_again_with_its_event_id(journal: SqliteJournal, run: Runs) -> None:
    bench = run(Bench(journal, Window(), retry_refused=0.05))
    await bench.write("a")
    await bench.sees("a")
    bench.broker.answer(QUOTA)
    await bench.sees("a", "a")
    assert len({json.loads(each.payload)["event_id"] for each in bench.broker.published}) == 1
    assert bench.pubacks("refused") == 1
    bench.broker.answer()
    await bench.gone()


async def test_a_refused_event_holds_nothing_up(bench: Bench) -> None:
    await bench.write("a", "b")
    await bench.sees("a", "b")
    bench.broker.answer(QUOTA, count=1)
    bench.broker.answer()
    await bench.write("c")
    await bench.sees("a", "b", "c")
    bench.broker.answer()
    await bench.broker.until(lambda: bench.journal.stats().outbox.number == 1)


async def test_an_event_that_is_refused_too_often_is_set_aside_until_an_operator_asks(journal: SqliteJournal, run: Runs) -> None:
    bench = run(Bench(journal, Window(), retry_refused=0.01))
    await bench.write("a")
    for number in range(TRIES_LIMIT):
        await bench.broker.until(lambda number=number: len(bench.broker.published) == number + 1)  # type: ignore[misc] # mypy #15459
        bench.broker.answer(QUOTA)
    await bench.broker.until(lambda: journal.stats().set_aside == 1)
    assert await journal.retry_set_aside() == 1
    bench.bells.ring()
    await bench.sees(*"a" * (TRIES_LIMIT + 1))
    bench.broker.answer()
    await bench.gone()


async def test_what_was_in_flight_at_a_disconnect_is_published_again_with_its_event_id(bench: Bench) -> None:
    await bench.write("a", "b")
    await bench.sees("a", "b")
    bench.broker.cut()
    await bench.write("c")
    bench.broker.reconnect()
    await bench.broker.until(lambda: len(bench.broker.published) == 5)
    assert [text for text in bench.texts if text != "c"] == ["a", "b", "a", "b"]
    assert len({json.loads(each.payload)["event_id"] for each in bench.broker.published}) == 3
    bench.broker.answer()
    await bench.gone()


async def test_an_event_that_is_in_flight_at_every_disconnect_is_set_aside_and_the_others_go_on(bench: Bench) -> None:
    await bench.write("poison")
    for number in range(CUTS_LIMIT):
        await bench.sees(*["poison"] * (number + 1))
        bench.broker.cut()
        bench.broker.reconnect()
    await bench.broker.until(lambda: bench.journal.stats().set_aside == 1)
    await bench.write("b")
    await bench.sees(*["poison"] * CUTS_LIMIT, "b")


class Shrinking(Window):
    """A broker whose credit shrinks while the outbox is read."""

    def __init__(self, reading: int, left: int) -> None:
        super().__init__(reading)
        self.left = left

    async def wait_credit(self) -> None:
        await super().wait_credit()
        asyncio.get_running_loop().call_soon(self.shrink)

    def shrink(self) -> None:
        self.window = self.left


@pytest.mark.parametrize("left", [0, 1, 3])
async def test_no_event_is_lost_nor_changes_its_place_where_credit_shrinks_while_the_outbox_is_read(
    journal: SqliteJournal, run: Runs, left: int
) -> None:
    broker = Shrinking(5, left)
    bench = Bench(journal, broker)
    await bench.write("a", "b", "c", "d", "e")
    run(bench)
    await bench.sees(*"abcde"[:left])
    await journal.outbox(0, 0)
    broker.left = 1000
    broker.reconnect(1000)
    await bench.sees(*"abcde")
    bench.broker.answer()
    await bench.gone()


async def test_drained_returns_once_all_is_acknowledged(bench: Bench) -> None:
    await bench.write("a", "b")
    await bench.sees("a", "b")
    draining = asyncio.create_task(bench.stage.drained())
    bench.broker.answer(count=1)
    await bench.broker.until(lambda: bench.journal.stats().outbox.number == 1)
    assert not draining.done()
    bench.broker.answer()
    async with asyncio.timeout(DEADLINE):
        await draining
    assert bench.journal.stats().outbox.number == 0


async def test_drained_waits_for_what_has_no_credit_yet(journal: SqliteJournal, run: Runs) -> None:
    bench = run(Bench(journal, Window(1)))
    await bench.write("a", "b", "c")
    draining = asyncio.create_task(bench.stage.drained())
    for text in ("a", "ab", "abc"):
        await bench.sees(*text)
        assert not draining.done()
        bench.broker.answer()
    async with asyncio.timeout(DEADLINE):
        await draining
    await bench.gone()


async def test_drained_does_not_wait_for_a_broker_that_is_gone(bench: Bench) -> None:
    await bench.write("a")
    await bench.sees("a")
    draining = asyncio.create_task(bench.stage.drained())
    bench.broker.cut()
    async with asyncio.timeout(DEADLINE):
        await draining
    assert await bench.left() == 1


async def test_a_message_that_is_known_is_told_again_with_the_same_event_id(bench: Bench) -> None:
    message = Message(source="shop", id="a", to="11987654321", text="x", digest=b"1", received_at=NOW, expires_at=NOW, routes=("smpp",))
    await bench.journal.append([message])
    await bench.journal.claim("smpp", [("smpp",)], 1, NOW)  # expired: ends instead
    bench.bells.ring()
    await bench.broker.until(lambda: len(bench.broker.published) == 1)
    bench.broker.answer()
    await bench.gone()
    await bench.journal.append([message])
    bench.bells.ring()
    await bench.broker.until(lambda: len(bench.broker.published) == 2)
    assert {json.loads(each.payload)["event_id"] for each in bench.broker.published} == {"shop/a/1"}


# --- Whatever happens -------------------------------------------------------------------------------------------------------------


class Rows:
    """The outbox of a journal, in memory: only so that hundreds of runs take no disk."""

    def __init__(self, number: int) -> None:
        self.rows = {
            row: OutboxRow(row, "reply", "", b'{"event_id":"","time":"","instance":"","type":"reply"}', None, None)
            for row in range(1, number + 1)
        }

    async def outbox(self, after: int, limit: int) -> list[OutboxRow]:
        await asyncio.sleep(0)
        return [row for number, row in sorted(self.rows.items()) if number > after][:limit]

    async def published(self, rows: Sequence[int]) -> None:
        await asyncio.sleep(0)
        for row in rows:
            del self.rows[row]

    async def unpublished(self, refused: Sequence[int], cut: Sequence[int], now: float) -> list[int]:
        await asyncio.sleep(0)
        return []


steps = st.lists(st.tuples(st.sampled_from(["ok", "refuse", "cut", "reconnect", "narrow", "wait"]), st.integers(0, 4)), max_size=40)


@given(st.integers(1, 12), steps)
@settings(deadline=None, max_examples=150)
def test_whatever_the_broker_does_every_event_is_published_and_none_is_in_flight_twice(number: int, story: list[tuple[str, int]]) -> None:
    asyncio.run(_tell(number, story))


async def _tell(number: int, story: list[tuple[str, int]]) -> None:
    rows, broker = Rows(number), Window(3)
    bench = Bench(cast("Journal", rows), broker, cloudevents=False, retry_refused=0.0)
    task = asyncio.create_task(bench.stage.run())
    for step, amount in story:
        if step in ("ok", "refuse"):
            broker.answer(0 if step == "ok" else QUOTA, min(amount, len(broker.in_flight)))
        elif step == "cut":
            broker.cut()
        elif step == "reconnect":
            broker.reconnect(amount)
        elif step == "narrow":
            broker.window = amount
        for _ in range(amount):
            await asyncio.sleep(0)
    broker.cut()
    broker.reconnect(100)
    async with asyncio.timeout(DEADLINE):
        while rows.rows:
            await asyncio.sleep(0)
            broker.answer()
    assert {each.token for each in broker.published} == set(range(1, number + 1))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
