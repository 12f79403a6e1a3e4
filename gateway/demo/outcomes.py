"""The demo of outcomes: a message for each DLR code and for some of the sandbox's faults, each to its end."""

import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from gateway.demo.parts import Client, Show, Story, broker, gateway, settings
from gateway.events import rfc3339
from gateway.sandbox.settings import SmscSettings
from gateway.sandbox.smsc import Smsc

SYSTEM_ID, PASSWORD = "demo", "demo"


class Case(NamedTuple):
    """One message of the demo, and what it shows."""

    tail: str
    shows: str
    text: str = "Ola, esta e uma demonstracao"
    cancel: bool = False
    kind: str = "common"
    expires_in: float | None = None  # s
    transliterate: bool = False
    by_deadline: bool = False  # nothing but time ends it
    drops: bool = False  # it takes the session along, and what is unanswered there


CASES = (
    Case("0000", "DLR 0: scheduled, then delivered"),
    Case("0001", "DLR 1: en route, then delivered"),
    Case("0002", "DLR 2: delivered"),
    Case("0003", "DLR 3: validity expired"),
    Case("0004", "DLR 4: deleted"),
    Case("0005", "DLR 5: undeliverable"),
    Case("0006", "DLR 6: accepted, then delivered"),
    Case("0007", "DLR 7: unknown"),
    Case("0008", "DLR 8: rejected"),
    Case("0009", "DLR 9: skipped"),
    Case("2003", "the receipt comes before the response"),
    Case("2005", "the receipt comes twice"),
    Case("2006", "delivered, then en route"),
    Case("2007", "message id in hex, receipt in decimal"),
    Case("2012", "the phone writes back"),
    Case("2013", "the phone writes back in three parts, out of order"),
    Case("7001", "accents: sent as UCS2", text="Sua solicitação não será perdida"),
    Case("7004", "accents given up on request", text="Sua solicitação não será perdida", transliterate=True),
    Case("7005", "a long text: three parts, a receipt each", text="Sua consulta é amanhã, às 14h30: não se atrase. " * 4),
    Case("1011", "refused: ESME_RINVDSTADR"),
    Case("7002", "scheduled, and cancelled in time", cancel=True),
    Case("7003", "no route: SMPP has no short codes", kind="short_code"),
    Case("2001", "no response: in doubt until the deadline", by_deadline=True),
    Case("2002", "the connection drops before the response", drops=True),
    Case("1088", "throttled (ESME_RTHROTTLED) until it expires", expires_in=4.0, by_deadline=True),
)

REPLIES = 2


class Row(NamedTuple):
    """One message and what became of it."""

    case: Case
    story: Story


async def play(folder: Path, broker_url: str, seconds: float, *, as_json: bool) -> int:
    """Run the demo; return the exit code. Raises DemoError."""
    prefix = f"demo-{int(time.time())}"  # so that a broker of the user's is not disturbed
    rows = [Row(case, Story(f"demo-{case.tail}")) for case in CASES]
    async with AsyncExitStack() as stack:
        url = stack.enter_context(broker(folder, broker_url))
        smsc = Smsc(SmscSettings(system_id=SYSTEM_ID, password=PASSWORD, receipt_delay=0.4, receipt_spread=0.6))
        await smsc.start()
        stack.push_async_callback(smsc.stop)
        carrier = smpp(smsc.port)
        await stack.enter_async_context(gateway(settings(folder, url, prefix, {"smpp": carrier})))
        client = await Client.connect(url, prefix, [row.story for row in rows])
        stack.push_async_callback(client.leave)
        return await _show(client, rows, seconds, as_json=as_json)


def smpp(port: int) -> dict[str, Any]:
    """Configure an SMPP carrier to the sandbox."""
    return {
        "kind": "smpp",
        "host": "127.0.0.1",
        "port": port,
        "system_id": SYSTEM_ID,
        "password": PASSWORD,
        "response_timeout": 2.0,
        "reconnect_min": 0.2,
    }


async def _show(client: Client, rows: list[Row], seconds: float, *, as_json: bool) -> int:
    """Send everything and show it until all have ended; what would harm others goes when they have."""
    harmless = [row for row in rows if not row.case.drops]
    await _send(client, harmless)
    done: Callable[[], bool] = lambda: all(row.story.final for row in rows) and len(client.replies) == REPLIES  # noqa: E731 - one line says it
    with Show(client, lambda: _table(rows, client.replies), as_json=as_json) as show:
        await client.until(lambda: all(row.story.final or row.case.by_deadline for row in harmless), seconds)
        await _send(client, [row for row in rows if row.case.drops])
        await client.until(done, seconds)
    ended = sum(row.story.final is not None for row in rows)
    counted = {"messages": len(rows), "ended": ended, "replies": len(client.replies), "seconds": show.seconds}
    show.sum_up(counted, f"{ended} of {len(rows)} messages ended, {len(client.replies)} replies, in {show.seconds} s")
    return 0 if done() else 1


async def _send(client: Client, rows: Iterable[Row]) -> None:
    """Publish every message, and the cancels of those that are to be cancelled."""
    now = time.time()
    for number, (case, story) in enumerate(rows):
        payload: dict[str, Any] = {"id": story.id, "to": f"(11) 9{8000 + number}-{case.tail}", "text": case.text, "kind": case.kind}
        payload["transliterate"] = case.transliterate
        if case.cancel:
            payload["schedule_at"] = rfc3339(now + 3600)
        if case.expires_in is not None:
            payload["expires_at"] = rfc3339(now + case.expires_in)
        await client.publish("submit", payload)
        if case.cancel:
            await client.publish("cancel", {"id": story.id})


def _table(rows: Iterable[Row], replies: Iterable[dict[str, Any]]) -> Table:
    table = Table("to ...", "what it shows", "its way", "ended", box=None, pad_edge=False)
    for case, story in rows:
        table.add_row(case.tail, case.shows, Text(story.way), "[green]✓[/]" if story.final else "")
    for reply in replies:
        table.add_row("", "", Text(f"reply: {reply['text']}"), "")
    return table
