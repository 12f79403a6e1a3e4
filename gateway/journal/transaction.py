"""One group commit from the inside: what an operation reads and writes, and the one place where a message changes its state.

An operation is a function of a Transaction. It changes the database and `memory`, a copy of what the journal remembers between commits; the
copy takes effect only when the group is committed, so a group that was rolled back can be run again. Changes of messages, events and outbox
rows gather here and are written by `flush`, many rows a statement; an operation flushes before it looks for messages by their state.

`move` is the only way to change a message's state: it asks `message.TRANSITIONS`, and publishes the event that the table names.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.events import AnyEvent, event_id
from gateway.journal.base import Count, Match, Report, encode_event
from gateway.journal.matching import MessageIdFormat, key
from gateway.journal.records import (
    COLUMNS,
    EVENT_CLASSES,
    LOOSE,
    MESSAGE_SHIFT,
    STATES,
    UPDATE,
    Part,
    Record,
    instant,
    unpack_progress,
    update_values,
)
from gateway.message import EventType, InDoubtPolicy, QueueState, Trigger, advance


@dataclass(frozen=True, slots=True)
class Policies:
    """How long things are kept, and what happens in doubt. Seconds, unless they are limits."""

    instance: str
    owner: str
    in_doubt: InDoubtPolicy = "hold"
    in_doubt_deadline: float = 900.0
    receipt_deadline: float = 259200.0
    lease: float = 120.0
    retention: float = 2592000.0
    text_retention: float = 604800.0
    parked_retention: float = 259200.0
    parked_limit: int = 100_000
    refused_limit: int = 100_000
    tombstone: float = 300.0
    message_id_formats: Mapping[str, MessageIdFormat] = field(default_factory=dict)
    unnumbered: frozenset[str] = (
        frozenset()
    )  # carriers that tell the provider no number of ours; any other does, also one that was taken out
    reply_window: float = 172800.0
    reply_timeout: float = 3600.0
    fragment_limit: int = 10_000
    senders: Mapping[str, str] = field(default_factory=dict)  # by carrier: of messages that name none


@dataclass(slots=True)
class Memory:
    """What the journal remembers between commits: sequences, counts, and the routes by name."""

    next_message: int = 1
    next_loose: int = 1
    next_outbox: int = 1
    next_parked: int = 1
    queue: list[int] = field(default_factory=lambda: [0] * len(STATES))
    outbox: int = 0
    aside: int = 0
    doubts: int = 0  # attempts in doubt
    parked: int = 0
    refused: int = 0
    tombstones: int = 0
    fragments: int = 0  # parts of replies that wait for the others
    unmatched: int = 0
    dropped: int = 0  # parked receipts beyond the limit
    suspended: bool = False  # the clock is suspected: nothing may expire
    routes: dict[tuple[str, ...], int] = field(default_factory=dict)
    learnt: Counter[tuple[str, Match]] = field(default_factory=Counter)
    unreported: Counter[Count] = field(default_factory=Counter)  # what claims ended: told by the next tick
    oldest: dict[QueueState, float] = field(default_factory=dict)
    oldest_event: float | None = None

    def copy(self) -> "Memory":
        """Copy what operations change in place; `routes` is replaced where it grows."""
        return replace(self, queue=self.queue.copy())


RECORDS_KEPT = 10_000

INSERT_MESSAGE = (
    "INSERT INTO message (row, source, id, state, priority, route, parts, due_at, expires_at, attempt, deferrals, seq, possible_duplicate, "
    "cancel, confirmed, body, destination) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 1, ?, ?) ON CONFLICT DO NOTHING"
)
_INSERT_EVENT = "INSERT INTO event (row, source, type, at, payload) VALUES (?, ?, ?, ?, ?)"
_INSERT_PLAIN_OUTBOX = "INSERT INTO outbox (row, event) VALUES (?, ?)"
_INSERT_OUTBOX = "INSERT INTO outbox (row, event, topic, correlation, payload) VALUES (?, ?, ?, ?, ?)"
_INSERT_PART = "INSERT INTO part (row, key, carrier, message_id, parts, submitted_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_BY_ROW = f"SELECT {COLUMNS} FROM message WHERE row = ?"  # noqa: S608 - our own columns
_BY_ROWS = f"SELECT {COLUMNS} FROM message WHERE row IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own columns
_BY_ID = f"SELECT {COLUMNS} FROM message WHERE source = ? AND id = ?"  # noqa: S608 - our own columns


class Transaction:
    """A group commit in the making, or one operation of it."""

    def __init__(
        self, connection: sqlite3.Connection, memory: Memory, policies: Policies, records: dict[int, Record] | None = None
    ) -> None:
        """`records` are those known from earlier transactions: as they are in the database, or empty after a rollback."""
        self.connection = connection
        self.memory = memory
        self.policies = policies
        self.written = 0
        self._records = {} if records is None else records
        self._dirty: dict[int, Record] = {}
        self._events: list[tuple[object, ...]] = []
        self._outbox: list[tuple[object, ...]] = []
        self._plain_outbox: list[tuple[int, int]] = []  # by far the most: for the event topic, without correlation
        self._parts: list[tuple[object, ...]] = []
        self._resolved: list[tuple[int, int]] = []
        self._ended: list[int] = []

    # Reading.

    def all(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query."""
        return self.connection.execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[object] = ()) -> tuple[object, ...] | None:
        """Return the first row of a query."""
        row: tuple[object, ...] | None = self.connection.execute(sql, values).fetchone()
        return row

    def record(self, row: int) -> Record | None:
        """Return a message by its row."""
        return self._records.get(row) or self._adopt(self.connection.execute(_BY_ROW, (row,)).fetchone())

    def load(self, rows: Iterable[int]) -> None:
        """Read those messages, at once, that are not known."""
        unknown = [row for row in rows if row not in self._records]
        if unknown:
            for row in self.connection.execute(_BY_ROWS, (json.dumps(unknown),)).fetchall():
                self.known(row)

    def remember(self, record: Record) -> None:
        """Know a message that was just inserted."""
        self._records[record.row] = record

    def forget(self, rows: Iterable[int]) -> None:
        """Know nothing more of messages that were deleted."""
        for row in rows:
            self._records.pop(row, None)

    def record_by_id(self, source: str, id: str) -> Record | None:
        """Return a message by its producer's id."""
        return self._adopt(self.connection.execute(_BY_ID, (source, id)).fetchone())

    def records(self, condition: str, values: Sequence[object]) -> list[Record]:
        """Return messages by the SQL after WHERE. Flush first where it asks for what may have changed."""
        found = self.connection.execute(f"SELECT {COLUMNS} FROM message WHERE {condition}", values)  # noqa: S608 - our own text
        return [self.known(row) for row in found.fetchall()]

    def _adopt(self, row: tuple[object, ...] | None) -> Record | None:
        return None if row is None else self.known(row)

    def known(self, row: tuple[object, ...]) -> Record:
        record: Record | None = self._records.get(row[0])  # type: ignore[call-overload] # the first column is the row
        if record is None:
            record = Record(*row)  # type: ignore[arg-type] # in the order of COLUMNS
            record.state = STATES[record.state]
            record.progress = unpack_progress(row[-2])  # type: ignore[arg-type] # a BLOB
            self._records[record.row] = record
        return record

    # Writing.

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Execute a statement now; return how many rows it changed."""
        changed = self.connection.execute(sql, values).rowcount
        self.written += max(changed, 0)
        return changed

    def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> int:
        """Execute a statement for each row now; return how many rows were changed."""
        if not rows:
            return 0
        changed = self.connection.executemany(sql, rows).rowcount
        self.written += len(rows)
        return changed

    def save(self, record: Record) -> None:
        """Remember to write a changed record."""
        self._dirty[record.row] = record

    def flush(self) -> None:
        """Write what has gathered."""
        if self._dirty:
            self.run_many(UPDATE, list(map(update_values, self._dirty.values())))
            self._dirty.clear()
        if self._resolved:
            self.run_many("DELETE FROM attempt WHERE message = ? AND n = ?", self._resolved)
            self._resolved = []
        if self._parts:
            self.run_many(_INSERT_PART, self._parts)
            self._parts = []
        if self._events:
            self.run_many(_INSERT_EVENT, self._events)
            self._events = []
        if self._plain_outbox:
            self.run_many(_INSERT_PLAIN_OUTBOX, self._plain_outbox)
            self._plain_outbox = []
        if self._outbox:
            self.run_many(_INSERT_OUTBOX, self._outbox)
            self._outbox = []

    def finish(self) -> None:
        """End one operation. Live messages stay known, the newest RECORDS_KEPT; what has ended is forgotten."""
        self.flush()
        self.forget(self._ended)
        self._ended.clear()
        known = self._records
        if len(known) > RECORDS_KEPT:
            for row in list(known)[: len(known) // 2]:
                del known[row]

    # A message's way.

    def move(self, record: Record, trigger: Trigger, at: float, due_at: float | None = None, **fields: object) -> None:
        """Change the state of a message as the table of transitions says, and publish the event that the table names, with `fields`.

        `due_at` is when time demands something next. Raises IllegalTransitionError.
        """
        before = record.state
        state, event = advance(before, trigger)
        self.memory.queue[before] -= 1
        self.memory.queue[state] += 1
        ended = state is QueueState.DONE and before is not QueueState.DONE
        record.state = state
        if state is QueueState.DONE:
            record.due_at = at if ended else record.due_at
        else:
            record.due_at = due_at
        self._dirty[record.row] = record
        if state is QueueState.DONE:
            self._ended.append(record.row)
        if event is not None:
            self._tell(record, event, at, final=ended, fields=fields)
        if ended:
            self._end(record, trigger, at)

    def _tell(self, record: Record, type: EventType, at: float, *, final: bool, fields: dict[str, object]) -> None:
        record.seq += 1
        message = record.message
        event = EVENT_CLASSES[type](
            event_id=event_id(record.source, record.id, record.seq),
            time=instant(at),
            instance=self.policies.instance,
            id=record.id,
            seq=record.seq,
            final=final,
            metadata=message.metadata,
            **fields,  # type: ignore[arg-type] # each caller gives the fields of the event that its trigger publishes
        )
        row = record.row << MESSAGE_SHIFT | record.seq
        self._events.append((row, record.source, type.value, at, encode_event(event)))
        self.enqueue(row, message.response_topic, message.correlation)

    def _end(self, record: Record, trigger: Trigger, at: float) -> None:
        wanted, record.cancel = record.cancel, 0
        if wanted and trigger is not Trigger.CANCELLED:
            reason = "unknown" if trigger is Trigger.DOUBT_DEADLINE else "too_late"
            self.move(record, Trigger.CANCEL_FAILED, at, reason=reason, carrier=record.carrier)

    # Attempts and parts.

    def resolve(self, message: int, n: int) -> None:
        """Forget an attempt that was open."""
        self._resolved.append((message, n))

    def resolve_doubt(self, message: int, n: int) -> None:
        """Forget an attempt that was in doubt."""
        self.memory.doubts -= self.run("DELETE FROM attempt WHERE message = ? AND n = ?", (message, n))

    def add_part(self, row: int, carrier: str, message_id: str, parts: int, submitted_at: float) -> Part:
        """Record what the provider calls a part; harmless when it is known."""
        self._parts.append((row, key(message_id), carrier, message_id, parts, submitted_at))
        return Part(row, message_id, parts, submitted_at, None, 1, 0)

    # Events and the outbox.

    def loose(self) -> int:
        """Take the next number of an event that belongs to no message."""
        number = self.memory.next_loose
        self.memory.next_loose += 1
        return number

    def tell_loose(self, number: int, event: AnyEvent, type: EventType, source: str, at: float) -> int:
        """Keep an event that belongs to no message; return its row. It is the caller's to put it in the outbox."""
        row = LOOSE + number
        self._events.append((row, source, type.value, at, encode_event(event)))
        return row

    def enqueue(self, event: int, response_topic: str | None, correlation: bytes | None, copy: bytes | None = None) -> None:
        """Put an event in the outbox: for the event topic, and for the Response Topic where there is one (there as `copy`, if given)."""
        memory = self.memory
        if correlation is None:
            self._plain_outbox.append((memory.next_outbox, event))
        else:
            self._outbox.append((memory.next_outbox, event, None, correlation, None))
        memory.next_outbox += 1
        memory.outbox += 1
        if response_topic is not None:
            self._outbox.append((memory.next_outbox, event, response_topic, correlation, copy))
            memory.next_outbox += 1
            memory.outbox += 1

    # Routes.

    def route(self, names: tuple[str, ...]) -> int:
        """Return the number of a route, interned."""
        number = self.memory.routes.get(names)
        if number is None:
            text = json.dumps(names)
            self.run("INSERT INTO route (names) VALUES (?) ON CONFLICT DO NOTHING", (text,))
            (number,) = self.connection.execute("SELECT id FROM route WHERE names = ?", (text,)).fetchone()
            self.memory.routes = {**self.memory.routes, names: number}
        return number

    def reroute(self, record: Record, names: tuple[str, ...]) -> None:
        """Pin a message to a route."""
        route = self.route(names)
        if route != record.route:
            record.route = route
            self.run("UPDATE message SET route = ? WHERE row = ?", (route, record.row))

    def learn(self, carrier: str, match: Match) -> None:
        """Count the rule by which a receipt of a carrier found its message."""
        # Changed in place: it is a preference, and counting a group twice that was rolled back harms nobody.
        self.memory.learnt[carrier, match] += 1


def count(report: Report, name: Literal["messages", "receipts", "replies", "in_doubt", "duplicates"], *labels: str) -> None:
    """Count one thing that happened."""
    report.counts[Count(name, labels)] += 1


def placeholders(values: Iterable[object]) -> str:
    """Return `?, ?, ?` for an IN list."""
    return ", ".join("?" for _ in values)
