"""`mensageiro sandbox` as a process: what it serves, and that it ends in good order."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gateway.sandbox.ledger import read
from gateway.smpp import BindTransceiver
from tests.sandbox.conftest import Esme
from tests.sandbox.web import CalledBack
from tests.support.waiting import DEADLINE

LINE = re.compile(r"sandbox (.+) on 127\.0\.0\.1:([0-9]+)")


@asynccontextmanager
async def sandbox(ports: int, *options: str) -> AsyncIterator[dict[str, int]]:
    """Run the command; give the port of each thing that it serves, as it tells them."""
    command = [sys.executable, "-W", "error", "-m", "gateway", "sandbox", "--port", "0", *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    found = {}
    try:
        for _ in range(ports):
            line = (await asyncio.wait_for(process.stdout.readline(), DEADLINE)).decode()
            match = LINE.match(line)
            assert match is not None
            found[match[1]] = int(match[2])
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        _, stderr = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert (process.returncode, stderr) == (0, b"")


async def get(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


async def test_the_command_serves_smpp_alone_unless_asked_for_more() -> None:
    async with sandbox(1) as ports:
        assert list(ports) == ["SMSC"]


async def test_the_command_serves_every_way_with_one_ledger_and_calls_back(tmp_path: Path, called_back: CalledBack) -> None:
    ledger = tmp_path / "ledger"
    options = ("--http-port", "0", "--ledger", str(ledger), "--callback-url", called_back.url(), "--user", "u1", "--credits", "1")
    async with sandbox(3, *options) as ports:
        assert list(ports) == ["SMSC", "HTTP API", "web service"]
        api = f"http://127.0.0.1:{ports['HTTP API']}/sms"
        assert await get(f"{api}/send?u=u2&n=11987654321&m=oi") == "93"
        assert (await get(f"{api}/send?u=u1&n=11987654321&m=oi&id=5")).startswith("1;")
        assert await get(f"{api}/send?u=u1&n=11987654321&m=oi") == "97"
        assert "wsdl:definitions" in await get(f"http://127.0.0.1:{ports['web service']}/wbsapi.asmx?WSDL")
        assert await called_back.until(2) == ["s1", "d2"]
        esme = await Esme().bind(ports["SMSC"], BindTransceiver(system_id="company", password="secret"))
        await esme.response(esme.submit())
        esme.stream.abort()
        await esme.stream.wait_closed()
    assert [(entry.way, entry.to) for entry in read(ledger)] == [("http", "11987654321"), ("smpp", "5511987654321")]
