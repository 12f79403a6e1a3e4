"""A capture of a whole session on loopback, dissected by tshark: no PDU is malformed, and each is what we meant.

Needs tshark and the right to capture (root); skipped with a reason where either is missing.
"""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.smpp import (
    CancelSm,
    DataSm,
    EnquireLink,
    QuerySm,
    ReplaceSm,
    SmeAddress,
    SubmitMulti,
    SubmitSmResp,
    Tag,
    command_name,
)
from tests.support.waiting import DEADLINE

TSHARK = shutil.which("tshark") or ""

pytestmark = [
    pytest.mark.skipif(not TSHARK, reason="tshark is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="capturing on loopback needs root"),
]

EXPECTED = {
    "bind_transceiver": 1,
    "bind_transceiver_resp": 1,
    "submit_sm": 8,
    "submit_sm_resp": 7,
    "generic_nack": 1,
    "deliver_sm": 10,
    "deliver_sm_resp": 10,
    "data_sm": 1,
    "data_sm_resp": 1,
    "query_sm": 1,
    "query_sm_resp": 1,
    "cancel_sm": 1,
    "cancel_sm_resp": 1,
    "replace_sm": 1,
    "replace_sm_resp": 1,
    "submit_multi": 1,
    "submit_multi_resp": 1,
    "enquire_link": 1,
    "enquire_link_resp": 1,
    "unbind": 1,
    "unbind_resp": 1,
}


class Capture:
    """A tshark that writes what passes a port to a file, and says so line by line."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, path: Path) -> None:
        self._process = process
        self._port = port
        self._path = path

    async def until(self, word: str) -> None:
        """Wait until a packet whose summary holds `word` is in the capture."""
        await read_until(self._process.stdout, word)

    async def dissect(self, *arguments: str) -> list[str]:
        """Read the capture with tshark; return the lines it prints."""
        process = await asyncio.create_subprocess_exec(
            *(TSHARK, "-r", str(self._path), "-d", f"tcp.port=={self._port},smpp", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(DEADLINE):
            output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode().split()


async def read_until(stream: asyncio.StreamReader | None, word: str) -> None:
    assert stream is not None
    async with asyncio.timeout(DEADLINE):
        while line := await stream.readline():
            if word in line.decode():
                return
    pytest.fail(f"tshark ended before it said {word!r}")


@asynccontextmanager
async def capture(port: int, path: Path) -> AsyncIterator[Capture]:
    """Capture on loopback until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(TSHARK, "-l", "-P", "-i", "lo", "-f", f"tcp port {port}", "-d", f"tcp.port=={port},smpp", "-w", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await read_until(process.stderr, "Capture started")
        yield Capture(process, port, path)
    finally:
        process.terminate()
        async with asyncio.timeout(DEADLINE):
            await process.communicate()


async def whole_session(smsc: Any, bind_esme: Any) -> None:
    """Let every kind of PDU pass that the sandbox knows, optional parameters included."""
    esme = await bind_esme(smsc)
    reference = {Tag.USER_MESSAGE_REFERENCE: b"\x01\x02"}
    await esme.response(esme.submit("2014"))
    await esme.response(esme.submit("1088"))
    response = await esme.response(esme.submit("4321", tlvs=reference))
    assert isinstance(response, SubmitSmResp)
    for digits, text, data_coding in [("2007", b"gsm", 0), ("2008", "ação".encode("latin-1"), 3), ("2009", "日本".encode("utf-16-be"), 8)]:
        await esme.response(esme.submit(digits, short_message=text, data_coding=data_coding))
    await esme.response(esme.submit("2011"))
    await esme.response(esme.submit("2013", short_message=b"", tlvs={Tag.MESSAGE_PAYLOAD: b"long " * 100}))
    await esme.ask(DataSm(destination_addr="5511987654321", registered_delivery=1, tlvs={Tag.MESSAGE_PAYLOAD: b"hello"}))
    await esme.delivered(10)
    await esme.ask(QuerySm(message_id=response.message_id))
    await esme.ask(CancelSm(message_id=response.message_id, source_addr="27001"))
    await esme.ask(ReplaceSm(message_id=response.message_id, short_message=b"other"))
    await esme.ask(SubmitMulti(dest_addresses=(SmeAddress(1, 1, "5511987654321"),), short_message=b"many"))
    await esme.ask(EnquireLink())
    await esme.stream.close(5.0)


async def test_tshark_finds_no_malformed_pdu_in_a_whole_session_and_names_each(smsc: Any, bind_esme: Any, tmp_path: Path) -> None:
    async with capture(smsc.port, tmp_path / "session.pcapng") as session:
        await whole_session(smsc, bind_esme)
        await session.until("Unbind - resp")
    assert await session.dissect("-Y", "_ws.malformed") == []
    fields = await session.dissect("-Y", "smpp", "-T", "fields", "-e", "smpp.command_id", "-E", "occurrence=a")
    seen = Counter(command_name(int(number, 16)) for line in fields for number in line.split(","))
    assert seen == EXPECTED
