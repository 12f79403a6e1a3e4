"""Measure the listener for call-backs under wrk: requests a second, latency, CPU a call-back. `python benchmarks/callbacks.py -h`

The real process with `synchronous = "full"`, mosquitto and wrk on loopback; where there are two cores or more, the gateway has the first to
itself. Before it starts, its journal is given messages that were taken under ids like the provider's; then wrk calls back for each of them
twice, "sent" and "delivered", as fast as the answers come. Every call-back is committed before its 200, and tells an event, which the
broker takes in the same time: the CPU a call-back is the whole gateway's, events included.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lives import GATEWAY_CORE, OTHER_CORES, Bench, Failure, listens, run, wait_for

from gateway.demo.ports import free_port
from gateway.journal.base import Settlement
from gateway.journal.sqlite import Policies, SqliteJournal
from gateway.message import Answer, Message, Submitted

TOKEN = "benchmark-token-0123456789"
ROUTE = ("smpp",)
BATCH = 500

SECTION = """
[callbacks]
enabled = true
listen = "127.0.0.1:{port}"
token = "{token}"
"""

# Each thread calls back for messages of its own. The ids are made as `message_id` makes them.
SCRIPT = """\
local threads = 0
function setup(thread) thread:set("number", threads); threads = threads + 1 end
function init(args) called = 0 end
function request()
  local message = number + {threads} * math.floor(called / 2)
  local kind = called % 2 == 0 and "status=1&type=2" or "status=2&type=3"
  called = called + 1
  local id = string.format("%08x", message * 40503 % 4294967296)
  return wrk.format("GET", string.format(
    "/callback/{token}?msisdn=55119%08d&%s&date=2026-11-24%%2010:20:30&md5=%s%s%s%s", message, kind, id, id, id, id))
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p99": %f, "max": %f}}\\n',
    summary.requests, summary.duration / 1e6, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
"""


def message_id(number: int) -> str:
    """Return an id of 32 hexadecimal digits."""
    return f"{number * 40503 % 4294967296:08x}" * 4


async def fill(path: Path, messages: int) -> None:
    """Write a journal in which that many messages wait for their receipts."""
    journal = SqliteJournal(path, Policies(instance="mensageiro", owner="mensageiro"), commit_interval=0.0)
    await journal.open()
    for first in range(0, messages, BATCH):
        now, numbers = time.time(), range(first, min(first + BATCH, messages))
        await journal.append([_message(number, now) for number in numbers])
        claimed = await journal.claim("smpp", [ROUTE], BATCH, now)
        await journal.settle([Settlement(Answer(m.row, m.attempt, Submitted((message_id(int(m.id)),)), now), "smpp") for m in claimed], now)
        await journal.published([row.row for row in await journal.outbox(0, 2 * BATCH)])
    await journal.close()


def _message(number: int, now: float) -> Message:
    return Message(
        source="shop",
        id=str(number),
        to=f"119{number:08d}",
        text="Seu pedido saiu para entrega e chega hoje entre 14h e 18h.",
        digest=number.to_bytes(32, "big"),
        received_at=now,
        expires_at=now + 172_800,
        routes=ROUTE,
    )


def measure(bench: Bench) -> list[tuple[str, str]]:
    """Run wrk against the gateway; return the rows of the table."""
    options, port = bench.options, free_port()
    with (bench.folder / "gateway.toml").open("a", encoding="utf-8") as settings:
        settings.write(SECTION.format(port=port, token=TOKEN))
    (bench.folder / "state").mkdir()
    asyncio.run(fill(bench.folder / "state" / "journal.db", options.messages))
    script = bench.folder / "callbacks.lua"
    script.write_text(SCRIPT.format(threads=options.threads, token=TOKEN), encoding="ascii")
    bench.start_broker()
    bench.start_gateway("/livez")
    wait_for(lambda: listens(port), 10, "the listener listens")
    gateway = bench.processes["gateway"]
    cpu = gateway.cpu()
    sums = wrk(script, port, options)
    at_the_end = gateway.cpu() - cpu
    wait_for(lambda: bench.metric("outbox_events") < 1, 60, "all events are published")
    requests = sums["requests"]
    counted = [f"{bench.metric(name):,.0f}" for name in ("callbacks_total", "receipts_total", "parked_receipts")]
    return [
        ("requests, not answered 200", f"{requests:,.0f}, {sums['failed']:,.0f}"),
        ("requests/s", f"{requests / sums['seconds']:,.0f}"),
        ("latency p50 / p99 / max ms", f"{sums['p50']:.1f} / {sums['p99']:.1f} / {sums['max']:.1f}"),
        ("gateway CPU us/call-back, when wrk ended / when all events were published", f"{both(at_the_end, gateway.cpu() - cpu, requests)}"),
        ("gateway CPU while wrk ran, of one core", f"{at_the_end / sums['seconds']:.0%}"),
        ("counted, receipts applied, parked", ", ".join(counted)),
        ("gateway RSS now / peak MB", f"{gateway.memory('VmRSS'):.0f} / {gateway.memory('VmHWM'):.0f}"),
    ]


def both(first: float, second: float, requests: float) -> str:
    """Write two CPU times a request, in us."""
    return f"{first / requests * 1e6:.0f} / {second / requests * 1e6:.0f}"


def wrk(script: Path, port: int, options: argparse.Namespace) -> dict[str, float]:
    """Run wrk to its end; return what its script prints."""
    program = shutil.which("wrk")
    if program is None:
        raise Failure("wrk is not installed (Debian: apt-get install wrk)")
    command = [program, f"-t{options.threads}", f"-c{options.connections}", f"-d{options.seconds}s", "-s", str(script)]
    cores = OTHER_CORES or GATEWAY_CORE
    ended = subprocess.run(
        [*command, f"http://127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        timeout=options.seconds + 60,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    sums: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return sums


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1, help="of wrk")
    parser.add_argument("--messages", type=int, default=25_000, help="that the journal knows; what is called back beyond them is parked")
    parser.add_argument("--profile", type=Path, default=None, help="file for a profile of the gateway")
    parser.add_argument("--folder", type=Path, default=None, help="keep logs and journal there")
    options = parser.parse_args()
    options.window, options.synchronous = 500, "full"
    options.profile = options.profile and options.profile.resolve()
    return options


if __name__ == "__main__":
    options = parse()
    sys.exit(run(options, measure))
