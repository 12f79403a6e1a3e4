"""Queries for people: lists of messages, the whole story of one, and the counts. They run on a read-only connection, beside the writer.

Nothing here shows a text or a whole number.
"""

import json
import sqlite3
from typing import Any

from gateway.journal.base import Selection, StateStats, Stats
from gateway.journal.records import MESSAGE_SHIFT, PART_SHIFT, STATES, unpack_message, unpack_progress
from gateway.journal.transaction import Memory, placeholders
from gateway.message import QueueState
from gateway.msisdn import Msisdn

FIELDS = (
    "row, source, id, state, attempt, deferrals, seq, possible_duplicate, cancel, carrier, code, confirmed, last_error, due_at, "
    "expires_at, progress, body"
)


def conditions(selection: Selection) -> tuple[str, list[object]]:
    """Return a selection of messages as the SQL after WHERE, with its values. A selection without conditions selects nothing, but `all`."""
    terms: list[str] = []
    values: list[object] = []
    if selection.ids:
        terms.append(f"id IN ({placeholders(selection.ids)})")
        values += selection.ids
    if selection.source is not None:
        terms.append("source = ?")
        values.append(selection.source)
    if selection.state is not None:
        terms.append("state = ?")
        values.append(_state(selection.state))
    if selection.carrier is not None:
        terms.append("carrier = ?")
        values.append(selection.carrier)
    if not terms and not selection.all:
        terms.append("0")
    return " AND ".join(terms) or "1", values


def _state(name: str) -> int:
    try:
        return QueueState[name.upper()]
    except KeyError:
        raise ValueError(f"no such state: {name}; one of {', '.join(state.name.lower() for state in QueueState)}") from None


def in_span(selection: Selection, at: float) -> bool:
    """Say whether a time is within `since` and `until`."""
    return (selection.since is None or at >= selection.since) and (selection.until is None or at <= selection.until)


def given(selection: Selection) -> Selection:
    """Let a time span alone count as a condition."""
    spanned = selection.since is not None or selection.until is not None
    return Selection(**{name: getattr(selection, name) for name in selection.__struct_fields__} | {"all": True}) if spanned else selection


def select(connection: sqlite3.Connection, selection: Selection) -> list[dict[str, object]]:
    """List messages, newest first."""
    where, values = conditions(given(selection))
    cursor = connection.execute(f"SELECT {FIELDS} FROM message WHERE {where} ORDER BY row DESC", values)  # noqa: S608 - values are bound
    found: list[dict[str, object]] = []
    for row in cursor:
        message = describe(row)
        if in_span(selection, float(str(message["received_at"]))):
            found.append(message)
        if len(found) >= selection.limit:
            break
    return found


def describe(row: tuple[Any, ...]) -> dict[str, object]:
    """Tell of one message what people may see."""
    names = FIELDS.split(", ")
    fields = dict(zip(names, row, strict=True))
    message, progress = unpack_message(fields.pop("body")), unpack_progress(fields.pop("progress"))
    fields["state"] = STATES[fields["state"]].name.lower()
    for flag in ("possible_duplicate", "confirmed", "cancel"):
        fields[flag] = bool(fields[flag])
    fields |= {
        "to": Msisdn(message.to).masked,
        "routes": list(message.routes),
        "received_at": message.received_at,
        "priority": message.priority,
        "parts": 1 if progress is None else progress.parts,
        "parts_sent": None if progress is None else progress.done,  # of one of several parts
        "kind": message.kind,
        "metadata": message.metadata,
    }
    return fields


def show(connection: sqlite3.Connection, source: str | None, id: str) -> list[dict[str, object]]:
    """Tell all about the messages with an id."""
    selection = Selection(ids=(id,), source=source)
    return [message | story(connection, int(str(message["row"]))) for message in select(connection, selection)]


def story(connection: sqlite3.Connection, row: int) -> dict[str, object]:
    """Tell a message's attempts, parts and events."""
    parts = (row << PART_SHIFT, (row + 1 << PART_SHIFT) - 1)
    events = (row << MESSAGE_SHIFT, (row + 1 << MESSAGE_SHIFT) - 1)
    waiting = "SELECT event FROM outbox WHERE event BETWEEN ? AND ?"
    pending = {event for (event,) in connection.execute(waiting, events)}
    return {
        "attempts": _table(connection, "SELECT n, carrier, opened_at, lease, doubtful_since FROM attempt WHERE message = ?", (row,)),
        "part_ids": _table(
            connection,
            "SELECT row >> 8 & 65535 AS attempt, row & 255 AS part, parts, carrier, message_id, submitted_at, code FROM part "
            "WHERE row BETWEEN ? AND ?",
            parts,
        ),
        "events": [
            json.loads(payload) | {"published": event not in pending}
            for event, payload in connection.execute("SELECT row, payload FROM event WHERE row BETWEEN ? AND ? ORDER BY row", events)
        ],
    }


def _table(connection: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> list[dict[str, object]]:
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


# --- Counts -----------------------------------------------------------------------------------------------------------------------


def load_memory(connection: sqlite3.Connection) -> Memory:
    """Read what the journal remembers between commits: by index ranges, not by scanning messages."""

    def number(sql: str) -> int:
        return int(connection.execute(sql).fetchone()[0] or 0)

    def next_row(mark: str, sql: str) -> int:
        kept = connection.execute("SELECT value FROM meta WHERE key = ?", (mark,)).fetchone()
        return max(kept[0] if kept else 1, number(sql) + 1)

    memory = Memory(
        next_message=next_row("next_message", "SELECT max(row) FROM message"),
        next_loose=next_row(
            "next_loose", "SELECT max(row - (1 << 62)) FROM event WHERE row = (SELECT max(row) FROM event) AND row > 1 << 62"
        ),
        next_outbox=next_row("next_outbox", "SELECT max(row) FROM outbox"),
        next_parked=next_row("next_parked", "SELECT max(row) FROM receipt"),
        outbox=number("SELECT count(*) FROM outbox"),
        aside=number("SELECT count(*) FROM outbox WHERE aside = 1"),
        doubts=number("SELECT count(*) FROM attempt WHERE doubtful_since IS NOT NULL"),
        parked=number("SELECT count(*) FROM receipt"),
        refused=number("SELECT count(*) FROM refused"),
        fragments=number("SELECT count(*) FROM fragment"),
        tombstones=number("SELECT count(*) FROM tombstone"),
        routes={tuple(json.loads(names)): route for route, names in connection.execute("SELECT id, names FROM route")},
    )
    for state in QueueState:
        if state not in (QueueState.ACTIVE, QueueState.DONE):
            memory.queue[state] = number(f"SELECT count(*) FROM message WHERE state = {state:d} AND due_at IS NOT NULL")  # noqa: S608 - a number
    memory.queue[QueueState.ACTIVE] = number("SELECT count(*) FROM attempt WHERE doubtful_since IS NULL")
    return memory


def stats(memory: Memory, last_commit: float | None) -> Stats:
    """Return the counts that are kept."""
    queue: dict[QueueState, StateStats] = {
        state: StateStats(memory.queue[state], memory.oldest.get(state) if memory.queue[state] else None)
        for state in QueueState
        if state is not QueueState.DONE
    }
    outbox = StateStats(memory.outbox, memory.oldest_event if memory.outbox else None)
    return Stats(queue, outbox, memory.aside, memory.parked, memory.unmatched, last_commit)
