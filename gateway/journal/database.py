"""Open a SQLite journal: the lock, the file, the migrations, the connections.

One process holds a journal: `Lock` is an flock on `<path>.lock`, taken before anything else, and the file says who holds it. The files are
created with mode 0600, and the directory is synced after their creation. `PRAGMA user_version` is the number of the last migration applied.
"""

import contextlib
import fcntl
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Literal

from gateway.journal.base import JournalLockedError, JournalVersionError
from gateway.journal.matching import destination
from gateway.journal.records import unpack_message

Synchronous = Literal["full", "normal"]
LOCK_TIMEOUT = 2.0  # s that a transaction waits for another program to let go of the file

_FIRST_ROW_LIMIT = 1 << 31
_UNFILLED = "unfilled_destination"
_STEP = 2000  # messages


class Lock:
    """The right to write a journal, for one process."""

    def __init__(self, path: Path, instance: str) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._instance = instance
        self._fd: int | None = None

    def take(self) -> None:
        """Take the lock, or raise JournalLockedError that names the holder."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(fd, 4096)
            os.close(fd)
            raise JournalLockedError(f"{self._path} is held by {_describe(holder)}") from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, self._card(), 0)
        self._fd = fd

    def release(self) -> None:
        """Let another process take it. The file stays, or two could hold it."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def _card(self) -> bytes:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return json.dumps({"pid": os.getpid(), "instance": self._instance, "since": since}).encode()


def _describe(holder: bytes) -> str:
    try:
        card = json.loads(holder)
        return f"process {card['pid']} (instance {card['instance']}, since {card['since']})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def create(path: Path) -> None:
    """Make the file durable before anything is written to it, readable by its owner alone."""
    if path.exists():
        return
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let what SQLite says of a file that cannot be opened name it."""
    try:
        yield
    except sqlite3.Error as error:
        raise type(error)(f"{path}: {error}") from None


def connect(path: Path, synchronous: Synchronous, lock_timeout: float = LOCK_TIMEOUT) -> sqlite3.Connection:
    """Open the connection of the one writer. Transactions are ours to begin; checkpoints are the checkpointer's."""
    connection = sqlite3.connect(path, timeout=lock_timeout, isolation_level=None, check_same_thread=False, cached_statements=256)
    with _naming(path):
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA secure_delete = ON")  # what was erased is overwritten in the file; Debian's SQLite does so unasked
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write, beside a running daemon or without one."""
    with _naming(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None, check_same_thread=False
        )
        version = user_version(connection)
    if version != newest():
        connection.close()
        raise JournalVersionError(f"{path} is of version {version}; this program reads version {newest()}")
    return connection


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to the newest version, each step in a transaction of its own. Raises JournalVersionError for a newer one."""
    version = user_version(connection)
    if version > newest():
        raise JournalVersionError(f"{path} is of version {version}; this program knows versions up to {newest()}")
    for number, script in _migrations():
        if number > version:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\n{_first_row() if number == 1 else ''}PRAGMA user_version = {number};\nCOMMIT;"
            )
    _fill_destinations(connection)


def _fill_destinations(connection: sqlite3.Connection) -> None:
    """Give the messages of an older journal their `destination`, a bounded step a transaction; a mark lets the next start go on."""
    while (mark := connection.execute("SELECT value FROM meta WHERE key = ?", (_UNFILLED,)).fetchone()) is not None:
        rows = connection.execute("SELECT row, body FROM message WHERE row > ? ORDER BY row LIMIT ?", (mark[0], _STEP)).fetchall()
        connection.execute("BEGIN IMMEDIATE")
        if rows:
            found = [(destination(unpack_message(body).to), row) for row, body in rows]
            connection.executemany("UPDATE message SET destination = ? WHERE row = ?", found)
            connection.execute("UPDATE meta SET value = ? WHERE key = ?", (rows[-1][0], _UNFILLED))
        else:
            connection.execute("CREATE INDEX message_destination ON message (destination)")
            connection.execute("DELETE FROM meta WHERE key = ?", (_UNFILLED,))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # nobody else does it yet, and the WAL must not grow with each step


def user_version(connection: sqlite3.Connection) -> int:
    """Return the number of the last migration applied."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def newest() -> int:
    """Return the number of the newest migration that this program knows."""
    return _migrations()[-1][0]


def _migrations() -> list[tuple[int, str]]:
    scripts = [file for file in (files("gateway.journal") / "sql" / "sqlite").iterdir() if file.name.endswith(".sql")]
    return sorted((int(script.name[:4]), script.read_text("utf-8")) for script in scripts)


def _first_row() -> str:
    # A random base: the surrogate ids of a new journal never repeat those of the one before it.
    return f"INSERT INTO meta VALUES ('next_message', {1 + secrets.randbelow(_FIRST_ROW_LIMIT)});\n"  # noqa: S608 - a number
