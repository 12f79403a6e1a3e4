"""Apply a receipt to the message that it was found to be of, and find the parked receipts of what was just recorded.

A final state is sticky, but "unknown" yields and "delivered, unconfirmed" becomes confirmed. A message of several parts ends when every
part has a final code; its own is then the first that is not "delivered", and that is what its final event says.
"""

from collections.abc import Iterable

import msgspec

from gateway.journal.base import Match, Report
from gateway.journal.doubt import suspect
from gateway.journal.matching import recorded_keys, tail
from gateway.journal.records import PART_COLUMNS, PART_SHIFT, Part, Record, instant, part_row, unpack_receipt
from gateway.journal.transaction import Transaction, count, placeholders
from gateway.message import QueueState, Receipt, Trigger
from gateway.provider.dlr import DlrCode, state_name, supersedes

_DELIVERED = 2
_CODES = tuple(DlrCode(number) for number in range(10))
_NAMES = tuple(state_name(code) for code in _CODES)


def apply(tx: Transaction, record: Record, part: Part, receipt: Receipt, match: Match, now: float, report: Report) -> None:
    """Change the message as the receipt says, and publish it where it tells anything new. The message must not be ACTIVE."""
    name = "unknown" if receipt.code is None else _NAMES[receipt.code]
    count(report, "receipts", receipt.carrier, name, match.value)
    done = record.state is QueueState.DONE
    single = part.parts == 1
    if single:
        told = _is_news(record.code, record.confirmed, done, done, receipt)
    else:
        told = _is_news(part.code, part.confirmed, bool(part.final), done, receipt)
    if not told or (done and not record.message.receipt):
        return
    code, ended = _advance_code(tx, record, part, receipt) if not single else (_advance_single(record, receipt), receipt.final)
    trigger = Trigger.FINAL_RECEIPT if ended or done else Trigger.RECEIPT
    due_at = record.due_at if record.state is QueueState.SUBMITTED else now + tx.policies.receipt_deadline
    tx.move(
        record,
        trigger,
        now,
        due_at,
        carrier=receipt.carrier,
        code=code,
        state="unknown" if code is None else _NAMES[code],
        confirmed=receipt.confirmed,
        part=part.number,
        parts=part.parts,
        part_final=receipt.final,
        error_code=receipt.error_code,
        submitted_at=None if receipt.submitted_at is None else instant(receipt.submitted_at),
        done_at=None if receipt.done_at is None else instant(receipt.done_at),
        late=done,
    )
    if ended and not done:
        report.receipt_latencies.append((receipt.carrier, now - part.submitted_at))


def _is_news(code: int | None, confirmed: int, final: bool, done: bool, receipt: Receipt) -> bool:
    """Say whether a receipt changes what is known: `final` of its part (or only part), `done` of the message."""
    new = receipt.code
    if new is None:
        return not final and not done
    if final or done:
        old = None if code is None else _CODES[code]
        return receipt.final and (supersedes(old, _CODES[new]) or (code == new and receipt.confirmed and not confirmed))
    return receipt.final or new != code


def _advance_single(record: Record, receipt: Receipt) -> int | None:
    if receipt.code is not None:
        record.code, record.confirmed = receipt.code, int(receipt.confirmed)
    return receipt.code


def _advance_code(tx: Transaction, record: Record, part: Part, receipt: Receipt) -> tuple[int | None, bool]:
    """Record a part's code; return what the event says, and whether all parts are final."""
    tx.flush()
    if receipt.code is not None:
        part.code, part.confirmed = receipt.code, int(receipt.confirmed)
    part.final = part.final or receipt.final
    tx.run("UPDATE part SET code = ?, confirmed = ?, final = ? WHERE row = ?", (part.code, part.confirmed, part.final, part.row))
    first = part.row & ~0xFF
    codes = tx.all("SELECT code FROM part WHERE row BETWEEN ? AND ? AND final ORDER BY row", (first, first | 0xFF))
    if len(codes) < part.parts:
        return receipt.code, False
    verdict = next((code for (code,) in codes if code != _DELIVERED), _DELIVERED)
    assert isinstance(verdict, int)  # a final receipt has a code
    record.code, record.confirmed = verdict, int(receipt.confirmed)
    return verdict, True


# --- Parked receipts --------------------------------------------------------------------------------------------------------------


def parts_of(tx: Transaction, record: Record) -> list[Part]:
    """Return what is recorded of a message's parts, of all attempts."""
    tx.flush()
    first = record.row << PART_SHIFT
    rows = tx.all(f"SELECT {PART_COLUMNS} FROM part WHERE row BETWEEN ? AND ? ORDER BY row", (first, first | (1 << PART_SHIFT) - 1))  # noqa: S608
    return [Part(*row) for row in rows]  # type: ignore[arg-type] # in the order of PART_COLUMNS


def of_carrier(receipt: Receipt, carrier: str) -> Receipt:
    """Return a receipt as one of the carrier by which its message went: a call-back names none."""
    return receipt if receipt.carrier else msgspec.structs.replace(receipt, carrier=carrier)


def apply_parked(tx: Transaction, record: Record, parts: Iterable[Part], carrier: str, now: float, report: Report) -> None:
    """Apply the receipts that came before what they are about was recorded."""
    form = tx.policies.message_id_formats.get(carrier, "auto")
    for part in parts:
        keys = recorded_keys(part.message_id, form)
        query = f"SELECT row, body FROM receipt WHERE key IN ({placeholders(keys)}) AND carrier IN (?, '') ORDER BY row"  # noqa: S608
        for row, body in tx.all(query, (*keys, carrier)):
            unpark(tx, row)
            apply(tx, record, part, of_carrier(unpack_receipt(body), carrier), Match.PARKED, now, report)  # type: ignore[arg-type] # a BLOB


def apply_parked_for(tx: Transaction, destination: str, carrier: str, now: float, report: Report) -> None:
    """Try the receipts parked for a destination that has an attempt in doubt."""
    for row, body in tx.all(
        "SELECT row, body FROM receipt WHERE destination = ? AND carrier = ? ORDER BY row", (tail(destination), carrier)
    ):
        receipt = unpack_receipt(body)  # type: ignore[arg-type] # a BLOB
        if prove(tx, receipt, Match.PARKED, now, report, parked=row):  # type: ignore[arg-type] # an INTEGER
            unpark(tx, row)


def unpark(tx: Transaction, row: object) -> None:
    """Forget a receipt that found its message."""
    tx.memory.parked -= tx.run("DELETE FROM receipt WHERE row = ?", (row,))


def prove(tx: Transaction, receipt: Receipt, match: Match, now: float, report: Report, parked: int = 0) -> bool:
    """Apply a receipt whose id is not known to the attempt in doubt that it proves. Return whether there is one."""
    found = suspect(tx, receipt, parked)
    if found is None:
        return False
    attempt, way = found
    record = tx.record(attempt.message)
    assert record is not None  # suspect has read it
    tx.resolve_doubt(attempt.message, attempt.n)
    row = part_row(record.row, attempt.n, 1)
    if receipt.message_id:
        part = tx.add_part(row, attempt.carrier, receipt.message_id, record.parts, attempt.opened_at)
    else:
        part = Part(row, "", record.parts, attempt.opened_at, None, 1, 0)
    tx.flush()  # the next receipt may look for it
    count(report, "in_doubt", attempt.carrier, way)
    apply(tx, record, part, receipt, match, now, report)
    return True
