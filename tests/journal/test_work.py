"""The writer's work on what time demands does not grow with what is kept: counted in steps of SQLite's machine, not in seconds."""

import itertools
from pathlib import Path
from typing import Any

from gateway.journal.records import LOOSE, pack
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Message, QueueState

NOW = 1_800_000_000.0
STEPS = 100  # of SQLite's machine a count
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
            (row, str(row), *((QueueState.DONE, NOW) if row % 10 else (next(waiting), NOW + 9e5)), NOW + 9e5, body)
            for row in range(1, number)
        ],
    )
    connection.executemany("INSERT INTO event VALUES (?, '', 'rejected', ?, x'7b7d')", [(LOOSE + row, NOW) for row in range(1, number)])
    connection.executemany(
        "INSERT INTO refused VALUES (?, '', NULL, ?, '', '', x'00', ?)", [(row, row.to_bytes(4, "big"), NOW) for row in range(1, number)]
    )
    connection.executemany("INSERT INTO concatenation VALUES (?, 1, ?)", [(row, NOW) for row in range(1, number)])
    connection.execute("COMMIT")


async def steps_of_a_tick(path: Path, number: int) -> int:
    """Return how many steps a tick takes in a journal of that size."""
    journal = SqliteJournal(path, POLICIES, commit_interval=0.0, clock=lambda: NOW)
    await journal.open()
    assert journal._connection is not None
    fill(journal._connection, number)
    await journal.close()
    await journal.open()
    counted = itertools.count()
    journal._connection.set_progress_handler(lambda: next(counted) < 0, STEPS)
    ticked = await journal.tick(NOW + 1)
    journal._connection.set_progress_handler(None, 0)
    await journal.close()
    assert (ticked.woken, ticked.next_due) == (0, NOW + 9e5)
    return next(counted) * STEPS


async def test_a_tick_that_has_nothing_to_do_does_not_look_through_a_table(tmp_path: Path) -> None:
    number = 20_000
    assert await steps_of_a_tick(tmp_path / "journal.db", number) < 4 * number  # to read every row of one table takes more
