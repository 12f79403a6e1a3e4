"""The operations on the outbox: read, delete what the broker took, count what it did not take, and put events back in.

A row that was in flight at CUTS_LIMIT disconnects in a row, or was refused TRIES_LIMIT times, is set aside so that it blocks nothing.
"""

from collections.abc import Sequence

from gateway.journal.base import OutboxRow
from gateway.journal.transaction import Transaction

CUTS_LIMIT = 5
TRIES_LIMIT = 10

_READ = (
    "SELECT outbox.row, event.type, event.source, coalesce(outbox.payload, event.payload), outbox.topic, outbox.correlation "
    "FROM outbox JOIN event ON event.row = outbox.event WHERE outbox.row > ? AND outbox.aside = 0 ORDER BY outbox.row LIMIT ?"
)


def read(tx: Transaction, after: int, limit: int) -> list[OutboxRow]:
    """Read rows above `after` in order."""
    return list(map(OutboxRow._make, tx.all(_READ, (after, limit))))


def published(tx: Transaction, rows: Sequence[int]) -> None:
    """Delete rows, those that are next to each other in one statement."""
    tx.memory.aside -= _aside(tx, rows)
    deleted = sum(tx.run("DELETE FROM outbox WHERE row BETWEEN ? AND ?", span) for span in _spans(sorted(rows)))
    tx.memory.outbox -= deleted


def _aside(tx: Transaction, rows: Sequence[int]) -> int:
    """Count those of the rows that were set aside: a PUBACK may come after all."""
    if not tx.memory.aside:
        return 0
    return sum(tx.one("SELECT 1 FROM outbox WHERE row = ? AND aside = 1", (row,)) is not None for row in set(rows))


def _spans(rows: Sequence[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = end = None
    for row in rows:
        if end is not None and row <= end + 1:
            end = row
            continue
        if start is not None and end is not None:
            spans.append((start, end))
        start = end = row
    if start is not None and end is not None:
        spans.append((start, end))
    return spans


def unpublished(tx: Transaction, refused: Sequence[int], cut: Sequence[int]) -> list[int]:
    """Count what became of rows that stay; return those that are set aside from now on."""
    tx.run_many("UPDATE outbox SET tries = tries + 1, cuts = 0 WHERE row = ?", [(row,) for row in refused])
    tx.run_many("UPDATE outbox SET cuts = cuts + 1 WHERE row = ?", [(row,) for row in cut])
    suspects = sorted({*refused, *cut})
    return [row for row in suspects if _set_aside(tx, row)]


def _set_aside(tx: Transaction, row: int) -> bool:
    changed = tx.run(
        "UPDATE outbox SET aside = 1 WHERE row = ? AND aside = 0 AND (cuts >= ? OR tries >= ?)", (row, CUTS_LIMIT, TRIES_LIMIT)
    )
    tx.memory.aside += changed
    return bool(changed)


def waiting(tx: Transaction) -> set[int]:
    """Return the events that are not published yet. The caller sees to it that they are few."""
    return {row for (row,) in tx.all("SELECT event FROM outbox") if isinstance(row, int)}


def retry_set_aside(tx: Transaction) -> int:
    """Put what was set aside back in line, at its end: the publisher has read past its old place."""
    rows = tx.all("SELECT row FROM outbox WHERE aside = 1 ORDER BY row")
    for (row,) in rows:
        tx.run("UPDATE outbox SET row = ?, aside = 0, tries = 0, cuts = 0 WHERE row = ?", (tx.memory.next_outbox, row))
        tx.memory.next_outbox += 1
    tx.memory.aside -= len(rows)
    return len(rows)
