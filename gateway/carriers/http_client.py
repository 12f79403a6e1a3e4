"""One HTTP request, and what became of it: answered, never written, or written and not answered.

Who submits over HTTP must know whether a request can have reached the provider: `fetch` and `post` tell three ends apart, not raise:

- `Fetched`: a whole answer, whatever its status. Redirects are answers too; nothing follows them.
- `NeverWritten`: name, connection or TLS failed, or time ran out before the first byte of the request: nobody saw it.
- `Unanswered`: time ran out, the connection broke, or the answer was cut or too long, after bytes had left: nobody knows.

Every request leaves at most once. aiohttp repeats a GET by itself when a kept-alive connection breaks under it, since a GET should be
harmless; here it sends a message. `_once` stands between aiohttp's loop and its connections and turns what would be repeated into an error
that is not. Connections that idle longer than most servers allow are not used again, so that few requests meet one that is about to close.
Nor are those over which a server said something that nobody had asked for: the next request would read it as its own answer.

URLs hold secrets: they are in no error, no detail and no log line from here. Proxies of the environment are ignored, certificates verified.
Known limit: an answer without Content-Length that breaks off looks whole, even where the connection was reset, as some servers end every
answer. What is left of it says nothing wrong, but for two: an md5 may lack its end, and of a batch's first line the code, when it refuses
and nothing follows, looks like the answer to all.
"""

import os
import ssl
from types import SimpleNamespace
from typing import NamedTuple

import aiohttp
from aiohttp import hdrs
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

import gateway

KEEP_ALIVE = 3.0  # s that an idle connection is kept: Apache's 5 s is the shortest common limit of servers
BODY_LIMIT = 1 << 20
OK = 200


class Fetched(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes


class NeverWritten(NamedTuple):
    """The request did not leave."""

    detail: str


class Unanswered(NamedTuple):
    """The request left, perhaps in part, and no whole answer came."""

    detail: str


Exchange = Fetched | NeverWritten | Unanswered


class _CutOffError(aiohttp.ClientError):
    """The connection broke after the request was handed to it."""


class _Progress:
    """Whether a request's bytes may have left."""

    __slots__ = ("written",)

    def __init__(self) -> None:
        self.written = False


class _Connector(aiohttp.TCPConnector):
    """Hands out connections that are silent: aiohttp looks only whether the one in its pool is still open."""

    async def connect(self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        """Get a connection from the pool, or a new one; close those that have something to read before anything was asked."""
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


def open_session(connections: int, tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """Open a session whose requests leave at most once, over at most `connections` at a time; `tls` replaces the default trust."""
    progress = aiohttp.TraceConfig()
    progress.on_request_headers_sent.append(_note_written)
    return aiohttp.ClientSession(
        connector=_Connector(limit=connections, keepalive_timeout=KEEP_ALIVE, ssl=tls or True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={hdrs.USER_AGENT: f"mensageiro/{gateway.__version__}", hdrs.ACCEPT_ENCODING: "identity"},
        auto_decompress=False,
        trust_env=False,
        middlewares=(_once,),
        trace_configs=[progress],
    )


async def fetch(session: aiohttp.ClientSession, url: str, query: str, timeout: float) -> Exchange:
    """GET `url`?`query`, percent-encoded as it stands; at most `timeout` seconds in all."""
    return await _request(session, hdrs.METH_GET, URL(f"{url}?{query}" if query else url, encoded=True), None, {}, timeout)


async def post(session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str], timeout: float) -> Exchange:
    """POST `body` to `url`; at most `timeout` seconds in all."""
    return await _request(session, hdrs.METH_POST, URL(url, encoded=True), body, headers, timeout)


async def _request(
    session: aiohttp.ClientSession, method: str, url: URL, body: bytes | None, headers: dict[str, str], timeout: float
) -> Exchange:
    progress = _Progress()
    limit = aiohttp.ClientTimeout(total=timeout)
    try:
        async with session.request(
            method, url, data=body, headers=headers, allow_redirects=False, timeout=limit, trace_request_ctx=progress
        ) as response:
            status, answer = response.status, await _whole(response)
    except TimeoutError:
        return Unanswered("no answer in time") if progress.written else NeverWritten("no connection in time")
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        return Unanswered(_cut(error)) if progress.written else NeverWritten(_why(error))
    return Fetched(status, answer) if len(answer) <= BODY_LIMIT else Unanswered("the answer is too long")


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """Read the body, or one byte more than its limit."""
    chunks, length = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        length += len(chunk)
        if length > BODY_LIMIT:
            response.close()
            break
    return b"".join(chunks)


async def _note_written(session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestHeadersSentParams) -> None:
    """Note that the next thing aiohttp does is to write."""
    context.trace_request_ctx.written = True


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Let a request leave once: what aiohttp would repeat, it gets as an error that it does not know."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # no connection, and aiohttp does not repeat it
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise _CutOffError from None


def _cut(error: Exception) -> str:
    match error:
        case _CutOffError() | aiohttp.ClientConnectionError():
            return "the connection ended before the answer"
        case aiohttp.ClientPayloadError():
            return "the answer was cut"
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP"
        case _:
            return f"the answer could not be read ({type(error).__name__})"


def _why(error: Exception) -> str:
    """Say why there was no connection, without the URL that aiohttp would quote."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "no connection: the certificate is not valid for this host"
        case aiohttp.ClientConnectorDNSError() | UnicodeError():  # the latter of a name that the DNS cannot have
            return "no connection: the name is not known"
        case aiohttp.ClientConnectorSSLError():
            return "no connection: TLS failed"
        case OSError(errno=int(number)):
            return f"no connection: {os.strerror(number)}"
        case _:
            return f"no connection ({type(error).__name__})"
