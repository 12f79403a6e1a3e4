"""Receipts that prove an attempt in doubt: the provider would not report on what it did not take."""

from enum import Enum, auto

from gateway.journal.base import Match, Report
from gateway.journal.doubt import suspect
from gateway.journal.matching import tail
from gateway.journal.parking import unpark
from gateway.journal.records import Attempt, Part, Record, part_row, unpack_receipt
from gateway.journal.reporting import apply
from gateway.journal.taking import accept
from gateway.journal.transaction import Transaction, count
from gateway.message import Answer, Receipt, Submitted


class Proof(Enum):
    """What became of a receipt whose id is not known."""

    NONE = auto()
    APPLIED = auto()
    EARLY = auto()  # it proved a part, and its message has others to send: the receipt's own news must wait


def prove(tx: Transaction, receipt: Receipt, match: Match, now: float, report: Report, parked: int = 0) -> Proof:
    """Apply a receipt whose id is not known to the attempt in doubt that it proves."""
    found = suspect(tx, receipt, parked)
    if found is None:
        return Proof.NONE
    attempt, way = found
    record = tx.record(attempt.message)
    assert record is not None  # suspect has read it
    tx.resolve_doubt(attempt.message, attempt.n)
    count(report, "in_doubt", attempt.carrier, way)
    if record.total > 1:
        return _prove_part(tx, record, attempt, receipt, now, report, parked=bool(parked))
    apply(tx, record, _part(tx, record, attempt, 1, receipt), receipt, match, now, report)
    return Proof.APPLIED


def _prove_part(tx: Transaction, record: Record, attempt: Attempt, receipt: Receipt, now: float, report: Report, *, parked: bool) -> Proof:
    """Take the part as sent: the next one goes, or, where it was the last, what the receipt says counts."""
    total = record.total
    outcome = Submitted((receipt.message_id,))
    accept(
        tx,
        record,
        attempt.carrier,
        Answer(record.row, attempt.n, outcome, attempt.opened_at, None, attempt.part, total),
        outcome,
        now,
        report,
    )
    if record.begun:
        return Proof.EARLY
    if not (parked and receipt.message_id):  # else it was applied with the others that were parked
        apply(tx, record, _part(tx, record, attempt, total, receipt), receipt, Match.REFERENCE, now, report)
    return Proof.APPLIED


def _part(tx: Transaction, record: Record, attempt: Attempt, total: int, receipt: Receipt) -> Part:
    row = part_row(record.row, attempt.n, attempt.part)
    if not receipt.message_id:
        return Part(row, "", total, attempt.opened_at, None, 1, 0)
    part = tx.add_part(row, attempt.carrier, receipt.message_id, total, attempt.opened_at)
    tx.flush()  # the next receipt may look for it
    return part


def apply_parked_for(tx: Transaction, destination: str, carrier: str, now: float, report: Report) -> None:
    """Try the receipts parked for a destination that has an attempt in doubt."""
    for row, body in tx.all(
        "SELECT row, body FROM receipt WHERE destination = ? AND carrier = ? ORDER BY row", (tail(destination), carrier)
    ):
        receipt = unpack_receipt(body)  # type: ignore[arg-type] # a BLOB
        if prove(tx, receipt, Match.PARKED, now, report, parked=row) is Proof.APPLIED:  # type: ignore[arg-type] # an INTEGER
            unpark(tx, row)
