"""An HTTP server that answers exactly the bytes it is told to, cuts off, or says nothing: what no decent server library would do."""

import asyncio
import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs

from gateway.demo.ports import free_port
from tests.support.waiting import until


class Request(NamedTuple):
    """What arrived."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    connection: int  # 1, 2, 3, ...

    @property
    def function(self) -> str:
        """The last segment of the path."""
        return self.target.partition("?")[0].rpartition("/")[2]

    @property
    def query(self) -> dict[str, str]:
        """The parameters, percent-decoded as UTF-8."""
        return {name: values[-1] for name, values in parse_qs(self.target.partition("?")[2], keep_blank_values=True).items()}


class Reply(NamedTuple):
    """Bytes to write, and whether to close then. `wait` = write nothing until the test ends."""

    raw: bytes = b""
    close: bool = False
    wait: bool = False


CLOSE = Reply(close=True)
HANG = Reply(wait=True)


def ok(body: bytes | str, status: int = 200, *headers: str) -> Reply:
    """Answer decently."""
    content = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(content)}", *headers]
    return Reply("\r\n".join(head).encode() + b"\r\n\r\n" + content)


class RawServer:
    """Counts connections and requests; `answer` may be replaced at any time."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.port = free_port()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/sms"

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen, on the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=tls, limit=1 << 20)

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for writer in list(self.open):
            writer.close()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def of(self, function: str) -> list[Request]:
        """Return the requests of a function."""
        return [request for request in self.requests if request.function == function]

    async def until_requests(self, number: int) -> None:
        """Wait for requests."""
        await until(lambda: len(self.requests) >= number, f"{number} requests")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.open.add(writer)
        try:
            while (request := await _read(reader, number)) is not None:
                self.requests.append(request)
                reply = self.answer(request)
                if reply.wait:
                    await reader.read()  # until the other side gives up
                    return
                writer.write(reply.raw)
                await writer.drain()
                if reply.close:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, target, _ = first.split(" ")
    return Request(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))), connection)
