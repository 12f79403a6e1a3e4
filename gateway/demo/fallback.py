"""The demo of the fallback (`--smpp-down`): SMPP is cut, then the HTTP API too, and SMPP returns, while messages keep coming.

Each act changes what the provider answers to, sends some messages, and is over when they have ended. A message that SMPP left in doubt goes
by no other way: it is in doubt until its deadline.
"""

import asyncio
import secrets
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich.table import Table
from rich.text import Text

from gateway.carriers.base import Carrier, CarrierState
from gateway.demo.outcomes import PASSWORD, SYSTEM_ID, smpp
from gateway.demo.parts import Client, Show, Story, broker, gateway, settings
from gateway.demo.ports import free_port
from gateway.sandbox.settings import SmscSettings
from gateway.sandbox.smsc import Smsc
from gateway.sandbox.web import WebProvider, WebSettings

USER = "126b114c"
FAILOVER_AFTER = 1.0
NOTICE = 0.02  # s between two looks
ORDINARY = "5555"

Change = Literal["nothing", "cut smpp", "cut http", "bring back smpp"]


class Act(NamedTuple):
    """What happens, and the messages that are sent then: by `carrier`."""

    title: str
    change: Change
    carrier: str
    tails: tuple[str, ...]


ACTS = (
    Act("SMPP is up", "nothing", "smpp", (ORDINARY, "0005", "2001")),
    Act("SMPP is cut: by the HTTP API", "cut smpp", "http", (ORDINARY, "0005", "0006", "2012")),
    Act("HTTP is cut too: by the web service", "cut http", "webservice", (ORDINARY, "0008", "0009")),
    Act("SMPP is back", "bring back smpp", "smpp", (ORDINARY, "0002")),
)
SHOWS = {
    ORDINARY: "delivered",
    "0002": "delivered",
    "0005": "cannot be delivered",
    "0006": "delivered, the phone does not confirm",
    "0008": "refused by the operator",
    "0009": "delivered, the phone does not confirm",
    "2001": "no response: in doubt, and sent by no other way",
    "2012": "the phone writes back",
}
IN_DOUBT = "2001"  # it ends some acts later


class Row(NamedTuple):
    """One message and what became of it."""

    act: Act
    tail: str
    story: Story

    @property
    def went_as_it_should(self) -> bool:
        """Whether it ended, by its act's carrier and no other."""
        return self.story.final is not None and self.story.carriers == [self.act.carrier]


class Provider:
    """The provider of the demo, part by part."""

    def __init__(self, callback_url: str) -> None:
        self.smpp_port = free_port()  # it is cut off, and comes back there
        self._smsc = self._new_smsc()
        self.web = WebProvider(WebSettings(user=USER, callback_url=callback_url, sending_delay=0.4, step_delay=0.4))

    def _new_smsc(self) -> Smsc:
        return Smsc(SmscSettings(port=self.smpp_port, system_id=SYSTEM_ID, password=PASSWORD, receipt_delay=0.4))

    async def start(self) -> None:
        """Start everything."""
        await self._smsc.start()
        await self.web.start()

    async def stop(self) -> None:
        """Stop everything."""
        await self._smsc.stop()
        await self.web.stop()

    async def change(self, change: Change) -> None:
        """Cut something, or bring it back where it was."""
        match change:
            case "cut smpp":
                await self._smsc.stop()
            case "cut http":
                await self.web.cut("http")
            case "bring back smpp":
                self._smsc = self._new_smsc()
                await self._smsc.start()
            case "nothing":
                pass


async def play(folder: Path, broker_url: str, seconds: float, *, as_json: bool) -> int:
    """Run the demo; return the exit code: 0 when every message ended by the carrier of its act. Raises DemoError."""
    prefix = f"demo-{int(time.time())}"
    rows = [Row(act, tail, Story(f"demo-{number}-{tail}")) for number, act in enumerate(ACTS, 1) for tail in act.tails]
    listen, token = f"127.0.0.1:{free_port()}", secrets.token_hex(16)
    async with AsyncExitStack() as stack:
        url = stack.enter_context(broker(folder, broker_url))
        provider = Provider(f"http://{listen}/callback/{token}")
        await provider.start()
        stack.push_async_callback(provider.stop)
        sections: dict[str, dict[str, Any]] = {
            "gateway": {"failover_after": FAILOVER_AFTER},
            "callbacks": {"enabled": True, "listen": listen, "token": token},
        }
        running = await stack.enter_async_context(gateway(settings(folder, url, prefix, _carriers(provider), **sections)))
        client = await Client.connect(url, prefix, [row.story for row in rows])
        stack.push_async_callback(client.leave)
        return await _show(client, provider, running.carriers["smpp"], rows, seconds, as_json=as_json)


def _carriers(provider: Provider) -> dict[str, Any]:
    return {
        "smpp": smpp(provider.smpp_port) | {"reconnect_max": 1.0},
        "http": {"kind": "http", "base_url": provider.web.http_url, "user": USER, "timeout": 5.0},
        "webservice": {"kind": "webservice", "url": provider.web.webservice_url, "user": USER, "timeout": 5.0},
    }


async def _show(client: Client, provider: Provider, smpp_carrier: Carrier, rows: list[Row], seconds: float, *, as_json: bool) -> int:
    acts: list[str] = []
    deadline = time.monotonic() + seconds
    with Show(client, lambda: _table(acts, rows), as_json=as_json) as show:
        for act in ACTS:
            acts.append(act.title)
            show.say({"act": act.title})
            await provider.change(act.change)
            await _noticed(smpp_carrier, bound=act.carrier == "smpp", deadline=deadline)
            await _perform(client, [row for row in rows if row.act is act], deadline)
        await client.until(lambda: all(row.story.final for row in rows) and bool(client.replies), deadline - time.monotonic())
    ended = sum(row.story.final is not None for row in rows)
    by = Counter(carrier for row in rows for carrier in row.story.carriers)
    show.sum_up(
        {"messages": len(rows), "ended": ended, "by": by, "replies": len(client.replies), "seconds": show.seconds},
        f"{ended} of {len(rows)} messages ended, {', '.join(f'{number} by {name}' for name, number in by.items())}, in {show.seconds} s",
    )
    return 0 if all(row.went_as_it_should for row in rows) and client.replies else 1


async def _noticed(smpp_carrier: Carrier, *, bound: bool, deadline: float) -> None:
    """Wait until the gateway knows that SMPP is there, or gone: what it sends before that is another story."""
    while (smpp_carrier.state is CarrierState.READY) is not bound and time.monotonic() < deadline:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(NOTICE)


async def _perform(client: Client, rows: list[Row], deadline: float) -> None:
    """Send the messages of an act, and wait until those that can have ended."""
    for number, row in enumerate(rows):
        area = 11 + ACTS.index(row.act)
        payload = {"id": row.story.id, "to": f"({area}) 9{8000 + number}-{row.tail}", "text": "Ola, esta e uma demonstracao"}
        await client.publish("submit", payload)
    waited = [row.story for row in rows if row.tail != IN_DOUBT]
    await client.until(lambda: all(story.final for story in waited), deadline - time.monotonic())


def _table(acts: list[str], rows: list[Row]) -> Table:
    table = Table("to ...", "what it shows", "by", "its way", "ended", box=None, pad_edge=False)
    for title in acts:
        table.add_row("", Text(title, "bold"))
        for act, tail, story in (row for row in rows if row.act.title == title):
            by = Text(", ".join(story.carriers), "" if story.carriers in ([], [act.carrier]) else "red")
            table.add_row(tail, SHOWS[tail], by, Text(story.way), "[green]✓[/]" if story.final else "")
    return table
