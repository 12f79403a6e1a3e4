"""The provider's other ways in for a Stack: HTTP API and web service, each a process of its own, so that each can be killed by itself."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from gateway.demo.ports import free_port
from tests.support.stack import Process, Stack
from tests.support.waiting import listens, until

USER = "126b114c"
TOKEN = "um-segredo-de-callback"
WAYS = ("smpp", "http", "webservice")


class Fallback:
    """Give its `sections` to a Stack, then `attach` it."""

    def __init__(self) -> None:
        self.port_of = {"http": free_port(), "webservice": free_port()}
        self.callback_port = free_port()
        self.processes: dict[str, Process] = {}

    def sections(self, **changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Configure all three ways; keyword arguments change sections, `http` and `webservice` being those carriers'."""
        base = f"http://127.0.0.1:{self.port_of['http']}/sms"
        shared = {"user": USER, "max_rate": 0.0, "timeout": 2.0}
        sections: dict[str, dict[str, Any]] = {
            "gateway": {"failover_after": 0.5},
            "carriers.http": {"kind": "http", "base_url": base} | shared,
            "carriers.webservice": {"kind": "webservice", "url": f"http://127.0.0.1:{self.port_of['webservice']}/wbsapi.asmx"} | shared,
            "callbacks": {"enabled": True, "listen": f"127.0.0.1:{self.callback_port}", "token": TOKEN},
        }
        for name, values in changes.items():
            sections[name if name in sections else f"carriers.{name}"] |= values
        return sections

    def attach(self, stack: Stack, *options: str) -> None:
        """Prepare the processes; `options` are further ones of `mensageiro sandbox`."""
        callback = f"http://127.0.0.1:{self.callback_port}/callback/{TOKEN}"
        for way, port in self.port_of.items():
            self.processes[way] = Process(
                stack.folder / f"{way}.log",
                *("sandbox", "--port", "0", f"--{way}-port", str(port), "--user", USER),
                *("--ledger", str(stack.ledger_path), "--callback-url", callback, *options),
            )

    async def start(self, *ways: str) -> None:
        """Start them, and wait for their ports."""
        for way in ways or self.processes:
            await self.processes[way].start()
            await until(lambda port=self.port_of[way]: listens(port), f"{way} listens")  # type: ignore[misc] # mypy #15459

    async def close(self) -> None:
        """Kill what runs."""
        for process in self.processes.values():
            if process.running:
                await process.kill()


def taken_by_way(stack: Stack) -> Counter[str]:
    """Count what each way took so far."""
    return Counter(entry.get("way", "smpp") for entry in stack.ledger())


def sent_by_two_ways(stack: Stack) -> dict[str, set[str]]:
    """Return the numbers that messages reached by more than one way. Each has one message only."""
    ways: defaultdict[str, set[str]] = defaultdict(set)
    for entry in stack.ledger():
        ways[entry["to"].removeprefix("55")].add(entry.get("way", "smpp"))
    return {number: found for number, found in ways.items() if len(found) > 1}
