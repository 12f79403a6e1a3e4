"""How a call-back finds its message: by the provider's id, among those of every carrier; else by the number that we gave the message.

The account is one, so a call-back may be of a message that went by SMPP, by HTTP or by the web service, and it does not say which: such a
receipt names no carrier, and takes that of the message it is found to be of. An id that is known decides alone; the phone's number chooses
where several messages bear it.

Our number (`uuid`) comes back only from carriers that send it (not `Policies.unnumbered`). It proves a message where the phone agrees and
the message left within AGE: one that is in doubt, one that was taken without an id (held for review), even one that is to be sent again
since the provider seemed to have refused it. The id that came along is recorded, so that the next call-back is found by it.

What is found neither way is parked like any receipt; `catch_up` looks again once an answer is settled.
"""

from typing import NamedTuple

from gateway.journal.base import Match, Report
from gateway.journal.matching import key, rule, same_destination, tail
from gateway.journal.parking import apply_parked, must_wait, of_carrier, park, unpark
from gateway.journal.records import PART_COLUMNS, Part, Record, part_row, unpack_receipt
from gateway.journal.reporting import apply, parts_of
from gateway.journal.taking import part_of
from gateway.journal.transaction import Transaction, count
from gateway.message import QueueState, Receipt, Reply, surrogate_of

AGE = 7 * 86400.0  # s from our submission to a call-back: reports take up to 48 hours, and numbers of other systems may be like ours

_SURROGATES = 0xFFFFFFFF
_DELIVERED = 2
_WAITING = (QueueState.QUEUED, QueueState.DEFERRED, QueueState.HELD)
_BY_KEY = f"SELECT carrier, {PART_COLUMNS} FROM part WHERE key = ?"  # noqa: S608 - our own columns
_DOUBTFUL = "SELECT n, carrier, opened_at FROM attempt WHERE message = ? AND doubtful_since IS NOT NULL ORDER BY n"
_PARKED = "SELECT row, body FROM receipt WHERE destination = ? AND carrier = '' ORDER BY row"


class _Copy(NamedTuple):
    """One sending of a message."""

    attempt: int
    carrier: str
    sent_at: float
    doubtful: bool


def receive(tx: Transaction, receipt: Receipt, now: float, report: Report) -> None:
    """Apply a call-back to its message, or park it."""
    found = _by_id(tx, receipt.message_id, receipt.to)
    if found is not None:
        _apply(tx, receipt, *found, now, report)
        return
    record = _by_number(tx, receipt.surrogate, receipt.to)
    if record is None or not _prove(tx, record, receipt, Match.REFERENCE, now, report):
        park(tx, receipt, now)
    elif tx.memory.parked:
        _apply_parked(tx, record, now, report)


def _apply(tx: Transaction, receipt: Receipt, carrier: str, part: Part, now: float, report: Report) -> None:
    record = tx.record(part.message)
    if record is None or must_wait(record):
        park(tx, receipt, now, known=record is not None)
        return
    apply(tx, record, part, of_carrier(receipt, carrier), rule(part.message_id, receipt.message_id), now, report)


def answered(tx: Transaction, reply: Reply) -> Record | None:
    """Find the message that a reply says it answers."""
    found = _by_id(tx, reply.answers, reply.sender)
    return tx.record(found[1].message) if found is not None else _by_number(tx, reply.surrogate, reply.sender)


def catch_up(tx: Transaction, record: Record, now: float, report: Report) -> None:
    """Apply the call-backs that came with our number before the answer was settled."""
    if record.carrier in tx.policies.unnumbered or must_wait(record):
        return
    caught = False
    for row, body in tx.all(_PARKED, (tail(record.message.to),)):
        receipt = unpack_receipt(body)  # type: ignore[arg-type] # a BLOB
        found = _by_number(tx, receipt.surrogate, receipt.to)
        if found is not None and found.row == record.row and _prove(tx, record, receipt, Match.PARKED, now, report):
            unpark(tx, row)
            caught = True
    if caught:
        _apply_parked(tx, record, now, report)


def _apply_parked(tx: Transaction, record: Record, now: float, report: Report) -> None:
    """Apply the call-backs that had the provider's id alone, now that it is known."""
    apply_parked(tx, record, parts_of(tx, record), record.carrier or "", now, report)


def _by_id(tx: Transaction, message_id: str, number: str) -> tuple[str, Part] | None:
    """Find the part that has an id, and its carrier: the phone decides between several, then the newest."""
    if not message_id:
        return None
    found = [(str(row[0]), Part(*row[1:])) for row in tx.all(_BY_KEY, (key(message_id),))]  # type: ignore[arg-type] # in the order of PART_COLUMNS

    def merit(candidate: tuple[str, Part]) -> tuple[bool, float]:
        record = tx.record(candidate[1].message)
        return record is not None and same_destination(record.message.to, number), candidate[1].submitted_at

    return found[0] if len(found) == 1 else max(found, key=merit, default=None)


def _by_number(tx: Transaction, surrogate: int | None, number: str) -> Record | None:
    """Find the message that we gave a number, if it went to that phone. Rows follow each other, so the newest that fits is computed."""
    if surrogate is None or not 1 <= surrogate <= _SURROGATES:
        return None
    newest = tx.memory.next_message - 1
    record = tx.record(newest - (surrogate_of(newest) - surrogate) % _SURROGATES)
    return record if record is not None and same_destination(record.message.to, number) else None


def _prove(tx: Transaction, record: Record, receipt: Receipt, match: Match, now: float, report: Report) -> bool:
    """Apply a call-back with our number to the copy of the message that it must be of. Return whether there is one."""
    copy = _copy(tx, record, receipt)
    if copy is None or receipt.received_at - copy.sent_at > AGE:
        return False
    if copy.doubtful:
        tx.resolve_doubt(record.row, copy.attempt)
        if record.state is not QueueState.DONE:
            count(report, "in_doubt", copy.carrier, "reference")
    record.progress = None  # such carriers send a message whole
    part = part_of(tx, part_row(record.row, copy.attempt, 1), copy.carrier, receipt.message_id, 1, copy.sent_at)
    apply(tx, record, part, of_carrier(receipt, copy.carrier), match, now, report)
    return True


def _copy(tx: Transaction, record: Record, receipt: Receipt) -> _Copy | None:
    """Choose the oldest copy in doubt; else the last one, unless what it says has failed is another: one from before, sent again since."""
    unnumbered = tx.policies.unnumbered
    if must_wait(record) or not record.attempt:
        return None
    for n, carrier, opened_at in tx.all(_DOUBTFUL, (record.row,)) if tx.memory.doubts else ():
        if carrier not in unnumbered and receipt.received_at >= opened_at:  # type: ignore[operator] # a REAL column
            return _Copy(n, carrier, opened_at, True)  # type: ignore[arg-type] # a REAL column
    if record.carrier is None or record.carrier in unnumbered or record.state is QueueState.IN_DOUBT:
        return None
    if receipt.final and receipt.code != _DELIVERED and (record.state in _WAITING or _of_another_copy(tx, record, receipt)):
        return None
    return _Copy(record.attempt, record.carrier, _left_at(tx, record), False)


def _of_another_copy(tx: Transaction, record: Record, receipt: Receipt) -> bool:
    """Tell whether a receipt, whose id is known of no copy, is of one before the last: the last one has an id of its own."""
    last = part_row(record.row, record.attempt, 1)
    return record.attempt > 1 and receipt.message_id != "" and any(part.message_id for part in parts_of(tx, record) if part.row == last)


def _left_at(tx: Transaction, record: Record) -> float:
    """Tell when a message left, as nearly as its row knows."""
    if record.state is QueueState.SUBMITTED and record.due_at is not None:
        return record.due_at - tx.policies.receipt_deadline
    if record.state is QueueState.DONE and record.due_at is not None:
        return record.due_at
    message = record.message
    return max(message.received_at, message.schedule_at or 0.0)
