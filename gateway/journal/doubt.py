"""Messages that may or may not have been sent: who is in doubt, and which receipt proves one of them. docs/guarantees.md has the rules.

An attempt stays in its table while it is open or in doubt; what its message ended without is kept as long as receipts are parked, since
the provider may still report on it. A receipt whose id matches nothing proves an attempt in doubt, of the same
carrier and destination, within the time of its submission, in two cases: it carries our reference, and no other attempt has it; or it
carries no reference, there is one candidate alone, no rival is on its way or parked, and the receipt's excerpt is the beginning of the
text (so that it is the first part, where there are several). Attempts at the same part of the same message are one candidate: the oldest.
"""

from gateway.journal.matching import same_destination, tail, text_agrees, within_window
from gateway.journal.records import ATTEMPT_COLUMNS, Attempt, Record
from gateway.journal.transaction import Transaction
from gateway.message import QueueState, Receipt, Trigger, part_reference

_DOUBTFUL = (
    f"SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE destination = ? AND doubtful_since IS NOT NULL AND carrier = ? ORDER BY message, n"  # noqa: S608 - our own columns
)
_OPEN = "SELECT message, part FROM attempt WHERE destination = ? AND doubtful_since IS NULL AND carrier = ?"
_SINCE = "SELECT min(doubtful_since) FROM attempt WHERE message = ? AND part = ? AND doubtful_since IS NOT NULL"
_WRITTEN = "SELECT min(opened_at) FROM attempt WHERE message = ? AND part = ? AND doubtful_since IS NOT NULL"
_ANY = "SELECT 1 FROM attempt WHERE message = ? AND doubtful_since IS NOT NULL LIMIT 1"
_RIVAL = "SELECT 1 FROM receipt WHERE destination = ? AND carrier = ? AND row <> ? LIMIT 1"


def since(tx: Transaction, record: Record) -> float | None:
    """Return since when the oldest attempt at the part whose turn it is has been in doubt; None where none is.

    Attempts at the parts before it may be in doubt, too: copies of what was taken. They decide nothing any more.
    """
    if not tx.memory.doubts:
        return None
    row = tx.one(_SINCE, (record.row, record.part))
    return row[0] if row else None  # type: ignore[return-value] # a REAL column


def written_at(tx: Transaction, record: Record, now: float) -> float:
    """Return when the oldest copy in doubt of the part whose turn it is was written to the provider; `now` where none is."""
    row = tx.one(_WRITTEN, (record.row, record.part))
    return now if row is None or row[0] is None else row[0]  # type: ignore[return-value] # a REAL column


def has_doubt(tx: Transaction, record: Record) -> bool:
    """Say whether an earlier copy of the part whose turn it is, or of the whole message, is in doubt."""
    return since(tx, record) is not None


def any_doubt(tx: Transaction, record: Record) -> bool:
    """Say whether any attempt at a message is in doubt, be it at a part that was taken since."""
    return bool(tx.memory.doubts) and tx.one(_ANY, (record.row,)) is not None


def deadline(tx: Transaction, record: Record, now: float) -> float:
    """Return when the doubt about a message ends."""
    start = since(tx, record)
    return (now if start is None else start) + tx.policies.in_doubt_deadline


def back_to_doubt(tx: Transaction, record: Record, now: float) -> None:
    """Stop sending a waiting message again: what became of its earlier copy decides."""
    if record.state is QueueState.HELD:
        tx.move(record, Trigger.RELEASE, now)
    tx.move(record, Trigger.DOUBT, now, deadline(tx, record, now))


def suspect(tx: Transaction, receipt: Receipt, parked: int = 0) -> tuple[Attempt, str] | None:
    """Find the attempt in doubt that a receipt proves, and the way: "reference" or "receipt". `parked` is its own row, if it was parked."""
    place = tail(receipt.to)
    if not place or not tx.memory.doubts:
        return None
    attempts = [Attempt(*row) for row in tx.all(_DOUBTFUL, (place, receipt.carrier))]  # type: ignore[arg-type] # in the order of ATTEMPT_COLUMNS
    candidates = [(attempt, record) for attempt in attempts if (record := _candidate(tx, attempt, receipt)) is not None]
    if not candidates:
        return None
    rivals = [part_reference(row, part) for row, part in tx.all(_OPEN, (place, receipt.carrier))]  # type: ignore[arg-type] # INTEGERs
    if receipt.reference is not None:
        return _by_reference(candidates, rivals, receipt.reference)
    attempt, record = candidates[0]
    if not _copies([each for each, _ in candidates]) or rivals or tx.one(_RIVAL, (place, receipt.carrier, parked)):
        return None
    return (attempt, "receipt") if attempt.part == 1 and text_agrees(receipt.text, record.message.text) else None


def _candidate(tx: Transaction, attempt: Attempt, receipt: Receipt) -> Record | None:
    record = tx.record(attempt.message)
    assert attempt.doubtful_since is not None  # the query says so
    if record is None or record.state is QueueState.ACTIVE or not same_destination(record.message.to, receipt.to):
        return None
    return record if within_window(receipt, attempt.opened_at, attempt.doubtful_since) else None


def _by_reference(candidates: list[tuple[Attempt, Record]], rivals: list[int], reference: int) -> tuple[Attempt, str] | None:
    named = [attempt for attempt, _ in candidates if attempt.reference == reference]
    if not named or not _copies(named) or reference in rivals:
        return None
    return named[0], "reference"


def _copies(attempts: list[Attempt]) -> bool:
    """Say whether all are attempts at one part of one message: it is proved whichever of them was taken."""
    return all((each.message, each.part) == (attempts[0].message, attempts[0].part) for each in attempts)
