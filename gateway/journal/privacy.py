"""Forget a number, or tell all that is kept about it (LGPD, articles 18 II and VI): a bounded slice of one table at a time.

`forget` erases, in what has ended and been published, the number, the text and all that a producer gave with it: metadata, label, Response
Topic, correlation data, the digest of the content, error texts, the words of replies and of payloads that were refused. Rows, ids, states,
times and counts stay, so that statistics, `event_id`s and the promise that an id is not sent twice stay. What is under way is left and
named: it ends first. A message that was forgotten is found by its id alone from then on; the same id again is refused as `duplicate_id`.

`known` tells the same things instead of erasing them. It reads slices too, so that no long read keeps the WAL from being moved.

Known limit: a number that stands in somebody else's text, in an id or in a sender is not looked for.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.events import ReplyEvent
from gateway.journal import outbox, reading
from gateway.journal.base import Forgotten, Left, Place, Stage, encode_event
from gateway.journal.matching import destination, same_destination, tail
from gateway.journal.records import LOOSE, MESSAGE_SHIFT, Record, pack, unpack_message, unpack_receipt, unpack_reply
from gateway.journal.transaction import Transaction
from gateway.message import EventType, Message, QueueState, Receipt
from gateway.msisdn import InvalidNumberError, parse

MESSAGES = 100  # of a number a slice: each is rewritten with its events
SCANNED = 1000  # rows a slice, where no index leads to the number
PAYLOADS = 300  # refused payloads and call-backs that were not understood a slice: each is looked through, letter by letter
NOBODY = ""  # the destination of a receipt that names no number
WAITING_LIMIT = 10_000  # while more events wait for the broker nothing is forgotten: each message would be looked for among them

_replies = msgspec.json.Decoder(ReplyEvent)
_MESSAGES = "destination = ? AND row > ? ORDER BY row LIMIT ?"
_EVENTS = "SELECT row, payload FROM event WHERE row BETWEEN ? AND ?"
_LOOSE = "SELECT row, type, payload FROM event WHERE row > ? ORDER BY row LIMIT ?"
_RECEIPTS = "SELECT row, body FROM receipt WHERE destination = ? AND row > ? ORDER BY row LIMIT ?"
_REFUSED = "SELECT row, source, id, reason, detail, raw, received_at FROM refused WHERE row > ? ORDER BY row LIMIT ?"
_FRAGMENTS = "SELECT row, body FROM fragment WHERE row > ? ORDER BY row LIMIT ?"
_UNDER_WAY = "SELECT 1 FROM message WHERE destination = ? AND state <> ? LIMIT 1"


def forget(tx: Transaction, number: str, place: Place) -> Forgotten:
    """Erase a slice. `number` is national digits; `place` says where to go on."""
    found = Forgotten()
    tx.flush()
    if tx.memory.outbox > WAITING_LIMIT:
        found.busy, found.next = True, place
        return found
    after = _STAGES[place.stage](tx, number, place.after, found)
    tx.finish()
    found.next = Place(place.stage, after) if after is not None else _following(place.stage)
    return found


def _following(stage: Stage) -> Place | None:
    stages = list(_STAGES)
    at = stages.index(stage) + 1
    return Place(stages[at]) if at < len(stages) else None


# --- Messages ---------------------------------------------------------------------------------------------------------------------


def _messages(tx: Transaction, number: str, after: int, found: Forgotten) -> int | None:
    records = tx.records(_MESSAGES, (destination(number), after, MESSAGES))
    waiting = {row >> MESSAGE_SHIFT for row in outbox.waiting(tx) if row < LOOSE}
    for record in records:
        if record.message.to != number:  # the last 8 digits are those of another area code, too
            continue
        if record.state is not QueueState.DONE:
            found.left.append(Left("message", f"{record.source}/{record.id}", record.state.name.lower()))
        elif record.row in waiting:
            found.left.append(Left("message", f"{record.source}/{record.id}", "its event is not published yet"))
        else:
            _erase_message(tx, record, number)
            found.erased["messages"] += 1
    return records[-1].row if len(records) == MESSAGES else None


def _erase_message(tx: Transaction, record: Record, number: str) -> None:
    message = _without_person(record.message)
    record.body, record.decoded, record.last_error = pack(message), message, None
    tx.run("UPDATE message SET body = ?, destination = NULL, last_error = NULL WHERE row = ?", (record.body, record.row))
    tx.memory.doubts -= tx.run("DELETE FROM attempt WHERE message = ?", (record.row,))  # has the number's last digits
    span = (record.row << MESSAGE_SHIFT, (record.row + 1 << MESSAGE_SHIFT) - 1)
    for row, payload in tx.all(_EVENTS, span):
        _scrub_event(tx, row, payload, number)


def _without_person(message: Message) -> Message:
    return msgspec.structs.replace(message, to="", text="", digest=b"", label=None, metadata={}, response_topic=None, correlation=None)


def _scrub_event(tx: Transaction, row: object, payload: Any, number: str, **erased: object) -> None:
    """Empty what a producer gave, and every field in which the number stands."""
    event: dict[str, Any] = msgspec.json.decode(payload)
    wanted = _pattern(number)
    clean = {name: "" if isinstance(value, str) and wanted.search(value) else value for name, value in event.items()}
    clean |= {"metadata": {}} | erased
    tx.run("UPDATE event SET payload = ? WHERE row = ?", (msgspec.json.encode(clean), row))


def _pattern(number: str) -> re.Pattern[str]:
    """Match a number however it is punctuated, with any prefix; a mobile's without its ninth digit too, where that is no landline's."""
    gap = r"[^0-9\n]{0,3}"
    area, ninth, rest = number[:2], number[2:-8], number[-8:]
    optional = f"(?:9{gap})?" if ninth and rest[0] in "6789" else ninth and f"9{gap}"
    return re.compile(f"{gap.join(area)}{gap}{optional}{gap.join(rest)}(?![0-9])")


# --- What belongs to no message ---------------------------------------------------------------------------------------------------


def _reply_events(tx: Transaction, number: str, after: int, found: Forgotten) -> int | None:
    rows = tx.all(_LOOSE, (max(after, LOOSE), SCANNED))
    waiting = outbox.waiting(tx) if rows else set()
    for row, type, payload in rows:
        event = _reply_of(type, payload, number)
        if event is None:
            continue
        if row in waiting:
            found.left.append(Left("reply", event.event_id, "its event is not published yet"))
            continue
        clean = msgspec.structs.replace(event, from_="", text="", metadata={})
        tx.run("UPDATE event SET payload = ? WHERE row = ?", (encode_event(clean), row))
        found.erased["replies"] += 1
    return _last(rows, SCANNED)


def _reply_of(type: object, payload: Any, number: str) -> ReplyEvent | None:
    if type != EventType.REPLY or tail(number).encode() not in payload:
        return None
    event = _replies.decode(payload)
    return event if is_number(event.from_, number) else None


def is_number(written: str, number: str) -> bool:
    """Say whether an address, as the provider writes it, is a national number."""
    try:
        return parse(written).national == number
    except InvalidNumberError:
        return same_destination(written, number)


def _parked(tx: Transaction, number: str, after: int, found: Forgotten) -> int | None:
    return _receipts(tx, number, tx.all(_RECEIPTS, (tail(number), after, SCANNED)), SCANNED, found)


def _parked_of_nobody(tx: Transaction, number: str, after: int, found: Forgotten) -> int | None:
    return _receipts(tx, number, tx.all(_RECEIPTS, (NOBODY, after, PAYLOADS)), PAYLOADS, found)


def _receipts(tx: Transaction, number: str, rows: list[tuple[object, ...]], limit: int, found: Forgotten) -> int | None:
    wanted = _pattern(number)
    of_number = [(row,) for row, body in rows if _is_of(unpack_receipt(body), number, wanted)]  # type: ignore[arg-type] # a BLOB
    if of_number and _under_way(tx, number):
        found.left.append(Left("receipts", str(len(of_number)), "they wait for a message that is under way"))
    else:
        tx.memory.parked -= tx.run_many("DELETE FROM receipt WHERE row = ?", of_number)
        found.erased["receipts"] += len(of_number)
    return _last(rows, limit)


def _is_of(receipt: Receipt, number: str, wanted: re.Pattern[str]) -> bool:
    """Say whether a parked receipt is about a number. A call-back that was not understood names none, but has what it said."""
    return same_destination(receipt.to, number) if receipt.to else bool(wanted.search(_readable(unquote_to_bytes(receipt.raw))))


def _under_way(tx: Transaction, number: str) -> bool:
    return tx.one(_UNDER_WAY, (destination(number), QueueState.DONE)) is not None


def _refused(tx: Transaction, number: str, after: int, found: Forgotten) -> int | None:
    rows = tx.all(_REFUSED, (after, PAYLOADS))
    waiting = outbox.waiting(tx) if rows else set()
    wanted = _pattern(number)
    for row, _, _, _, detail, raw, _ in rows:
        if not any(wanted.search(text) for text in (str(detail), _readable(raw))):
            continue
        assert isinstance(row, int)
        if LOOSE + row in waiting:
            found.left.append(Left("refused", f"-/rejected/{row}", "its event is not published yet"))
            continue
        tx.run("UPDATE refused SET raw = NULL, detail = '', digest = randomblob(16) WHERE row = ?", (row,))
        for event, payload in tx.all(_EVENTS, (LOOSE + row, LOOSE + row)):
            _scrub_event(tx, event, payload, number, digest=None)
        found.erased["refused"] += 1
    return _last(rows, PAYLOADS)


def _readable(raw: Any) -> str:
    return raw.decode("latin-1") if raw else ""


def _fragments(tx: Transaction, number: str, after: int, found: Forgotten) -> int | None:
    rows = tx.all(_FRAGMENTS, (after, SCANNED)) if tx.memory.fragments else []
    parts = sum(is_number(unpack_reply(body).sender, number) for _, body in rows)  # type: ignore[arg-type] # a BLOB
    if parts:
        found.left.append(Left("fragments", str(parts), "they wait for the other parts of a reply"))
    if len(rows) < SCANNED:
        _forget_reference(tx, number)
    return _last(rows, SCANNED)


def _forget_reference(tx: Transaction, number: str) -> None:
    """Forget which concatenation reference the number was given last, unless messages to it are under way."""
    if not _under_way(tx, number):
        tx.run("DELETE FROM concatenation WHERE destination = ?", (int(number),))


def _last(rows: list[tuple[object, ...]], limit: int) -> int | None:
    return rows[-1][0] if len(rows) == limit else None  # type: ignore[return-value] # an INTEGER


_STAGES: Mapping[Stage, Callable[[Transaction, str, int, Forgotten], int | None]] = {
    "messages": _messages,
    "replies": _reply_events,
    "receipts": _parked,
    "unread": _parked_of_nobody,
    "refused": _refused,
    "fragments": _fragments,
}


# --- What is known ----------------------------------------------------------------------------------------------------------------


def known(connection: sqlite3.Connection, number: str) -> dict[str, list[dict[str, object]]]:
    """Tell all that is kept about a number."""
    return {
        "messages": list(_known_messages(connection, number)),
        "replies": [msgspec.to_builtins(event) for event in _known_replies(connection, number)],
        "receipts": list(_known_receipts(connection, number)),
        "refused": list(_known_refused(connection, number)),
        "fragments": list(_known_fragments(connection, number)),
    }


def _slices(connection: sqlite3.Connection, sql: str, *values: object, after: int = 0) -> Iterator[tuple[Any, ...]]:
    """Read a query that ends in "row > ? ORDER BY row LIMIT ?" to its end; the row is the first column."""
    while rows := connection.execute(sql, (*values, after, SCANNED)).fetchall():
        yield from rows
        after = rows[-1][0]


def _known_messages(connection: sqlite3.Connection, number: str) -> Iterator[dict[str, object]]:
    for row in _slices(connection, f"SELECT {reading.FIELDS} FROM message WHERE {_MESSAGES}", destination(number)):  # noqa: S608 - our own text
        message = unpack_message(row[-1])
        if message.to == number:
            told = {"from": message.sender, "label": message.label, "response_topic": message.response_topic}
            yield reading.describe(row) | {"to": message.to, "text": message.text} | told | reading.story(connection, row[0])


def _known_replies(connection: sqlite3.Connection, number: str) -> Iterator[ReplyEvent]:
    for _, type, payload in _slices(connection, _LOOSE, after=LOOSE):
        event = _reply_of(type, payload, number)
        if event is not None:
            yield event


def _known_receipts(connection: sqlite3.Connection, number: str) -> Iterator[dict[str, object]]:
    wanted = _pattern(number)
    for _, body in chain(_slices(connection, _RECEIPTS, tail(number)), _slices(connection, _RECEIPTS, NOBODY)):
        receipt = unpack_receipt(body)
        if _is_of(receipt, number, wanted):
            yield {**msgspec.structs.asdict(receipt), "raw": _readable(receipt.raw)}


def _known_refused(connection: sqlite3.Connection, number: str) -> Iterator[dict[str, object]]:
    wanted = _pattern(number)
    for _, source, id, reason, detail, raw, received_at in _slices(connection, _REFUSED):
        if any(wanted.search(text) for text in (detail, _readable(raw))):
            yield {"source": source, "id": id, "reason": reason, "detail": detail, "raw": _readable(raw), "received_at": received_at}


def _known_fragments(connection: sqlite3.Connection, number: str) -> Iterator[dict[str, object]]:
    for _, body in _slices(connection, _FRAGMENTS):
        reply = unpack_reply(body)
        if is_number(reply.sender, number):
            octets = reply.fragment.octets.hex() if reply.fragment else ""
            yield {"carrier": reply.carrier, "from": reply.sender, "to": reply.to, "received_at": reply.received_at, "octets": octets}
