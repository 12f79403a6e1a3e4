"""Every journal that must keep the contract, and a bench of small verbs to drive one."""

import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from gateway.journal.base import Count, Journal, Report, Selection, Settlement
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Answer, Deferred, InDoubt, Message, Outcome, Reason, Receipt, Rejected, Scope, Submitted


def _sqlite(folder: Path, policies: Policies, clock: Callable[[], float]) -> Journal:
    return SqliteJournal(folder / "journal.db", policies, commit_interval=0.0, clock=clock)


BACKENDS = {"sqlite": _sqlite}
POLICIES = Policies(instance="test", owner="test", unnumbered=frozenset({"smpp"}), in_doubt_deadline=900.0, receipt_deadline=3600.0)
START = 1_800_000_000.0
ROUTE = ("smpp", "http")


class Bench:
    """A journal with a clock that stands still until it is moved, and the verbs of a message's life."""

    def __init__(self, make: Callable[..., Journal]) -> None:
        self._make = make
        self.now = START
        self.policies = POLICIES
        self.journal: Journal
        self.numbers = itertools.count(1)

    async def start(self, **policies: Any) -> None:
        self.policies = replace(self.policies, **policies)
        self.journal = self._make(self.policies, lambda: self.now)
        await self.journal.open()

    async def restart(self, **policies: Any) -> None:
        await self.journal.close()
        await self.start(**policies)

    def message(self, id: str = "a", **fields: Any) -> Message:
        values: dict[str, Any] = {
            "source": "shop", "id": id, "to": "11987650000", "text": "a text that is long enough", "digest": id.encode() * 4,
            "received_at": self.now, "expires_at": self.now + 1000, "routes": ROUTE,
        }  # fmt: skip
        parts = fields.pop("parts", 1)
        several = {"smpp": parts} if parts > 1 else {}
        return Message(**(values | {"parts_by": several} | fields))

    async def queue(self, id: str = "a", **fields: Any) -> Report:
        return await self.journal.append([self.message(id, **fields)])

    async def claim(self, limit: int = 100, carrier: str = "smpp") -> list[Message]:
        return await self.journal.claim(carrier, await self.journal.routes(), limit, self.now)

    async def answer(self, message: Message, outcome: Outcome, carrier: str = "smpp", **fields: Any) -> Report:
        answer = Answer(message.row, message.attempt, outcome, self.now)
        return await self.journal.settle([Settlement(answer, carrier, **fields)], self.now)

    async def send(self, id: str = "a", outcome: Outcome | None = None, **fields: Any) -> Message:
        """Queue, claim and answer; the message_id is `id` unless an outcome is given."""
        await self.queue(id, **fields)
        (message,) = [message for message in await self.claim() if message.id == id]
        await self.answer(message, outcome or Submitted((id,), "gsm7"))
        return message

    async def send_part(self, outcome: Outcome, parts: int, carrier: str = "smpp", **fields: Any) -> Message:
        """Claim the one message that waits, and answer its part."""
        (message,) = await self.claim(carrier=carrier)
        settlement = self.settlement(message, outcome, message.part, parts, carrier, **fields)
        await self.journal.settle([settlement], self.now)
        return message

    def settlement(self, message: Message, outcome: Outcome, part: int, parts: int, carrier: str = "smpp", **fields: Any) -> Settlement:
        return Settlement(Answer(message.row, message.attempt, outcome, self.now, part=part, parts=parts), carrier, **fields)

    def selection(self, *ids: str) -> Selection:
        return Selection(ids=ids)

    async def send_parts(self, *message_ids: str, **fields: Any) -> None:
        """Queue a message `a` and send all of its parts."""
        await self.queue("a", parts=len(message_ids), **fields)
        for message_id in message_ids:
            await self.send_part(Submitted((message_id,), "ucs2"), len(message_ids))

    def receipt(self, message_id: str, code: int | None = 2, **fields: Any) -> Receipt:
        final = code not in (0, 1, 6, None)
        raw = repr((message_id, code, fields)).encode()
        values: dict[str, Any] = {
            "carrier": "smpp",
            "message_id": message_id,
            "code": code,
            "final": final,
            "received_at": self.now,
            "raw": raw,
        }
        return Receipt(**(values | fields))

    async def receive(self, message_id: str, code: int | None = 2, **fields: Any) -> Report:
        return await self.journal.match([self.receipt(message_id, code, **fields)], self.now, 5.0)

    async def events(self, id: str | None = None) -> list[dict[str, Any]]:
        """What waits for the event topic."""
        rows = await self.journal.outbox(0, 10_000)
        events = [json.loads(row.payload) for row in rows if row.topic is None]
        return [event for event in events if id is None or event.get("id") == id]

    async def types(self, id: str | None = None) -> list[str]:
        return [event["type"] for event in await self.events(id)]

    async def state(self, id: str = "a") -> str:
        (message,) = await self.journal.show(None, id)
        return str(message["state"])

    async def hold(self, **selection: Any) -> int:
        return await self.journal.hold(Selection(**selection))


class MakesBench(Protocol):
    """The fixture's type."""

    async def __call__(self, **policies: Any) -> Bench: ...


@pytest.fixture(params=BACKENDS)
async def new_bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakesBench]:
    backend = BACKENDS[request.param]
    benches: list[Bench] = []

    async def make(**policies: Any) -> Bench:
        bench = Bench(lambda policies, clock: backend(tmp_path, policies, clock))
        await bench.start(**policies)
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        await bench.journal.close()


@pytest.fixture
async def bench(new_bench: MakesBench) -> Bench:
    return await new_bench()


@pytest.fixture
def counted() -> Callable[..., int]:
    """Read one count of a report."""

    def read(report: Report, name: Any, *labels: str) -> int:
        counts: Counter[Count] = report.counts
        return counts[Count(name, labels)]

    return read


@pytest.fixture
def rejected() -> Rejected:
    return Rejected(Reason.REFUSED_BY_PROVIDER, "no such number", 11)


@pytest.fixture
def throttled() -> Deferred:
    return Deferred("throttled", Scope.CARRIER)


@pytest.fixture
def unanswered() -> InDoubt:
    return InDoubt("no response")
