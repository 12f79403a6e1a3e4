"""Random walks over all operations, with two carriers and crashes, and the promise: every message ends in exactly one final event.

Meanwhile nothing is handed to a carrier again that one took, nothing that may be under way to a second carrier, and no second copy without
saying so; what is told as accepted or delivered has left in all its parts.
"""

import json
import random
import shutil
import sqlite3
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from gateway.journal.base import Place, Plan, Selection, Settlement
from gateway.journal.reading import load_memory
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import (
    Answer,
    Cancel,
    CancelAnswer,
    CancelFailed,
    Cancelled,
    Deferred,
    Fragment,
    InDoubt,
    Message,
    Outcome,
    QueueState,
    Reason,
    Receipt,
    Rejected,
    Reply,
    Scope,
    Submitted,
)
from gateway.text.inbound import Coding

POLICIES = Policies(
    instance="walk", owner="walk", in_doubt_deadline=50.0, receipt_deadline=200.0, tombstone=30.0, parked_retention=600.0,
    reply_timeout=60.0, fragment_limit=8,
    unnumbered=frozenset({"smpp"}),
)  # fmt: skip


class Sending(NamedTuple):
    """One part of a message, as a carrier was given it."""

    carrier: str
    message: Message

    @property
    def key(self) -> tuple[int, int]:
        return self.message.row, self.message.attempt

    @property
    def part(self) -> tuple[int, int]:
        return self.message.row, self.message.part


class Walk:
    """One random life of a journal. The world outside (ids, claimed messages, published events) survives its crashes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.now = 1_800_000_000.0
        self.number = 0
        self.crashes = 0
        self.sessions = 0
        self.unanswered: list[Reply] = []
        self.words: set[str] = set()
        self.sent: list[Sending] = []
        self.verdicts: dict[tuple[int, int], Outcome] = {}  # what a carrier said of an attempt in the end, if it said anything
        self.plans: dict[tuple[str, str], int] = {}  # parts by other settings than those it came under
        self.message_ids = ["stray"]
        self.events: dict[str, dict[str, Any]] = {}
        self.path = folder / "0.db"
        self.journal: SqliteJournal

    async def open(self) -> None:
        policies = replace(POLICIES, in_doubt=self.random.choice(("hold", "resubmit")))
        self.journal = SqliteJournal(self.path, policies, commit_interval=0.0, clock=lambda: self.now)
        await self.journal.open()
        await self.journal.recover(self.now)

    async def crash(self) -> None:
        """Go on with a copy of the files as they are in the middle of things."""
        self.crashes += 1
        copy = self.folder / f"{self.crashes}.db"
        checkpointer = self.journal._checkpointer
        assert checkpointer is not None
        checkpointer._stop.set()
        checkpointer._thread.join()
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.path}{suffix}", f"{copy}{suffix}")
        await self.journal.close()
        self.path = copy
        await self.open()

    async def append(self) -> None:
        items: list[Any] = []
        for _ in range(self.random.randint(1, 4)):
            self.number += 1
            number = self.number if self.random.random() < 0.85 else self.random.randint(1, self.number)
            if self.random.random() < 0.12:
                items.append(Cancel(source="", id=str(self.random.randint(1, self.number + 2)), received_at=self.now))
            items.append(self.message(number))
        await self.journal.append(items)

    def message(self, number: int) -> Message:
        dice = random.Random(number)
        return Message(
            source="", id=str(number), to=f"1198765{number % 7:04d}", text=f"the text of message {number}", digest=str(number).encode(),
            received_at=self.now, expires_at=self.now + dice.choice((20, 100, 400)),
            routes=dice.choice((("smpp",), ("http",), ("smpp", "http"), ("http", "smpp"))),
            schedule_at=dice.choice((None, None, self.now + 15)), priority=dice.randint(0, 3), receipt=dice.random() < 0.8,
            in_doubt=dice.choice((None, "hold", "resubmit")), parts_by=dice.choice(({}, {}, {"smpp": 2}, {"smpp": 3})),
            response_topic=dice.choice((None, "answer/here")),
        )  # fmt: skip

    async def claim(self) -> None:
        carrier = self.random.choice(("smpp", "smpp", "http"))
        routes = [route for route in await self.journal.routes() if carrier in route]
        for message in await self.journal.claim(carrier, routes, self.random.randint(1, 6), self.now):
            self.check_claim(Sending(carrier, message))
            if message.part == 1 and not message.possible_duplicate and self.random.random() < 0.05:
                await self.replan(self.sent.pop())

    async def replan(self, sending: Sending) -> None:
        """Let the settings have been changed since the message came."""
        carrier, message = sending
        self.plans[message.id, carrier] = self.random.randint(1, 3)
        plan = Plan(message.row, self.plans[message.id, carrier], cut=0)
        (message,) = await self.journal.replan(carrier, [plan], self.now)
        self.sent.append(Sending(carrier, message))

    async def forget(self) -> None:
        place: Place | None = Place()
        while place is not None:
            place = (await self.journal.forget(f"1198765{self.random.randint(0, 6):04d}", place)).next

    def check_claim(self, sending: Sending) -> None:
        carrier, message = sending
        before = [each for each in self.sent if each.message.row == message.row and not self.refused(each)]
        assert {each.carrier for each in before} <= {carrier}, ("a second carrier", before, sending)
        copies = [each for each in before if each.part == sending.part]
        assert not any(isinstance(self.verdicts.get(each.key), Submitted) for each in copies), ("taken before", copies, sending)
        assert not copies or message.possible_duplicate, ("a silent copy", copies, sending)
        assert message.parts == self.parts(message.id, carrier)
        self.sent.append(sending)

    def refused(self, sending: Sending) -> bool:
        return isinstance(self.verdicts.get(sending.key), Rejected | Deferred)

    def parts(self, id: str, carrier: str) -> int:
        return self.plans.get((id, carrier)) or self.message(int(id)).parts_by.get(carrier, 1)

    async def settle(self) -> None:
        if not self.sent:
            return
        chosen = self.random.choices(self.sent[-60:], k=3)  # answers repeat, and come late
        await self.journal.settle([self.settlement(sending) for sending in chosen], self.now)

    def settlement(self, sending: Sending, outcome: Outcome | None = None) -> Settlement:
        carrier, message = sending
        outcome = outcome or self.outcome(sending)
        retry_at = self.now + 10 if self.random.random() < 0.5 else None
        answer = Answer(message.row, message.attempt, outcome, self.now, part=message.part, parts=message.parts)
        return Settlement(answer, carrier, retry_at, counts=True)

    def outcome(self, sending: Sending) -> Outcome:
        """Choose what is answered: nothing, and then, or at once, one thing."""
        message = sending.message
        if sending.key in self.verdicts or self.random.random() < 0.25:
            return self.verdicts.get(sending.key, InDoubt("no response"))
        ids = (f"{message.row:x}.{message.attempt}.{message.part}",)
        self.message_ids += ids
        outcomes: list[Outcome] = [
            Submitted(ids), Submitted(ids), Submitted(ids), Rejected(Reason.REFUSED_BY_PROVIDER, "no"), Rejected(Reason.NO_ROUTE, "no"),
            Deferred("busy", Scope.MESSAGE), Deferred("throttled", Scope.CARRIER),
        ]  # fmt: skip
        self.verdicts[sending.key] = self.random.choice(outcomes)
        return self.verdicts[sending.key]

    async def receive(self) -> None:
        receipts = []
        for _ in range(3):
            code = self.random.choice((0, 1, 2, 2, 5, 6, 7, None))
            number = self.random.randint(1, self.number + 1)
            last = self.random.choice(self.sent[-5:]).message if self.sent else None
            receipts.append(
                Receipt(
                    carrier=self.random.choice(("smpp", "smpp", "http", "")),
                    message_id=self.random.choice(self.message_ids[-40:]),
                    code=code,
                    final=code in (2, 5, 7),
                    to=f"551198765{number % 7:04d}",
                    text=f"the text of message {number}"[:20],
                    received_at=self.now,
                    reference=self.random.choice((None, None, last.reference if last else 1)),
                    surrogate=self.random.choice((None, last.surrogate if last else 1)),
                )
            )
        await self.journal.match(receipts, self.now, 5.0)

    async def hear(self) -> None:
        """Replies and parts of them, some of them again on another session, since they were not answered."""
        for _ in range(self.random.randint(1, 4)):
            self.sessions += 1
            if self.unanswered and self.random.random() < 0.3:
                reply = msgspec.structs.replace(self.random.choice(self.unanswered), session=self.sessions)
            else:
                reply = self.reply()
            await self.journal.match([reply], self.now, 5.0)
            if self.random.random() < 0.6:
                await self.journal.answered([reply], 5.0)
                self.unanswered = [each for each in self.unanswered if (each.text, each.fragment) != (reply.text, reply.fragment)]

    def reply(self) -> Reply:
        word = f"<{len(self.words)}>"
        self.words.add(word)
        total = self.random.randint(1, 3)
        fragment = Fragment("udh8", self.random.randint(0, 1), total, self.random.randint(1, total), word.encode(), Coding("gsm7"))
        sender = f"1198765{self.random.randint(0, 2):04d}"
        whole = {"text": word} if total == 1 else {"fragment": fragment}
        reply = Reply(carrier="smpp", sender=sender, to=None, received_at=self.now, session=self.sessions, **whole)
        self.unanswered.append(reply)
        return reply

    async def tick(self) -> None:
        self.now += self.random.choice((1, 5, 20))
        await self.journal.tick(self.now, expire=self.random.random() < 0.9)

    async def cancel(self) -> None:
        carrier = self.random.choice(("smpp", "http"))
        orders = await self.journal.cancels(carrier, 5, self.now)
        answers = [CancelAnswer(order.row, self.random.choice((Cancelled(), CancelFailed("refused"))), self.now) for order in orders]
        await self.journal.settle_cancels(answers, carrier, self.now)

    async def operate(self) -> None:
        some = Selection(ids=(str(self.random.randint(1, self.number + 1)),))
        await self.random.choice((self.journal.hold, self.journal.release, self.journal.replay))(some)
        await self.journal.retry(some, self.now)
        if self.random.random() < 0.3:
            await self.journal.resolve(some, self.random.choice(("submitted", "rejected", "resubmit")), self.now)

    async def publish(self) -> None:
        rows = await self.journal.outbox(0, self.random.randint(1, 30))
        for row in rows:
            event = json.loads(row.payload)
            assert self.events.setdefault(event["event_id"], event) == event, "an event was told in two ways"
            self.check_event(event)
        await self.journal.published([row.row for row in rows if self.random.random() < 0.9])

    def check_event(self, event: dict[str, Any]) -> None:
        """What is told to have been taken or delivered has left, in all its parts."""
        if event["type"] != "accepted" and event.get("state") != "delivered":
            return
        sent = [each for each in self.sent if each.message.id == event["id"] and each.carrier == event["carrier"]]
        total = self.parts(event["id"], event["carrier"])
        assert event["parts"] == total, event
        if event["type"] == "accepted" or event["final"]:
            assert {each.message.part for each in sent} == set(range(1, total + 1)), (event, sent)
        if event["type"] == "accepted" and not event["possible_duplicate"]:
            assert sum(not self.refused(each) for each in sent) <= total, (event, sent)

    async def step(self) -> None:
        weights = {
            self.append: 5, self.claim: 6, self.settle: 8, self.receive: 6, self.tick: 4, self.cancel: 1, self.operate: 1, self.publish: 3,
            self.hear: 2, self.forget: 0.3,
        }  # fmt: skip
        await self.random.choices(list(weights), list(weights.values()))[0]()

    async def wind_down(self) -> None:
        """Let time pass until everything has ended."""
        await self.journal.release(Selection(state="held"))
        await self.journal.recover(self.now)
        for sending in self.sent:
            await self.journal.settle([self.settlement(sending, InDoubt("gone"))], self.now)
        for _ in range(8):
            self.now += 300
            await self.journal.tick(self.now)
        while self.journal.stats().outbox.number:
            await self.publish()


def check_kept_counts(walk: Walk) -> None:
    connection = sqlite3.connect(walk.path)
    writer = walk.journal._writer
    assert writer is not None
    counted = load_memory(connection)
    connection.close()
    kept = writer.memory
    counted.queue[QueueState.DONE] = kept.queue[QueueState.DONE]
    for name in ("queue", "outbox", "aside", "parked", "doubts", "refused", "tombstones", "fragments"):
        assert getattr(kept, name) == getattr(counted, name), name


def check_replies(walk: Walk) -> None:
    """Every word that was heard was told, and not twice without saying so."""
    told = [event for event in walk.events.values() if event["type"] == "reply"]
    for word in walk.words:
        events = [event for event in told if word in event["text"]]
        assert events, word
        assert sum(not event["possible_duplicate"] for event in events) <= 1, (word, events)
    assert any(event["in_reply_to"] for event in told)


@pytest.mark.parametrize("seed", range(16))
async def test_every_message_ends_in_exactly_one_final_event(tmp_path: Path, seed: int) -> None:
    walk = Walk(tmp_path, seed)
    await walk.open()
    for number in range(300):
        await walk.step()
        if number % 75 == 74:
            check_kept_counts(walk)
            await walk.crash()
    await walk.wind_down()
    check_kept_counts(walk)
    connection = sqlite3.connect(walk.path)
    assert connection.execute("SELECT * FROM attempt").fetchall() == [], "an attempt of what has ended"
    connection.close()
    by_message: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in walk.events.values():
        if event.get("seq"):
            by_message[event["id"]].append(event)
    assert len(by_message) > 50
    check_replies(walk)
    stats = walk.journal.stats()
    assert {state.name: stat.number for state, stat in stats.queue.items() if stat.number} == {}
    listed = await walk.journal.select(Selection(all=True, limit=10_000))
    await walk.journal.close()
    assert {message["id"] for message in listed} == set(by_message)
    for events in by_message.values():
        events.sort(key=lambda event: int(event["seq"]))
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), "a gap"
        assert sum(event["final"] for event in events) == 1, events
        final = next(place for place, event in enumerate(events) if event["final"])
        assert all(event.get("late") or event["type"] == "cancel_failed" for event in events[final + 1 :]), events
