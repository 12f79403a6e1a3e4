"""Receipts that wait for what they are about: those that match nothing yet, and those of a message that is still being sent."""

from collections.abc import Iterable

import msgspec

from gateway.journal.base import Match, Report
from gateway.journal.matching import key, recorded_keys, tail
from gateway.journal.records import Part, Record, pack, unpack_receipt
from gateway.journal.reporting import apply
from gateway.journal.transaction import Transaction, placeholders
from gateway.message import Receipt

_INSERT = "INSERT INTO receipt (row, carrier, key, destination, parked_at, body) VALUES (?, ?, ?, ?, ?, ?)"


def park(tx: Transaction, receipt: Receipt, now: float) -> None:
    """Keep a receipt, once however often it comes."""
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
    memory.unmatched += 1
    if memory.parked > tx.policies.parked_limit:
        dropped = tx.run("DELETE FROM receipt WHERE row = (SELECT min(row) FROM receipt)")
        memory.parked -= dropped
        memory.dropped += dropped


def _same(one: Receipt, other: Receipt) -> bool:
    return (one.raw, one.code, one.message_id) == (other.raw, other.code, other.message_id)


def unpark(tx: Transaction, row: object) -> None:
    """Forget a parked receipt: it was applied."""
    tx.memory.parked -= tx.run("DELETE FROM receipt WHERE row = ?", (row,))


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
