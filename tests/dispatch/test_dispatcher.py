"""Claim within credit, record before the bytes leave, settle what comes back: a real journal between two carriers of paper."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.carriers.base import Carrier, CarrierState, Prepared
from gateway.dispatch.dispatcher import CLAIM_LIMIT, Dispatcher
from gateway.dispatch.retry import RetryPolicy
from gateway.journal.base import Bells
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import (
    Answer,
    Cancel,
    CancelAnswer,
    CancelFailed,
    Cancelled,
    CancelOrder,
    Deferred,
    InDoubt,
    Message,
    Outcome,
    Reason,
    Rejected,
    Scope,
    Submitted,
)
from gateway.metrics import Metrics

NOW = 1_800_000_000.0
DEADLINE = 10.0
BOTH = ("smpp", "http")
REFUSED = Rejected(Reason.NO_ROUTE, "label: this account cannot carry it")


class Paper:
    """A carrier that writes down what it is given; a test says what it answers."""

    def __init__(self, name: str, path: Path, credit: int = 100) -> None:
        self.name = name
        self.state = CarrierState.READY
        self.window = credit
        self.probing = False  # admits messages although it is suspended
        self.ready_to_cancel = True
        self.submitted: list[Message] = []
        self.cancelled: list[CancelOrder] = []
        self.refuses: set[str] = set()
        self.way: tuple[int, int] | None = None  # parts and cut of everything, by settings that were changed
        self.attempts_on_disk: list[int] = []  # those of the journal's file, looked up while submit() ran
        self.unanswered = 0
        self._path = path
        self._answers: asyncio.Queue[list[Answer | CancelAnswer]] = asyncio.Queue()
        self._changed = asyncio.Event()

    def credit(self) -> int:
        usable = self.state in (CarrierState.READY, CarrierState.THROTTLED) or self.probing
        return self.window - self.unanswered if usable else 0

    async def wait_credit(self) -> None:
        while self.credit() <= 0:
            self._changed.clear()
            await self._changed.wait()

    def become(self, state: CarrierState) -> None:
        self.state = state
        self._changed.set()

    def probe(self) -> None:
        """Ask for one message while suspended."""
        self.probing = True
        self.widen(1)

    def widen(self, credit: int) -> None:
        self.window = credit
        self._changed.set()

    def prepare(self, message: Message) -> Prepared | Rejected:
        parts, cut = self.way or (message.parts, message.cut)
        return REFUSED if message.id in self.refuses else Prepared((b"x",) * parts, "gsm7", cut=cut)

    def submit(self, batch: Sequence[tuple[Message, Prepared]]) -> None:
        if batch:
            assert len(batch) <= self.credit(), "more than was admitted"
            self.attempts_on_disk.append(self._count_attempts())
        self.unanswered += len(batch)
        self.submitted += [message for message, _ in batch]

    def _count_attempts(self) -> int:
        connection = sqlite3.connect(self._path)
        try:
            return int(connection.execute("SELECT count(*) FROM attempt").fetchone()[0])
        finally:
            connection.close()

    def cancel(self, orders: Sequence[CancelOrder]) -> None:
        self.cancelled += orders

    async def outcomes(self) -> list[Answer | CancelAnswer]:
        return await self._answers.get()

    def answer(self, message: Message, outcome: Outcome, latency: float | None = None) -> None:
        self.unanswered -= 1
        self._answers.put_nowait([Answer(message.row, message.attempt, outcome, NOW, latency, message.part, message.parts)])
        self._changed.set()

    def answer_cancel(self, order: CancelOrder, outcome: Cancelled | CancelFailed) -> None:
        self._answers.put_nowait([CancelAnswer(order.row, outcome, NOW)])

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.submitted]


class Bench:
    """A dispatcher between a journal and two such carriers, with clocks that stand still until they are moved."""

    def __init__(self, folder: Path, retry: RetryPolicy) -> None:
        self.path = folder / "journal.db"
        self.now, self.monotonic = NOW, 100.0
        self.journal = SqliteJournal(self.path, Policies(instance="test", owner="test"), commit_interval=0.0, clock=lambda: self.now)
        self.smpp, self.http = Paper("smpp", self.path), Paper("http", self.path)
        self.bells = Bells()
        self.metrics = Metrics(BOTH)
        self.dispatcher = Dispatcher(
            cast("dict[str, Carrier]", {"smpp": self.smpp, "http": self.http}),
            self.journal,
            self.metrics,
            self.bells,
            preference=BOTH,
            failover_after=30.0,
            retry=retry,
            clock=lambda: self.now,
            monotonic=lambda: self.monotonic,
            jitter=lambda: 1.0,
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self.dispatcher.run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.journal.close()

    async def queue(self, *ids: str, **fields: Any) -> None:
        values: dict[str, Any] = {
            "source": "", "to": "11987654321", "text": "x", "digest": b"d", "received_at": self.now, "expires_at": self.now + 3600,
            "routes": BOTH,
        }  # fmt: skip
        await self.journal.append([Message(id=id, **(values | fields)) for id in ids])
        self.bells.ring()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await asyncio.sleep(0.001)

    async def sends(self, carrier: Paper, *ids: str) -> None:
        await self.until(lambda: len(carrier.submitted) >= len(ids))
        assert carrier.ids == list(ids)

    async def settled(self) -> None:
        await self.until(lambda: self.dispatcher.idle)

    async def look(self) -> None:
        """Let every carrier that has credit look whether it may claim, and the journal do what it was asked."""
        for _ in range(3):
            self.bells.ring()
            for _ in range(5):
                await asyncio.sleep(0)
            await self.journal.outbox(0, 0)

    async def events(self) -> list[dict[str, Any]]:
        return [json.loads(row.payload) for row in await self.journal.outbox(0, 1000)]

    async def state(self, id: str = "a") -> str:
        (message,) = await self.journal.show(None, id)
        return str(message["state"])


@pytest.fixture
async def bench(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, getattr(request, "param", RetryPolicy(5.0, 600.0, 20)))
    await bench.journal.open()
    yield bench
    await bench.stop()


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
    await bench.until(lambda: bench.metrics.messages.labels("smpp", "rejected")._value.get() == 1.0)
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
    await bench.until(lambda: bench.metrics.messages.labels("smpp", "rejected")._value.get() == 1.0)
    event = (await bench.events())[-1]
    assert (event["type"], event["final"]) == ("rejected", True)
    assert event["detail"] == f"part 2 of 2: {REFUSED.detail}; part 1 was sent"


async def test_parts_that_would_not_fit_those_that_have_left_are_not_sent(bench: Bench) -> None:
    bench.start()
    await bench.queue("a", parts_by={"smpp": 2}, cuts_by={"smpp": 7})
    await bench.sends(bench.smpp, "a")
    bench.smpp.way = (2, 8)
    bench.smpp.answer(bench.smpp.submitted[0], Submitted(("1",)))
    await bench.until(lambda: bench.metrics.messages.labels("smpp", "rejected")._value.get() == 1.0)
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
    await bench.until(lambda: bench.metrics.in_doubt.labels("smpp", "resubmitted")._value.get() == 1.0)
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
    assert bench.metrics.messages.labels("smpp", counted)._value.get() == 1.0
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
    await bench.until(lambda: bench.metrics.in_doubt.labels("smpp", "late_response")._value.get() == 1.0)
    assert [event["type"] for event in await bench.events()] == ["in_doubt", "accepted"]


# --- Failover ---------------------------------------------------------------------------------------------------------------------


async def test_the_next_carrier_takes_over_only_after_a_while(bench: Bench) -> None:
    bench.start()
    await bench.look()
    bench.smpp.become(CarrierState.DOWN)
    await bench.look()
    await bench.queue("a")
    bench.monotonic += 29.9
    await bench.look()
    assert bench.http.submitted == []
    bench.monotonic += 0.1
    await bench.look()
    await bench.sends(bench.http, "a")


async def test_the_first_choice_is_back_at_once(bench: Bench) -> None:
    bench.smpp.become(CarrierState.DOWN)
    bench.http.widen(1)
    bench.start()
    await bench.look()
    bench.monotonic += 30.0
    await bench.queue("a", "b", "c")
    await bench.sends(bench.http, "a")
    bench.smpp.become(CarrierState.READY)
    await bench.sends(bench.smpp, "b", "c")
    bench.http.answer(bench.http.submitted[0], Submitted(("1",)))
    await bench.queue("d")
    await bench.sends(bench.smpp, "b", "c", "d")
    assert bench.http.ids == ["a"]


async def test_a_carrier_that_only_seems_to_come_back_does_not_make_the_next_one_wait_anew(bench: Bench) -> None:
    bench.start()
    await bench.look()
    for _ in range(3):
        bench.smpp.become(CarrierState.DOWN)
        await bench.look()
        bench.monotonic += 29.0
        bench.smpp.become(CarrierState.READY)
        await bench.look()
        bench.monotonic += 1.0
    assert bench.http.submitted == []
    bench.smpp.become(CarrierState.DOWN)
    await bench.queue("a")
    await bench.sends(bench.http, "a")


async def test_a_carrier_that_is_throttled_or_full_is_waited_for(bench: Bench) -> None:
    bench.smpp.become(CarrierState.THROTTLED)
    bench.smpp.widen(0)
    bench.start()
    await bench.queue("a")
    bench.monotonic += 1000.0
    await bench.look()
    assert bench.http.submitted == []
    bench.smpp.widen(1)
    await bench.sends(bench.smpp, "a")


async def test_a_carrier_that_was_down_while_the_other_was_too_is_not_waited_for_anew(bench: Bench) -> None:
    bench.smpp.become(CarrierState.DOWN)
    bench.http.become(CarrierState.DOWN)
    bench.start()
    await bench.look()
    bench.monotonic += 30.0
    await bench.queue("a")
    bench.http.become(CarrierState.READY)
    await bench.sends(bench.http, "a")


async def test_a_suspended_carrier_is_tried_with_one_message_while_the_other_goes_on(bench: Bench) -> None:
    bench.smpp.become(CarrierState.SUSPENDED)
    bench.start()
    await bench.look()
    bench.monotonic += 30.0
    bench.http.widen(2)
    await bench.queue("a", "b")
    await bench.sends(bench.http, "a", "b")
    await bench.queue("c", "d")
    bench.smpp.probe()
    await bench.sends(bench.smpp, "c")
    bench.smpp.answer(bench.smpp.submitted[0], Deferred("code 93", Scope.CARRIER))
    bench.smpp.probing = False
    bench.http.widen(10)
    await bench.sends(bench.http, "a", "b", "c", "d")


async def test_a_suspended_carrier_is_tried_with_nothing_that_a_better_one_can_take(bench: Bench) -> None:
    bench.http.become(CarrierState.SUSPENDED)
    bench.http.probe()
    bench.smpp.widen(0)
    bench.start()
    await bench.queue("a")
    await bench.look()
    assert bench.http.submitted == []


async def test_every_switch_is_counted_once_and_logged_once(bench: Bench) -> None:
    with capture_logs() as entries:
        bench.start()
        await bench.look()
        bench.smpp.become(CarrierState.DOWN)
        await bench.look()
        bench.monotonic += 30.0
        await bench.queue("a", "b", "c")
        await bench.sends(bench.http, "a", "b", "c")
        bench.smpp.become(CarrierState.READY)
        await bench.queue("d")
        await bench.sends(bench.smpp, "d")
    switches = [(entry["instead_of"], entry["carrier"]) for entry in entries if entry["event"] == "carrier switch"]
    assert switches == [("smpp", "http"), ("http", "smpp")]
    for name in BOTH:
        assert bench.metrics.carrier_switches.labels(name)._value.get() == 1


async def test_messages_without_credits_wait_as_long_as_the_carrier_says_and_never_run_out_of_attempts(bench: Bench) -> None:
    await bench.queue("a")
    bench.start()
    for number in range(1, 4):
        await bench.sends(bench.smpp, *["a"] * number)
        assert bench.smpp.submitted[-1].deferrals == 0
        bench.smpp.answer(bench.smpp.submitted[-1], Deferred("code 97", Scope.ASIDE, 60.0, 97))
        await bench.settled()
        assert (await bench.journal.tick(bench.now + 59.9)).woken == 0
        bench.now += 60.0
        assert (await bench.journal.tick(bench.now)).woken == 1
        bench.bells.ring()
    await bench.sends(bench.smpp, "a", "a", "a", "a")


async def test_a_message_that_only_one_carrier_can_carry_waits_for_it(bench: Bench) -> None:
    bench.smpp.become(CarrierState.SUSPENDED)
    bench.start()
    await bench.queue("a", routes=("smpp",))
    bench.monotonic += 1e6
    await bench.look()
    assert bench.http.submitted == []
    bench.smpp.become(CarrierState.READY)
    await bench.sends(bench.smpp, "a")


async def test_a_message_with_an_order_of_its_own_goes_by_it(bench: Bench) -> None:
    await bench.queue("a", routes=("http", "smpp"))
    bench.start()
    await bench.look()
    await bench.sends(bench.http, "a")
    assert bench.smpp.submitted == []


async def test_a_message_in_doubt_with_one_carrier_never_goes_by_the_other(bench: Bench) -> None:
    bench.start()
    await bench.queue("a", in_doubt="resubmit")
    await bench.sends(bench.smpp, "a")
    bench.smpp.become(CarrierState.DOWN)
    bench.smpp.answer(bench.smpp.submitted[0], InDoubt("connection lost"))
    await bench.until(lambda: bench.metrics.in_doubt.labels("smpp", "resubmitted")._value.get() == 1.0)
    bench.monotonic += 1000.0
    await bench.look()
    assert bench.http.submitted == []
    bench.smpp.become(CarrierState.READY)
    await bench.sends(bench.smpp, "a", "a")
    assert bench.smpp.submitted[1].possible_duplicate


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
    lock = sqlite3.connect(bench.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    bench.start()
    await bench.until(lambda: not bench.journal.available)
    bench.dispatcher.stop_feeding()
    assert not bench.dispatcher.idle, "an attempt may be open"
    lock.close()
    await bench.sends(bench.smpp, "a")


async def test_nothing_is_claimed_while_the_journal_cannot_commit(bench: Bench) -> None:
    bench.smpp.widen(0)
    bench.http.widen(0)
    bench.start()
    await bench.queue("a")
    lock = sqlite3.connect(bench.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    put_off = bench.journal.published([])
    await bench.until(lambda: not bench.journal.available)
    bench.smpp.widen(1)
    for _ in range(20):
        bench.bells.ring()
        await asyncio.sleep(0)
    assert bench.dispatcher.idle
    lock.close()
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
