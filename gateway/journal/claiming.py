"""The claim operation: open attempts for what waits, and end what need not be sent any more."""

from collections.abc import Sequence

import msgspec

from gateway.journal.base import Plan, Report
from gateway.journal.doubt import back_to_doubt, has_doubt
from gateway.journal.intake import cancel_waiting
from gateway.journal.matching import tail
from gateway.journal.parking import tell_early
from gateway.journal.records import Progress, Record, pack, unpack_message
from gateway.journal.transaction import Transaction, count
from gateway.message import Message, Reason, Trigger

_WAITING = "SELECT priority, row FROM message WHERE route = ? AND state = 2 AND (? OR expires_at > ?) ORDER BY priority DESC, row LIMIT ?"
_OPEN = "INSERT INTO attempt (message, n, carrier, owner, lease, opened_at, destination, part) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_NEXT_REFERENCE = (
    "INSERT INTO concatenation VALUES (?, ?, ?) "
    "ON CONFLICT (destination) DO UPDATE SET reference = (reference + 1) & 65535, at = excluded.at RETURNING reference"
)
_ROUNDS = 8  # of which each may find only what has ended


def claim(tx: Transaction, carrier: str, routes: Sequence[tuple[str, ...]], limit: int, now: float) -> list[Message]:
    """Take the next part of at most `limit` messages that wait on `routes`: priority first, then arrival.

    What ended instead is counted by the next tick.
    """
    report = Report()
    known = [tx.memory.routes[names] for names in routes if names in tx.memory.routes]
    taken: list[Record] = []
    for _ in range(_ROUNDS if limit > 0 and known else 0):
        ended = _one_round(tx, known, limit, now, taken, report)
        if taken or not ended:
            break
        tx.flush()
    if report.counts:
        tx.memory.unreported = tx.memory.unreported + report.counts
    messages = [_open(tx, record, carrier, now) for record in taken]
    lease = now + tx.policies.lease
    owner = tx.policies.owner
    tx.run_many(_OPEN, [(message.row, message.attempt, carrier, owner, lease, now, tail(message.to), message.part) for message in messages])
    tx.finish()
    return messages


def replan(tx: Transaction, carrier: str, plans: Sequence[Plan], now: float) -> list[Message]:
    """Take note of other parts than were planned when the messages came: a kill must leave no guess about how many there are."""
    messages: list[Message] = []
    for plan in plans:
        record = tx.record(plan.row)
        assert record is not None and not record.begun and not record.possible_duplicate  # noqa: PT018 - nothing of it has left
        _note_parts(tx, record, carrier, plan)
        _plan(tx, record, carrier, now)
        tx.save(record)
        messages.append(record.claimed())
    tx.finish()
    return messages


def _note_parts(tx: Transaction, record: Record, carrier: str, plan: Plan) -> None:
    message = unpack_message(record.body)
    parts_by, cuts_by = message.parts_by | {carrier: plan.parts}, message.cuts_by | {carrier: plan.cut}
    message = msgspec.structs.replace(message, parts_by=parts_by, cuts_by=cuts_by)
    record.body, record.decoded, record.parts = pack(message), message, max(parts_by.values())
    tx.run("UPDATE message SET body = ?, parts = ? WHERE row = ?", (record.body, record.parts, record.row))


def routes(tx: Transaction) -> list[tuple[str, ...]]:
    """List the routes that messages were ever given: few, and any may be QUEUED again."""
    return list(tx.memory.routes)


def _one_round(tx: Transaction, routes: list[int], limit: int, now: float, taken: list[Record], report: Report) -> int:
    """Add to `taken`; return how many messages ended instead."""
    ended = 0
    for record in _waiting(tx, routes, limit, now):
        if record.cancel and not record.begun:
            cancel_waiting(tx, record, now, report)
            ended += 1
        elif record.expires_at <= now:
            ended += expire_waiting(tx, record, now, report)
        else:
            taken.append(record)
    return ended


def _waiting(tx: Transaction, routes: list[int], limit: int, now: float) -> list[Record]:
    """Read the head of the queue. While the clock is suspected nothing may expire, and what seems to have is passed over."""
    expires = not tx.memory.suspended
    waiting = [row for route in routes for row in tx.all(_WAITING, (route, expires, now, limit))]
    if len(routes) > 1:
        waiting.sort(key=lambda row: (-row[0], row[1]))  # type: ignore[operator] # numbers
    rows = [row for _, row in waiting[:limit] if isinstance(row, int)]
    tx.load(rows)
    return [record for row in rows if (record := tx.record(row)) is not None]


def _open(tx: Transaction, record: Record, carrier: str, now: float) -> Message:
    record.carrier = carrier
    record.attempt += 1
    if record.parts > 1 and not record.begun:
        _plan(tx, record, carrier, now)
    tx.move(record, Trigger.CLAIM, now)
    return record.claimed()


def _plan(tx: Transaction, record: Record, carrier: str, now: float) -> None:
    """Take note of how many parts this carrier makes of a message of which nothing has left."""
    parts = record.message.parts_by.get(carrier, 1)
    if parts != record.total:
        record.progress = Progress(_concatenation(tx, record, now), parts) if parts > 1 else None


def _concatenation(tx: Transaction, record: Record, now: float) -> int:
    """Give a message the reference that follows its destination's last one, and a destination's first by chance (the row's)."""
    ((reference,),) = tx.all(_NEXT_REFERENCE, (int(record.message.to), record.row & 0xFFFF, now))
    return reference  # type: ignore[return-value] # an INTEGER


def expire_waiting(tx: Transaction, record: Record, now: float, report: Report) -> bool:
    """End a message whose time is over, unless an earlier copy is in doubt, or the clock is. Return whether it no longer waits."""
    if tx.memory.suspended:
        return False
    if has_doubt(tx, record):
        back_to_doubt(tx, record, now)
        return True
    if record.begun:
        reject_rest(tx, record, now, report)
        return True
    tx.move(record, Trigger.EXPIRE, now)
    count(report, "messages", "", "expired")
    return True


def reject_rest(tx: Transaction, record: Record, now: float, report: Report) -> None:
    """End a message whose time is over after some of its parts were sent: it has not expired whole."""
    progress = record.progress
    assert progress is not None  # it has begun
    detail = f"{progress.done} of {progress.parts} parts were sent, and the time of the others is over"
    tx.move(record, Trigger.INCOMPLETE, now, reason=Reason.INCOMPLETE, detail=detail, carrier=record.carrier)
    count(report, "messages", record.carrier or "", "rejected")
    tell_early(tx, record, now, report)
