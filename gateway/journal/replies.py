"""Replies from phones: a whole one is told at once; the parts of one wait here for each other.

Parts belong together by the account that they came by, both numbers, the kind and value of their reference, and their total. They come in
any order and repeatedly, and are told when all are there, whichever came last. What lacks parts `reply_timeout` seconds after the first
came is told as it is, `complete` false, with GAP where parts are missing; a part that comes later still is told in the same way, by itself.
No more than `fragment_limit` parts wait: beyond it the oldest are told as if their time were over. A part whose number is taken by another
content shows that a phone has begun to use its reference again: what was there is told as it is, and the part begins anew.

`heard` remembers what was committed, in a bounded ring. A provider repeats what we did not answer, so what is identical to something whose
response never left is told all the same, since people say a word twice, but marked `possible_duplicate`; so is what comes by another
connection within LOST_ANSWER: the response may have been lost with the first one; so is a call-back that names the same date and message
as one before. Of what is identical to parts of a reply that was told whole, all of them again are such a reply once more; fewer tell
nothing new, and go. Where a provider may have repeated them they gather apart from other parts. Where it had no reason to they may belong
to a new reply: there are devices that use one reference for all that they say, and begin alike.

A reply answers the message that its call-back names; else the last message that was sent to its number within `reply_window`: of those
from the sender that the reply is addressed to, where any of the newest messages to that number is from it, else of all. The events go to
the topic of that message's source.
"""

import hashlib
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from gateway.events import ReplyEvent, event_id
from gateway.journal import callbacks
from gateway.journal.base import Report
from gateway.journal.matching import destination, same_destination, tail
from gateway.journal.records import Record, instant, pack, unpack_reply
from gateway.journal.reporting import parts_of
from gateway.journal.transaction import Transaction, count
from gateway.message import EventType, Fragment, QueueState, Reply
from gateway.text.inbound import decode

GAP = "[…]"
LARGEST = 1024  # octets of a part: no radio carries a tenth of it, so what is larger does not wait, and what waits stays small
HEARD = 100_000  # digests remembered
SAME_BREATH = 2.0  # s: nothing that is repeated for want of a response is repeated so soon on the same connection
LOST_ANSWER = 120.0  # s within which a provider that lost the connection, and a response with it, will have bound again and repeated
STEP = 500  # parts, or digests
_LOOKED_THROUGH = 50  # messages to a number

_SENT = (QueueState.ACTIVE, QueueState.SUBMITTED, QueueState.IN_DOUBT)
_INSERT = "INSERT INTO fragment (key, number, at, again, repeated, body) VALUES (?, ?, ?, ?, ?, ?)"
_HEAR = "INSERT OR REPLACE INTO heard (digest, session, at, told, answered) VALUES (?, ?, ?, ?, 0)"


class _Past(NamedTuple):
    """What is known of an identical reply, or part of one, that came before."""

    repeated: bool = False  # and its response never left
    told: bool = False  # as a part of a reply that was told whole


class _Gathered(NamedTuple):
    """What there is of a reply."""

    parts: list[Reply]  # by number
    total: int
    again: bool  # all of it was told before, as parts of a whole
    repeated: bool

    @property
    def complete(self) -> bool:
        return len(self.parts) == self.total


def take(tx: Transaction, reply: Reply, now: float, report: Report) -> None:
    """Tell a reply that is whole; put a part of one to the others, and tell them once all are there."""
    past = _hear(tx, reply, now)
    fragment = reply.fragment
    if fragment is None:
        _tell(tx, reply, now, report, possible_duplicate=past.repeated)
    elif len(fragment.octets) > LARGEST:
        _tell_parts(tx, _Gathered([reply], fragment.total, again=False, repeated=past.repeated), now, report)
    else:
        _gather(tx, reply, fragment, past, now, report)


def answered(tx: Transaction, replies: Sequence[Reply]) -> None:
    """Record that the responses to these have left. All stay remembered: a response may be lost, and of parts only some repeated."""
    tx.run_many("UPDATE heard SET answered = 1 WHERE digest = ?", [(_digest(reply),) for reply in replies])
    tx.finish()


def expire(tx: Transaction, now: float, report: Report) -> None:
    """Tell the parts that waited for the others long enough, and forget what was heard long ago; a bounded step."""
    if tx.memory.fragments:
        oldest = tx.all("SELECT key, at FROM fragment ORDER BY row LIMIT ?", (STEP,))
        for key in dict.fromkeys(key for key, at in oldest if at <= now - tx.policies.reply_timeout):  # type: ignore[operator] # REAL
            _end(tx, key, now, report)
    sql = "DELETE FROM heard WHERE row IN (SELECT row FROM heard ORDER BY row LIMIT ?) AND at <= ?"
    tx.run(sql, (STEP, now - max(tx.policies.reply_timeout, tx.policies.parked_retention)))


# --- Repetitions ------------------------------------------------------------------------------------------------------------------


def _digest(reply: Reply) -> bytes:
    """Digest what makes a reply the same as another."""
    return _hash(reply.carrier, reply.sender, reply.to, reply.text, reply.fragment)


def _hash(*values: object) -> bytes:
    return hashlib.blake2b(_encoder.encode(values), digest_size=16).digest()


_encoder = msgspec.msgpack.Encoder()


def _hear(tx: Transaction, reply: Reply, now: float) -> _Past:
    """Remember a reply, or part of one, as not answered yet; return what is known of the same."""
    digest = _digest(reply)
    known = tx.one("SELECT session, at, told, answered FROM heard WHERE digest = ?", (digest,))
    past = _Past() if known is None else _past(tx, reply, known, now)
    _remember(tx, digest, reply.session, now, told=past.told)
    return past._replace(repeated=True) if not reply.carrier and _called_before(tx, reply, now) else past


def _called_before(tx: Transaction, reply: Reply, now: float) -> bool:
    """Tell whether a call-back, which names no carrier, said the same before, by the provider's clock too: a proxy may have repeated it."""
    digest = _hash("call-back", reply.sender, reply.text, reply.answers, reply.surrogate, reply.received_at)
    known = tx.one("SELECT 1 FROM heard WHERE digest = ?", (digest,)) is not None
    _remember(tx, digest, None, now)
    return known


def _remember(tx: Transaction, digest: bytes, session: int | None, now: float, *, told: bool = False) -> None:
    tx.run(_HEAR, (digest, session, now, told))
    tx.run("DELETE FROM heard WHERE row = last_insert_rowid() - ?", (HEARD,))


def _past(tx: Transaction, reply: Reply, known: tuple[object, ...], now: float) -> _Past:
    session, at, told, was_answered = known
    assert isinstance(at, float)
    age, elsewhere = now - at, session is None or session != reply.session
    if not was_answered:
        return _Past(repeated=elsewhere or age >= SAME_BREATH, told=bool(told))
    if age > tx.policies.reply_timeout:
        return _Past()  # by now its phone may well use the reference again
    lost = (reply.fragment is None or bool(told)) and session is not None and elsewhere and age < LOST_ANSWER
    return _Past(repeated=lost, told=bool(told))


# --- Parts ------------------------------------------------------------------------------------------------------------------------


def _gather(tx: Transaction, reply: Reply, fragment: Fragment, past: _Past, now: float, report: Report) -> None:
    where = (fragment.kind, fragment.reference, fragment.total)
    key = _hash(reply.carrier, reply.sender, reply.to, where, past.told and past.repeated)
    taken = tx.one("SELECT body FROM fragment WHERE key = ? AND number = ?", (key, fragment.number))
    if taken is not None:
        if unpack_reply(taken[0]).fragment == fragment:  # type: ignore[arg-type] # a BLOB
            return
        _end(tx, key, now, report)
    tx.memory.fragments += tx.run(_INSERT, (key, fragment.number, now, past.told, past.repeated, pack(reply)))
    here = tx.one("SELECT count(*) FROM fragment WHERE key = ?", (key,))
    if here == (fragment.total,):
        _end(tx, key, now, report)
    while tx.memory.fragments > tx.policies.fragment_limit:
        oldest = tx.one("SELECT key FROM fragment ORDER BY row LIMIT 1")
        assert oldest is not None  # they are counted
        _end(tx, oldest[0], now, report)


def _end(tx: Transaction, key: object, now: float, report: Report) -> None:
    """Tell what there is under a key, and let it go."""
    rows = tx.all("SELECT body, again, repeated FROM fragment WHERE key = ? ORDER BY number", (key,))
    tx.memory.fragments -= tx.run("DELETE FROM fragment WHERE key = ?", (key,))
    parts = [unpack_reply(body) for body, _, _ in rows]  # type: ignore[arg-type] # a BLOB
    fragment = parts[0].fragment
    assert fragment is not None  # only parts are kept
    gathered = _Gathered(parts, fragment.total, again=all(row[1] for row in rows), repeated=any(row[2] for row in rows))
    if gathered.complete:
        tx.run_many("UPDATE heard SET told = 1 WHERE digest = ?", [(_digest(part),) for part in parts])
    if gathered.complete or not gathered.again:
        _tell_parts(tx, gathered, now, report)


def _tell_parts(tx: Transaction, gathered: _Gathered, now: float, report: Report) -> None:
    text, encoding = _read([part.fragment for part in gathered.parts if part.fragment is not None], gathered.total)
    first = min(gathered.parts, key=lambda part: part.received_at)
    whole = msgspec.structs.replace(first, text=text, encoding=encoding, fragment=None)
    repeated = gathered.again or gathered.repeated
    _tell(tx, whole, now, report, parts=gathered.total, complete=gathered.complete, possible_duplicate=repeated)


def _read(fragments: list[Fragment], total: int) -> tuple[str, str]:
    """Join and decode. Octets are joined only where no part is missing between them; a run of missing parts shows as GAP, but in base64."""
    text, encoding = decode([(fragment.octets, fragment.coding) for fragment in fragments])
    if len(fragments) == total or encoding == "binary":
        return text, encoding
    texts: list[str] = []
    for _, numbered in groupby(enumerate(fragments), lambda pair: pair[1].number - pair[0]):
        texts.append(decode([(fragment.octets, fragment.coding) for _, fragment in numbered])[0])
    before = [""] if fragments[0].number > 1 else []
    after = [""] if fragments[-1].number < total else []
    return GAP.join([*before, *texts, *after]), encoding


# --- Telling ----------------------------------------------------------------------------------------------------------------------


def _tell(
    tx: Transaction, reply: Reply, now: float, report: Report, *, parts: int = 1, complete: bool = True, possible_duplicate: bool
) -> None:
    number = tx.loose()
    record = _answered_by(tx, reply)
    carrier = reply.carrier or (record.carrier if record is not None else None) or ""
    event = ReplyEvent(
        event_id=event_id("-", "reply", number),
        time=instant(now),
        instance=tx.policies.instance,
        carrier=carrier,
        from_=reply.sender,
        to=reply.to,
        text=reply.text,
        encoding=reply.encoding,
        received_at=instant(reply.received_at),
        in_reply_to=None if record is None else record.id,
        parts=parts,
        complete=complete,
        possible_duplicate=possible_duplicate,
    )
    tx.enqueue(tx.tell_loose(number, event, EventType.REPLY, "" if record is None else record.source, now), None, None)
    count(report, "replies", carrier, "true" if complete else "false")


def _answered_by(tx: Transaction, reply: Reply) -> Record | None:
    """Find the message that a reply answers."""
    told = callbacks.answered(tx, reply)
    if told is not None:
        return told
    number = destination(reply.sender)
    if number is None:
        return None
    tx.flush()  # what a moment ago was recorded of their parts
    newest = tx.records("destination = ? ORDER BY row DESC LIMIT ?", (number, _LOOKED_THROUGH))
    here = [record for record in newest if same_destination(record.message.to, reply.sender)]
    sent = [(at, record) for record in here if (at := _sent_at(tx, record)) is not None]
    named = [(at, record) for at, record in sent if reply.to and _same_sender(_sender(tx, record), reply.to)]
    at, last = max(named or sent, key=lambda pair: (pair[0], pair[1].row), default=(0.0, None))
    return last if reply.received_at - at <= tx.policies.reply_window else None


def _sent_at(tx: Transaction, record: Record) -> float | None:
    """Return when a message was sent, None where it was not. Where no id tells, because none came yet or at all, it is when it was due."""
    if not record.attempt:
        return None
    submitted = max((part.submitted_at for part in parts_of(tx, record)), default=None)
    if submitted is not None:
        return submitted
    if record.state not in _SENT and record.code is None:
        return None  # refused, expired, cancelled
    return record.message.schedule_at or record.message.received_at


def _sender(tx: Transaction, record: Record) -> str:
    return record.message.sender or tx.policies.senders.get(record.carrier or "", "")


def _same_sender(one: str, other: str) -> bool:
    return same_destination(one, other) if tail(one) else one == other
