"""The match operation: a receipt finds its message, or is parked; a reply is told by `replies`."""

import json
from collections.abc import Sequence

from gateway.journal import callbacks, replies
from gateway.journal.base import Match, Report
from gateway.journal.matching import key, keys, may_be_for, rule, same_destination
from gateway.journal.parking import must_wait, park
from gateway.journal.proving import Proof, prove
from gateway.journal.records import PART_COLUMNS, Part
from gateway.journal.reporting import apply
from gateway.journal.transaction import Transaction
from gateway.message import Receipt, Reply

Found = dict[tuple[str, str], list[Part]]  # by carrier and key

_ORDER = {match: place for place, match in enumerate(Match)}
_BY_KEY = f"SELECT {PART_COLUMNS} FROM part WHERE key = ? AND carrier = ?"  # noqa: S608 - our own columns
_BY_KEYS = f"SELECT carrier, key, {PART_COLUMNS} FROM part WHERE key IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own columns


def match(tx: Transaction, items: Sequence[Receipt | Reply], now: float) -> Report:
    """Take receipts and replies in order."""
    report = Report()
    found = _look_up(tx, [item for item in items if isinstance(item, Receipt) and item.carrier])
    for item in items:
        if isinstance(item, Receipt):
            _receive(tx, item, found, now, report)
        else:
            replies.take(tx, item, now, report)
    tx.finish()
    return report


def _look_up(tx: Transaction, receipts: list[Receipt]) -> Found:
    """Look for the plain form of all ids at once, and load the messages."""
    found: Found = {}
    wanted = json.dumps([key(receipt.message_id) for receipt in receipts if receipt.message_id])
    for row in tx.all(_BY_KEYS, (wanted,)):
        found.setdefault((row[0], row[1]), []).append(Part(*row[2:]))  # type: ignore[arg-type] # TEXT; in the order of PART_COLUMNS
    tx.load(part.message for parts in found.values() for part in parts)
    return found


def _receive(tx: Transaction, receipt: Receipt, looked_up: Found, now: float, report: Report) -> None:
    if not receipt.carrier:
        callbacks.receive(tx, receipt, now, report)
        return
    found = _find(tx, receipt, looked_up) if receipt.message_id else None
    if found is None:
        proof = prove(tx, receipt, Match.REFERENCE, now, report)
        if proof is not Proof.APPLIED:
            park(tx, receipt, now, known=proof is Proof.EARLY)
        if proof is not Proof.NONE:
            looked_up.pop((receipt.carrier, key(receipt.message_id)), None)
            looked_up |= _look_up(tx, [receipt])  # the next one of this id
        return
    how, part = found
    record = tx.record(part.message)
    if record is None or must_wait(record):
        # Of an earlier copy or part, while a later one is on its way: settling that one applies it.
        park(tx, receipt, now, known=record is not None)
        return
    tx.learn(receipt.carrier, how)
    apply(tx, record, part, receipt, how, now, report)


def _find(tx: Transaction, receipt: Receipt, looked_up: Found) -> tuple[Match, Part] | None:
    """Find the part that a receipt is of. Other spellings of the id are looked for only where the plain one misses or is usually wrong."""
    carrier, received = receipt.carrier, receipt.message_id
    found = [(rule(part.message_id, received), part) for part in looked_up.get((carrier, key(received)), ())]
    learnt = tx.memory.learnt
    if not found or learnt[carrier, Match.HEX_DECIMAL] > learnt[carrier, Match.EXACT]:
        for other in keys(received, tx.policies.message_id_formats.get(carrier, "auto"))[1:]:
            parts = [Part(*row) for row in tx.all(_BY_KEY, (other, carrier))]  # type: ignore[arg-type] # in the order of PART_COLUMNS
            found += [(rule(part.message_id, received), part) for part in parts if _may_be_of(tx, part, receipt)]
    return found[0] if len(found) == 1 else _choose(tx, found, receipt)


def _may_be_of(tx: Transaction, part: Part, receipt: Receipt) -> bool:
    """Say whether the phone agrees: what is one message's id in hex may be another's in decimal."""
    record = tx.record(part.message)
    return record is not None and may_be_for(record.message.to, receipt.to)


def _choose(tx: Transaction, found: list[tuple[Match, Part]], receipt: Receipt) -> tuple[Match, Part] | None:
    """Prefer the right destination, the rule that served before, the plainer rule, the newest: ids are used again over time."""
    learnt = tx.memory.learnt

    def merit(candidate: tuple[Match, Part]) -> tuple[bool, int, int, float]:
        how, part = candidate
        record = tx.record(part.message)
        here = record is not None and same_destination(record.message.to, receipt.to)
        return here, learnt[receipt.carrier, how], -_ORDER[how], part.submitted_at

    return max(found, key=merit, default=None)
