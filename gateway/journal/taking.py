"""A carrier took a message, or a part of it: record what the provider calls it, go on with the next part, or tell that all were taken.

A message of several parts goes part by part: each is claimed, answered and recorded by itself, and the next is claimed once the one before
it was taken. So at most one part is ever in doubt, a refusal keeps the rest from being sent, and what was sent before a crash is known.
Until all parts were taken, receipts for the first ones stay parked.
"""

from gateway.journal.base import Report
from gateway.journal.parking import apply_parked
from gateway.journal.records import PART_COLUMNS, Part, Progress, Record, part_row
from gateway.journal.reporting import parts_of
from gateway.journal.transaction import Transaction, count
from gateway.message import Answer, QueueState, Submitted, Trigger

_UNDER_WAY = (QueueState.ACTIVE, QueueState.IN_DOUBT)


def accept(tx: Transaction, record: Record, carrier: str, answer: Answer, outcome: Submitted, now: float, report: Report) -> None:
    """Take note that `carrier` took what `answer` is about."""
    parts = record_parts(tx, answer, carrier, outcome)
    if answer.parts == 1:
        record.progress = None  # by another carrier it would have been several
    else:
        progress = record.progress = _advanced(record, answer, outcome)
        if record.begun:
            _go_on(tx, record, carrier, now)
            return
        parts = parts_of(tx, record)
        outcome = Submitted(_ids(parts, answer.parts), progress.encoding, outcome.under_review, progress.replaced)
    _tell(tx, record, carrier, answer, outcome, now)
    count(report, "messages", carrier, "submitted")
    if tx.memory.parked:
        apply_parked(tx, record, parts_of(tx, record) if record.possible_duplicate else parts, carrier, now, report)


def record_parts(tx: Transaction, answer: Answer, carrier: str, outcome: Submitted) -> list[Part]:
    """Record the provider's id of what was taken, where it gave one."""
    return [
        tx.add_part(part_row(answer.row, answer.attempt, answer.part), carrier, message_id, answer.parts, answer.at)
        for message_id in outcome.message_ids
        if message_id  # ESME_ROK with an empty message_id happens
    ]


def part_of(tx: Transaction, row: int, carrier: str, message_id: str, total: int, at: float) -> Part:
    """Return what is recorded of a copy of a part; else record the id that a receipt gives it, where it gives one."""
    tx.flush()
    known = tx.one(f"SELECT {PART_COLUMNS} FROM part WHERE row = ?", (row,))  # noqa: S608 - our own columns
    if known is not None:
        return Part(*known)  # type: ignore[arg-type] # in the order of PART_COLUMNS
    if not message_id:
        return Part(row, "", total, at, None, 1, 0)
    part = tx.add_part(row, carrier, message_id, total, at)
    tx.flush()  # the next receipt may look for it
    return part


def _advanced(record: Record, answer: Answer, outcome: Submitted) -> Progress:
    progress = record.progress or Progress(record.row & 0xFFFF, answer.parts)  # the settings were changed since it came
    told = outcome if outcome.encoding else progress
    return Progress(progress.concatenation, answer.parts, max(progress.done, answer.part), told.encoding, told.replaced)


def _go_on(tx: Transaction, record: Record, carrier: str, now: float) -> None:
    """Put the message back in its place, for its next part, which only this carrier can send."""
    tx.reroute(record, (carrier,))
    if record.state in _UNDER_WAY:
        tx.move(record, Trigger.REQUEUED, now, record.expires_at)
    else:  # a late answer, while a second copy of that part waits: the next part goes instead
        tx.save(record)


def _ids(parts: list[Part], total: int) -> tuple[str, ...]:
    """Return an id for each part, the newest where a part was sent twice; "" where the provider gave none."""
    known = {part.number: part.message_id for part in parts}
    return tuple(known.get(number, "") for number in range(1, total + 1))


def _tell(tx: Transaction, record: Record, carrier: str, answer: Answer, outcome: Submitted, now: float) -> None:
    tx.move(
        record,
        Trigger.SUBMITTED if record.message.receipt else Trigger.ACCEPTED_FINAL,
        now,
        now + tx.policies.receipt_deadline,
        carrier=carrier,
        message_ids=outcome.message_ids,
        parts=answer.parts,
        encoding=outcome.encoding,
        attempt=answer.attempt - (answer.parts - 1),  # each part was an attempt
        possible_duplicate=bool(record.possible_duplicate),
        under_review=outcome.under_review,
        replaced=outcome.replaced,
    )
