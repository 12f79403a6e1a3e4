"""HTTP for machines that watch: /metrics, /livez, /readyz. Read only, on loopback unless told otherwise.

`/livez` answers 200 while the event loop turns. `/readyz` answers 200 when the broker session is subscribed, the journal can commit and a
carrier can be used; else 503. Its JSON body says which of them fails.
"""

from collections.abc import Callable, Mapping

from aiohttp import web

from gateway.broker.base import Broker
from gateway.carriers.base import Carrier, CarrierState
from gateway.journal.base import Journal
from gateway.metrics import Metrics, age

SHUTDOWN_TIMEOUT = 2.0


class Admin:
    """The listener."""

    def __init__(
        self,
        listen: tuple[str, int],
        *,
        broker: Broker,
        journal: Journal,
        carriers: Mapping[str, Carrier],
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._listen, self._clock = listen, clock
        self._broker, self._journal, self._carriers, self._metrics = broker, journal, carriers, metrics
        self.draining = False
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen; return the port. Raises OSError where it cannot."""
        app = web.Application()
        app.add_routes([web.get("/metrics", self._serve_metrics), web.get("/livez", self._livez), web.get("/readyz", self._readyz)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, *self._listen)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner is not None:
            await self._runner.cleanup()

    def readiness(self) -> dict[str, object]:
        """Say what readiness is made of."""
        usable = {name: carrier.state in (CarrierState.READY, CarrierState.THROTTLED) for name, carrier in self._carriers.items()}
        stats = self._journal.stats()
        parts = {"broker": self._broker.connected, "journal": self._journal.available, "carrier": any(usable.values())}
        return {
            "ready": all(parts.values()) and not self.draining,
            "draining": self.draining,
            **parts,
            "carriers": {name: carrier.state.value for name, carrier in self._carriers.items()},
            "outbox": stats.outbox.number,
            "outbox_set_aside": stats.set_aside,
        }

    def refresh(self) -> None:
        """Bring the gauges up to date."""
        stats, now, metrics = self._journal.stats(), self._clock(), self._metrics
        metrics.set_queue(stats.queue, now)
        metrics.outbox_events.set(stats.outbox.number)
        metrics.outbox_oldest.set(age(stats.outbox.oldest, now))
        metrics.outbox_set_aside.set(stats.set_aside)
        metrics.parked_receipts.set(stats.parked)
        metrics.receipts_unmatched.set(stats.unmatched)
        metrics.broker_connected.set(self._broker.connected)
        metrics.journal_available.set(self._journal.available)
        metrics.ready.set(self.readiness()["ready"] is True)
        for name, carrier in self._carriers.items():
            metrics.set_carrier_state(name, carrier.state.value)

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        self.refresh()
        return web.Response(body=self._metrics.expose(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _livez(self, _request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _readyz(self, _request: web.Request) -> web.Response:
        readiness = self.readiness()
        return web.json_response(readiness, status=200 if readiness["ready"] else 503)
