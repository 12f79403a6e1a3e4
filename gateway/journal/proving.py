"""Receipts that prove an attempt in doubt: the provider would not report on what it did not take."""

from enum import Enum, auto

from gateway.journal.base import Match, Report
from gateway.journal.doubt import suspect
from gateway.journal.matching import tail
from gateway.journal.parking import apply_parked, must_wait, unpark
from gateway.journal.records import Attempt, Record, part_row, unpack_receipt
from gateway.journal.reporting import apply
from gateway.journal.taking import accept, part_of
from gateway.journal.transaction import Transaction, count
from gateway.message import Answer, QueueState, Receipt, Submitted

_PARKED = "SELECT row, body FROM receipt WHERE destination = ? AND carrier = ? ORDER BY row"
_STILL = "SELECT 1 FROM receipt WHERE row = ?"


class Proof(Enum):
    """What became of a receipt whose id is not known."""

    NONE = auto()
    APPLIED = auto()
    EARLY = auto()  # it proved a part, and its message has others to send: the receipt's own news must wait


def prove(tx: Transaction, receipt: Receipt, match: Match, now: float, report: Report, parked: int = 0) -> Proof:
    """Apply a receipt whose id is not known to the attempt in doubt that it proves. `parked` is its own row, if it was parked."""
    found = suspect(tx, receipt, parked)
    if found is None:
        return Proof.NONE
    attempt, way = found
    record = tx.record(attempt.message)
    assert record is not None  # suspect has read it
    tx.resolve_doubt(attempt.message, attempt.n)
    done = record.state is QueueState.DONE
    doubtful = record.state is QueueState.IN_DOUBT or record.possible_duplicate  # else it is known to be taken, and only its id was not
    if doubtful and not done:
        count(report, "in_doubt", attempt.carrier, way)
    total = record.total
    if total > 1 and attempt.part == record.part and not done:
        _take(tx, record, attempt, receipt, now, report)
    part = part_of(tx, part_row(record.row, attempt.n, attempt.part), attempt.carrier, receipt.message_id, total, attempt.opened_at)
    if must_wait(record):
        return Proof.EARLY
    if tx.memory.parked and receipt.message_id:
        apply_parked(tx, record, [part], attempt.carrier, now, report, attempt.reference)  # this one too, if it was parked
    if not (parked and receipt.message_id):
        apply(tx, record, part, receipt, match, now, report)
    return Proof.APPLIED


def _take(tx: Transaction, record: Record, attempt: Attempt, receipt: Receipt, now: float, report: Report) -> None:
    """Take the part whose turn it is as sent: the next one goes, or, where it was the last, what the receipt says counts."""
    outcome = Submitted((receipt.message_id,))
    answer = Answer(record.row, attempt.n, outcome, attempt.opened_at, None, attempt.part, record.total)
    accept(tx, record, attempt.carrier, answer, outcome, now, report)


def apply_parked_for(tx: Transaction, destination: str, carrier: str, now: float, report: Report) -> None:
    """Try the receipts parked for a destination that has an attempt in doubt."""
    for row, body in tx.all(_PARKED, (tail(destination), carrier)):
        if not tx.memory.doubts or tx.one(_STILL, (row,)) is None:
            continue  # it went with one before it
        receipt = unpack_receipt(body)  # type: ignore[arg-type] # a BLOB
        if prove(tx, receipt, Match.PARKED, now, report, parked=row) is Proof.APPLIED:  # type: ignore[arg-type] # an INTEGER
            unpark(tx, row)
