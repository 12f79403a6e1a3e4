"""The operations of operators: hold, release, retry, resolve, replay."""

from collections.abc import Sequence
from typing import Literal

from gateway.journal.base import Report, Selection
from gateway.journal.doubt import since
from gateway.journal.intake import first_state
from gateway.journal.parking import tell_early
from gateway.journal.reading import conditions, given, in_span
from gateway.journal.records import LOOSE, MESSAGE_SHIFT, Record, instant, of_part
from gateway.journal.settling import resubmit
from gateway.journal.taking import accept
from gateway.journal.transaction import Transaction, count, placeholders
from gateway.message import Answer, QueueState, Reason, Submitted, Trigger

Verdict = Literal["submitted", "rejected", "resubmit"]


def hold(tx: Transaction, selection: Selection, now: float) -> int:
    """Keep waiting messages from being claimed."""
    return _move_all(tx, selection, (QueueState.SCHEDULED, QueueState.QUEUED, QueueState.DEFERRED), Trigger.HOLD, now)


def release(tx: Transaction, selection: Selection, now: float) -> int:
    """Let held messages be claimed; what is scheduled for later waits for its time again."""
    records = _chosen(tx, selection, (QueueState.HELD,))
    for record in records:
        state, due_at = first_state(record.message, now)
        tx.move(record, Trigger.RELEASE if state is QueueState.QUEUED else Trigger.RESCHEDULE, now, due_at)
    tx.finish()
    return len(records)


def retry(tx: Transaction, selection: Selection, now: float) -> int:
    """Make deferred messages due."""
    return _move_all(tx, selection, (QueueState.DEFERRED,), Trigger.DUE, now)


def resolve(tx: Transaction, selection: Selection, verdict: Verdict, now: float) -> Report:
    """End the doubt of messages. Receipts for what was "submitted" may still find it."""
    report = Report()
    for record in _chosen(tx, selection, (QueueState.IN_DOUBT,)):
        _RESOLVE[verdict](tx, record, now, report)
        count(report, "in_doubt", record.carrier or "", "operator")
    tx.finish()
    return report


def _submitted(tx: Transaction, record: Record, now: float, report: Report) -> None:
    """Take the part that is in doubt as sent; where there are others, they go now."""
    taken = Submitted(())
    answer = Answer(record.row, record.attempt, taken, now, part=record.part, parts=record.total)
    accept(tx, record, record.carrier or "", answer, taken, now, report)


def _rejected(tx: Transaction, record: Record, now: float, report: Report) -> None:
    began = since(tx, record)
    detail = "an operator says that it was not sent" + (f"; in doubt since {instant(began)}" if began else "")
    detail = of_part(record.part, record.total, detail)
    tx.move(record, Trigger.REJECTED, now, reason=Reason.OPERATOR, detail=detail, carrier=record.carrier)
    tell_early(tx, record, now, report)


def _resubmit(tx: Transaction, record: Record, now: float, _report: Report) -> None:
    resubmit(tx, record, record.carrier or "", now)


_RESOLVE = {"submitted": _submitted, "rejected": _rejected, "resubmit": _resubmit}


def _move_all(tx: Transaction, selection: Selection, states: Sequence[QueueState], trigger: Trigger, now: float) -> int:
    records = _chosen(tx, selection, states)
    for record in records:
        tx.move(record, trigger, now, record.expires_at)
    tx.finish()
    return len(records)


def _chosen(tx: Transaction, selection: Selection, states: Sequence[QueueState]) -> list[Record]:
    where, values = conditions(given(selection))
    spanned = selection.since is not None or selection.until is not None
    limit = -1 if spanned else selection.limit
    # All that wait have a due_at; to say so lets the index serve, and not the table with all that has ended.
    condition = f"{where} AND state IN ({placeholders(states)}) AND due_at IS NOT NULL ORDER BY row LIMIT ?"
    found = tx.records(condition, [*values, *states, limit])
    return [record for record in found if in_span(selection, record.message.received_at)][: selection.limit]


def replay(tx: Transaction, selection: Selection) -> int:
    """Put events in the outbox again, oldest first, to the event topic and to the Response Topic where the message has one."""
    rows = _events(tx, selection)
    for row in rows:
        record = tx.record(row >> MESSAGE_SHIFT) if row < LOOSE else None
        if record is None:
            tx.enqueue(row, None, None)
        else:
            tx.enqueue(row, record.message.response_topic, record.message.correlation)
    tx.finish()
    return len(rows)


def _events(tx: Transaction, selection: Selection) -> list[int]:
    """Find events: those of messages by what the messages are, those without a message by time, type and source alone."""
    terms, values = ["row > 0"], list[object]()
    for term, value in (
        ("type = ?", selection.type),
        ("source = ?", selection.source),
        ("at >= ?", selection.since),
        ("at <= ?", selection.until),
    ):
        if value is not None:
            terms.append(term)
            values.append(value)
    if selection.ids or selection.state is not None or selection.carrier is not None:
        where, more = conditions(selection)
        terms.append(f"row >> {MESSAGE_SHIFT} IN (SELECT row FROM message WHERE {where})")  # noqa: S608 - values are bound
        values += more
    elif len(terms) == 1 and not selection.all:
        return []
    if selection.ids:
        return _events_of(tx, selection, terms, values)
    rows = tx.all(f"SELECT row FROM event WHERE {' AND '.join(terms)} ORDER BY at, row LIMIT ?", [*values, selection.limit])  # noqa: S608 - values are bound
    return [row for (row,) in rows if isinstance(row, int)]


def _events_of(tx: Transaction, selection: Selection, terms: list[str], values: list[object]) -> list[int]:
    """Find events of named messages by their keys, without a look at all others."""
    where, more = conditions(selection)
    found: list[int] = []
    for record in tx.records(where, more):
        span = (record.row << MESSAGE_SHIFT, (record.row + 1 << MESSAGE_SHIFT) - 1)
        sql = f"SELECT row FROM event WHERE row BETWEEN ? AND ? AND {' AND '.join(terms)} ORDER BY row"  # noqa: S608 - values are bound
        found += [row for (row,) in tx.all(sql, [*span, *values]) if isinstance(row, int)]
    return found[: selection.limit]
