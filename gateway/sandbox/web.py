"""The provider's side that is no SMPP, put together: HTTP API, web service and call-backs on one state.

`WebProvider` is for tests, the demo and the command `mensageiro sandbox`, which run it in their own loop. Each listener can be cut and
brought back while the state lives on. It imports no stage, broker, carrier or journal.

Known limits: all state is in memory and dies with the process, but for the ledger.
"""

from collections.abc import Iterable
from typing import Literal

from aiohttp import web

from gateway.sandbox.agenda import Agenda
from gateway.sandbox.callbacks import Caller
from gateway.sandbox.desk import Desk
from gateway.sandbox.fates import Fates
from gateway.sandbox.httpapi import HttpApi
from gateway.sandbox.provider_state import Provider
from gateway.sandbox.settings import WebSettings
from gateway.sandbox.webservice import WebService

__all__ = ["WebProvider", "WebSettings"]

Door = Literal["http", "webservice"]

_BODY = 4 << 20  # octets of a request: a thousand messages in XML
_DRAIN = 0.5  # s that requests in work have when a listener is closed


class WebProvider:
    """Run it on the running loop; `seed` makes protocols and spreads repeatable."""

    def __init__(self, settings: WebSettings, seed: int | None = None) -> None:
        self.settings = settings
        self.provider = Provider(settings, seed)
        self._seed = seed
        self._doors: dict[Door, web.AppRunner] = {}
        self._ports: dict[Door, int | None] = {"http": settings.http_port, "webservice": settings.webservice_port}
        self._desk: Desk
        self._agenda: Agenda
        self._caller: Caller

    @property
    def http_url(self) -> str:
        """Where the HTTP API is, without the function."""
        return f"http://{self.settings.host}:{self._ports['http']}/sms"

    @property
    def webservice_url(self) -> str:
        """Where the web service is."""
        return f"http://{self.settings.host}:{self._ports['webservice']}/wbsapi.asmx"

    @property
    def told(self) -> list[str]:
        """Say what listens where."""
        names = {"http": "HTTP API", "webservice": "web service"}
        return [f"{names[door]} on {self.settings.host}:{port}" for door, port in self._ports.items() if port is not None]

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self._agenda = Agenda()
        self._caller = Caller(self.settings, self.provider.statistics, self._agenda)
        self._desk = Desk(self.provider, Fates(self.provider, self._caller, self._agenda, self._seed))
        await self._caller.start()
        for door in self._ports:
            await self.open(door)

    async def stop(self) -> None:
        """Stop listening, and forget what was still to happen."""
        self._agenda.clear()
        self._desk.close()
        for door in list(self._doors):
            await self.cut(door)
        await self._caller.stop()
        self.provider.ledger.close()

    async def open(self, door: Door) -> None:
        """Listen at one door, again where it was before. Raises OSError."""
        port = self._ports[door]
        if port is None or (door == "webservice" and self._shared):
            return
        app = web.Application(client_max_size=_BODY)
        app.add_routes(self._routes(door))
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_DRAIN,
            max_line_size=self.settings.max_url_bytes,
        )
        await runner.setup()
        self._doors[door] = runner
        await web.TCPSite(runner, self.settings.host, port, reuse_address=True).start()
        self._ports[door] = int(runner.addresses[0][1])

    async def cut(self, door: Door) -> None:
        """Stop listening at one door, and end its connections."""
        runner = self._doors.pop(door, None)
        if runner is not None:
            await runner.cleanup()

    @property
    def _shared(self) -> bool:
        """Whether both doors are one listener."""
        return bool(self.settings.http_port) and self.settings.webservice_port == self.settings.http_port

    def _routes(self, door: Door) -> Iterable[web.RouteDef]:
        if door == "webservice":
            return WebService(self._desk).routes()
        return HttpApi(self._desk).routes() + (WebService(self._desk).routes() if self._shared else [])
