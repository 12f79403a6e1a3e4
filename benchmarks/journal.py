"""Measure the SQLite journal: CPU of whole lives of single-part messages, and rows written a second.

A life: append, claim, settle as Submitted (`accepted` event), match a final receipt (`receipt` event), read and delete two outbox rows.
CPU is that of the whole process: writer, checkpointer and event loop. Run: python benchmarks/journal.py [lives] [batch] [--profile]
"""

import asyncio
import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

from gateway.journal.base import Settlement
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Answer, Message, Receipt, Submitted

ROUTES = (("smpp", "http"),)
PIPELINE = 4  # batches under way at once, as the stages of the gateway have


class Observer:
    """Adds up what commits tell."""

    def __init__(self) -> None:
        self.commits = self.rows = 0

    def commit(self, seconds: float, rows: int) -> None:
        """Count a commit."""
        del seconds
        self.commits += 1
        self.rows += rows

    def error(self, kind: str) -> None:
        """Fail: nothing may go wrong here."""
        raise AssertionError(kind)


def message(number: int, now: float) -> Message:
    """Make a message as a producer sends it."""
    return Message(
        source="shop",
        id=f"order-{number:08d}",
        to=f"119{number % 100_000_000:08d}",
        text="Seu pedido saiu para entrega e chega hoje entre 14h e 18h. Acompanhe em exemplo.com.br/p/1234",
        digest=number.to_bytes(32, "big"),
        received_at=now,
        expires_at=now + 172_800,
        routes=ROUTES[0],
        metadata={"order": str(number)},
    )


async def life(journal: SqliteJournal, numbers: range) -> None:
    """Lead a batch of messages through a whole life."""
    now = time.time()
    await journal.append([message(number, now) for number in numbers])
    claimed = await journal.claim("smpp", ROUTES, len(numbers), now)
    answers = [Settlement(Answer(m.row, m.attempt, Submitted((f"{m.row:x}",), "gsm7"), now, 0.01), "smpp") for m in claimed]
    settled = journal.settle(answers, now)
    receipts = [
        Receipt(carrier="smpp", message_id=f"{m.row:x}", code=2, final=True, to=f"55{m.to}", received_at=now, done_at=now) for m in claimed
    ]
    matched = journal.match(receipts, now, 10.0)
    await settled
    await matched


async def publish(journal: SqliteJournal, events: int) -> None:
    """Take events from the outbox until all are published."""
    after = 0
    while events > 0:
        rows = await journal.outbox(after, 100)
        if rows:
            after = rows[-1].row
            await journal.published([row.row for row in rows])
            events -= len(rows)
        else:
            await asyncio.sleep(0.002)


async def run(folder: str, lives: int, batch: int) -> None:
    """Run and print."""
    observer = Observer()
    journal = SqliteJournal(Path(folder) / "journal.db", Policies(instance="bench", owner="bench"), observer=observer)
    await journal.open()
    wall, cpu = time.perf_counter(), time.process_time()
    batches = iter([range(start, min(start + batch, lives)) for start in range(0, lives, batch)])

    async def worker() -> None:
        for numbers in batches:
            await life(journal, numbers)

    async with asyncio.TaskGroup() as group:
        group.create_task(publish(journal, 2 * lives))
        for _ in range(PIPELINE):
            group.create_task(worker())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await journal.close()
    print(
        f"{lives} lives, batches of {batch}: {cpu / lives * 1e6:.1f} us CPU a life, {lives / wall:,.0f} lives/s, "
        f"{observer.rows / wall:,.0f} rows/s, {observer.rows / observer.commits:.0f} rows a commit"
    )


def main() -> None:
    """Read the command line."""
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    lives, batch = (*numbers, 20_000, 50)[:2] if len(numbers) != 1 else (numbers[0], 50)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        if "--profile" in sys.argv:
            profile = cProfile.Profile()
            profile.runcall(asyncio.run, run(folder, lives, batch))
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        else:
            asyncio.run(run(folder, lives, batch))


if __name__ == "__main__":
    main()
