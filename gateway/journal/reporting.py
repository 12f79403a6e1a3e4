"""Apply a receipt to the message that it was found to be of.

A final state is sticky, but "unknown" yields and "delivered, unconfirmed" becomes confirmed. A message of several parts ends when every
part has a final code; its own is then the first that is not "delivered", and that is what its final event says, beside what became of the
part itself. What was sent twice, a part or a whole message, counts as delivered when one of its copies was.
"""

from gateway.journal.base import Match, Report
from gateway.journal.records import PART_COLUMNS, PART_SHIFT, Part, Record, instant
from gateway.journal.transaction import Transaction, count
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
        told = _is_news(record.code, record.confirmed, done, done, receipt) or _delivered_after_all(record, receipt)
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
        part_state=None if code == receipt.code else name,
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


def _delivered_after_all(record: Record, receipt: Receipt) -> bool:
    """Say whether a message that a copy failed of was delivered by another."""
    return bool(record.possible_duplicate) and receipt.final and receipt.code == _DELIVERED != record.code


def _advance_single(record: Record, receipt: Receipt) -> int | None:
    if receipt.code is not None:
        record.code, record.confirmed = receipt.code, int(receipt.confirmed)
    return receipt.code


def _advance_code(tx: Transaction, record: Record, part: Part, receipt: Receipt) -> tuple[int | None, bool]:
    """Record a part's code; return what the event says, and whether all parts are final."""
    tx.flush()
    if receipt.code is not None:
        part.code, part.confirmed = receipt.code, int(receipt.confirmed)
    part.final = receipt.final  # of a part that is final only what is final is news
    tx.run("UPDATE part SET code = ?, confirmed = ?, final = ? WHERE row = ?", (part.code, part.confirmed, part.final, part.row))
    codes: dict[int, int] = {}
    for each in parts_of(tx, record):
        if each.final and each.code is not None and codes.get(each.number) != _DELIVERED:
            codes[each.number] = each.code
    if len(codes) < part.parts:
        return receipt.code, False
    verdict = next((codes[number] for number in sorted(codes) if codes[number] != _DELIVERED), _DELIVERED)
    record.code, record.confirmed = verdict, int(receipt.confirmed)
    return verdict, True


def parts_of(tx: Transaction, record: Record) -> list[Part]:
    """Return what is recorded of a message's parts, of all attempts."""
    tx.flush()
    first = record.row << PART_SHIFT
    rows = tx.all(f"SELECT {PART_COLUMNS} FROM part WHERE row BETWEEN ? AND ? ORDER BY row", (first, first | (1 << PART_SHIFT) - 1))  # noqa: S608 - our own columns
    return [Part(*row) for row in rows]  # type: ignore[arg-type] # in the order of PART_COLUMNS
