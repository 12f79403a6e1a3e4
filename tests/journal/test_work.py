"""The writer's work on what time demands does not grow with what is kept: counted in steps of SQLite's machine, not in seconds."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.base import Selection
from gateway.journal.records import LOOSE, pack
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Message, QueueState

NOW = 1_800_000_000.0
STEPS = 100  # of SQLite's machine a count
NUMBER = 20_000  # rows of each table
EVERY_ROW = 2 * NUMBER  # to read every row of one table takes three steps a row
POLICIES = Policies(instance="test", owner="test")


def fill(connection: Any, number: int) -> None:
    """Put in messages that ended, messages in every state that waits, and events and refusals without a message: nothing of it is due."""
    body = pack(Message(source="", id="", to="11987650000", text="t", digest=b"", received_at=NOW, expires_at=NOW + 9e5, routes=("smpp",)))
    waiting = itertools.cycle(state for state in QueueState if state not in (QueueState.ACTIVE, QueueState.DONE))
    connection.execute("BEGIN")
    connection.execute("INSERT INTO route VALUES (1, '[\"smpp\"]')")
    connection.executemany(
        "INSERT INTO message (row, source, id, state, priority, route, parts, due_at, expires_at, attempt, deferrals, seq, "
        "possible_duplicate, cancel, carrier, confirmed, body, destination) "
        "VALUES (?, '', ?, ?, 0, 1, 1, ?, ?, 1, 0, 1, 0, 0, 'smpp', 1, ?, 87650000)",
        [
            (row, str(row), *((QueueState.DONE, NOW) if row % 100 else (next(waiting), NOW + 9e5)), NOW + 9e5, body)
            for row in range(1, number)
        ],
    )
    connection.executemany("INSERT INTO event VALUES (?, '', 'rejected', ?, x'7b7d')", [(LOOSE + row, NOW) for row in range(1, number)])
    connection.executemany(
        "INSERT INTO refused VALUES (?, '', NULL, ?, '', '', x'00', ?)", [(row, row.to_bytes(4, "big"), NOW) for row in range(1, number)]
    )
    connection.executemany("INSERT INTO concatenation VALUES (?, 1, ?)", [(row, NOW) for row in range(1, number)])
    connection.execute("COMMIT")


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal.db", POLICIES, commit_interval=0.0, clock=lambda: NOW)
    await journal.open()
    fill(journal._connection, NUMBER)
    await journal.close()
    await journal.open()
    yield journal
    await journal.close()


async def steps(journal: SqliteJournal, operation: Callable[[], Awaitable[object]]) -> int:
    """Return how many steps an operation takes."""
    assert journal._connection is not None
    counted = itertools.count()
    journal._connection.set_progress_handler(lambda: next(counted) < 0, STEPS)
    await operation()
    journal._connection.set_progress_handler(None, 0)
    return next(counted) * STEPS


async def test_a_tick_that_has_nothing_to_do_does_not_look_through_a_table(journal: SqliteJournal) -> None:
    ticked = await journal.tick(NOW + 1)
    assert (ticked.woken, ticked.next_due) == (0, NOW + 9e5)
    assert await steps(journal, lambda: journal.tick(NOW + 1)) < EVERY_ROW


async def test_what_an_operator_does_to_what_waits_does_not_look_through_what_has_ended(journal: SqliteJournal) -> None:
    for operation in (journal.hold, journal.release, lambda some: journal.retry(some, NOW)):
        assert await steps(journal, lambda: operation(Selection(ids=("no such",)))) < EVERY_ROW  # noqa: B023 - awaited within the turn
