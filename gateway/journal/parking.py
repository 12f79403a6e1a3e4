"""Receipts that wait for what they are about: those that match nothing yet, and those of a message that is still being sent."""

from collections.abc import Iterable

import msgspec

from gateway.journal.base import Match, Report
from gateway.journal.matching import key, may_be_for, recorded_keys, rule, tail
from gateway.journal.records import Part, Record, pack, unpack_receipt
from gateway.journal.reporting import apply, parts_of
from gateway.journal.transaction import Transaction, placeholders
from gateway.message import QueueState, Receipt

_INSERT = "INSERT INTO receipt (row, carrier, key, destination, parked_at, body) VALUES (?, ?, ?, ?, ?, ?)"


def park(tx: Transaction, receipt: Receipt, now: float, *, known: bool = False) -> None:
    """Keep a receipt, once however often it comes. `known` says that it has its message, which is still being sent."""
    memory = tx.memory
    wanted = key(receipt.message_id) if receipt.message_id else ""
    for (body,) in tx.all(
        "SELECT body FROM receipt WHERE key = ? AND carrier = ? AND destination = ?", (wanted, receipt.carrier, tail(receipt.to))
    ):
        if _same(unpack_receipt(body), receipt):  # type: ignore[arg-type] # a BLOB
            return
    tx.run(_INSERT, (memory.next_parked, receipt.carrier, wanted, tail(receipt.to), now, pack(receipt)))
    memory.next_parked += 1
    memory.parked += 1
    memory.unmatched += not known
    if memory.parked > tx.policies.parked_limit:
        dropped = tx.run("DELETE FROM receipt WHERE row = (SELECT min(row) FROM receipt)")
        memory.parked -= dropped
        memory.dropped += dropped


def _same(one: Receipt, other: Receipt) -> bool:
    return (one.raw, one.code, one.message_id) == (other.raw, other.code, other.message_id)


def must_wait(record: Record) -> bool:
    """Say whether what is reported of a message is kept until its present attempt is settled, or all its parts are."""
    return record.state is QueueState.ACTIVE or (record.begun and record.state is not QueueState.DONE)


def unpark(tx: Transaction, row: object) -> None:
    """Forget a parked receipt: it was applied."""
    tx.memory.parked -= tx.run("DELETE FROM receipt WHERE row = ?", (row,))


def of_carrier(receipt: Receipt, carrier: str) -> Receipt:
    """Return a receipt as one of the carrier by which its message went: a call-back names none."""
    return receipt if receipt.carrier else msgspec.structs.replace(receipt, carrier=carrier)


def tell_early(tx: Transaction, record: Record, now: float, report: Report) -> None:
    """Apply the receipts for the first parts of a message that has ended without the others."""
    if tx.memory.parked and record.part > 1:
        apply_parked(tx, record, parts_of(tx, record), record.carrier or "", now, report)


def apply_parked(
    tx: Transaction, record: Record, parts: Iterable[Part], carrier: str, now: float, report: Report, reference: int | None = None
) -> None:
    """Apply the receipts that came before what they are about was recorded.

    `reference` is that of a part whose id no response told but a receipt alone: others of that id must not contradict it.
    """
    form = tx.policies.message_id_formats.get(carrier, "auto")
    for part in parts:
        keys = recorded_keys(part.message_id, form)
        query = f"SELECT row, body FROM receipt WHERE key IN ({placeholders(keys)}) AND carrier IN (?, '') ORDER BY row"  # noqa: S608 - only question marks
        for row, body in tx.all(query, (*keys, carrier)):
            receipt = of_carrier(unpack_receipt(body), carrier)  # type: ignore[arg-type] # a BLOB
            if _is_of(record, part, receipt) and (reference is None or _agrees(record, receipt, reference)):
                unpark(tx, row)
                apply(tx, record, part, receipt, Match.PARKED, now, report)


def _is_of(record: Record, part: Part, receipt: Receipt) -> bool:
    """Say whether an id that agrees is enough: in hex it may be another message's in decimal, so the phone has to agree, too."""
    return rule(part.message_id, receipt.message_id) is not Match.HEX_DECIMAL or may_be_for(record.message.to, receipt.to)


def _agrees(record: Record, receipt: Receipt, reference: int) -> bool:
    return receipt.reference in (None, reference) and may_be_for(record.message.to, receipt.to)
