"""A stream over which the sandbox can break the protocol on purpose; `gateway.sandbox.smsc` makes one for each connection."""

import asyncio
from collections.abc import Callable
from typing import cast

from gateway.smpp.stream import SmppStream


class RawStream(SmppStream):
    """A stream that can also misbehave: write octets that no session would. `on_writable` is called when the peer catches up."""

    on_writable: Callable[[], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by the loop."""
        self._raw = cast("asyncio.WriteTransport", transport)  # uvloop's transports do not inherit from asyncio's
        super().connection_made(transport)

    def resume_writing(self) -> None:
        """Tell the link that the peer caught up; called by the loop."""
        super().resume_writing()
        self.on_writable()

    def write_raw(self, octets: bytes) -> None:
        """Write octets behind what this turn of the loop has queued."""
        asyncio.get_running_loop().call_soon(self._write, octets)

    def _write(self, octets: bytes) -> None:
        if not self._raw.is_closing():
            self._raw.write(octets)
