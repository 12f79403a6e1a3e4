"""The settle and recover operations: what a carrier answered, in time, late or not at all.

An answer is of one attempt. The current attempt of an ACTIVE message decides; any other answer is late: it is news of an earlier copy, and
counts where that copy is in doubt, and is of the part whose turn it is. A repeated answer finds no attempt any more and changes nothing.
"""

from collections.abc import Sequence

from gateway.journal import callbacks
from gateway.journal.base import Report, Settlement
from gateway.journal.claiming import expire_waiting
from gateway.journal.doubt import any_doubt, deadline, has_doubt, written_at
from gateway.journal.intake import cancel_waiting
from gateway.journal.parking import apply_parked, must_wait, tell_early
from gateway.journal.proving import apply_parked_for
from gateway.journal.records import Record, instant, of_part
from gateway.journal.reporting import parts_of
from gateway.journal.taking import accept, record_parts
from gateway.journal.transaction import Transaction, count
from gateway.message import Answer, Deferred, InDoubt, QueueState, Reason, Rejected, Submitted, Trigger

_OVERTAKEN = (QueueState.IN_DOUBT, QueueState.QUEUED, QueueState.DEFERRED, QueueState.HELD)


def settle(tx: Transaction, settlements: Sequence[Settlement], now: float) -> Report:
    """Record answers in order."""
    report = Report()
    tx.load([settlement.answer.row for settlement in settlements])
    for settlement in settlements:
        answer = settlement.answer
        record = tx.record(answer.row)
        if record is None:
            continue
        if record.state is QueueState.ACTIVE and record.attempt == answer.attempt:
            _current(tx, record, settlement, now, report)
        else:
            _late(tx, record, settlement, now, report)
        if tx.memory.parked:
            _catch_up(tx, record, settlement.carrier, now, report)
    tx.finish()
    return report


def _catch_up(tx: Transaction, record: Record, carrier: str, now: float, report: Report) -> None:
    """Apply the receipts that had to wait while the message was on its way, and whose ids no response told."""
    if record.attempt > 1 and any_doubt(tx, record):  # they may be of an earlier copy
        apply_parked_for(tx, record.message.to, carrier, now, report)
    callbacks.catch_up(tx, record, now, report)


def recover(tx: Transaction, now: float) -> Report:
    """Put what was left open in doubt: ours, and what any owner's lease has run out on."""
    report = Report()
    left = tx.all(
        "SELECT message, n, carrier FROM attempt WHERE doubtful_since IS NULL AND (owner = ? OR lease < ?) ORDER BY message",
        (tx.policies.owner, now),
    )
    for row, n, carrier in left:
        record = tx.record(row)  # type: ignore[arg-type] # an INTEGER
        if record is not None and record.state is QueueState.ACTIVE:
            answer = Answer(row, n, InDoubt("restart"), now, part=record.part, parts=record.total)  # type: ignore[arg-type] # INTEGERs
            _current(tx, record, Settlement(answer, carrier), now, report)  # type: ignore[arg-type] # TEXT
            if tx.memory.parked:
                _catch_up(tx, record, carrier, now, report)  # type: ignore[arg-type] # TEXT
    tx.finish()
    return report


def _current(tx: Transaction, record: Record, settlement: Settlement, now: float, report: Report) -> None:
    outcome = settlement.answer.outcome
    if isinstance(outcome, InDoubt):
        _doubt(tx, record, settlement, outcome, now, report)
        return
    if isinstance(outcome, Submitted) and _unnamed(tx, record, settlement, outcome):
        _keep_attempt(tx, record, settlement.answer)  # as one in doubt: a receipt with our reference will tell the id
    else:
        tx.resolve(record.row, record.attempt)
    if isinstance(outcome, Submitted):
        accept(tx, record, settlement.carrier, settlement.answer, outcome, now, report)
    elif _taken_before(tx, record, settlement, now, report):
        return
    elif isinstance(outcome, Rejected):
        _reject(tx, record, settlement, outcome, now, report)
    else:
        _defer(tx, record, settlement, outcome, now, report)


# --- The four outcomes ------------------------------------------------------------------------------------------------------------


def _reject(tx: Transaction, record: Record, settlement: Settlement, outcome: Rejected, now: float, report: Report) -> None:
    carrier = settlement.carrier
    if outcome.reason is Reason.NO_ROUTE and _try_another(tx, record, settlement, outcome, now, report):
        return
    if settlement.answer.part > 1:  # a message whose first part is refused is refused whole
        detail = of_part(settlement.answer.part, settlement.answer.parts, outcome.detail)
        outcome = Rejected(outcome.reason, detail, outcome.code)
    record.last_error = outcome.detail
    if record.possible_duplicate and has_doubt(tx, record):
        # This copy was refused; whether the one before it was taken is still open.
        detail = f"sent again and refused: {outcome.detail}"
        since = instant(written_at(tx, record, now))
        tx.move(record, Trigger.DOUBT, now, deadline(tx, record, now), carrier=carrier, since=since, reason=detail)
        return
    count(report, "messages", carrier, "rejected")
    tx.move(record, Trigger.REJECTED, now, reason=outcome.reason, detail=outcome.detail, carrier=carrier, code=outcome.code)
    tell_early(tx, record, now, report)


def _try_another(tx: Transaction, record: Record, settlement: Settlement, outcome: Rejected, now: float, report: Report) -> bool:
    """Put a message that this carrier cannot carry back for the others of its route. Return whether there are any."""
    names = next(names for names, number in tx.memory.routes.items() if number == record.route)
    others = tuple(name for name in names if name != settlement.carrier)
    if not others or record.possible_duplicate or settlement.answer.part > 1 or record.state is not QueueState.ACTIVE:
        return False
    record.last_error = outcome.detail
    count(report, "messages", settlement.carrier, "deferred")
    tx.reroute(record, others)
    tx.move(record, Trigger.REQUEUED, now, record.expires_at)
    if record.cancel:
        cancel_waiting(tx, record, now, report)
    return True


def _defer(tx: Transaction, record: Record, settlement: Settlement, outcome: Deferred, now: float, report: Report) -> None:
    record.last_error = outcome.detail
    record.deferrals += settlement.counts
    count(report, "messages", settlement.carrier, "deferred")
    expired = record.expires_at <= now and not tx.memory.suspended
    cancelled = bool(record.cancel) and not record.begun
    if settlement.retry_at is None or expired or cancelled:
        tx.move(record, Trigger.REQUEUED, now, record.expires_at)
    else:
        tx.move(record, Trigger.DEFERRED, now, min(settlement.retry_at, record.expires_at))
    if cancelled:
        cancel_waiting(tx, record, now, report)
    elif expired:
        expire_waiting(tx, record, now, report)


def _doubt(tx: Transaction, record: Record, settlement: Settlement, outcome: InDoubt, now: float, report: Report) -> None:
    carrier = settlement.carrier
    record.last_error = outcome.detail
    _keep_attempt(tx, record, settlement.answer)
    count(report, "messages", carrier, "in_doubt")
    count(report, "in_doubt", carrier, "entered")
    if _taken_before(tx, record, settlement, now, report):
        return
    due_at = settlement.answer.at + tx.policies.in_doubt_deadline
    reason = of_part(record.part, record.total, outcome.detail)
    tx.move(record, Trigger.DOUBT, now, due_at, carrier=carrier, since=instant(written_at(tx, record, now)), reason=reason)
    if tx.memory.parked:
        apply_parked_for(tx, record.message.to, carrier, now, report)
    if record.state is QueueState.IN_DOUBT and _may_resubmit(tx, record, now):
        resubmit(tx, record, carrier, now)
        count(report, "in_doubt", carrier, "resubmitted")


def _unnamed(tx: Transaction, record: Record, settlement: Settlement, outcome: Submitted) -> bool:
    """Say whether the provider gave what it took no id, and does not know it by our number either."""
    return record.message.receipt and not any(outcome.message_ids) and settlement.carrier in tx.policies.unnumbered


def _keep_attempt(tx: Transaction, record: Record, answer: Answer) -> None:
    values = (answer.at, record.row, record.attempt)
    tx.memory.doubts += tx.run("UPDATE attempt SET doubtful_since = ? WHERE message = ? AND n = ?", values)


def _may_resubmit(tx: Transaction, record: Record, now: float) -> bool:
    """Once: a carrier that never answers must not be sent a copy every half minute."""
    policy = record.message.in_doubt or tx.policies.in_doubt
    return policy == "resubmit" and not record.possible_duplicate and not record.cancel and record.expires_at > now


def resubmit(tx: Transaction, record: Record, carrier: str, now: float) -> None:
    """Send a message in doubt again, by the same carrier alone."""
    record.possible_duplicate = 1
    tx.reroute(record, (carrier,))
    tx.move(record, Trigger.RESUBMIT, now, record.expires_at)


def _taken_before(tx: Transaction, record: Record, settlement: Settlement, now: float, report: Report) -> bool:
    """An earlier copy was taken while this one was on its way: then it does not matter what became of this one."""
    if not record.possible_duplicate:
        return False
    earlier = [part for part in parts_of(tx, record) if part.number == settlement.answer.part]
    if not earlier:
        return False
    attempt = earlier[0].row >> 8 & 0xFFFF
    taken = Submitted((earlier[0].message_id,))
    answer = Answer(record.row, attempt, taken, earlier[0].submitted_at, None, settlement.answer.part, settlement.answer.parts)
    accept(tx, record, settlement.carrier, answer, taken, now, report)
    return True


# --- Late answers -----------------------------------------------------------------------------------------------------------------


def _late(tx: Transaction, record: Record, settlement: Settlement, now: float, report: Report) -> None:
    answer, carrier = settlement.answer, settlement.carrier
    outcome = answer.outcome
    if isinstance(outcome, InDoubt):
        return
    known = tx.one("SELECT 1 FROM attempt WHERE message = ? AND n = ? AND doubtful_since IS NOT NULL", (record.row, answer.attempt))
    if known:
        tx.resolve_doubt(record.row, answer.attempt)
        if record.state is not QueueState.DONE:
            count(report, "in_doubt", carrier, "late_response")
    if isinstance(outcome, Submitted):
        _late_submitted(tx, record, settlement, outcome, known is not None, now, report)
    elif known:
        _late_refusal(tx, record, settlement, outcome, now, report)


def _late_submitted(
    tx: Transaction, record: Record, settlement: Settlement, outcome: Submitted, known: bool, now: float, report: Report
) -> None:
    if known and record.state in _OVERTAKEN and settlement.answer.part == record.part:
        accept(tx, record, settlement.carrier, settlement.answer, outcome, now, report)
        return
    parts = record_parts(tx, settlement.answer, settlement.carrier, outcome)
    if tx.memory.parked and not must_wait(record):
        apply_parked(tx, record, parts, settlement.carrier, now, report)


def _late_refusal(
    tx: Transaction, record: Record, settlement: Settlement, outcome: Rejected | Deferred, now: float, report: Report
) -> None:
    if settlement.answer.part != record.part or has_doubt(tx, record):
        return  # a copy of what was taken, or another copy is still in doubt
    if record.possible_duplicate and record.part == 1:
        record.possible_duplicate = int(any(part.number == record.part for part in parts_of(tx, record)))
        tx.save(record)
    if record.state is not QueueState.IN_DOUBT:
        return
    if isinstance(outcome, Rejected):
        _reject(tx, record, settlement, outcome, now, report)
    else:
        _defer(tx, record, settlement, outcome, now, report)
