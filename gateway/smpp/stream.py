"""A `Session` over asyncio: the only module of the core that knows a loop, a socket and a clock. Either role.

`connect` and `serve` make a `SmppStream`; its owner sends and responds through it and gets the session's events in
batches by a plain callback, once per read or tick, never from inside its own call. What is queued during one turn of
the loop leaves in one write. The last event of a stream is SessionClosed, whatever ended it.

`writable` turns False while the peer does not keep up: stop sending then. A peer that lets `MAX_UNREAD` octets pile up is
cut off. `pause_reading` is the other direction's brake. TCP_NODELAY is set: Nagle costs 40 ms a PDU at low rates.
The stream binds nothing by itself: the ESME sends its bind, the SMSC answers it.
"""

import asyncio
import socket
from collections.abc import Callable
from ssl import SSLContext
from typing import Final, cast

from gateway.smpp.pdu import Pdu
from gateway.smpp.session import Session, SessionEvent, SessionSettings
from gateway.smpp.state import Role, SessionState

MAX_UNREAD: Final = 16 * 1024 * 1024
"""Octets written to a peer that does not read, after which it is cut off."""

CLOSE_SECONDS: Final = 5.0
"""How long a connection that is being closed may take to write what is left."""

EventsCallback = Callable[[list[SessionEvent]], None]
SessionCallback = Callable[["SmppStream"], EventsCallback]


class SmppStream(asyncio.Protocol):
    """Run one `Session` over one connection."""

    def __init__(self, role: Role, settings: SessionSettings, on_session: SessionCallback) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_session = on_session
        self._on_events: EventsCallback | None = None
        self._transport: asyncio.Transport | None = None
        self._flush_scheduled = False
        self._unbind_when_idle = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0  # kept here, since uvloop's handle of a time that is past has no when()
        self._closed = self._loop.create_future()
        self.writable = False
        self.session = Session(role, settings, self._loop.time())

    @property
    def state(self) -> SessionState:
        """Return the session's state."""
        return self.session.state

    @property
    def window_free(self) -> int:
        """Return how many messages may be sent now."""
        return self.session.window_free

    @property
    def peername(self) -> str:
        """Return the peer's host and port, for logs; empty before the connection."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return f"{name[0]}:{name[1]}" if name else ""

    def send(self, pdu: Pdu, context: object = None) -> int:
        """Send a request and return its sequence_number; raises as `Session.send`. Written at the end of this turn."""
        sequence_number = self.session.send(pdu, self._loop.time(), context)
        self._schedule_flush()
        return sequence_number

    def respond(self, request: Pdu, command_status: int = 0, **fields: object) -> None:
        """Answer a request as `Session.respond` does; nothing happens once the connection is gone."""
        self.session.respond(request, command_status, **fields)
        self._schedule_flush()

    def unbind(self) -> None:
        """Ask the peer to end the session; the stream closes itself when that is done."""
        self.session.unbind(self._loop.time())
        self._schedule_flush()

    def pause_reading(self) -> None:
        """Stop reading from the peer; what was read already still comes as events."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the peer again."""
        if self._transport is not None and not self._transport.is_closing() and not self._transport.is_reading():
            self._transport.resume_reading()

    def abort(self, reason: str = "aborted") -> None:
        """Drop the connection at once; SessionClosed follows on the next turn of the loop."""
        self.session.close_reason = self.session.close_reason or reason
        if self._transport is not None:
            self._transport.abort()

    async def close(self, timeout: float) -> None:
        """End the session in order: wait for what is in flight, unbind, close. Never takes longer than `timeout`.

        Half of the seconds are for what is in flight, then unbind goes out all the same (its response may never
        come); at the end the connection is dropped. The caller stops sending first.
        """
        self.resume_reading()
        self._unbind_when_idle = True
        unbind = self._loop.call_later(timeout / 2, self.unbind)
        self._schedule_flush()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(self._closed)
        except TimeoutError:
            self.abort("not unbound in time")
            await self._closed
        finally:
            unbind.cancel()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone and SessionClosed was handed over."""
        await asyncio.shield(self._closed)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; called by the loop."""
        self._transport = cast("asyncio.Transport", transport)
        self.writable = True
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._on_events = self._on_session(self)
        self._schedule_flush()

    def data_received(self, data: bytes) -> None:
        """Hand what was read to the session; called by the loop."""
        self._emit(self.session.receive(bytes(data), self._loop.time()))
        self._schedule_flush()

    def pause_writing(self) -> None:
        """Take note that the peer does not keep up; called by the loop."""
        self.writable = False

    def resume_writing(self) -> None:
        """Take note that the peer caught up; called by the loop."""
        self.writable = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end; called by the loop, once."""
        self.writable = False
        if self._timer is not None:
            self._timer.cancel()
        try:
            self._emit(self.session.connection_lost(f"{type(exc).__name__}: {exc}" if exc else "closed by the peer"))
        finally:
            if not self._closed.done():
                self._closed.set_result(None)

    # --- one write a turn, one timer ---

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._unbind_when_idle and self.session.is_idle:
            self.session.unbind(self._loop.time())
        data = self.session.data_to_send()
        if data:
            transport.write(data)
            if transport.get_write_buffer_size() > MAX_UNREAD:
                self.abort("the peer does not read")
        if self.session.wants_close:
            self._close_transport(transport)
        else:
            self._schedule_tick()

    def _close_transport(self, transport: asyncio.Transport) -> None:
        """Close once the octets are written, but do not wait for ever for a peer that does not read them."""
        transport.close()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(CLOSE_SECONDS, transport.abort)

    def _schedule_tick(self) -> None:
        """Keep one timer: leave a standing one unless the deadline came nearer, a tick too early does nothing."""
        deadline = self.session.next_deadline()
        if deadline is None:
            return
        if self._timer is not None:
            if self._timer_due <= deadline:
                return
            self._timer.cancel()
        self._timer, self._timer_due = self._loop.call_at(deadline, self._tick), deadline

    def _tick(self) -> None:
        self._timer = None
        try:
            self._emit(self.session.tick(self._loop.time()))
        finally:
            self._flush()  # also sets the next timer: a callback that raises must not stop the clock

    def _emit(self, events: list[SessionEvent]) -> None:
        if events and self._on_events is not None:
            self._on_events(events)


async def connect(
    host: str,
    port: int,
    *,
    session_settings: SessionSettings,
    timeout: float,
    on_events: EventsCallback,
    ssl: SSLContext | None = None,
    server_hostname: str | None = None,
) -> SmppStream:
    """Connect to an SMSC, with TLS where `ssl` is given. Raise OSError (which TimeoutError is) where that fails."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout):
        _, stream = await loop.create_connection(
            lambda: SmppStream(Role.ESME, session_settings, lambda _: on_events),
            host,
            port,
            ssl=ssl,
            server_hostname=server_hostname,
        )
    return stream


async def serve(
    host: str,
    port: int,
    *,
    session_settings: SessionSettings,
    on_session: SessionCallback,
    ssl: SSLContext | None = None,
) -> asyncio.Server:
    """Listen as an SMSC: `on_session` gets each new stream and returns the callback for its events.

    Closing the server leaves the streams alone; close or abort each.
    """
    return await asyncio.get_running_loop().create_server(lambda: SmppStream(Role.SMSC, session_settings, on_session), host, port, ssl=ssl)
