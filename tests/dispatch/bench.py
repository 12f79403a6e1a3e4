"""A dispatcher with a real journal between two carriers of paper."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from gateway.carriers.base import Carrier, CarrierState, Prepared
from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.retry import RetryPolicy
from gateway.journal.base import Bells
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import (
    Answer,
    CancelAnswer,
    CancelFailed,
    Cancelled,
    CancelOrder,
    Message,
    Outcome,
    Reason,
    Rejected,
)
from gateway.metrics import Metrics
from tests.support.waiting import AT_ONCE, until

NOW = 1_800_000_000.0
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
        self.has_refilled = False
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

    def change_rate(self, max_rate: float) -> None:
        raise NotImplementedError  # the dispatcher never does

    def refilled(self) -> bool:
        refilled, self.has_refilled = self.has_refilled, False
        return refilled

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
        self.journal = SqliteJournal(
            self.path, Policies(instance="test", owner="test"), commit_interval=0.0, clock=lambda: self.now, lock_timeout=0.05
        )
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
        await until(condition, "what the dispatcher was to do", poll=AT_ONCE)

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

    def counted(self, name: str, *labels: str) -> float:
        """Read a counter."""
        return float(getattr(self.metrics, name).labels(*labels)._value.get())
