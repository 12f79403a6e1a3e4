"""The examples, run as they stand against a real stack: the broker that we ship settings for, a gateway, a provider."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import installed, npm
from tests.support.shop import USERS, Shop
from tests.support.waiting import DEADLINE, until

EXAMPLES = installed.ROOT / "examples"
ORDERS = ["order-1 11987650002 Olá, ação", "order-2 11-98765-0005 Seu pedido saiu"]
TOLD = ["order-1 accepted -", "order-1 receipt delivered final", "order-2 accepted -", "order-2 receipt undeliverable final"]


class Example:
    """One of them, as a process."""

    def __init__(self, shop: Shop, folder: Path, *command: str) -> None:
        self._command, self._folder = command, folder
        self._log, self._errors = shop.stack.folder / f"{command[-1]}.out", shop.stack.folder / f"{command[-1]}.err"
        secret = shop.stack.folder / "loja.password"
        secret.write_text(f"{USERS['loja']}\n")
        self._environment = installed.environment() | {
            "MQTT_PORT": str(shop.broker.port),
            "MQTT_USER": "loja",
            "MQTT_PASSWORD_FILE": str(secret),
            "RETRY": "0.2",
            "TMPDIR": str(shop.stack.folder / "tmp"),
        }
        (shop.stack.folder / "tmp").mkdir(exist_ok=True)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def output(self) -> list[str]:
        """What it printed so far, over all its lives."""
        return self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8") if self._errors.exists() else ""

    async def start(self, stdin: str | None = None) -> None:
        with self._log.open("ab") as log, self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                start_new_session=True,
            )
        if stdin is not None:
            assert self._process.stdin is not None
            self._process.stdin.write(stdin.encode())
            self._process.stdin.close()

    async def wait(self) -> int:
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), DEADLINE)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            await self.wait()

    def command_lines(self) -> Iterator[bytes]:
        """Give the command line of each of its processes: those of its session."""
        assert self._process is not None
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended
                if os.getsid(int(process.name)) == self._process.pid:
                    yield (process / "cmdline").read_bytes()

    async def until(self, told: list[str]) -> None:
        """Wait until all that was told is `told`, in the order of each message."""
        await until(lambda: len(self.output) >= len(told), f"{told}\n{self.errors}")
        assert sorted(self.output) == told
        for id in {line.split()[0] for line in told}:
            assert [line for line in self.output if line.split()[0] == id] == [line for line in told if line.split()[0] == id]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    made = Shop(tmp_path)
    yield made
    await made.close()


async def tour(shop: Shop, folder: Path, sender: tuple[str, ...], consumer: tuple[str, ...]) -> None:
    """Listen, send while the broker is away, stop listening, send all of it again and more, and listen again."""
    send, consume = Example(shop, folder, *sender), Example(shop, folder, *consumer)
    try:
        shop.broker.start()
        await consume.start()
        await until(lambda: "listening" in consume.errors, f"it listens: {consume.errors}")
        await shop.start_behind()
        shop.broker.stop()
        await send.start("\n".join(ORDERS) + "\n")
        await until(lambda: "again in" in send.errors, f"it notices that there is no broker: {send.errors}")
        shop.broker.start()
        assert await send.wait() == 0, send.errors
        assert send.output == ["order-1", "order-2"]
        await consume.until(TOLD)
        await consume.stop()
        await send.start("\n".join([*ORDERS, "order-3 11987650002 Mais um"]) + "\n")  # all of it again, and one more
        assert await send.wait() == 0
        await until(lambda: len(shop.stack.ledger()) == 3, "the provider has three")
        await consume.start()
        await until(lambda: any(line.startswith("order-3 receipt") for line in consume.output), f"what came meanwhile: {consume.output}")
        assert [line for line in consume.output if line.startswith("order-3")] == ["order-3 accepted -", "order-3 receipt delivered final"]
        assert len(shop.stack.ledger()) == 3
        assert USERS["loja"] not in send.errors + consume.errors
    finally:
        await send.stop()
        await consume.stop()


@pytest.mark.fault
async def test_the_examples_in_python(shop: Shop) -> None:
    await tour(shop, EXAMPLES / "python", (sys.executable, "send.py"), (sys.executable, "consume.py"))


@pytest.mark.fault
async def test_the_examples_in_node(shop: Shop) -> None:
    await tour(shop, npm.folder(EXAMPLES / "node"), ("node", "send.mjs"), ("node", "consume.mjs"))


async def test_the_examples_in_shell(shop: Shop) -> None:
    folder = EXAMPLES / "shell"
    send, consume = Example(shop, folder, "./send.sh"), Example(shop, folder, "./consume.sh")
    note = {"note": 'Olá, "ação" $HOME `id` \\'}  # which events give back
    orders = [{"id": f"order-{code}", "to": f"1198765000{code}", "text": "Seu pedido saiu", "metadata": note} for code in (2, 5)]
    try:
        await shop.start()
        await consume.start()
        await until(lambda: "loja-events" in shop.broker.log_path.read_text(), "it listens")
        shop.broker.stop()
        await send.start("".join(json.dumps(order, ensure_ascii=False) + "\n" for order in orders))
        await until(lambda: "again in" in send.errors, f"it notices that there is no broker: {send.errors}")
        shop.broker.start()
        assert await send.wait() == 0, send.errors
        await until(lambda: len(shop.stack.ledger()) == 2, "the provider has both")
        await until(lambda: len(consume.output) == 4, "it hears of both")
        events = [json.loads(line) for line in consume.output]
        assert {(event["id"], event.get("state")) for event in events if event["final"]} == {
            ("order-2", "delivered"),
            ("order-5", "undeliverable"),
        }
    finally:
        await send.stop()
        await consume.stop()
    assert list((shop.stack.folder / "tmp").iterdir()) == []  # where the password was


async def test_no_example_tells_a_password_or_a_number_on_its_command_line(shop: Shop) -> None:
    send = Example(shop, EXAMPLES / "shell", "./send.sh")
    await send.start('{"id": "order-1", "to": "11987650002", "text": "x"}\n')
    try:
        await until(lambda: "again in" in send.errors, "it tries")
        lines = b"\n".join(send.command_lines())
    finally:
        await send.stop()
    assert b"send.sh" in lines
    assert USERS["loja"].encode() not in lines
    assert b"11987650002" not in lines
