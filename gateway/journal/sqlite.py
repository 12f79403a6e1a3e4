"""The journal in a SQLite file: WAL, synchronous=FULL, group commit on one writer thread.

`SqliteJournal` queues each operation for the writer (`writer.py`) the moment it is called; what an operation does stands in the modules
named after it (intake, claiming, settling, receiving, replies, outbox, ageing, cancelling, operators, privacy). Reading for people goes to
a read-only connection on another thread. `read_only` gives the same to a command while no daemon runs, or beside one.

One process a journal; several instances need PostgreSQL. `:memory:` is not supported: the checkpointer needs a file.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from gateway.journal import ageing, cancelling, claiming, intake, operators, outbox, privacy, reading, receiving, settling
from gateway.journal import replies as replying
from gateway.journal.base import Forgotten, JournalBrokenError, OutboxRow, Place, Plan, Report, Selection, Settlement, Stats, Tick
from gateway.journal.database import LOCK_TIMEOUT, Lock, Synchronous, connect, create, migrate
from gateway.journal.reader import ReadOnlyJournal, read_only
from gateway.journal.transaction import Memory, Policies, Transaction
from gateway.journal.writer import Checkpointer, Observer, SilentObserver, Writer
from gateway.message import Cancel, CancelAnswer, CancelOrder, Message, Receipt, Refusal, Reply

__all__ = ["Policies", "SqliteJournal"]


class SqliteJournal:
    """The Journal of one SQLite file. `path`'s folder must exist."""

    def __init__(
        self,
        path: Path,
        policies: Policies,
        *,
        synchronous: Synchronous = "full",
        commit_interval: float = 0.005,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
        clock_suspected: Callable[[], bool] = lambda: False,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        """Ask `clock_suspected` before each operation, on the writer's thread: nothing expires while it says so.

        `lock_timeout` is the seconds that a transaction waits for another program to let go of the file.
        """
        self._path = path
        self._policies = policies
        self._synchronous: Synchronous = synchronous
        self._lock_timeout = lock_timeout
        self._interval = commit_interval
        self._clock = clock
        self._observer = observer or SilentObserver()
        self._clock_suspected = clock_suspected
        self._lock = Lock(path, policies.instance)
        self._writer: Writer | None = None
        self._checkpointer: Checkpointer | None = None
        self._connection: sqlite3.Connection | None = None
        self._reader: ReadOnlyJournal | None = None
        self._why_broken: asyncio.Future[str] | None = None

    @property
    def available(self) -> bool:
        """Whether the last commit succeeded."""
        return self._writer is not None and self._writer.available

    async def open(self) -> None:
        """Take the lock, migrate, start. Raises JournalLockedError, JournalVersionError."""
        self._lock.take()
        try:
            memory = await asyncio.to_thread(self._open)
        except BaseException:
            if self._connection is not None:
                self._connection.close()
            self._lock.release()
            raise
        assert self._connection is not None
        self._why_broken = asyncio.get_running_loop().create_future()
        self._writer = Writer(self._connection, memory, self._policies, self._interval, self._observer, self._breaks, self._clock_suspected)
        self._checkpointer = Checkpointer(
            connect(self._path, self._synchronous, self._lock_timeout),
            self._path,
            lambda: self._writer.commits if self._writer else 0,
            self._observer,
        )
        self._reader = read_only(self._path)
        self._writer.start()
        self._checkpointer.start()

    def _open(self) -> Memory:
        create(self._path)
        self._connection = connect(self._path, self._synchronous, self._lock_timeout)
        migrate(self._connection, self._path)
        return reading.load_memory(self._connection)

    async def close(self) -> None:
        """Commit what is queued, checkpoint, release the lock."""
        if self._writer is None or self._checkpointer is None or self._reader is None or self._connection is None:
            return
        await self._writer.stop()
        self._reader.close()
        await self._checkpointer.stop()
        self._connection.close()
        self._lock.release()
        self._writer = None

    def _breaks(self, why: str) -> None:
        if self._why_broken is not None and not self._why_broken.done():
            self._why_broken.set_result(why)

    async def broken(self) -> None:
        """Never return; raise JournalBrokenError once the journal is broken."""
        assert self._why_broken is not None, "not open"
        raise JournalBrokenError(await asyncio.shield(self._why_broken))

    def _submit(self, run: Callable[[Transaction], Any], patience: float | None = None, *, optional: bool = False) -> "asyncio.Future[Any]":
        if self._writer is None:
            raise RuntimeError("the journal is not open")
        return self._writer.submit(run, patience, optional=optional)

    # The way of a message.

    def append(self, items: Sequence[Message | Refusal | Cancel]) -> Awaitable[Report]:
        """Take what the broker handed over, in order. Idempotent by (source, id) and digest."""
        now = self._clock()
        return self._submit(lambda tx: intake.append(tx, items, now))

    def claim(self, carrier: str, routes: Sequence[tuple[str, ...]], limit: int, now: float) -> Awaitable[list[Message]]:
        """Open an attempt by `carrier` for the next part of at most `limit` messages QUEUED on one of `routes`: priority, then arrival."""
        # Nobody would submit what a claim opened after its caller was gone.
        return self._submit(lambda tx: claiming.claim(tx, carrier, routes, limit, now), optional=True)

    def replan(self, carrier: str, plans: Sequence[Plan], now: float) -> Awaitable[list[Message]]:
        """Record that `carrier` makes other parts of messages that it has claimed, and of which nothing has left. Return them so."""
        return self._submit(lambda tx: claiming.replan(tx, carrier, plans, now))

    def settle(self, settlements: Sequence[Settlement], now: float) -> Awaitable[Report]:
        """Record what carriers answered; for a message_id, apply the receipts that are parked for it."""
        return self._submit(lambda tx: settling.settle(tx, settlements, now))

    def match(self, items: Sequence[Receipt | Reply], now: float, patience: float) -> Awaitable[Report]:
        """Apply receipts to their messages or park them; join and publish replies. Raises JournalUnavailableError after `patience` s."""
        return self._submit(lambda tx: receiving.match(tx, items, now), patience)

    def answered(self, replies: Sequence[Reply], patience: float) -> Awaitable[None]:
        """Record that the provider was answered these replies: the same again is another one. Raises JournalUnavailableError."""
        return self._submit(lambda tx: replying.answered(tx, replies), patience)

    def routes(self) -> Awaitable[list[tuple[str, ...]]]:
        """List the distinct routes of messages that are QUEUED or may be again."""
        return self._submit(claiming.routes)

    def recover(self, now: float) -> Awaitable[Report]:
        """Put what this owner left open, and what any owner's lease has run out on, in doubt."""
        return self._submit(lambda tx: settling.recover(tx, now))

    def tick(self, now: float, *, expire: bool = True) -> Awaitable[Tick]:
        """Do what time demands, in a bounded step: wake, expire (unless the clock is suspected), deadlines, tombstones, retention."""
        return self._submit(lambda tx: ageing.tick(tx, now, expire=expire))

    # Cancels at the provider.

    def cancels(self, carrier: str, limit: int, now: float) -> Awaitable[list[CancelOrder]]:
        """Take the cancels that wait for `carrier`; each is handed out once in a while until it is settled."""
        return self._submit(lambda tx: cancelling.cancels(tx, carrier, limit, now))

    def settle_cancels(self, answers: Sequence[CancelAnswer], carrier: str, now: float) -> Awaitable[Report]:
        """Record what the provider said of cancels."""
        return self._submit(lambda tx: cancelling.settle_cancels(tx, answers, carrier, now))

    # The outbox.

    def outbox(self, after: int, limit: int) -> Awaitable[list[OutboxRow]]:
        """Read rows above `after` in order, without those set aside."""
        return self._submit(lambda tx: outbox.read(tx, after, limit))

    def published(self, rows: Sequence[int]) -> Awaitable[None]:
        """Delete rows that the broker has taken."""
        return self._submit(lambda tx: outbox.published(tx, rows))

    def unpublished(self, refused: Sequence[int], cut: Sequence[int], now: float) -> Awaitable[list[int]]:
        """Count refusals and disconnects of rows that stay. Return the rows that are set aside from now on."""
        return self._submit(lambda tx: outbox.unpublished(tx, refused, cut))

    def retry_set_aside(self) -> Awaitable[int]:
        """Put rows that were set aside back in line. Return how many."""
        return self._submit(outbox.retry_set_aside)

    # Operators.

    def hold(self, selection: Selection) -> Awaitable[int]:
        """Keep waiting messages from being claimed."""
        now = self._clock()
        return self._submit(lambda tx: operators.hold(tx, selection, now))

    def release(self, selection: Selection) -> Awaitable[int]:
        """Let held messages be claimed."""
        now = self._clock()
        return self._submit(lambda tx: operators.release(tx, selection, now))

    def retry(self, selection: Selection, now: float) -> Awaitable[int]:
        """Make deferred messages due now."""
        return self._submit(lambda tx: operators.retry(tx, selection, now))

    def resolve(self, selection: Selection, verdict: Literal["submitted", "rejected", "resubmit"], now: float) -> Awaitable[Report]:
        """End the doubt of messages by an operator's word."""
        return self._submit(lambda tx: operators.resolve(tx, selection, verdict, now))

    def replay(self, selection: Selection) -> Awaitable[int]:
        """Put events that were published before in the outbox again, with their old event_ids."""
        return self._submit(lambda tx: operators.replay(tx, selection))

    # Privacy.

    async def forget(self, number: str, place: Place) -> Forgotten:
        """Erase what is kept about a national number, a bounded slice; after the last one the WAL is cut, which has the old pages."""
        forgotten: Forgotten = await self._submit(lambda tx: privacy.forget(tx, number, place))
        if forgotten.next is None and self._checkpointer is not None:
            self._checkpointer.truncate()
        return forgotten

    # Reading.

    def stats(self) -> Stats:
        """Return the kept counts. Synchronous and cheap; the ages are those of the last tick."""
        if self._writer is None:
            return reading.stats(Memory(), None)
        return reading.stats(self._writer.memory, self._writer.last_commit)

    async def select(self, selection: Selection) -> list[dict[str, object]]:
        """List messages, newest first: fields for people, no text, numbers masked."""
        assert self._reader is not None, "not open"
        return await self._reader.select(selection)

    async def show(self, source: str | None, id: str) -> list[dict[str, object]]:
        """Tell all about the messages with this id: fields, attempts, parts, events."""
        assert self._reader is not None, "not open"
        return await self._reader.show(source, id)
