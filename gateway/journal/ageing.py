"""The tick operation: do what time demands, in a bounded step. What is irreversible waits while the clock is suspected."""

from collections import Counter
from collections.abc import Callable

import msgspec

from gateway.events import ReplyEvent
from gateway.journal import outbox, replies
from gateway.journal.base import Report, Tick, encode_event
from gateway.journal.claiming import expire_waiting
from gateway.journal.doubt import written_at
from gateway.journal.intake import unknown_cancel
from gateway.journal.parking import tell_early
from gateway.journal.records import LOOSE, MESSAGE_SHIFT, PART_SHIFT, Record, instant, of_part, pack, unpack_message
from gateway.journal.transaction import Transaction, count, placeholders
from gateway.message import EventType, QueueState, Trigger

REFERENCE_LIFE = 4 * 86400.0  # s: twice the longest validity; no phone waits longer for the parts of a message
STEP = 500  # rows of a kind
CATCH_UP = 0.2  # s until the next step where one was not enough: 2,500 rows a second, a small part of the writer's time
_OUTBOX_LOOKED_THROUGH = 10_000  # while more wait for the broker, nothing that may be waiting is deleted

_DUE = "state = ? AND due_at <= ? ORDER BY due_at LIMIT ?"
_NEXT = "SELECT min(due_at) FROM message WHERE state = ? AND due_at IS NOT NULL"  # else the index does not serve
# The oldest first, and of these what is old enough: a condition on the age would look through all that are younger.
_OLD_EVENTS = "SELECT row, type, payload FROM (SELECT row, type, payload, at FROM event WHERE row > ? ORDER BY row LIMIT ?) WHERE at <= ?"
_OLD_REFUSED = "SELECT row FROM (SELECT row, received_at FROM refused WHERE row > ? ORDER BY row LIMIT ?) WHERE received_at <= ?"
_OLD_DOUBTS = (
    "DELETE FROM attempt WHERE (message, n) IN (SELECT message, n FROM attempt ORDER BY message, n LIMIT ?) AND doubtful_since <= ? "
    "AND NOT EXISTS (SELECT 1 FROM message WHERE row = attempt.message AND state <> 8)"
)
_SLEEPING = (QueueState.SCHEDULED, QueueState.DEFERRED)
_replies = msgspec.json.Decoder(ReplyEvent)


def tick(tx: Transaction, now: float, *, expire: bool) -> Tick:
    """Wake what is due; unless the clock is suspected expire, end doubts and waits for receipts, and delete what is old."""
    tx.memory.suspended = not expire
    report = Report(counts=tx.memory.unreported.copy())
    tx.memory.unreported = Counter()
    woken = sum(_wake(tx, record, now, report) for state in _SLEEPING for record in tx.records(_DUE, (state, now, STEP)))
    if expire:
        for state, end in _ENDS.items():
            for record in tx.records(_DUE, (state, now, STEP)):
                end(tx, record, now, report)
        _tombstones(tx, now)
        replies.expire(tx, now, report)
        behind = _retention(tx, now)
    else:
        behind = False
    tx.finish()
    refresh_ages(tx, now)
    return Tick(report, woken, _next_due(tx, now + CATCH_UP if behind else None, expire=expire))


def _wake(tx: Transaction, record: Record, now: float, report: Report) -> bool:
    if record.expires_at <= now and expire_waiting(tx, record, now, report):
        return False
    tx.move(record, Trigger.DUE, now, record.expires_at)
    return True


def _doubt_deadline(tx: Transaction, record: Record, now: float, report: Report) -> None:
    carrier = record.carrier or ""
    count(report, "in_doubt", carrier, "deadline")
    reason = of_part(record.part, record.total, "no proof in time")
    tx.move(record, Trigger.DOUBT_DEADLINE, now, carrier=carrier, since=instant(written_at(tx, record, now)), reason=reason)
    tell_early(tx, record, now, report)


def _receipt_deadline(tx: Transaction, record: Record, now: float, report: Report) -> None:
    del report  # no receipt came: there is none to count
    tx.move(record, Trigger.RECEIPT_DEADLINE, now, carrier=record.carrier or "", code=None, state="no_receipt", parts=record.total)


_ENDS: dict[QueueState, Callable[[Transaction, Record, float, Report], object]] = {
    QueueState.QUEUED: expire_waiting,
    QueueState.HELD: expire_waiting,
    QueueState.IN_DOUBT: _doubt_deadline,
    QueueState.SUBMITTED: _receipt_deadline,
}


def _next_due(tx: Transaction, catch_up: float | None, *, expire: bool) -> float | None:
    states = (*_SLEEPING, *_ENDS) if expire else _SLEEPING
    times = [due for state in states if tx.memory.queue[state] and (due := _first(tx, _NEXT, (state,))) is not None]
    if expire and tx.memory.tombstones and (at := _first(tx, "SELECT min(at) FROM tombstone")) is not None:
        times.append(at + tx.policies.tombstone)
    times += [] if catch_up is None else [catch_up]
    return min(times, default=None)


def _first(tx: Transaction, sql: str, values: tuple[object, ...] = ()) -> float | None:
    row = tx.one(sql, values)
    return row[0] if row else None  # type: ignore[return-value] # the queries name REAL columns


def _tombstones(tx: Transaction, now: float) -> None:
    if not tx.memory.tombstones:
        return
    for source, id in tx.all("SELECT source, id FROM tombstone WHERE at <= ? LIMIT ?", (now - tx.policies.tombstone, STEP)):
        tx.memory.tombstones -= tx.run("DELETE FROM tombstone WHERE source = ? AND id = ?", (source, id))
        unknown_cancel(tx, str(source), str(id), now)


# --- Retention --------------------------------------------------------------------------------------------------------------------


def _retention(tx: Transaction, now: float) -> bool:
    """Erase and delete what is old, a step of each kind. Return whether there is probably more."""
    tx.flush()
    before = tx.written
    _drop_parked(tx, now - tx.policies.parked_retention)
    _drop_doubts(tx, now - tx.policies.parked_retention)
    if tx.memory.outbox <= _OUTBOX_LOOKED_THROUGH:
        _erase_replies(tx, now - tx.policies.text_retention)
        _delete_messages(tx, now - tx.policies.retention)
        _delete_loose(tx, now - tx.policies.retention)
    _forget_references(tx, now - REFERENCE_LIFE)
    _erase_texts(tx, now - tx.policies.text_retention)
    _erase_refused(tx, now - tx.policies.text_retention)
    return tx.written - before >= STEP


def _erase_refused(tx: Transaction, before: float) -> None:
    last = _mark(tx, "refused_row", 0)
    rows = tx.all(_OLD_REFUSED, (last, STEP, before)) if tx.memory.refused else []
    if rows:
        tx.run_many("UPDATE refused SET raw = NULL WHERE row = ?", rows)
        _set_mark(tx, "refused_row", rows[-1][0])


def _drop_parked(tx: Transaction, before: float) -> None:
    if tx.memory.parked:
        sql = "DELETE FROM receipt WHERE row IN (SELECT row FROM receipt ORDER BY row LIMIT ?) AND parked_at <= ?"
        tx.memory.parked -= tx.run(sql, (STEP, before))


def _drop_doubts(tx: Transaction, before: float) -> None:
    """Forget the doubts that messages ended with: a receipt that comes now would not be kept either."""
    if tx.memory.doubts:
        tx.memory.doubts -= tx.run(_OLD_DOUBTS, (STEP, before))


def _forget_references(tx: Transaction, before: float) -> None:
    sql = "DELETE FROM concatenation WHERE destination IN (SELECT destination FROM concatenation WHERE at <= ? ORDER BY at LIMIT ?)"
    tx.run(sql, (before, STEP))


def _erase_texts(tx: Transaction, before: float) -> None:
    """Erase the text of messages that ended before that time; a mark in `meta` says how far this has come."""
    ended_at, last = _mark(tx, "text_ended_at", -1.0), _mark(tx, "text_row", 0)
    if ended_at > before:  # the clock was set back: what ends now ends before the mark
        ended_at, last = before, 0
    rows = tx.all(
        "SELECT row, due_at, body FROM message WHERE state = 8 AND (due_at, row) > (?, ?) AND due_at <= ? ORDER BY due_at, row LIMIT ?",
        (ended_at, last, before, STEP),
    )
    if not rows:
        return
    erased = [(pack(msgspec.structs.replace(unpack_message(body), text="")), row) for row, _, body in rows]  # type: ignore[arg-type] # a BLOB
    tx.run_many("UPDATE message SET body = ? WHERE row = ?", erased)
    _set_mark(tx, "text_row", rows[-1][0])
    _set_mark(tx, "text_ended_at", rows[-1][1])


def _erase_replies(tx: Transaction, before: float) -> None:
    last = _mark(tx, "reply_row", LOOSE)
    found = tx.all(_OLD_EVENTS, (last, STEP, before))
    waiting = outbox.waiting(tx) if found else set()
    for row, type, payload in found:
        if row in waiting:
            break
        if type == EventType.REPLY:
            event = msgspec.structs.replace(_replies.decode(payload), text="")  # type: ignore[arg-type] # a BLOB
            tx.run("UPDATE event SET payload = ? WHERE row = ?", (encode_event(event), row))
        last = row  # type: ignore[assignment] # an INTEGER
    if last != _mark(tx, "reply_row", LOOSE):
        _set_mark(tx, "reply_row", last)


def _delete_messages(tx: Transaction, before: float) -> None:
    found = tx.all("SELECT row FROM message WHERE state = 8 AND due_at <= ? ORDER BY due_at LIMIT ?", (before, STEP))
    held_back = {row >> MESSAGE_SHIFT for row in outbox.waiting(tx) if row < LOOSE} if found else set()
    rows = [row for (row,) in found if isinstance(row, int) and row not in held_back]
    if not rows:
        return
    _set_mark(tx, "next_message", tx.memory.next_message)
    tx.run_many("DELETE FROM event WHERE row BETWEEN ? AND ?", [_span(row, MESSAGE_SHIFT) for row in rows])
    tx.run_many("DELETE FROM part WHERE row BETWEEN ? AND ?", [_span(row, PART_SHIFT) for row in rows])
    tx.run_many("DELETE FROM message WHERE row = ?", [(row,) for row in rows])
    tx.forget(rows)
    tx.memory.queue[QueueState.DONE] -= len(rows)


def _span(row: int, shift: int) -> tuple[int, int]:
    return row << shift, (row + 1 << shift) - 1


def _delete_loose(tx: Transaction, before: float) -> None:
    found = tx.all(_OLD_EVENTS, (LOOSE, STEP, before))
    waiting = outbox.waiting(tx) if found else set()
    rows = [row for row, _, _ in found if isinstance(row, int) and row not in waiting]
    if not rows:
        return
    _set_mark(tx, "next_loose", tx.memory.next_loose)
    tx.run_many("DELETE FROM event WHERE row = ?", [(row,) for row in rows])
    numbers = [row - LOOSE for row in rows]
    tx.memory.refused -= tx.run(f"DELETE FROM refused WHERE row IN ({placeholders(numbers)})", numbers)  # noqa: S608 - only question marks


def _mark(tx: Transaction, key: str, default: float) -> float:
    row = tx.one("SELECT value FROM meta WHERE key = ?", (key,))
    return default if row is None else row[0]  # type: ignore[return-value] # numbers are kept under these keys


def _set_mark(tx: Transaction, key: str, value: object) -> None:
    tx.run("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))


# --- Ages for the metrics ---------------------------------------------------------------------------------------------------------

# Of the first 1,000 to become due: exact up to 1,000 messages of a state, and near enough beyond, at a price that does not grow.
_OLDEST = "SELECT min(row) FROM (SELECT row FROM message WHERE state = ? AND due_at IS NOT NULL ORDER BY due_at LIMIT 1000)"
_OLDEST_ACTIVE = "SELECT min(message) FROM attempt WHERE doubtful_since IS NULL"
_OLDEST_QUEUED = "SELECT row FROM message WHERE state = 2 AND route = ? AND priority = ? ORDER BY row LIMIT 1"
# A head that was scheduled has not waited since it came, and may stand before what has waited for longer: that expires first, as a rule.
_FIRST_TO_EXPIRE = "SELECT row FROM message WHERE state = 2 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1"
_OLDEST_EVENT = "SELECT event.at FROM outbox JOIN event ON event.row = outbox.event WHERE outbox.aside = 0 ORDER BY outbox.row LIMIT 1"


def refresh_ages(tx: Transaction, now: float) -> None:
    """Find since when the oldest of each state waits."""
    rows = {state: _oldest_rows(tx, state) for state in QueueState if state is not QueueState.DONE and tx.memory.queue[state]}
    times = {state: [_waits_since(record, now) for row in found if (record := tx.record(row)) is not None] for state, found in rows.items()}
    tx.memory.oldest = {state: min(found) for state, found in times.items() if found}
    tx.memory.oldest_event = _first(tx, _OLDEST_EVENT) if tx.memory.outbox else None
    tx.finish()


def _oldest_rows(tx: Transaction, state: QueueState) -> list[int]:
    if state is QueueState.QUEUED:
        heads = [tx.one(_OLDEST_QUEUED, (route, priority)) for route in tx.memory.routes.values() for priority in range(4)]
        found = [*heads, tx.one(_FIRST_TO_EXPIRE)]
    else:
        found = [tx.one(_OLDEST_ACTIVE) if state is QueueState.ACTIVE else tx.one(_OLDEST, (state,))]
    return [row[0] for row in found if row and isinstance(row[0], int)]


def _waits_since(record: Record, now: float) -> float:
    """Return since when a message waits for us: one that was scheduled, since it is due."""
    message = record.message
    due = message.schedule_at is not None and message.schedule_at <= now
    return max(message.received_at, message.schedule_at or 0.0) if due else message.received_at
