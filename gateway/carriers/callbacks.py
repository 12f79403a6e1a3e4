"""The listener for the provider's call-backs: status, DLR and reply, each an HTTP GET. The stage `receipts` reads it as it reads carriers.

A call-back is answered 200 after the journal's commit, and never before: the manual promises no second call. While the journal cannot
commit the request is held open, for PATIENCE seconds; then, and while we leave, it is answered 503, which is logged as an error. Whatever
comes past the guard is kept, also what cannot be understood; only a request that says nothing at all is answered without the journal.

What is refused, and how, is `callback_guard`'s; what parameters mean is `callback_inbound`'s. Nothing here logs a path, a query or an
address: the path is a secret and the query names people. So there is no access log, and aiohttp's own error pages and error lines, which
quote what they could not parse, are replaced.

A caller may not have percent-encoded what a person wrote: octets beyond ASCII and spaces in a target, which aiohttp's parser refuses, are
encoded before it sees them.

Bounded by `Limits`: how many connections there are, the oldest idle one making room for a new one; how long one may say nothing at first,
and between two requests. Known limit: TLS is a reverse proxy's task; this listener speaks plain HTTP.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from gateway.carriers.base import Arrival
from gateway.carriers.callback_guard import Guard, Head
from gateway.carriers.callback_inbound import CallbackReader
from gateway.carriers.mailbox import Mailbox
from gateway.message import Receipt, Reply
from gateway.metrics import Metrics

NAME = "call-backs"  # no carrier's name has a space, or stands in its way
PATIENCE = 60.0  # s that a call-back waits for the journal before it is answered 503
MAX_LINE = 16384  # octets that are read of a request line; the guard refuses less
MAX_FIELD, MAX_FIELDS = 4096, 64  # octets of a header, and headers
CLOSE_TIMEOUT = 2.0

_TEXTS = {
    200: b"OK\n",
    400: b"Bad Request\n",
    404: b"Not Found\n",
    405: b"Method Not Allowed\n",
    413: b"Content Too Large\n",
    414: b"URI Too Long\n",
    429: b"Too Many Requests\n",
    500: b"Internal Server Error\n",
    503: b"Service Unavailable\n",
}

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a caller may take. Seconds, unless it is a number."""

    connections: int = 512
    first_request: float = 10.0  # until a new connection has sent a whole request
    keep_alive: float = 75.0  # longer than proxies keep an idle connection, so that they close it and not we
    held: float = PATIENCE + 5.0  # that a request waits for its answer, whatever the stage does


DEFAULT = Limits()


class Callbacks:
    """The listener: a Reporter."""

    name = NAME

    def __init__(
        self,
        listen: tuple[str, int],
        guard: Guard,
        reader: CallbackReader,
        metrics: Metrics,
        clock: Callable[[], float],
        *,
        limits: Limits = DEFAULT,
    ) -> None:
        self._listen, self._guard, self._reader, self._metrics, self._clock = listen, guard, reader, metrics, clock
        self._limits = limits
        self._arrivals: Mailbox[Arrival] = Mailbox()
        self._held: set[_Held] = set()  # requests that wait for their commit
        self._draining = False
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None

    async def start(self) -> int:
        """Listen; return the port. Raises OSError where it cannot."""
        server = _Server(self._serve, self._limits, lambda: self._count("other", "refused"))
        self._runner = web.ServerRunner(server, shutdown_timeout=CLOSE_TIMEOUT, handle_signals=False)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, *self._listen)
        await self._site.start()
        return int(self._runner.addresses[0][1])

    def change_rate(self, max_rate: float) -> None:
        """Admit at most so many requests a second from now on; 0 = no limit."""
        self._guard.change_rate(max_rate)

    async def stop(self, timeout: float) -> None:
        """Take no more; within `timeout` s answer what is held: as committed, or 503. The stage must run meanwhile."""
        self._draining = True
        if self._site is None or self._runner is None:
            return
        await self._site.stop()
        if self._held:
            await asyncio.wait([held.committed for held in self._held], timeout=timeout)
        self.acknowledge(list(self._held), committed=False)
        await self._runner.cleanup()
        self._site = None

    async def inbound(self) -> list[Arrival]:
        """Wait for the next call-backs, in order of arrival."""
        return await self._arrivals.take()

    def acknowledge(self, tokens: Sequence[object], *, committed: bool) -> list[bool]:
        """Answer the requests that wait: 200, or 503 where the journal could not commit. Return which callers are still there."""
        waiting = sum(isinstance(token, _Held) and not token.committed.done() for token in tokens)
        if waiting and not committed:
            log.error("call-backs refused: the journal could not commit, and the provider may not call again", number=waiting)
        return [isinstance(token, _Held) and token.answer(committed) for token in tokens]

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        head = _head(request)
        status = self._guard.refusal(head, asyncio.get_running_loop().time())
        if status is not None:
            self._count("other", "refused")
            return _Answer(status)
        if self._draining:
            self._count("other", "refused")
            return _Answer(503)
        reading = self._reader.read(head.query, self._clock())
        if reading.item is not None and not await self._committed(request, reading.item):
            self._count(reading.kind, "refused")
            return _Answer(503)
        self._count(reading.kind, "ok" if reading.valid else "invalid")
        return _Answer(200)

    async def _committed(self, request: web.BaseRequest, item: Receipt | Reply) -> bool:
        """Hand a receipt or a reply to the stage, and wait for the commit."""
        held = _Held(request, asyncio.get_running_loop().create_future())
        self._held.add(held)
        self._arrivals.put([Arrival(item, held)])
        try:
            async with asyncio.timeout(self._limits.held):
                return await held.committed
        except TimeoutError:
            log.error("a call-back refused: nothing answered for it, and the provider may not call again")  # noqa: TRY400 - no traceback
            return False
        finally:
            self._held.discard(held)

    def _count(self, kind: str, result: str) -> None:
        self._metrics.callbacks.labels(kind, result).inc()


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A request that waits for its commit: the token of what it reported."""

    request: web.BaseRequest
    committed: asyncio.Future[bool]

    def answer(self, committed: bool) -> bool:
        """Let it be answered; return whether its caller is still there."""
        if self.committed.done():
            return False
        self.committed.set_result(committed)
        transport = self.request.transport
        return transport is not None and not transport.is_closing()


def _encoded(data: bytes) -> bytes:
    """Percent-encode what a caller left raw. Bodies are refused, so that whatever is not ASCII stands in a target, or does no harm."""
    if not data.isascii() and len(data) <= MAX_LINE:  # a stranger's flood is not worth the time
        data = _BEYOND_ASCII.sub(lambda octet: b"%%%02X" % ord(octet[0]), data)
    line = data[: data.find(b"\n") + 1]
    if not line.startswith(b"GET ") or line.count(b" ") <= 2:
        return data
    target, _, version = line.removeprefix(b"GET ").rpartition(b" ")
    return b"GET " + target.replace(b" ", b"%20") + b" " + version + data[len(line) :]


def _head(request: web.BaseRequest) -> Head:
    target = request.raw_path
    if not target.startswith("/"):  # absolute-form, as a proxy may send it. RFC 9112 s3.2.2
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    peer = request.get_extra_info("peername")
    return Head(
        request.method,
        path,
        query.encode("utf-8", "surrogateescape"),
        str(peer[0]) if peer else "",
        request.headers.getall("X-Forwarded-For", ()),
        request.body_exists,
    )


class _Answer(web.Response):
    """An answer that does not tell what software gives it."""

    def __init__(self, status: int) -> None:
        super().__init__(status=status, body=_TEXTS.get(status, b""), content_type="text/plain")
        if status >= 400:
            self.force_close()

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers["Server"]


class _Connection(web.RequestHandler):
    """One connection: aiohttp's, without its pages and its log lines, and with a parser that takes what was not percent-encoded."""

    def __init__(self, *args: Any, refused: Callable[[], None], **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._refused = refused

    def data_received(self, data: bytes) -> None:
        """Take octets from the caller."""
        super().data_received(_encoded(data))

    def close_if_silent(self) -> None:
        """Close it where no whole request came."""
        if not self._request_count:
            self.force_close()

    @property
    def idle(self) -> bool:
        """Whether it waits for a request."""
        return self._waiter is not None and not self._waiter.done()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what could not be parsed, and what failed, by its status alone."""
        self._refused()
        if status >= 500:
            self.log_exception("", exc_info=exc)
        return _Answer(414 if isinstance(exc, LineTooLong) else status)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log a fault by its type: its text may quote the request."""
        log.error("a call-back failed", error=type(kw.get("exc_info")).__name__)


class _Server(web.Server):
    """Makes such connections, within limits."""

    def __init__(self, handler: Callable[[web.BaseRequest], Any], limits: Limits, refused: Callable[[], None]) -> None:
        super().__init__(handler)
        self._limits, self._refused = limits, refused

    def __call__(self) -> web.RequestHandler:
        """Make one."""
        return _Connection(
            self,
            refused=self._refused,
            loop=self._loop,
            access_log=None,
            keepalive_timeout=self._limits.keep_alive,
            lingering_time=0.0,
            max_line_size=MAX_LINE,
            max_field_size=MAX_FIELD,
            max_headers=MAX_FIELDS,
        )

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Give it a while to say something, and make room for it: the idle one that is open longest goes, else the new one itself."""
        super().connection_made(handler, transport)
        assert isinstance(handler, _Connection)
        self._loop.call_later(self._limits.first_request, handler.close_if_silent)
        connections = self.connections
        if len(connections) > self._limits.connections:
            idle = (each for each in connections if isinstance(each, _Connection) and each.idle)
            next(idle, handler).force_close()
