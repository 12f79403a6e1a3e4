"""The call-backs that the sandbox sends: GET requests to a customer's URL, with the manual's parameters and nothing else.

`Caller` sends what `gateway.sandbox.fates` hands it over a few connections; the call-backs of one message leave one after the other, each
when the one before was answered, so that disorder comes from the magic numbers alone. A call-back that is not answered by 200 within
`callback_timeout` is given up, as the manual promises no repetition, unless `callback_tries` says otherwise. What waits is bounded: beyond
`callback_backlog` a call-back is dropped and counted. Answers are not read, and redirects not followed. Without a URL there are none.
"""

import asyncio
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
from yarl import URL

from gateway.sandbox.agenda import Agenda
from gateway.sandbox.answers import stamp
from gateway.sandbox.provider_state import Stored
from gateway.sandbox.scenario import CallbackType
from gateway.sandbox.settings import WebSettings, WebStatistics


class LostError(aiohttp.ClientError):
    """The connection broke under a request."""


async def never_again(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a GET by itself when its connection breaks."""
    try:
        return await handler(request)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        raise LostError(str(error)) from error


class Call(NamedTuple):
    """One call-back to come."""

    url: str
    connection: int
    tries: int = 0


class Caller:
    """Send call-backs on the running loop."""

    def __init__(self, settings: WebSettings, statistics: WebStatistics, agenda: Agenda) -> None:
        self._settings, self._statistics, self._agenda = settings, statistics, agenda
        self._waiting: list[asyncio.Queue[Call]] = [asyncio.Queue() for _ in range(settings.callback_connections)]
        self._number = 0  # of calls that wait
        self._session: aiohttp.ClientSession
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open for calls."""
        connector = aiohttp.TCPConnector(limit=self._settings.callback_connections)
        timeout = aiohttp.ClientTimeout(total=self._settings.callback_timeout)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), middlewares=(never_again,)
        )
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Give up what waits. Raises what ended the work before, if anything did."""
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._session.close()

    def call(self, stored: Stored, url: str) -> None:
        """Let a call-back wait for its turn."""
        if url:
            self._wait(self._call_of(stored, url))

    async def call_now(self, stored: Stored, url: str) -> None:
        """Send a call-back and wait for its end."""
        if url:
            await self._send(self._call_of(stored, url))

    def _call_of(self, stored: Stored, url: str) -> Call:
        return Call(url, int(stored.md5, 16) % len(self._waiting))

    def _wait(self, call: Call) -> None:
        if self._number >= self._settings.callback_backlog:
            self._statistics.dropped += 1
            return
        self._number += 1
        self._waiting[call.connection].put_nowait(call)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            for waiting in self._waiting:
                group.create_task(self._send_all(waiting))

    async def _send_all(self, waiting: asyncio.Queue[Call]) -> None:
        while True:
            call = await waiting.get()
            self._number -= 1
            await self._send(call)

    async def _send(self, call: Call) -> None:
        try:
            async with self._session.get(URL(call.url, encoded=True), allow_redirects=False) as response:
                good = response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            good = False
        if good:
            self._statistics.called_back += 1
        elif call.tries + 1 < self._settings.callback_tries:
            self._statistics.repeated += 1
            self._agenda.after(self._settings.callback_retry_delay, self._wait, call._replace(tries=call.tries + 1))
        else:
            self._statistics.dropped += 1


def report(url: str, stored: Stored, type: CallbackType, code: int, at: float) -> str:
    """Write the URL of a status or DLR call-back."""
    return _with_query(url, stored, [("msisdn", _number(stored)), ("status", str(code)), ("date", stamp(at))], type)


def reply(url: str, stored: Stored, text: str, at: float) -> str:
    """Write the URL of a reply's call-back."""
    return _with_query(url, stored, [("msisdn", _number(stored)), ("message", text), ("date", stamp(at))], CallbackType.REPLY)


def _number(stored: Stored) -> str:
    return f"55{stored.number}" if stored.behaviour.country_code else stored.number


def _with_query(url: str, stored: Stored, parameters: list[tuple[str, str]], type: CallbackType) -> str:
    if not url:
        return ""
    if stored.behaviour.typed:
        parameters.append(("type", str(int(type))))
    parameters.append(("md5", stored.md5))
    if stored.reports_id and stored.external_id:
        parameters.append(("uuid", stored.external_id))
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters)
    return f"{url}{'&' if '?' in url else '?'}{query}"
