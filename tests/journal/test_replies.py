"""Replies inside the SQLite journal: any order and repetition of their parts, what is kept of them, and journals of before them."""

import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.events import ReplyEvent
from gateway.journal import database, replies
from gateway.journal.ageing import tick
from gateway.journal.database import connect, migrate, newest, user_version
from gateway.journal.matching import destination
from gateway.journal.reading import load_memory
from gateway.journal.receiving import match
from gateway.journal.records import pack
from gateway.journal.transaction import Policies, Transaction
from gateway.message import Fragment, Message, Reply
from gateway.text.inbound import Coding

NOW = 1_800_000_000.0
POLICIES = Policies(instance="one", owner="one", reply_timeout=100.0)
UCS2 = Coding("ucs2")


class Table:
    """The operations of a journal in memory, each in a transaction of its own, with all that is remembered read anew before it."""

    def __init__(self) -> None:
        self.connection = connect(Path(":memory:"), "normal")
        migrate(self.connection, Path(":memory:"))

    def transaction(self) -> Transaction:
        return Transaction(self.connection, load_memory(self.connection), POLICIES)

    def hear(self, *items: Reply, now: float = NOW) -> None:
        match(self.transaction(), items, now)

    def tick(self, now: float) -> None:
        tick(self.transaction(), now, expire=True)

    def told(self) -> list[ReplyEvent]:
        rows = self.connection.execute("SELECT payload FROM event WHERE type = 'reply' ORDER BY row")
        return [msgspec.json.decode(payload, type=ReplyEvent) for (payload,) in rows]

    def count(self, table: str) -> int:
        number: int = self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return number


def part(number: int, total: int, octets: bytes, **fields: Any) -> Reply:
    values: dict[str, Any] = {"carrier": "smpp", "sender": "11987650000", "to": None, "received_at": NOW, "session": 1}
    return Reply(**values | {"fragment": Fragment("udh16", 40_000, total, number, octets, UCS2)} | fields)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[str, list[Reply]]:
    """A text, and its parts cut anywhere, each at least once, in any order."""
    text = draw(st.text(min_size=1).filter(lambda text: text[0] not in "\ufeff\ufffe"))
    octets = text.encode("utf-16-be")
    cuts = sorted(draw(st.lists(st.integers(0, len(octets)), min_size=1, max_size=9)))
    edges = [0, *cuts, len(octets)]
    parts = [part(number, len(edges) - 1, octets[edges[number - 1] : edges[number]]) for number in range(1, len(edges))]
    repeated = draw(st.lists(st.sampled_from(parts), max_size=10))
    return text, draw(st.permutations(parts + repeated))


@given(deliveries())
@settings(deadline=None, max_examples=150)
def test_any_order_and_repetition_of_the_parts_joins_to_the_same_text(delivered: tuple[str, list[Reply]]) -> None:
    text, parts = delivered
    table = Table()
    for each in parts:
        table.hear(each)
    table.tick(NOW + 1000)
    first, *again = table.told()
    assert (first.text, first.complete, first.possible_duplicate) == (text, True, False)
    assert [(event.text, event.complete, event.possible_duplicate) for event in again] == [(text, True, True)] * len(again)
    assert len(again) <= len(parts) // len(set(parts))
    assert table.count("fragment") == 0


def test_what_is_told_leaves_the_text_in_no_other_place() -> None:
    table = Table()
    table.hear(part(1, 2, "segredo".encode("utf-16-be")))
    table.tick(NOW + 100)
    table.connection.execute("UPDATE event SET payload = ''")
    dump = "\n".join(table.connection.iterdump())
    assert "segredo".encode("utf-16-be").hex().upper() not in dump.upper()
    assert "11987650000" not in dump


def test_what_was_heard_is_remembered_in_a_bounded_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "HEARD", 20)
    table = Table()
    for number in range(100):
        table.hear(Reply(carrier="smpp", sender="1", to=None, received_at=NOW, text=str(number)))
        assert table.count("heard") == min(number + 1, 20)
    table.hear(*(Reply(carrier="smpp", sender="1", to=None, received_at=NOW, text=str(number)) for number in (99, 79)))
    assert [event.possible_duplicate for event in table.told()[-2:]] == [True, False]


def test_parts_that_were_answered_are_forgotten_with_time() -> None:
    table = Table()
    parts = [part(1, 2, b"\0a"), part(2, 2, b"\0b")]
    table.hear(*parts)
    replies.answered(table.transaction(), parts)
    assert table.count("heard") == 2
    table.tick(NOW + POLICIES.parked_retention)
    assert table.count("heard") == 0


# --- Journals of before -----------------------------------------------------------------------------------------------------------


def message(number: int) -> Message:
    return Message(
        source="", id=str(number), to=f"119876500{number:02d}", text="oi", digest=b"", received_at=NOW, expires_at=NOW, routes=("smpp",)
    )


def first_version(path: Path, number: int) -> sqlite3.Connection:
    """A journal as the first version made it, with some messages."""
    connection = connect(path, "normal")
    script = (files("gateway.journal") / "sql" / "sqlite" / "0001_initial.sql").read_text("utf-8")
    connection.executescript(f"{script}\nPRAGMA user_version = 1;")
    columns = (
        "row, source, id, state, priority, route, parts, expires_at, attempt, deferrals, seq, possible_duplicate, cancel, confirmed, body"
    )
    for row in range(1, number + 1):
        values = (row, "", str(row), 8, 0, 1, 1, NOW, 1, 0, 0, 0, 0, 1, pack(message(row)))
        connection.execute(f"INSERT INTO message ({columns}) VALUES ({', '.join('?' * len(values))})", values)
    return connection


def destinations(connection: sqlite3.Connection) -> list[int | None]:
    return [number for (number,) in connection.execute("SELECT destination FROM message ORDER BY row")]


def test_the_messages_of_an_older_journal_get_their_destinations_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_STEP", 2)
    connection = first_version(tmp_path / "journal.db", 7)
    migrate(connection, tmp_path)
    assert user_version(connection) == newest()
    assert destinations(connection) == [87650000 + number for number in range(1, 8)]
    plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM message WHERE destination = 1 ORDER BY row DESC").fetchall()
    assert [step[3] for step in plan] == ["SEARCH message USING INDEX message_destination (destination=?)"]
    connection.close()


def test_a_migration_that_was_killed_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_STEP", 3)
    connection = first_version(tmp_path / "journal.db", 7)
    connection.create_function("killed", 1, lambda row: 1 // (row - 5))
    connection.execute("CREATE TRIGGER kill BEFORE UPDATE ON message BEGIN SELECT killed(new.row); END")
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, tmp_path)
    connection.close()
    connection = connect(tmp_path / "journal.db", "normal")
    assert destinations(connection) == [87650001, 87650002, 87650003, None, None, None, None]
    connection.execute("DROP TRIGGER kill")
    migrate(connection, tmp_path)
    assert destinations(connection) == [87650000 + number for number in range(1, 8)]
    assert connection.execute("SELECT count(*) FROM meta WHERE key LIKE 'unfilled%'").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize(
    ("number", "expected"), [("11987650001", 87650001), ("+55 (11) 98765-0001", 87650001), ("11900000001", 1), ("27500", None), ("", None)]
)
def test_a_destination_is_the_last_eight_digits(number: str, expected: int | None) -> None:
    assert destination(number) == expected
