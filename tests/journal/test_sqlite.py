"""What is special to the SQLite journal: the lock, versions, durability, and what it does when it cannot commit."""

import asyncio
import gc
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.journal import writer
from gateway.journal.base import JournalBrokenError, JournalLockedError, JournalUnavailableError, JournalVersionError, Selection
from gateway.journal.reader import read_only
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.journal.transaction import Transaction
from gateway.message import IllegalTransitionError, Message, QueueState, Receipt, Trigger
from tests.support.waiting import DEADLINE, until, write_locked

NOW = 1_800_000_000.0
POLICIES = Policies(instance="one", owner="one")


class Errors:
    """Keeps the kinds of errors told."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.rows = 0

    def commit(self, seconds: float, rows: int) -> None:
        assert seconds >= 0
        self.rows += rows

    def error(self, kind: str) -> None:
        self.kinds.append(kind)


def message(id: str, text: str = "hello") -> Message:
    return Message(
        source="", id=id, to="11987650000", text=text, digest=id.encode(), received_at=NOW, expires_at=NOW + 1000, routes=("smpp",)
    )


def receipt(id: str) -> Receipt:
    return Receipt(carrier="smpp", message_id=id, code=2, final=True, received_at=NOW)


@pytest.fixture
def errors() -> Errors:
    return Errors()


@pytest.fixture
async def journal(tmp_path: Path, errors: Errors) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal.db", POLICIES, observer=errors, clock=lambda: NOW, lock_timeout=0.05)
    await journal.open()
    yield journal
    await journal.close()


def connection_of(journal: SqliteJournal) -> sqlite3.Connection:
    assert journal._connection is not None
    return journal._connection


async def test_a_second_journal_is_refused_and_told_who_holds_the_first(journal: SqliteJournal, tmp_path: Path) -> None:
    with pytest.raises(JournalLockedError, match=rf"process {os.getpid()} \(instance one, since 20"):
        await SqliteJournal(tmp_path / "journal.db", Policies(instance="two", owner="two")).open()
    assert journal.available


async def test_files_are_for_their_owner_alone(journal: SqliteJournal, tmp_path: Path) -> None:
    await journal.append([message("a")])
    for name in ("journal.db", "journal.db-wal", "journal.db.lock"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


async def test_a_file_that_is_no_journal_is_named_by_whoever_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_text("what a person may have written here, long enough for the head of a database")
    with pytest.raises(sqlite3.DatabaseError, match=r"journal\.db: file is not a database"):
        await SqliteJournal(path, POLICIES).open()
    with pytest.raises(sqlite3.DatabaseError, match=r"journal\.db: file is not a database"):
        read_only(path)


async def test_a_journal_of_a_newer_version_is_refused_and_left_unlocked(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalVersionError, match="version 99"):
        await SqliteJournal(path, POLICIES).open()
    with pytest.raises(JournalVersionError):
        read_only(path)
    path.unlink()
    journal = SqliteJournal(path, POLICIES)
    await journal.open()
    await journal.close()


async def test_what_was_written_leaves_the_wal_while_nothing_else_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_INTERVAL", 0.01)
    monkeypatch.setattr(writer, "CUT_EVERY", 0.1)
    journal = SqliteJournal(tmp_path / "journal.db", POLICIES)
    await journal.open()
    await journal.append([message("a", "Segredo")])
    wal = tmp_path / "journal.db-wal"
    await until(lambda: b"Segredo" not in wal.read_bytes(), "an empty WAL")
    assert b"Segredo" in (tmp_path / "journal.db").read_bytes()
    await journal.close()


async def test_closing_leaves_an_empty_wal_and_no_lock(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", POLICIES)
    await journal.open()
    await journal.append([message("a")])
    await journal.close()
    await journal.close()
    wal = tmp_path / "journal.db-wal"
    assert not wal.exists() or wal.stat().st_size == 0
    with pytest.raises(RuntimeError, match="not open"):
        journal.append([])


async def test_surrogate_numbers_start_at_random(tmp_path: Path) -> None:
    rows = set()
    for name in ("a.db", "b.db"):
        journal = SqliteJournal(tmp_path / name, POLICIES)
        await journal.open()
        await journal.append([message("a")])
        rows |= {claimed.row for claimed in await journal.claim("smpp", [("smpp",)], 1, NOW)}
        await journal.close()
    assert len(rows) == 2
    assert all(0 < row < 2**32 for row in rows)


async def test_reading_needs_no_daemon_and_disturbs_none(journal: SqliteJournal, tmp_path: Path) -> None:
    await journal.append([message("a"), message("b")])
    reader = read_only(tmp_path / "journal.db")
    assert reader.stats().queue[QueueState.QUEUED] == (2, NOW)
    assert [found["id"] for found in await reader.select(Selection(all=True))] == ["b", "a"]
    assert (await reader.show(None, "a"))[0]["state"] == "queued"
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM message")
    reader.close()


async def test_a_fault_of_one_operation_fails_that_one_alone(journal: SqliteJournal, errors: Errors) -> None:
    def illegal(tx: Transaction) -> None:
        (record,) = tx.records("id = ?", ("a",))
        tx.move(record, Trigger.REJECTED, NOW)

    before = journal.append([message("a")])
    fault = journal._submit(illegal)
    after = journal.append([message("b")])
    await before
    with pytest.raises(IllegalTransitionError):
        await fault
    await after
    assert [claimed.id for claimed in await journal.claim("smpp", [("smpp",)], 10, NOW)] == ["a", "b"]
    assert errors.kinds == ["operation"]


async def test_a_full_disk_is_waited_out_in_order_and_only_match_gives_up(journal: SqliteJournal, errors: Errors) -> None:
    await journal.append([message("a")])
    connection = connection_of(journal)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    big = journal.append([message(f"big{n}", "x" * 600) for n in range(200)])
    matched = journal.match([receipt("x")], NOW, 0.3)
    small = journal.append([message("small")])
    with pytest.raises(JournalUnavailableError):
        await matched
    assert bool(journal.available) is False
    assert not asyncio.ensure_future(small).done()
    connection.execute("PRAGMA max_page_count = 1000000")
    await asyncio.wait_for(asyncio.gather(big, small), DEADLINE)
    assert journal.available
    assert "unavailable" in errors.kinds
    assert journal.stats().parked == 0
    assert len(await journal.claim("smpp", [("smpp",)], 1000, NOW)) == 202


async def test_a_lock_held_by_another_program_is_waited_out(journal: SqliteJournal, tmp_path: Path) -> None:
    with write_locked(tmp_path / "journal.db"):
        appended = asyncio.ensure_future(journal.append([message("a")]))
        with pytest.raises(JournalUnavailableError):
            await journal.match([receipt("x")], NOW, 0.1)
        assert not appended.done()
    await asyncio.wait_for(appended, DEADLINE)


async def test_a_failure_that_nobody_waits_for_any_more_is_not_complained_of(journal: SqliteJournal, tmp_path: Path) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    with write_locked(tmp_path / "journal.db"):
        matched = asyncio.ensure_future(journal.match([receipt("x")], NOW, 0.0))
        await until(matched.done, "its patience ends")
    del matched
    await journal.routes()  # the writer has let it go, too
    gc.collect()
    assert complaints == []


async def test_a_broken_journal_fails_everything_for_good(tmp_path: Path, errors: Errors) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", POLICIES, observer=errors)
    await journal.open()

    def lose(tx: Transaction) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
        raise error

    watch = asyncio.ensure_future(journal.broken())
    lost, after = journal._submit(lose), journal.append([message("a")])
    for operation in (lost, after):
        with pytest.raises(JournalBrokenError, match="SQLITE_IOERR_FSYNC"):
            await operation
    with pytest.raises(JournalBrokenError):
        await asyncio.wait_for(watch, DEADLINE)
    with pytest.raises(JournalBrokenError):
        await journal.append([message("b")])
    assert not journal.available
    await journal.close()


async def test_what_is_queued_at_close_is_committed(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", POLICIES)
    await journal.open()
    futures = [journal.append([message(str(n))]) for n in range(50)]
    await journal.close()
    await asyncio.gather(*futures)
    reader = read_only(tmp_path / "journal.db")
    assert reader.stats().queue[QueueState.QUEUED].number == 50
    reader.close()


async def test_results_come_in_the_order_of_the_calls(journal: SqliteJournal) -> None:
    done: list[int] = []
    futures = [asyncio.ensure_future(journal.append([message(str(n))])) for n in range(600)]
    for n, future in enumerate(futures):
        future.add_done_callback(lambda _, n=n: done.append(n))  # type: ignore[misc] # n is bound early
    await asyncio.gather(*futures)
    assert done == list(range(600))


WORKER = """
import asyncio, sys
from pathlib import Path
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Message

async def main():
    journal = SqliteJournal(Path(sys.argv[1]), Policies(instance="w", owner="w"))
    await journal.open()
    for n in range(100000):
        await journal.append([Message(source="", id=f"{n}-{m}", to="11987650000", text="hello", digest=b"d", received_at=1.0,
                                      expires_at=9e9, routes=("smpp",)) for m in range(5)])
        print(n, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("after", [3, 57])
async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, after: int) -> None:
    path = tmp_path / "journal.db"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    for line in worker.stdout:
        if int(line) >= after:
            break
    worker.send_signal(signal.SIGKILL)
    rest = worker.stdout.read().split()
    worker.wait(10)
    worker.stdout.close()
    acknowledged = int(rest[-1]) if rest else after
    journal = SqliteJournal(path, POLICIES)
    await journal.open()
    number = journal.stats().queue[QueueState.QUEUED].number
    assert number >= 5 * (acknowledged + 1)
    assert number % 5 == 0
    assert connection_of(journal).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    await journal.close()


async def test_the_lock_file_says_who(journal: SqliteJournal, tmp_path: Path) -> None:
    card = json.loads((tmp_path / "journal.db.lock").read_text())
    assert (card["pid"], card["instance"]) == (os.getpid(), "one")
    assert journal.available
