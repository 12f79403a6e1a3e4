"""A journal that is only read: by a command while the daemon writes it or none runs, and by the daemon for its operators.

Apart from `sqlite` since a command that reads shall not load what writes.
"""

import asyncio
import sqlite3
import time
from pathlib import Path

from gateway.journal import ageing, privacy, reading
from gateway.journal.base import Selection, Stats
from gateway.journal.database import connect_read_only
from gateway.journal.transaction import Policies, Transaction

_NOBODY = Policies(instance="", owner="")


class ReadOnlyJournal:
    """A journal that can only be read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    async def select(self, selection: Selection) -> list[dict[str, object]]:
        """List messages, newest first: fields for people, no text, numbers masked."""
        async with self._turn:
            return await asyncio.to_thread(reading.select, self._connection, selection)

    async def show(self, source: str | None, id: str) -> list[dict[str, object]]:
        """Tell all about the messages with this id: fields, attempts, parts, events."""
        async with self._turn:
            return await asyncio.to_thread(reading.show, self._connection, source, id)

    async def known(self, number: str) -> dict[str, list[dict[str, object]]]:
        """Tell all that is kept about a national number, texts and all."""
        async with self._turn:
            return await asyncio.to_thread(privacy.known, self._connection, number)

    def stats(self) -> Stats:
        """Count now, by index ranges."""
        memory = reading.load_memory(self._connection)
        ageing.refresh_ages(Transaction(self._connection, memory, _NOBODY), time.time())
        return reading.stats(memory, None)

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()


def read_only(path: Path) -> ReadOnlyJournal:
    """Open a journal for reading. Raises JournalVersionError, and sqlite3.OperationalError where there is no such file."""
    return ReadOnlyJournal(connect_read_only(path))
