"""A TCP relay in front of an SMSC that notes the command_id of every PDU that the ESME sends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

HEADER = 16


@dataclass
class Wiretap:
    """What was heard; `port` is where the ESME must connect."""

    port: int = 0
    commands: list[int] = field(default_factory=list)

    def hear(self, octets: bytearray) -> None:
        """Take whole PDUs off the front. SMPP 3.4 s3.2"""
        while len(octets) >= HEADER and len(octets) >= (length := int.from_bytes(octets[:4], "big")):
            self.commands.append(int.from_bytes(octets[4:8], "big"))
            del octets[:length]


@asynccontextmanager
async def wiretap(target: int) -> AsyncIterator[Wiretap]:
    """Relay a loopback port to `target`."""
    tap = Wiretap()
    relays: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        relays.add(task)
        with suppress(OSError):
            smsc_reader, smsc_writer = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(_pump(reader, smsc_writer, tap), _pump(smsc_reader, writer, None))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    tap.port = server.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        server.close()
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tap: Wiretap | None) -> None:
    heard = bytearray()
    try:
        while octets := await reader.read(65536):
            writer.write(octets)
            if tap is not None:
                heard += octets
                tap.hear(heard)
            await writer.drain()
    finally:
        writer.close()
