"""The append operation: what the broker handed over becomes messages, refusals and cancels. Idempotent: a broker may hand over twice."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec

from gateway.events import CancelFailedEvent, RejectedEvent, event_id
from gateway.journal.base import Report, encode_event
from gateway.journal.doubt import back_to_doubt, has_doubt
from gateway.journal.matching import destination
from gateway.journal.records import LOOSE, MESSAGE_SHIFT, STATES, Record, instant, pack
from gateway.journal.transaction import INSERT_MESSAGE, Transaction, count
from gateway.message import Cancel, EventType, Message, QueueState, Reason, Refusal, Trigger

_RAW_LIMIT = 2048
_WAITING = (QueueState.SCHEDULED, QueueState.QUEUED, QueueState.DEFERRED, QueueState.HELD)


def append(tx: Transaction, items: Sequence[Message | Refusal | Cancel], now: float) -> Report:
    """Take items in order."""
    report = Report()
    for kind, run in groupby(items, type):
        if kind is Message:
            _append_messages(tx, list(run), now, report)  # type: ignore[arg-type] # grouped by type
            continue
        for item in run:
            if isinstance(item, Refusal):
                _refuse_or_repeat(tx, item, report)
            elif isinstance(item, Cancel):
                _cancel(tx, item, now, report)
    tx.finish()
    return report


def _append_messages(tx: Transaction, messages: list[Message], now: float, report: Report) -> None:
    first = tx.memory.next_message
    tx.memory.next_message += len(messages)
    queue = tx.memory.queue
    rows: list[tuple[Any, ...]] = []
    for row, message in enumerate(messages, first):
        state, due_at = first_state(message, now)
        queue[state] += 1
        route = tx.route(message.routes)
        parts = max(message.parts_by.values(), default=1)
        fixed = (row, message.source, message.id, int(state), message.priority, route, parts, due_at, message.expires_at)
        rows.append((*fixed, pack(message), destination(message.to)))
    if tx.run_many(INSERT_MESSAGE, rows) < len(rows):
        _repeated(tx, messages, first, now, report)
    else:
        _remember(tx, messages, rows)
    if tx.memory.tombstones:
        for message in messages:
            _respect_tombstone(tx, message, now, report)


def _remember(tx: Transaction, messages: list[Message], rows: list[tuple[Any, ...]]) -> None:
    for message, (row, source, id, state, _, route, parts, due_at, expires_at, body, _) in zip(messages, rows, strict=True):
        tx.remember(
            Record(
                row, source, id, STATES[state], route, parts, due_at, expires_at, 0, 0, 0, 0, 0, None, None, 1, None, None, body, message
            )
        )


def first_state(message: Message, now: float) -> tuple[QueueState, float]:
    """Return where a message waits of which nothing was tried, and when time demands something of it."""
    at = message.schedule_at
    return (QueueState.QUEUED, message.expires_at) if at is None or at <= now else (QueueState.SCHEDULED, at)


def _repeated(tx: Transaction, messages: list[Message], first: int, now: float, report: Report) -> None:
    inserted = {row for (row,) in tx.all("SELECT row FROM message WHERE row >= ?", (first,))}
    for row, message in enumerate(messages, first):
        if row in inserted:
            continue
        tx.memory.queue[first_state(message, now)[0]] -= 1
        _repeat(tx, message, report)


def _repeat(tx: Transaction, message: Message, report: Report) -> None:
    known = tx.record_by_id(message.source, message.id)
    assert known is not None  # it was in the way of the insertion
    if known.message.digest == message.digest:
        _tell_again(tx, known, message, report)
    else:
        _refuse(tx, _other_content(message), report)


def _tell_again(tx: Transaction, known: Record, repeated: Message | Refusal, report: Report) -> None:
    count(report, "duplicates")
    if known.seq:
        tx.enqueue(known.row << MESSAGE_SHIFT | known.seq, repeated.response_topic, repeated.correlation)


def _other_content(message: Message) -> Refusal:
    return Refusal(
        source=message.source,
        id=message.id,
        reason=Reason.DUPLICATE_ID,
        detail="this id was used before with other content",
        digest=b"duplicate_id" + message.digest,
        raw=b"",
        received_at=message.received_at,
        metadata=message.metadata,
        response_topic=message.response_topic,
        correlation=message.correlation,
    )


def _respect_tombstone(tx: Transaction, message: Message, now: float, report: Report) -> None:
    if not tx.run("DELETE FROM tombstone WHERE source = ? AND id = ?", (message.source, message.id)):
        return
    tx.memory.tombstones -= 1
    _cancel(tx, Cancel(source=message.source, id=message.id, received_at=now), now, report)


# --- Refusals ---------------------------------------------------------------------------------------------------------------------


def _refuse_or_repeat(tx: Transaction, refusal: Refusal, report: Report) -> None:
    """Refuse what is not a repetition: settings may have changed since its message was taken, which goes its way all the same."""
    taken = tx.record_by_id(refusal.source, refusal.id) if refusal.content and refusal.id is not None else None
    if taken is not None and taken.message.digest == refusal.content:
        _tell_again(tx, taken, refusal, report)
    else:
        _refuse(tx, refusal, report)


def _refuse(tx: Transaction, refusal: Refusal, report: Report) -> None:
    known = tx.one("SELECT row FROM refused WHERE digest = ?", (refusal.digest,))
    number = tx.loose() if known is None else known[0]
    assert isinstance(number, int)
    event, at = _rejected(refusal, number, tx.policies.instance), refusal.received_at
    copy = encode_event(msgspec.structs.replace(event, raw=refusal.raw[:_RAW_LIMIT].decode("utf-8", "replace"))) if refusal.raw else None
    if known is None:
        row = tx.tell_loose(number, event, EventType.REJECTED, refusal.source, at)
        _keep(tx, refusal, number)
        count(report, "messages", "", "rejected")
    else:
        row = LOOSE + number
    tx.enqueue(row, refusal.response_topic, refusal.correlation, copy)


def _rejected(refusal: Refusal, number: int, instance: str) -> RejectedEvent:
    return RejectedEvent(
        event_id=event_id("-", "rejected", number),
        time=instant(refusal.received_at),
        instance=instance,
        id=refusal.id,
        final=True,
        metadata=refusal.metadata,
        reason=refusal.reason,
        detail=refusal.detail,
        digest=None if refusal.reason is Reason.DUPLICATE_ID else refusal.digest.hex(),
    )


def _keep(tx: Transaction, refusal: Refusal, number: int) -> None:
    tx.run(
        "INSERT INTO refused (row, source, id, digest, reason, detail, raw, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (number, refusal.source, refusal.id, refusal.digest, refusal.reason.value, refusal.detail, refusal.raw, refusal.received_at),
    )
    tx.memory.refused += 1
    if tx.memory.refused > tx.policies.refused_limit:
        tx.memory.refused -= tx.run("DELETE FROM refused WHERE row = (SELECT min(row) FROM refused)")


# --- Cancels ----------------------------------------------------------------------------------------------------------------------


def _cancel(tx: Transaction, cancel: Cancel, now: float, report: Report) -> None:
    tx.flush()
    record = tx.record_by_id(cancel.source, cancel.id)
    if record is None:
        tx.memory.tombstones += tx.run("INSERT INTO tombstone VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (cancel.source, cancel.id, now))
    elif record.state in _WAITING and not record.begun:
        cancel_waiting(tx, record, now, report)
    elif record.state is QueueState.DONE:
        _too_late(tx, record, now)
    elif not record.cancel:
        record.cancel = 1
        tx.save(record)


def cancel_waiting(tx: Transaction, record: Record, now: float, report: Report) -> None:
    """Cancel what has not left; where an earlier copy is in doubt, that copy's fate is waited for."""
    if has_doubt(tx, record):
        record.cancel = 1
        back_to_doubt(tx, record, now)
        return
    tx.move(record, Trigger.CANCELLED, now)
    count(report, "messages", "", "cancelled")


def _too_late(tx: Transaction, record: Record, now: float) -> None:
    """Tell it once: a cancel that comes again is told with the same event."""
    row = record.row << MESSAGE_SHIFT | record.seq
    last = tx.one("SELECT type FROM event WHERE row = ?", (row,))
    if last is not None and last[0] in (EventType.CANCELLED, EventType.CANCEL_FAILED):
        tx.enqueue(row, record.message.response_topic, record.message.correlation)
    else:
        tx.move(record, Trigger.CANCEL_FAILED, now, reason="too_late", carrier=record.carrier)


def unknown_cancel(tx: Transaction, source: str, id: str, now: float) -> None:
    """Tell that no message came for a cancel."""
    number = tx.loose()
    event = CancelFailedEvent(
        event_id=event_id("-", "cancel", number), time=instant(now), instance=tx.policies.instance, id=id, reason="not_found"
    )
    tx.enqueue(tx.tell_loose(number, event, EventType.CANCEL_FAILED, source, now), None, None)
