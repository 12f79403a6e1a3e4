"""The asyncio shell of `session`: a socket, a clock, one write a loop turn.

`broker.mqtt` opens a stream, hands PUBLISHes and acknowledgements to it and gets every event through `on_events`, in order, the last one
`Closed`. The shell decides nothing: it moves bytes, stops reading while the session does not listen, tells whether the socket takes more
(`writable`), and makes sure that a connection which will not close is aborted.
"""

import asyncio
import math
import ssl
from collections.abc import Callable, Iterable
from typing import Final, cast

from gateway.mqtt.session import ClientSession, CloseCause, Closed, Event, State, Subscribed

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a closing connection has to flush before it is aborted."""


class MqttStream(asyncio.Protocol):
    """One network connection of a `ClientSession`."""

    def __init__(self, session: ClientSession, on_events: Callable[[list[Event]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._on_events = on_events
        self._transport: asyncio.Transport | None = None
        self._flush_scheduled = False
        self._reading = True
        self._timer: asyncio.TimerHandle | None = None
        self.writable = True
        self.closed: Closed | None = None
        """How the session ended."""
        self.settled: asyncio.Future[None] = self._loop.create_future()
        """Done as soon as everything is subscribed, or the session has closed."""
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """Done when the session has closed and the socket, if there was one, is gone."""

    @property
    def session(self) -> ClientSession:
        """The session whose bytes this stream moves; after using it, call `flush_soon`."""
        return self._session

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send CONNECT."""
        self._transport = cast("asyncio.Transport", transport)
        if self._session.state is State.CLOSED:  # given up while the connection came about
            self._transport.abort()
            return
        self._session.connect(self._loop.time())
        self._flush()
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Feed the session."""
        self._deliver(self._session.receive(data, self._loop.time()))
        self.flush_soon()

    def pause_writing(self) -> None:
        """Note that the socket's buffer is full."""
        self.writable = False

    def resume_writing(self) -> None:
        """Note that the socket takes more; an empty batch of events tells the owner."""
        self.writable = True
        self._on_events([])

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the session."""
        self._transport = None
        self._disarm()
        self._deliver(self._session.connection_lost(CloseCause.LOST, _words(exc) if exc else "closed by the broker"))
        if not self.gone.done():
            self.gone.set_result(None)

    def acknowledge(self, deliveries: Iterable[int]) -> None:
        """Acknowledge deliveries, and read on if that made room."""
        self._session.acknowledge(deliveries)
        self.flush_soon()

    def stop_taking(self) -> None:
        """Drop every PUBLISH from now on, and read on whatever is unacknowledged."""
        self._session.stop_taking()
        self.flush_soon()

    def disconnect(self, reason: int) -> None:
        """Send DISCONNECT and close."""
        self._deliver(self._session.disconnect(reason))

    def abort(self, cause: CloseCause, detail: str) -> None:
        """End the connection at once, without DISCONNECT."""
        self._deliver(self._session.connection_lost(cause, detail))
        if self._transport is not None:
            self._transport.abort()
        elif not self.gone.done():
            self.gone.set_result(None)

    def flush_soon(self) -> None:
        """Write what the session has to send at the end of this loop turn, in one write."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        data = self._session.data_to_send(self._loop.time())
        if self._transport is None or self._transport.is_closing():
            return
        if data:
            self._transport.write(data)
        if self._session.listening != self._reading:
            self._set_reading(self._transport, self._session.listening)

    def _set_reading(self, transport: asyncio.Transport, reading: bool) -> None:
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _deliver(self, events: list[Event]) -> None:
        if not events:
            return
        if not self.settled.done() and any(isinstance(event, Subscribed | Closed) for event in events):
            self.settled.set_result(None)
            self._arm()  # the broker may have set another keep alive
        last = events[-1]
        if isinstance(last, Closed):
            self.closed = last
            self._close()
        self._on_events(events)

    def _close(self) -> None:
        self._disarm()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._flush()
        transport.close()
        self._timer = self._loop.call_later(CLOSE_TIMEOUT, transport.abort)

    def _arm(self) -> None:
        self._disarm()
        if self._session.due < math.inf:
            self._timer = self._loop.call_at(self._session.due, self._tick)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._deliver(self._session.tick(self._loop.time()))
        self.flush_soon()
        if self._session.state is not State.CLOSED:
            self._arm()


async def open_stream(stream: MqttStream, host: str, port: int, *, tls: ssl.SSLContext | None, timeout: float) -> None:
    """Connect `stream` and wait until everything is subscribed, all within `timeout` seconds; a failure shows as `stream.closed`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            await loop.create_connection(lambda: stream, host, port, ssl=tls)
            await stream.settled
    except TimeoutError:
        stream.abort(CloseCause.TIMEOUT, f"not connected and subscribed within {timeout:g} s")
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that IDNA does not take
        stream.abort(CloseCause.UNREACHABLE, _words(error))


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
