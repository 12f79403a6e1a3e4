"""A customer of the sandbox's HTTP API and web service, and the server on which it is called back."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web
from yarl import URL

from gateway.sandbox.callbacks import never_again
from gateway.sandbox.web import WebProvider
from tests.support.waiting import DEADLINE

USER = "126b114c"
NEVER = 0  # among the statuses of `CalledBack`: no answer


class Customer:
    """Ask the provider; no request is ever sent again behind our back."""

    def __init__(self, web_provider: WebProvider) -> None:
        self.web = web_provider
        timeout = aiohttp.ClientTimeout(total=DEADLINE)
        self.session = aiohttp.ClientSession(timeout=timeout, middlewares=(never_again,))

    async def get(self, function: str, **parameters: str) -> str:
        """Call a function of the HTTP API and return the body of a good answer."""
        status, body = await self.ask(function, **parameters)
        assert status == 200
        return body

    async def ask(self, function: str, **parameters: str) -> tuple[int, str]:
        """Call a function of the HTTP API; return status and body."""
        query = "&".join(f"{name}={quote(value)}" for name, value in ({"u": USER} | parameters).items())
        url = URL(f"{self.web.http_url}/{function}?{query}", encoded=True)
        async with self.session.get(url, allow_redirects=False) as response:
            return response.status, await response.text()

    async def send(self, digits: str = "4321", text: str = "oi", **parameters: str) -> str:
        """Send one message to a number that ends in `digits`."""
        return await self.get("send", n=f"1198765{digits}", m=text, **parameters)

    async def protocol(self, digits: str = "4321", **parameters: str) -> str:
        """Send one message that must be accepted; return its md5."""
        code, md5 = (await self.send(digits, **parameters)).split(";")
        assert code == "1"
        assert len(md5) == 32
        return md5

    async def mult(self, *digits: str, **parameters: str) -> list[str]:
        """Send a batch in layout 1; return the lines of the answer."""
        content = ";".join(f"1198765{each}|texto {place}|{place}" for place, each in enumerate(digits, 1))
        return (await self.get("mult", l="1", c=content, **parameters)).splitlines()

    async def post(self, path: str, body: str | Mapping[str, str], **headers: str) -> tuple[int, str, str]:
        """Post to the web service; return status, content type and body."""
        async with self.session.post(self.web.webservice_url + path, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, response.content_type, await response.text()


class CalledBack:
    """Be called back: keep every query in order, and answer `statuses` one after the other, then 200."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str]]] = []  # path and parameters
        self.statuses: list[int] = []
        self._news, self._stopped = asyncio.Event(), asyncio.Event()
        self._runner: web.AppRunner
        self.port = 0

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._hear)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        self._stopped.set()
        await self._runner.cleanup()

    def url(self, path: str = "/callback") -> str:
        """Where to call."""
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def told(self) -> list[str]:
        """What was told so far, in short: s1 for status 1, d2 for DLR 2, r for a reply, ? for what has no type."""
        return [_short(query) for _, query in self.calls]

    async def until(self, count: int) -> list[str]:
        """Wait for this many calls; return what was told."""
        return await self.when(lambda: len(self.calls) >= count)

    async def when(self, condition: Callable[[], bool]) -> list[str]:
        """Wait until a condition holds; return what was told."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._news.clear()
                await self._news.wait()
        return self.told

    async def _hear(self, request: web.Request) -> web.Response:
        assert request.method == "GET"
        self.calls.append((request.path, dict(request.query)))
        self._news.set()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == NEVER:
            await self._stopped.wait()
        return web.Response(status=status or 503)


def _short(query: Mapping[str, Any]) -> str:
    letter = {"1": "r", "2": "s", "3": "d"}.get(query.get("type", ""), "?")
    return letter if letter == "r" else letter + query["status"]
