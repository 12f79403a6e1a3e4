"""A journal of the first version, killed with a message in every state, goes on with this one: each ends in exactly one final event."""

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.journal.base import Selection
from gateway.journal.records import Progress, unpack_progress
from gateway.message import Submitted

NOW = 1_800_000_000.0


@pytest.fixture
async def old(new_bench: Any, tmp_path: Path) -> Any:
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.executescript(Path(__file__).with_name("version1.sql").read_text("utf-8"))
    connection.close()
    bench = await new_bench(owner="called otherwise now")
    bench.now = NOW
    await bench.journal.recover(bench.now)
    return bench


async def test_every_message_is_where_it_was_or_in_doubt(old: Any) -> None:
    listed = await old.journal.select(Selection(all=True))
    assert {message["id"]: message["state"] for message in listed} == {
        "delivered": "done", "refused": "done", "cancelled": "done", "submitted": "submitted", "wanted": "submitted",
        "doubtful": "in_doubt", "active": "in_doubt", "resubmitted": "done", "deferred": "deferred", "scheduled": "scheduled",
        "held": "held", "queued": "queued", "queued-http": "queued",
    }  # fmt: skip


async def test_the_receipt_that_was_parked_for_a_second_copy_proves_the_message(old: Any) -> None:
    event = (await old.events("resubmitted"))[-1]
    assert (event["type"], event["state"], event["final"]) == ("receipt", "delivered", True)


async def test_what_waits_is_sent_and_what_was_sent_is_reported(old: Any) -> None:
    claimed = await old.journal.claim("smpp", [("smpp", "http")], 10, old.now)
    assert [(message.id, message.part, message.parts) for message in claimed] == [("queued", 1, 1)]
    await old.answer(claimed[0], Submitted(("q1",), "gsm7"))
    for message_id in ("q1", "s1"):
        await old.receive(message_id)
    assert (await old.state("queued"), await old.state("submitted")) == ("done", "done")
    (order,) = await old.journal.cancels("smpp", 10, old.now)
    assert order.message_ids == ("w1",)


async def test_every_message_ends_in_exactly_one_final_event(old: Any) -> None:
    await old.journal.release(Selection(state="held"))
    for seconds in (900, 900, 900, 300_000):
        old.now += seconds
        await old.journal.tick(old.now)
    finals = Counter(event["id"] for event in await old.events() if event["final"] and event["seq"])
    listed = await old.journal.select(Selection(all=True))
    assert finals == {message["id"]: 1 for message in listed}
    assert {message["state"] for message in listed} == {"done"}


async def test_what_was_told_is_still_erased_and_deleted_in_time(old: Any, tmp_path: Path) -> None:
    for seconds in (900, 300_000, old.policies.retention, 1):
        old.now += seconds
        await old.journal.tick(old.now)
        await old.journal.published([row.row for row in await old.journal.outbox(0, 1000)])
    connection = sqlite3.connect(tmp_path / "journal.db")
    left = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("message", "event", "part", "receipt")]
    connection.close()
    assert left == [(0,)] * 4


def test_a_progress_that_says_nothing_of_the_encoding_is_read() -> None:
    assert unpack_progress(msgspec.msgpack.encode([7, 3, 1])) == Progress(7, 3, 1, "", {})
