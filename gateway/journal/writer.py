"""The one thread that writes a SQLite journal: a FIFO of operations, committed in groups.

An operation is a function of a Transaction. Operations that have gathered run in one BEGIN IMMEDIATE ... COMMIT, in the order of their
arrival, and their results go to the event loop in one call a commit. An idle writer commits at once; a busy one leaves `commit_interval`
between two commits.

What can go wrong, and how far it reaches:
- a fault of one operation (a bug): the group is rolled back and run one by one; that operation alone fails.
- disk full, busy: rolled back and tried again, in order, until it works. Operations with patience leave when it ends.
- a failed write or fsync, a damaged file: nothing is known any more. Every operation fails with JournalBrokenError, for good.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from gateway.journal.base import JournalBrokenError, JournalUnavailableError
from gateway.journal.records import Record
from gateway.journal.transaction import Memory, Policies, Transaction

MAX_OPERATIONS = 256  # a group
MAX_ROWS = 5000
CHECKPOINT_INTERVAL = 0.5
WAL_LIMIT = 64 << 20
CUT_EVERY = 3600.0  # s: what was erased stands in the WAL no longer, though little is written over it
_RETRY_FIRST, _RETRY_LAST = 0.2, 1.0
_CLOSE_PATIENCE = 5.0

_UNAVAILABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM}
# A full disk shows so where the WAL's index has to grow; nothing was written then.
_UNAVAILABLE_IOERR = {sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_NOMEM}
_BROKEN = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL}

log = structlog.get_logger(__name__)


class Observer(Protocol):
    """What metrics want to know. Called on the writer's thread."""

    def commit(self, seconds: float, rows: int) -> None:
        """Count a group commit: how long it took, how many rows it wrote."""
        ...

    def error(self, kind: str) -> None:
        """Count a failure: "unavailable", "broken", "operation" or "checkpoint"."""
        ...


class SilentObserver:
    """Nobody asks."""

    def commit(self, seconds: float, rows: int) -> None:
        """Do nothing."""

    def error(self, kind: str) -> None:
        """Do nothing."""


@dataclass(slots=True, eq=False)
class _Operation:
    run: Callable[[Transaction], Any]
    future: "asyncio.Future[Any]"
    deadline: float | None = None  # monotonic; for those that give up
    optional: bool = False  # not run once nobody waits for it
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs operations on its own thread. Made, started, fed and stopped from one event loop."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        memory: Memory,
        policies: Policies,
        commit_interval: float,
        observer: Observer,
        on_broken: Callable[[str], None],
        clock_suspected: Callable[[], bool],
    ) -> None:
        self.memory = memory
        self.available = True
        self.last_commit: float | None = None
        self.commits = 0
        self._connection = connection
        self._policies = policies
        self._interval = commit_interval
        self._observer = observer
        self._on_broken = on_broken
        self._clock_suspected = clock_suspected
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Operation] = deque()
        self._records: dict[int, Record] = {}  # live messages as they are in the database: read once, not at every step
        self._wakeup = threading.Condition()
        self._idle = False
        self._stopping = threading.Event()
        self._broken: str | None = None
        self._thread = threading.Thread(target=self._main, name="journal-writer", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, run: Callable[[Transaction], Any], patience: float | None = None, *, optional: bool = False) -> "asyncio.Future[Any]":
        """Queue an operation; the future ends after its commit. An `optional` one whose future is cancelled before it begins is not run."""
        future = self._loop.create_future()
        if self._broken is not None:
            future.set_exception(JournalBrokenError(self._broken))
            return future
        operation = _Operation(run, future, None if patience is None else time.monotonic() + patience, optional)
        self._queue.append(operation)
        if self._idle:
            with self._wakeup:
                self._wakeup.notify()
        return future

    async def stop(self) -> None:
        """Commit what is queued, and end the thread."""
        with self._wakeup:
            self._stopping.set()
            self._wakeup.notify()
        await asyncio.to_thread(self._thread.join)
        self._deliver_failures(
            self._drain(), JournalBrokenError(self._broken) if self._broken else JournalUnavailableError("the journal is closed")
        )

    # On the writer's thread from here on.

    def _main(self) -> None:
        try:
            self._work()
        except Exception as error:  # a bug here must not leave the daemon waiting for ever
            log.exception("journal writer failed")
            self._break(f"{type(error).__name__}: {error}", [])

    def _work(self) -> None:
        last = 0.0
        while self._broken is None and self._wait_for_work():
            pause = last + self._interval - time.monotonic()
            if pause > 0 and len(self._queue) < MAX_OPERATIONS:
                self._stopping.wait(pause)
            last = time.monotonic()
            self._commit_group(self._take())

    def _wait_for_work(self) -> bool:
        if self._queue:
            return True
        with self._wakeup:
            self._idle = True
            while not self._queue and not self._stopping.is_set():
                self._wakeup.wait()
            self._idle = False
        return bool(self._queue)

    def _take(self) -> list[_Operation]:
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_OPERATIONS))]
        return [operation for operation in taken if not (operation.optional and operation.future.cancelled())]

    def _drain(self) -> list[_Operation]:
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def _commit_group(self, group: list[_Operation]) -> None:
        """Commit a group, however long it takes; put back what was too much for one transaction."""
        pause, started = _RETRY_FIRST, time.monotonic()
        while group:
            try:
                done = self._attempt(group)
            except sqlite3.Error as error:
                if not self._is_temporary(error):
                    self._break(_describe(error), group)
                    return
                self._unavailable(error)
                if self._stopping.is_set() and time.monotonic() - started > _CLOSE_PATIENCE:
                    self._deliver_failures(group + self._drain(), JournalUnavailableError(_describe(error)))
                    return
                group = self._wait_out(group, pause)
                pause = min(pause * 1.5, _RETRY_LAST)
                continue
            self._deliver(group[:done])
            self._queue.extendleft(reversed(group[done:]))
            return

    def _attempt(self, group: list[_Operation]) -> int:
        """Run and commit; return how many operations that were. Raises what concerns the journal as a whole."""
        try:
            return self._transaction(group)
        except sqlite3.Error as error:
            if self._concerns_all(error):
                raise
        except Exception:  # noqa: BLE001, S110 - found again, and told, when the operations run one by one
            pass
        if len(group) > 1:
            return self._attempt(group[:1])
        operation = group[0]
        try:
            return self._transaction(group)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and self._concerns_all(error):
                raise
            log.exception("journal operation failed")
            self._observer.error("operation")
            operation.error = error
            return 1

    def _transaction(self, group: list[_Operation]) -> int:
        started = time.monotonic()
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            tx = Transaction(connection, self.memory.copy(), self._policies, self._records)
            done = 0
            for operation in group:
                if self._clock_suspected():  # now, since a step may be newer than the last tick; a tick clears it again
                    tx.memory.suspended = True
                operation.result = operation.run(tx)
                done += 1
                if tx.written > MAX_ROWS:
                    break
            connection.execute("COMMIT")
        except BaseException:
            self._records.clear()
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        self._committed(tx, time.monotonic() - started)
        return done

    def _committed(self, tx: Transaction, seconds: float) -> None:
        if tx.memory.dropped != self.memory.dropped:
            log.warning("parked receipts dropped", number=tx.memory.dropped - self.memory.dropped, limit=self._policies.parked_limit)
        self.memory = tx.memory
        self.last_commit = time.time()
        self.commits += 1
        if not self.available:
            self.available = True
            log.info("journal available")
        self._observer.commit(seconds, tx.written)

    # What goes wrong.

    @staticmethod
    def _concerns_all(error: sqlite3.Error) -> bool:
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _UNAVAILABLE | _BROKEN

    @staticmethod
    def _is_temporary(error: sqlite3.Error) -> bool:
        code = error.sqlite_errorcode
        return code & 0xFF in _UNAVAILABLE or code in _UNAVAILABLE_IOERR

    def _unavailable(self, error: sqlite3.Error) -> None:
        if self.available:
            log.error("journal unavailable", error=_describe(error))
        self.available = False
        self._observer.error("unavailable")

    def _wait_out(self, group: list[_Operation], pause: float) -> list[_Operation]:
        """Wait before the next try; let those go whose patience ends. Return who stays."""
        ends = time.monotonic() + pause
        while (left := ends - time.monotonic()) > 0:
            group = self._let_go(group)
            time.sleep(min(left, 0.05))
        return self._let_go(group)

    def _let_go(self, group: list[_Operation]) -> list[_Operation]:
        now = time.monotonic()
        impatient = [
            operation for operation in (*group, *tuple(self._queue)) if operation.deadline is not None and operation.deadline <= now
        ]
        if not impatient:
            return group
        for operation in impatient:
            with contextlib.suppress(ValueError):
                self._queue.remove(operation)
        self._deliver_failures(impatient, JournalUnavailableError("the journal cannot commit"))
        return [operation for operation in group if operation not in impatient]

    def _break(self, why: str, group: list[_Operation]) -> None:
        log.critical("journal broken", error=why)
        self.available = False
        self._broken = why
        self._observer.error("broken")
        self._deliver_failures(group + self._drain(), JournalBrokenError(why))
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._on_broken, why)

    def _deliver_failures(self, operations: list[_Operation], error: Exception) -> None:
        for operation in operations:
            operation.error = error
        self._deliver(operations)

    def _deliver(self, operations: list[_Operation]) -> None:
        if operations:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(_hand_over, operations)


def _hand_over(operations: list[_Operation]) -> None:
    for operation in operations:
        if operation.future.cancelled():
            continue
        if operation.error is not None:
            operation.future.set_exception(operation.error)
            operation.future.exception()  # it is in the log by now; at a stop nobody waits for it, and asyncio would complain of each
        else:
            operation.future.set_result(operation.result)


def _describe(error: sqlite3.Error) -> str:
    return f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}"


class Checkpointer:
    """Moves the WAL into the database on a thread and a connection of its own, so that no commit waits for it."""

    def __init__(self, connection: sqlite3.Connection, path: Path, commits: Callable[[], int], observer: Observer) -> None:
        self._connection = connection
        self._connection.execute("PRAGMA busy_timeout = 100")  # TRUNCATE keeps the writer out while it waits for readers
        self._wal = path.with_name(path.name + "-wal")
        self._commits = commits
        self._observer = observer
        self._stop = threading.Event()
        self._truncating = threading.Event()
        self._thread = threading.Thread(target=self._main, name="journal-checkpoint", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def truncate(self) -> None:
        """Cut the WAL soon, as often as it takes: readers may be in the way."""
        self._truncating.set()

    async def stop(self) -> None:
        """End, with one last checkpoint that leaves an empty WAL."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._checkpoint, "TRUNCATE")
        self._connection.close()

    def _main(self) -> None:
        seen, cut = 0, time.monotonic()
        while not self._stop.wait(CHECKPOINT_INTERVAL):
            commits, wanted = self._commits(), self._truncating.is_set() or time.monotonic() - cut > CUT_EVERY
            if commits == seen and not wanted:
                continue
            self._truncating.clear()
            if self._checkpoint("TRUNCATE" if wanted else self._mode()):
                seen, cut = commits, time.monotonic() if wanted else cut
            elif wanted:
                self._truncating.set()

    def _mode(self) -> str:
        with contextlib.suppress(OSError):
            if self._wal.stat().st_size > WAL_LIMIT:
                return "TRUNCATE"
        return "PASSIVE"

    def _checkpoint(self, mode: str) -> bool:
        try:
            ((kept_out, _, _),) = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        except sqlite3.Error as error:
            log.warning("checkpoint failed", error=_describe(error))
            self._observer.error("checkpoint")
            return False
        return mode != "TRUNCATE" or not kept_out
