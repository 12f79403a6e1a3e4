"""Measure a scrape: CPU that GET /metrics costs the gateway's process, with a journal of many rows behind it.

The journal is filled by one SQL statement, then opened as the gateway opens it; another process asks. The configuration is a large one:
three carriers, four binds. Run: python benchmarks/scrape.py [rows] [scrapes]
"""

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

from gateway.admin import Admin
from gateway.broker.base import Broker
from gateway.carriers.base import Carrier, CarrierState
from gateway.journal.records import pack
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Message
from gateway.metrics import Metrics

CARRIERS = ("smpp", "http", "webservice")
ASK = """
import sys, urllib.request
for _ in range(int(sys.argv[2])):
    with urllib.request.urlopen(sys.argv[1], timeout=10) as answer:
        size = len(answer.read())
print(size)
"""
FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO message (row, source, id, state, priority, route, parts, due_at, expires_at, attempt, deferrals, seq, possible_duplicate,
    cancel, confirmed, body)
SELECT (SELECT value FROM meta WHERE key = 'next_message') + i, '', printf('order-%08d', i), CASE WHEN i % 100 = 0 THEN 2 ELSE 8 END,
    0, 1, 1, ? + i / 1000, ? + 172800, 1, 0, 2, 0, 0, 1, ? FROM n
"""


class Up:
    """A broker or a carrier that is there."""

    connected = True
    state = CarrierState.READY


def message(now: float) -> Message:
    """Make the message that every row holds."""
    return Message(
        source="", id="order-1", to="11987654321", text="x" * 140, digest=bytes(32), received_at=now, expires_at=now + 9e5, routes=CARRIERS
    )


async def run(folder: Path, rows: int, scrapes: int) -> None:
    """Fill, ask, print."""
    path, now = folder / "journal.db", time.time()
    journal = SqliteJournal(path, Policies(instance="bench", owner="bench"))
    await journal.open()
    await journal.append([message(now)])  # makes the route
    await journal.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(FILL, (rows, now + 86400, now, pack(message(now))))
    connection.close()
    await journal.open()
    metrics = Metrics(CARRIERS, [f"smpp/{number}" for number in range(4)], ["http"])
    up = Up()
    admin = Admin(
        ("127.0.0.1", 0),
        broker=cast("Broker", up),
        journal=journal,
        carriers={name: cast("Carrier", up) for name in CARRIERS},
        metrics=metrics,
        clock=time.time,
    )
    url = f"http://127.0.0.1:{await admin.start()}/metrics"
    await journal.tick(time.time())
    size = await ask(url, 10)
    cpu = time.process_time()
    await ask(url, scrapes)
    cpu = time.process_time() - cpu
    tick = time.process_time()
    for _ in range(10):
        await journal.tick(time.time())
    tick = time.process_time() - tick
    print(f"{rows} rows: {cpu / scrapes * 1e3:.2f} ms CPU a scrape of {size} octets; {tick / 10 * 1e3:.2f} ms a tick, which keeps the ages")
    await admin.stop()
    await journal.close()


async def ask(url: str, scrapes: int) -> int:
    """Ask from another process; return the answer's size."""
    command = [sys.executable, "-c", ASK, url, str(scrapes)]
    asked = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=60)
    return int(asked.stdout)


def main() -> None:
    """Read the command line."""
    rows, scrapes = (*[int(argument) for argument in sys.argv[1:]], 1_000_000, 200)[:2] if len(sys.argv) != 2 else (int(sys.argv[1]), 200)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        asyncio.run(run(Path(folder), rows, scrapes))


if __name__ == "__main__":
    main()
